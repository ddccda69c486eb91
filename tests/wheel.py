"""What a wheel must do in an environment without development extras. Run it with that Python.

It audits, treats, compares and reports; then it runs the Python blocks of README.md and its command for arrays. Statements
on a network are left out where PyTorch is missing, and the one on a Trainer always (docs/howto/hugging-face.md runs it);
what is left out is printed.
"""

from __future__ import annotations

import ast
import os
import re
import shutil
import subprocess
import sys
import tempfile
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

import imblens

README = Path(__file__).resolve().parents[1] / "README.md"
BLOCK = re.compile(r"^```python\n(.*?)^```$", re.MULTILINE | re.DOTALL)
CLASSES = ["many", "some", "few"]
RNG = np.random.default_rng(0)
CENTRES = RNG.normal(size=(3, 6)) * 2
HEAD = (CENTRES, -(CENTRES**2).sum(axis=1) / 2)


def split(counts: list[int]) -> tuple[np.ndarray, np.ndarray]:
    """Features and labels of so many instances of each class."""
    labels = np.repeat(np.arange(3), counts)
    return (CENTRES[labels] + RNG.normal(size=(len(labels), 6))).astype(np.float32), labels


def main() -> None:
    """Audit a small run, treat it and compare; every step writes what it should. Then do what README.md shows."""
    train, test = split([180, 60, 20]), split([20, 20, 20])
    run = imblens.Run.from_arrays(train=train, test=test, head=HEAD)
    before = Path.cwd()
    with tempfile.TemporaryDirectory() as folder:
        os.chdir(folder)
        try:
            report = imblens.audit(run, skip=["embedding_map"]).save("audit")
            assert report.stat().st_size > 10**6, "the report holds its scripts"
            better = imblens.treat(run, "eos", random_state=0)
            assert imblens.compare([run, better]).save("comparison").exists()
            blocks_of_readme(run, train, test)
            command_of_readme(train, test)
        finally:
            os.chdir(before)
    print("the wheel works")


def blocks_of_readme(run: imblens.Run, train: Any, test: Any) -> None:
    """Run them, statement by statement, with the names that they leave to the reader."""
    from sklearn.linear_model import LogisticRegression
    from sklearn.pipeline import make_pipeline

    names: dict[str, Any] = {"run": run, "train_set": train, "test_set": test, "names": CLASSES}
    names |= {"X": train[0], "y": train[1], "X_test": test[0], "y_test": test[1]}
    names["pipeline"] = make_pipeline(LogisticRegression()).fit(*train)
    table = pd.DataFrame({"embedding": [*train[0], *test[0]], "y": np.concatenate([train[1], test[1]])})
    table.assign(split=["train"] * len(train[1]) + ["test"] * len(test[1])).to_parquet("embeddings.parquet")
    if find_spec("torch"):
        import torch

        names["model"] = torch.nn.Linear(6, 3)
    done = 0
    for statement in [
        one for block in BLOCK.findall(README.read_text(encoding="utf-8")) for one in ast.parse(block).body
    ]:
        read = {
            node.id for node in ast.walk(statement) if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Load)
        }
        if read & ({"model", "trainer"} - set(names)):
            print(f"left out: {ast.unparse(statement)}")
            continue
        exec(compile(ast.unparse(statement), "README.md", "exec"), names)
        done += 1
    assert done >= 6 and Path("report", "report.html").exists()


def command_of_readme(train: Any, test: Any) -> None:
    """`imblens audit ARRAYS.npz`, with every array that README.md names."""
    arrays = {"head_weight": HEAD[0], "head_bias": HEAD[1], "class_names": np.array(CLASSES)}
    for name, (features, labels) in {"train": train, "test": test}.items():
        arrays |= {
            f"{name}_features": features,
            f"{name}_labels": labels,
            f"{name}_logits": features @ HEAD[0].T + HEAD[1],
        }
    np.savez("ARRAYS.npz", **arrays)
    command = shutil.which("imblens", path=str(Path(sys.executable).parent))
    assert command, "the wheel installs the command"
    earlier = set(Path().glob("*/report.html"))
    said = subprocess.run([command, "audit", "ARRAYS.npz"], check=True, capture_output=True, text=True).stdout
    (found,) = set(Path().glob("*/report.html")) - earlier
    assert found.parent.name in said, said


if __name__ == "__main__":
    main()
