"""What is needed to reproduce a report: settings, versions, hashes and the command."""

from __future__ import annotations

import hashlib
import json
import shlex
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from imblens.base.versions import version_of, versions
from imblens.lenses import BUILT_IN, lens_info
from imblens.report._data import QUICK_MAP, AuditFields
from imblens.report._html import cell, short
from imblens.report._lens_parts import ARCHETYPES, MAP
from imblens.run import APPROXIMATE_ABOVE

if TYPE_CHECKING:
    from imblens.run import Run

HASH_BYTES = 2**28  # arrays in memory above this size are not hashed


def describe(meta: Mapping[str, Any]) -> str:
    """Describe a run in a few words: data (the last part of a path), network, loss, treatment, as far as known.

    >>> describe({"data": {"path": "/home/me/cells"}, "arch": "resnet32", "loss": "ce"})
    'cells · resnet32 · ce'
    """
    words = []
    for key in ("data", "arch" if meta.get("arch") else "model", "loss", "treatment"):
        value = meta.get(key)
        if isinstance(value, Mapping):
            value = next((value[k] for k in ("name", "arch", "source", "path", "factory") if value.get(k)), None)
        if key == "data" and isinstance(value, str):
            value = value.rstrip("/\\").replace("\\", "/").rsplit("/", 1)[-1]
        if isinstance(value, (str, int, float)) and str(value):
            words.append(short(str(value), 80))
    return " · ".join(words)


def settings(meta: Mapping[str, Any]) -> list[tuple[str, str]]:
    """Return the settings of a run, one flat row per value, without versions."""
    rows = _flat({key: value for key, value in meta.items() if key != "versions"})
    return [(key, short(text, 300)) for key, text in rows]


def _flat(value: Any, key: str = "") -> Iterable[tuple[str, str]]:
    if isinstance(value, Mapping):
        for inner in sorted(value, key=str):
            yield from _flat(value[inner], f"{key} {inner}".strip())
    elif isinstance(value, (list, tuple)):
        yield key, ", ".join(cell(v) for v in value)
    elif value is not None:
        yield key, f"{value:.6g}" if isinstance(value, float) else str(value)


def used_versions(meta: Mapping[str, Any]) -> list[tuple[str, str]]:
    """Versions that were used for this page, and for capturing the run where they are known."""
    now = {**versions(), "altair": version_of("altair"), "vl-convert": version_of("vl-convert-python")}
    rows = [(f"{name} (audit)", text) for name, text in now.items() if text is not None]
    then = meta.get("versions")
    if isinstance(then, Mapping):
        rows += [(f"{name} (capture)", str(text)) for name, text in sorted(then.items())]
    return rows


def digests(run: Run) -> list[tuple[str, str]]:
    """SHA-256 of a run's files as its manifest states them, or of its arrays where it was never stored."""
    if run.path is not None and (run.path / "run.json").exists():
        files = json.loads((run.path / "run.json").read_text(encoding="utf-8")).get("files", {})
        return [(name, str(known.get("sha256", ""))) for name, known in sorted(files.items())]
    arrays: dict[str, Any] = {}
    for name, split in run.splits.items():
        for number, part in enumerate(split.parts):
            named = {"features": part.features, "labels": part.labels, "logits": part.logits}
            arrays |= {f"{name}/part-{number:05d} {key}": a for key, a in named.items() if a is not None}
    if run.head is not None:
        arrays |= {"head weight": run.head.weight, "head bias": run.head.bias}
    if sum(array.nbytes for array in arrays.values()) > HASH_BYTES:
        return []
    return [(key, hashlib.sha256(np.ascontiguousarray(a).data).hexdigest()) for key, a in arrays.items()]


def audit_command(audit: AuditFields) -> str:
    """Return the command that gives the same audit, with RUN for what was audited."""
    words = ["imblens", "audit", "RUN"]
    asked = [name for name in (*audit.findings, *audit.skipped) if name not in audit.left_out]
    no_map = MAP in audit.left_out
    quick = sum(map(len, audit.run.splits.values())) <= QUICK_MAP
    if not {lens_info(function).name for function in BUILT_IN} <= {*asked, *([MAP] if no_map else [])}:
        for name in asked:
            words += ["--lens", name]
    elif no_map and quick:
        words += ["--no-map"]
    elif MAP in audit.findings and not quick:
        words += ["--map"]
    usual = len(audit.run.train) > APPROXIMATE_ABOVE
    if audit.approximate is not None and audit.approximate is not usual:
        words += ["--approximate" if audit.approximate else "--exact"]
    if audit.of is not None:
        words += ["--class", audit.of]
    prototypes = audit.options.get(ARCHETYPES, {}).get("prototypes", 1)
    if prototypes != 1:
        words += ["--prototypes", str(prototypes)]
    return " ".join(shlex.quote(word) for word in words)
