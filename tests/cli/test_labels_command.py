"""Several labels per image, from the files as their owners publish them to a treated run."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
from PIL import Image

from imblens.run import Run
from tests.commands import imblens


def chexpert(root: Path) -> Path:
    """Write images whose left half is bright with the first label, and whose lower half is with the second."""
    rng = np.random.default_rng(0)
    for split, n in (("train", 60), ("valid", 24)):
        lines = ["Path,Sex,No Finding,Edema,Fracture"]
        for i in range(n):
            edema, fracture = rng.random(2) < [0.4, 0.25]
            pixels = rng.integers(0, 90, (16, 16, 3))
            pixels[:, :8] += 120 * edema
            pixels[8:] += 40 * fracture
            name = f"{split}/patient{split}{i}/study1/view1.png"
            (root / name).parent.mkdir(parents=True)
            Image.fromarray(pixels.astype(np.uint8)).save(root / name)
            sure = "-1.0" if split == "train" and i % 10 == 0 else str(float(fracture))
            lines.append(f"CheXpert-small/{name},F,,{float(edema)},{sure}")
        (root / f"{split}.csv").write_text("\n".join(lines))
    return root


def test_train_audit_and_treat(tmp_path: Path) -> None:
    data = chexpert(tmp_path / "chexpert")
    done = imblens("train", data, "--loss", "cb_focal_bce", "--epochs", 2, "--out", "run", "--json", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert "Uncertain labels in train: 6, ignored" in done.stderr and " AUROC " in done.stderr
    run = Run.load(tmp_path / "run")
    assert run.task == "multilabel" and run.classes == ("Edema", "Fracture")
    assert (~run.train.known).sum(axis=0).tolist() == [0, 6]
    table = json.loads((tmp_path / "run" / "audit" / "findings.json").read_text())["lenses"]
    ran = {name for name, entry in table.items() if entry["skipped"] is None}
    assert {"class_accuracy", "archetypes", "ranking", "calibration", "co_occurrence", "generalization_gap"} <= ran
    assert table["adversaries"]["skipped"] == ("adversaries: it is for single-label runs, and this run is multi-label.")
    done = imblens("treat", "run", "--with", "eos", "--set", "k_neighbors=5", "--out", "run2", "--json", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert [row["class"] for row in json.loads(done.stdout)["classes"]] == ["Edema", "Fracture"]
    again = Run.load(tmp_path / "run2")
    assert again.meta["treatment"]["name"] == "eos" and (again.train.known == run.train.known).all()


def test_what_cannot_be_leaves_nothing_behind(tmp_path: Path) -> None:
    data = chexpert(tmp_path / "chexpert")
    for words, message in (
        (["--uncertain", "maybe"], "Give ignore, positive or negative"),
        (["--loss", "ce"], "For multi-label data: bce"),
        (["--boxes", "none.csv"], "no file of boxes none.csv"),
    ):
        done = imblens("train", data, *words, "--epochs", 1, "--out", "run", cwd=tmp_path)
        assert done.returncode == 2 and message in done.stderr and "Traceback" not in done.stderr
        assert not (tmp_path / "run" / "model.safetensors").exists()
