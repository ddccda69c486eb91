"""What a wheel must do in an environment without development extras: audit, treat, compare, report. Run it with that Python."""

from __future__ import annotations

import tempfile
from pathlib import Path

import numpy as np

import imblens


def main() -> None:
    """Audit a small run, treat it and compare; every step writes what it should."""
    rng = np.random.default_rng(0)
    centres = rng.normal(size=(3, 6)) * 2

    def split(counts: list[int]) -> tuple[np.ndarray, np.ndarray]:
        labels = np.repeat(np.arange(3), counts)
        return centres[labels] + rng.normal(size=(len(labels), 6)), labels

    head = (centres, -(centres**2).sum(axis=1) / 2)
    run = imblens.Run.from_arrays(train=split([90, 40, 12]), test=split([20, 20, 20]), head=head)
    with tempfile.TemporaryDirectory() as folder:
        report = imblens.audit(run, skip=["embedding_map"]).save(Path(folder) / "audit")
        assert report.stat().st_size > 10**6, "the report holds its scripts"
        better = imblens.treat(run, "eos", random_state=0)
        assert imblens.compare([run, better]).save(Path(folder) / "comparison").exists()
    print("the wheel works")


if __name__ == "__main__":
    main()
