"""Which lenses run, why others are skipped, and what the verdict of an audit states."""

from __future__ import annotations

import importlib.metadata
from dataclasses import FrozenInstanceError, replace

import numpy as np
import pandas as pd
import pytest

from imblens.errors import InputError, MissingError, NotApplicable
from imblens.lenses import Finding, all_lenses, lens, lens_info
from imblens.report import Audit, audit, summary
from imblens.run import Part, Run, Split, neighbour_graph
from tests.report.runs import CIFAR, make_run


@lens("Is it plain?", lines=lambda finding: {"": "Plain words."})
def plain(run, *, size: int = 3):
    return Finding({"plain": pd.DataFrame({"class": list(run.classes), "size": size})}, {"size": size})


@lens("Does it break?")
def broken(run):
    raise ZeroDivisionError("by zero")


@lens("Is it a finding?")
def odd(run):
    return 3


@lens("Does it apply?")
def picky(run):
    raise NotApplicable("picky: not today.")


@pytest.fixture(scope="module")
def run() -> Run:
    return make_run()


@pytest.fixture
def with_others(monkeypatch):
    """Lenses of another package are installed: plain, broken, odd and picky."""
    installed(monkeypatch, **{name: f"{__name__}:{name}" for name in ("plain", "broken", "odd", "picky")})


def installed(monkeypatch, **lenses):
    points = [importlib.metadata.EntryPoint(name, value, "imblens.lenses") for name, value in lenses.items()]
    monkeypatch.setattr(importlib.metadata, "entry_points", lambda group: points)


def test_a_test_split_that_was_trained_on_is_reported(tmp_path):
    run = make_run()
    found = audit(replace(run, test=replace_test(run, 6)), lenses=["class_accuracy"])
    sentence = (
        "6 of 100 test instances have exactly the features of a training instance: results are probably optimistic."
    )
    assert any(line.startswith(sentence) for line in found.verdict())
    assert sentence in found.save(tmp_path / "out", figures=False).read_text()
    honest = audit(replace(run, test=replace_test(run, 5)), lenses=["class_accuracy"])
    assert not any("exactly the features" in line for line in honest.verdict())


def replace_test(run, copied: int) -> Split:
    """A test split of 100 instances, so many of them from training."""
    train, test = run.train, run.test
    rows = [np.concatenate([of[:copied], other[: 100 - copied]]) for of, other in (
        (train.features, test.features), (train.labels, test.labels), (train.logits, test.logits))]  # fmt: skip
    return Split((Part(*rows),), run.classes, "test")


def test_every_lens_is_run_or_has_a_reason(run):
    found = audit(run, skip=["embedding_map"] if "embedding_map" in all_lenses() else [])
    assert set(found.findings) | set(found.skipped) == set(all_lenses())
    assert not set(found.findings) & set(found.skipped)
    order = [name for name in all_lenses() if name in found.findings]
    assert list(found.findings) == list(found) == order


def test_the_command_of_a_report_names_what_was_left_out_and_how_neighbours_were_searched(monkeypatch):
    run = make_run()
    every = dict.fromkeys(("every", "no map", "no map of many", "map of many", "approximate", "some"), "")
    for case in every:
        monkeypatch.setattr("imblens.report._reproduction.QUICK_MAP", 10 if "many" in case else 10_000)
        fresh = Run(train=Split(run.train.parts, run.classes, "train"), test=run.test, head=None, classes=run.classes)
        if case == "approximate":
            graph = fresh.neighbours(5)
            fresh.train.use_neighbours(replace(graph, exact=False))
        skip = ["embedding_map"] if "no map" in case else ["archetypes"] if case == "some" else []
        found = replace(audit(fresh, lenses=[], skip=skip), skipped=dict.fromkeys(all_lenses(), ""))
        if "map of many" in case and not skip:
            found_map = audit(make_run(n=60), lenses=["class_accuracy"])["class_accuracy"]  # any finding
            found = replace(found, findings={"embedding_map": found_map})
        every[case] = summary(found)["commands"]["audit"].removeprefix("imblens audit RUN")
    some = every.pop("some")
    assert every == {
        "every": "",
        "no map": " --no-map",
        "no map of many": "",
        "map of many": " --map",
        "approximate": " --approximate",
    }
    assert "--lens class_accuracy" in some and "archetypes" not in some


def test_the_reason_of_a_skipped_lens_names_it_once(run):
    with pytest.raises(MissingError) as raised:
        audit(run, lenses=["colours"])["colours"]
    assert str(raised.value).count("colours") - str(raised.value).count("their colours") == 1


def test_lens_that_does_not_apply_is_skipped_with_the_reason(run):
    bare = Run(train=run.train, test=None, head=run.head, classes=run.classes)
    found = audit(bare, lenses=["class_accuracy"])
    assert dict(found.findings) == {}
    assert found.skipped == {"class_accuracy": "class_accuracy: the run has no test split."}
    with pytest.raises(MissingError, match="no test split"):
        found["class_accuracy"]


