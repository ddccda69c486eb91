"""The door: options, records, third parties, and what stays as it was."""

from __future__ import annotations

import importlib.metadata
import json
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from imblens.errors import ImblensWarning, InputError, MissingError
from imblens.run import Head, Run
from imblens.treatments import (
    Outcome,
    Treatment,
    all_treatments,
    find_treatment,
    parse_options,
    treat,
    treatment_names,
)
from tests.treatments._runs import blobs_run


def test_the_run_is_left_as_it_was() -> None:
    run = blobs_run()
    features, weight, meta = run.train.features.copy(), run.head.weight.copy(), dict(run.meta)
    better = treat(run, "eos", k_neighbors=5)
    np.testing.assert_array_equal(run.train.features, features)
    np.testing.assert_array_equal(run.head.weight, weight)
    assert dict(run.meta) == meta
    assert run.synthetic is None
    assert better.train.features is run.train.features
    np.testing.assert_allclose(better.test.logits, better.head(run.test.features), rtol=1e-5)


def test_same_seed_same_bytes_other_seeds_differ() -> None:
    run = blobs_run()
    heads = [treat(run, "eos", k_neighbors=5, random_state=seed).head.weight.tobytes() for seed in (0, 0, 1)]
    assert heads[0] == heads[1] != heads[2]


@pytest.mark.filterwarnings("ignore:best. unchanged stays")
def test_a_treated_run_survives_the_disk(tmp_path: Path) -> None:
    better = treat(blobs_run((400, 90, 40, 25)), "best", candidates=["eos"])
    better.save(tmp_path / "better")
    back = Run.load(tmp_path / "better")
    assert back.meta["treatment"] == json.loads(json.dumps(better.meta["treatment"]))
    np.testing.assert_array_equal(back.head.weight, better.head.weight)
    if better.synthetic is not None:
        np.testing.assert_array_equal(back.synthetic.features, better.synthetic.features)
        assert (
            back.synthetic.instances(["base"])["base"].tolist() == better.synthetic.instances(["base"])["base"].tolist()
        )


def test_install_puts_the_head_back() -> None:
    torch = pytest.importorskip("torch")
    run = blobs_run()
    model = torch.nn.Sequential(torch.nn.Identity(), torch.nn.Linear(6, 4))
    better = treat(run, "crt")
    better.install(model)
    with torch.no_grad():
        logits = model(torch.from_numpy(np.asarray(run.test.features))).numpy()
    np.testing.assert_allclose(logits, better.test.logits, atol=1e-4)
    fresh = torch.nn.Sequential(torch.nn.Identity(), torch.nn.Linear(6, 4))
    replace(better, meta={**better.meta, "layer": "1"}).install(torch.nn.DataParallel(fresh))
    assert torch.equal(fresh[1].weight, model[1].weight)
    with pytest.raises(InputError, match=r"model must be a torch\.nn\.Module, found int"):
        better.install(5)


def test_unknown_names_state_which_is_near() -> None:
    run = blobs_run()
    with pytest.raises(MissingError, match=r"no treatment 'esso'\..*Known: best"):
        treat(run, "esso")
    with pytest.raises(MissingError, match=r"Did you mean 'logit_adjustment'"):
        find_treatment("logit_adjustement")
    assert find_treatment("tau-norm").name == "tau_norm"


def test_options_from_text() -> None:
    assert parse_options("eos", ["k_neighbors=200", "random_state=3", "direction=away"]) == {
        "k_neighbors": 200,
        "random_state": 3,
        "direction": "away",
    }
    assert parse_options("eos", ["k-neighbors=auto", "check_split=false"]) == {
        "k_neighbors": "auto",
        "check_split": False,
    }
    assert parse_options("tau_norm", ["tau=.7"]) == {"tau": 0.7}
    assert parse_options("best", ["candidates=eos, crt"]) == {"candidates": ("eos", "crt")}


@pytest.mark.parametrize(
    ("pair", "message"),
    [
        ("k_neighbors=ten", r"eos: k_neighbors='ten' is not allowed\. Give a whole number of 1 or more or 'auto'"),
        ("k_neighbors=1.5", r"k_neighbors='1\.5' is not allowed"),
        ("k_neighbors=0", r"k_neighbors='0' is not allowed"),
        ("k_neighbors=nan", r"k_neighbors='nan' is not allowed"),
        ("k_neighbors=", r"k_neighbors='' is not allowed"),
        ("direction=sideways", r"direction='sideways' is not allowed\. Give 'toward' or 'away'"),
        ("check_split=maybe", r"check_split='maybe' is not allowed\. Give true or false"),
        ("k_neighbors", r"--set 'k_neighbors' has no value\. Write --set key=value"),
        ("=3", r"has no value"),
        ("k_neighbor=3", r"eos has no option 'k_neighbor'\. Did you mean 'k_neighbors'"),
        ("learning_rate=-1", r"learning_rate='-1' is not allowed\. Give a number of 1e-09 or more or 'auto'"),
    ],
)
def test_bad_options_state_what_is_allowed(pair: str, message: str) -> None:
    with pytest.raises(InputError, match=message):
        parse_options("eos", [pair])


