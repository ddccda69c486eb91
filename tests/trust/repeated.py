"""The same run and seed give the same tables, findings and report: twice in a process, in two processes, with more threads.

    python -m tests.trust.repeated       four processes with 1, 1, 2 and 8 threads; prints what was equal

Each process has another seed of Python's hashes. With one number of threads every byte must be equal. With another number,
text, counts, rankings and samples must be, and other numbers within 1e-5 (docs/trust.md states the same).
"""

from __future__ import annotations

import hashlib
import json
import os
import subprocess
import sys
import tempfile
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

CLOSE = 1e-5  # relative, between numbers of threads
LIMITS = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "NUMBA_NUM_THREADS")
COUNTS = "count|rank|feature$|prototype|archetype|errors|support|n_"


def tables() -> Iterator[tuple[str, pd.DataFrame]]:
    """Every table that the main functions return on one run."""
    import imblens
    from imblens.resampling import EOS, BalancedSVM
    from tests.lenses.made import captured_run
    from tests.trust import calls, inputs
    from tests.trust.options import run as plain_run

    run = plain_run()
    for task in ("multiclass", "multilabel"):
        audit = imblens.audit(captured_run(task=task))
        yield from ((f"{task} {lens} {name}", t) for lens, f in audit.findings.items() for name, t in f.tables.items())
    compared = imblens.compare([run, imblens.treat(run, "tau_norm")])
    yield from ((f"compare {name}", table) for name, table in compared.tables.items())
    for name in ("eos", "crt", "lws", "smote", "logit_adjustment"):
        head = imblens.treat(run, name).head
        assert head is not None
        yield f"treat {name}", pd.DataFrame(np.column_stack([head.weight, head.bias]))
    for sampler in (EOS(k_neighbors=5, random_state=0), BalancedSVM(k_neighbors=3, random_state=0)):
        more, labels = sampler.fit_resample(inputs.FEATURES, inputs.LABELS)
        yield f"sample {type(sampler).__name__}", pd.DataFrame(more).assign(count_label=labels)
    yield "gate", imblens.gate(run, against=run).table
    given = {"unlabelled": inputs.TEST_FEATURES, "labels": (inputs.TEST_FEATURES, inputs.TEST_LABELS)}
    yield from ((f"estimate {n}", t) for n, t in imblens.estimate(run, draws=20, **given).tables.items())
    yield from ((f"collect {n}", t) for n, t in imblens.collect(run, pool=inputs.TEST_FEATURES, count=5).tables.items())
    yield "predict", imblens.Decision.fit(run).predict(inputs.TEST_FEATURES)
    yield "capture", pd.DataFrame(np.asarray(calls.captured().train.features))  # type: ignore[attr-defined]


def report_bytes() -> dict[str, str]:
    """SHA-256 of every file of a saved report."""
    import imblens
    from tests.lenses.made import captured_run

    with tempfile.TemporaryDirectory() as folder:
        imblens.audit(captured_run()).save(Path(folder) / "r")
        files = sorted(file for file in Path(folder).rglob("*") if file.is_file())
        return {str(f.relative_to(folder)): hashlib.sha256(f.read_bytes()).hexdigest() for f in files}


def measured() -> dict[str, Any]:
    """Every table as columns of text and of exact numbers, and the digests of a report."""
    found: dict[str, Any] = {}
    for name, table in tables():
        found[name] = {
            str(column): [float(v).hex() for v in values] if values.dtype.kind in "iufb" else list(map(str, values))
            for column, values in table.items()
        }
    return {"tables": found, "report": report_bytes()}


def main() -> int:
    """Measure in four processes and compare; with the word `one`, in this one, and print JSON."""
    if sys.argv[1:] == ["one"]:
        warnings.simplefilter("ignore")
        import torch

        torch.set_num_threads(int(os.environ["OMP_NUM_THREADS"]))
        first = measured()
        first["twice"] = first == measured()
        json.dump(first, sys.stdout)
        return 0
    results = []
    for place, threads in enumerate((1, 1, 2, 8)):
        limits = dict.fromkeys(
            ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "NUMBA_NUM_THREADS"), str(threads)
        )
        done = subprocess.run(
            [sys.executable, "-m", "tests.trust.repeated", "one"],
            env={**os.environ, **limits, "PYTHONHASHSEED": str(place)},
            capture_output=True,
            text=True,
            check=True,
        )
        results.append(json.loads(done.stdout))
    one, again, two, eight = results
    bad = [f"{place}: another result in the same process" for place, r in enumerate(results) if not r.pop("twice")]
    bad += [f"one thread, two processes: {name} differs" for name in differing(one, again)]
    for threads, other in ((2, two), (8, eight)):
        bad += [f"{threads} threads: {what}" for what in far(one["tables"], other["tables"])]
    print(*bad, sep="\n", end="\n" if bad else "")
    equal = {t: len(one["tables"]) - len(differing(one, o)) for t, o in ((2, two), (8, eight))}
    print(
        f"repeated: {len(one['tables'])} tables and {len(one['report'])} files of a report, each twice in four processes: "
        f"{'all' if not bad else 'not all'} as stated; to the byte with 2 threads {equal[2]} tables, with 8 {equal[8]}"
    )
    return int(bool(bad))


def differing(one: dict[str, Any], two: dict[str, Any]) -> list[str]:
    """Names of tables and files that are not equal to the byte."""
    tables = [name for name in one["tables"] | two["tables"] if one["tables"].get(name) != two["tables"].get(name)]
    return tables + [
        name for name in one["report"] | two["report"] if one["report"].get(name) != two["report"].get(name)
    ]


def far(one: dict[str, Any], two: dict[str, Any]) -> Iterator[str]:
    """Columns that differ by more than another number of threads may cause."""
    for name, columns in one.items():
        for column, values in columns.items():
            others = two.get(name, {}).get(column)
            if values == others:
                continue
            try:
                a, b = (np.array([float.fromhex(v) for v in given]) for given in (values, others))
            except (TypeError, ValueError):
                yield f"{name}, {column} differs"
                continue
            counted = pd.Series([column]).str.contains(COUNTS)[0] or name.startswith("sample")
            if a.shape != b.shape or not np.allclose(
                a, b, rtol=0 if counted else CLOSE, atol=0 if counted else 1e-6, equal_nan=True
            ):
                yield f"{name}, {column} differs by {np.nanmax(np.abs(a - b)) if a.shape == b.shape else 'its length'}"


if __name__ == "__main__":
    sys.exit(main())