def test_failing_lens_of_another_package_is_recorded_and_the_others_run(run, with_others):
    found = audit(run, lenses=["class_accuracy", "broken", "plain"])
    assert list(found.findings) == ["class_accuracy", "plain"]
    assert found.skipped == {"broken": "broken: failed: ZeroDivisionError: by zero"}


def test_failing_built_in_lens_raises(run, monkeypatch):
    info = replace(lens_info(broken), built_in=True)
    monkeypatch.setattr(broken, "info", info)
    installed(monkeypatch, broken=f"{__name__}:broken")
    with pytest.raises(ZeroDivisionError):
        audit(run, lenses=["broken"])


def test_lens_of_another_package_must_return_a_finding(run, with_others):
    assert audit(run, lenses=["odd"]).skipped == {
        "odd": "odd: failed: TypeError: the lens 'odd' returned int, not a Finding"
    }


def test_not_applicable_of_another_package_keeps_its_own_words(run, with_others):
    assert audit(run, lenses=["picky"]).skipped == {"picky": "picky: not today."}


def test_chosen_lenses_options_steps_and_skip(run, with_others):
    steps: list[str] = []
    found = audit(run, lenses=["plain", "class_accuracy"], options={"plain": {"size": 7}}, on_step=steps.append)
    assert steps == ["class_accuracy", "plain"]  # report order, whatever was typed
    assert found["plain"].summary == {"size": 7}
    left = audit(run, lenses=["class_accuracy"], skip=["broken", "plain"])
    assert set(left.skipped) == {"broken", "plain"}
    assert "on request" in left.skipped["plain"]


def test_lenses_share_one_search_of_neighbours(monkeypatch):
    asked: list[int] = []
    searched = "imblens.run._split.neighbour_graph"
    monkeypatch.setattr(searched, lambda x, k, **more: asked.append(k) or neighbour_graph(x, k, **more))
    for lenses, options, most in (
        (None, None, 20),
        (["archetypes"], None, 5),
        (None, {"archetypes": {"k": 25}}, 25),
        (["class_accuracy"], {"errors": {"k": 25}}, None),
    ):
        asked.clear()
        audit(make_run(), lenses=lenses, options=options, skip=["embedding_map"] if lenses is None else [])
        assert asked == ([] if most is None else [most])
    asked.clear()
    several = Run.from_arrays(train=(np.eye(9), np.eye(9, dtype=int)), task="multilabel")
    assert audit(several, lenses=["adversaries"]).skipped and asked == []  # it does not apply, so nothing is searched


def test_unknown_names_get_the_nearest(run):
    with pytest.raises(MissingError, match=r"'class_acuracy'.*Did you mean 'class_accuracy'"):
        audit(run, lenses=["class_acuracy"])
    with pytest.raises(MissingError, match=r"no class 'hrose'.*Did you mean 'horse'"):
        audit(run, of="hrose")
    with pytest.raises(MissingError, match="no lens 'x'"):
        audit(run, options={"x": {}})
    with pytest.raises(MissingError, match="no lens 'y'"):
        audit(run, skip=["y"])


def test_unknown_option_is_named(run, with_others):
    with pytest.raises(InputError, match=r"'plain' has no option 'siz'.*Did you mean 'size'"):
        audit(run, options={"plain": {"siz": 1}})
    with pytest.raises(InputError, match=r"It has no options"):
        audit(run, options={"broken": {"siz": 1}})


def test_asking_for_a_lens_that_did_not_run(run, with_others):
    found = audit(run, lenses=["plain"])
    with pytest.raises(MissingError, match=r"did not run the lens 'class_accuracy'.*lenses="):
        found["class_accuracy"]
    with pytest.raises(MissingError, match=r"no lens 'plan'.*'plain'"):
        found["plan"]


def test_verdict_starts_with_the_worst_class_and_its_numbers(run):
    found = audit(run, lenses=["class_accuracy"])
    table = found["class_accuracy"].tables["class_accuracy"]
    worst = table.loc[table["accuracy"].idxmin()]
    first, second, *rest = found.verdict()
    assert first.startswith(f"{worst['class']} is classified correctly {100 * worst['accuracy']:.0f}% [")
    low = table[table["accuracy_high"] < table["accuracy"].mean()]
    assert second.startswith(f"{len(low)} of {len(CIFAR)} classes need")
    assert all(name in second for name in low["class"])
    assert len(rest) == 2


def test_class_of_interest_leads(run):
    table = audit(run, lenses=["class_accuracy"])["class_accuracy"].tables["class_accuracy"]
    best = table.loc[table["accuracy"].idxmax(), "class"]
    assert audit(run, lenses=["class_accuracy"], of=best).verdict()[0].startswith(f"{best} is classified correctly")