def test_options_given_twice_are_refused() -> None:
    with pytest.raises(InputError, match="gives k_neighbors twice"):
        parse_options("eos", ["k_neighbors=3", "k-neighbors=4"])


@pytest.mark.parametrize(
    ("name", "options"),
    [
        ("eos", {"k_neighbors": True}),
        ("eos", {"k_neighbors": 2.5}),
        ("eos", {"k_neighbors": [3]}),
        ("eos", {"sampling_strategy": 0}),
        ("tau_norm", {"tau": 7}),
        ("tau_norm", {"tau": float("inf")}),
        ("temperature", {"temperature": 0}),
        ("eos", {"random_state": -1}),
        ("eos", {"random_state": None}),
        ("best", {"candidates": ()}),
    ],
)
def test_python_options_are_checked_the_same_way(name: str, options: dict[str, Any]) -> None:
    with pytest.raises(InputError, match="is not allowed"):
        treat(blobs_run(), name, **options)


def test_descriptions_are_one_line_each() -> None:
    assert list(all_treatments()) == treatment_names()
    assert all("\n" not in text and len(text) < 120 for text in (one.purpose for one in all_treatments().values()))


class Point:
    def __init__(self, name: str, loaded: Any) -> None:
        self.name, self.value, self._loaded = name, f"package:{name}", loaded

    def load(self) -> Any:
        if isinstance(self._loaded, Exception):
            raise self._loaded
        return self._loaded


def test_third_parties_add_treatments(monkeypatch: pytest.MonkeyPatch) -> None:
    def flipped(run: Run, options: Any) -> Outcome:
        return Outcome(Head(-run.head.weight, run.head.bias), facts={"times": 1}, notes=())

    ours = Treatment("flip", "posthoc", "For a joke.", "none", flipped)
    points = [Point("flip", ours), Point("eos", Treatment("eos", "posthoc", "Not ours.", "none", flipped))]
    monkeypatch.setattr(
        importlib.metadata, "entry_points", lambda group: points if group == "imblens.treatments" else []
    )
    run = blobs_run()
    better = treat(run, "flip")
    np.testing.assert_array_equal(better.head.weight, -run.head.weight)
    assert better.meta["treatment"]["facts"] == {"times": 1}
    assert find_treatment("eos").family == "sampler"
    assert treatment_names()[-1] == "flip"
    points += [Point("broken", 3), Point("lost", ModuleNotFoundError("No module named 'package'"))]
    monkeypatch.setattr(
        importlib.metadata, "entry_points", lambda *, group: points if group == "imblens.treatments" else []
    )  # packages are looked for once a search
    with pytest.warns(ImblensWarning) as told:
        assert treatment_names()[-1] == "flip"  # one package's fault harms no other
    assert [str(warning.message) for warning in told] == [
        "The treatment 'broken' of another package is left out: package:broken is of type int, "
        "no imblens.treatments.Treatment.",
        "The treatment 'lost' of another package is left out: package:lost cannot be loaded: "
        "ModuleNotFoundError: No module named 'package'.",
    ]


def test_a_treatment_whose_head_does_not_fit_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    wrong = Treatment(
        "wrong",
        "head",
        "Too short.",
        "none",
        lambda run, options: Outcome(Head(run.head.weight[:2], run.head.bias[:2])),
    )
    monkeypatch.setattr(importlib.metadata, "entry_points", lambda group: [Point("wrong", wrong)])
    with pytest.raises(InputError, match="head_weight has shape"):
        treat(blobs_run(), "wrong")


def test_naming_treatments_imports_nothing_heavy() -> None:
    code = (
        "import sys; from imblens.treatments import all_treatments as d; d(); "
        "print([m for m in ('torch', 'imblearn', 'sklearn', 'altair', 'matplotlib') if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_treating_arrays_needs_no_torch() -> None:
    code = (
        "import sys, numpy as np, imblens; r = np.random.default_rng(0); y = np.repeat([0, 1], [60, 9]);"
        "run = imblens.Run.from_arrays(train=(r.normal(size=(69, 3)) + y[:, None], y));"
        "imblens.treat(run, 'eos', k_neighbors=9); print('torch' in sys.modules, 'imblearn' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "False False"


def test_classes_of_one_instance_are_named_up_to_five() -> None:
    rng = np.random.default_rng(0)
    labels = np.r_[np.repeat(0, 40), np.repeat(1, 20), np.arange(2, 9)]
    features = (rng.normal(size=(67, 4)) + 4 * rng.normal(size=(9, 4))[labels]).astype(np.float32)
    run = Run.from_arrays(train=(features, labels), head=(np.ones((9, 4)), np.zeros(9)), classes=[*"abcdefghi"])
    with pytest.warns(ImblensWarning, match="c, d, e, f, g and 2 more: one training instance"):
        treat(run, "tau_norm", tau=0.5)