def test_class_with_few_tests_does_not_lead():
    rng = np.random.default_rng(1)
    labels = np.repeat([0, 1, 2], [50, 40, 5])
    test = np.repeat([0, 1, 2], [30, 30, 3])
    logits = np.eye(3)[test] * 4.0
    logits[test == 2] = [9, 0, 0]  # all wrong, of three
    logits[30:40] = [9, 0, 0]  # a third of class 1 wrong
    found = audit(
        Run.from_arrays(
            train=(rng.normal(size=(95, 4)), labels, np.eye(3)[labels]), test=(rng.normal(size=(63, 4)), test, logits)
        ),
        lenses=["class_accuracy"],
    )
    assert found.verdict()[0].startswith("1 is classified correctly 67% [")
    assert any("too few to tell" in line for line in found.verdict())


def test_no_class_below_the_mean_is_stated():
    rng = np.random.default_rng(1)
    labels = np.repeat([0, 1], [50, 20])
    run = Run.from_arrays(
        train=(rng.normal(size=(70, 3)), labels, np.eye(2)[labels]),
        test=(rng.normal(size=(70, 3)), labels, np.eye(2)[labels]),
    )
    lines = audit(run, lenses=["class_accuracy"]).verdict()
    assert lines[0].startswith("0 is classified correctly 100% [")
    assert lines[1] == "None of the 2 classes is clearly below the mean class accuracy (100%)."


@pytest.mark.parametrize(
    ("counts", "stated"),
    [
        (
            (2, 1, 0),
            "Too few test cases to rank classes: 10 test instances of a class are needed, and none of 3 have as many.",
        ),
        (
            (30, 30, 3),
            "None of the 2 classes with 10 test instances or more is clearly below the mean class accuracy (100%); the",
        ),
    ],
)
def test_too_few_test_instances_are_no_good_news(counts, stated):
    rng = np.random.default_rng(1)
    labels, test = np.repeat([0, 1, 2], [50, 20, 9]), np.repeat([0, 1, 2], counts)
    run = Run.from_arrays(
        train=(rng.normal(size=(79, 3)), labels, np.eye(3)[labels]),
        test=(rng.normal(size=(sum(counts), 3)), test, np.eye(3)[test]),
    )
    lines = audit(run, lenses=["class_accuracy"]).verdict()
    assert any(line.startswith(stated) for line in lines), lines


def test_without_test_split_the_verdict_states_it(run):
    bare = Run(train=run.train, test=None, head=run.head, classes=run.classes)
    assert (
        "The run has no test split, so accuracy cannot be estimated"
        in audit(bare, lenses=["class_accuracy"]).verdict()[1]
    )


def test_audit_is_frozen_and_leaves_the_random_state_alone(run):
    before = np.random.get_state()[1].copy()
    found = audit(run, lenses=["class_accuracy"])
    assert np.array_equal(before, np.random.get_state()[1])
    assert isinstance(found, Audit)
    with pytest.raises(FrozenInstanceError):
        found.of = "cat"


def test_notebook_needs_no_script(run):
    html = audit(make_run(("<b>", "b", "c")), lenses=["class_accuracy"])._repr_html_()
    assert html.count('src="data:image/svg+xml') == 2 and "<svg" not in html and "<script" not in html
    assert "<b>&lt;b&gt;" not in html.split("<details")[0]
    assert html.index("of the time") < html.index("<img")


def test_lens_that_cannot_be_imported_harms_no_other(run, monkeypatch):
    installed(monkeypatch, gone="no_such_package:lens")
    found = audit(run, lenses=["gone", "class_accuracy"])
    assert list(found.findings) == ["class_accuracy"]
    assert "no_such_package:lens cannot be loaded" in found.skipped["gone"]


@pytest.mark.parametrize("entry", ["arrays", "table", "sklearn"])
def test_a_permutation_of_outputs_is_the_first_that_is_stated(entry: str) -> None:
    rng = np.random.default_rng(3)
    labels = np.arange(60) % 3
    features = (np.eye(3)[labels] + rng.normal(0, 0.05, (60, 3))).astype(np.float32)
    logits = features[:, [1, 2, 0]]
    if entry == "arrays":
        run = Run.from_arrays(train=(features, labels, logits), test=(features + 0.01, labels, logits))
    elif entry == "table":
        frame = pd.DataFrame({"f": [*features, *(features + 0.01)], "z": [*logits, *logits], "y": [*labels, *labels]})
        frame["split"] = ["train"] * 60 + ["test"] * 60
        run = Run.from_table(frame, features="f", label="y", split="split", logits="z")
    else:
        from sklearn.linear_model import LogisticRegression

        fitted = LogisticRegression().fit(features, labels)
        run = Run.from_sklearn(fitted, train=(features, (labels + 1) % 3), test=(features, (labels + 1) % 3))
    found = audit(run, lenses=["class_accuracy"])
    assert found.verdict()[0].startswith("The order of classes seems wrong: balanced accuracy is 0%, and 100%")
