"""A good and a wrong call of every public function, for laws that hold for all of them."""

from __future__ import annotations

import atexit
import os
import shutil
import tempfile
from collections.abc import Callable
from functools import cache, partial
from pathlib import Path
from typing import Any

import numpy as np

import imblens
from imblens import data, decisions, exports, lenses, losses, models, report, studies, synthesis, treatments, watch
from imblens.run import Run, merge
from tests.lenses.made import captured_run
from tests.trust.inputs import BIAS, FEATURES, LABELS, NAMES, TEST_FEATURES, TEST_LABELS, WEIGHT
from tests.trust.options import ENTRIES, frame
from tests.trust.options import run as plain_run

Call = Callable[[], object]


@cache
def network() -> Any:
    """A network in use: some parameters frozen, a gradient, mixed modes, a hook, a buffer."""
    import torch

    with torch.random.fork_rng():
        torch.manual_seed(0)
        model = torch.nn.Sequential(
            torch.nn.Conv2d(3, 4, 3), torch.nn.BatchNorm2d(4), torch.nn.ReLU(), torch.nn.AdaptiveAvgPool2d(1),
            torch.nn.Flatten(), torch.nn.Dropout(0.5), torch.nn.Linear(4, 3),
        ).train()  # fmt: skip
    model[1].eval()
    model[0].weight.requires_grad_(False)
    model[6].weight.grad = torch.ones(3, 4)
    model[2].register_forward_hook(lambda module, given, output: None)
    return model


@cache
def images() -> data.ImageSet:
    """A dozen small images of two classes."""
    pixels = np.random.default_rng(0).integers(0, 256, (12, 8, 8, 3)).astype(np.uint8)
    labels = np.array([0] * 8 + [1] * 4)
    split = partial(data.ImageSplit.from_arrays, pixels, labels)
    return data.ImageSet("drawn", ("a", "b"), "multiclass", train=split(), test=split())


PIXELS = np.random.default_rng(1).integers(0, 256, (9, 8, 8, 3)).astype(np.uint8)
OF_PIXELS = np.repeat([0, 1, 2], 3)
LOGITS = TEST_FEATURES @ WEIGHT.T + BIAS
EXPECTED = np.exp(LOGITS) / np.exp(LOGITS).sum(1, keepdims=True)
ARRAYS = {"features": FEATURES, "labels": LABELS, "logits": LOGITS, "pixels": PIXELS, "of pixels": OF_PIXELS}


@cache
def place() -> Path:
    """A folder of stored things to read."""
    folder = Path(tempfile.mkdtemp(prefix="imblens-trust-"))
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    plain_run().save(folder / "run")
    for i in range(2):
        shard = {"index": i, "of": 2, "instances": {"train": len(FEATURES)}}
        rows = FEATURES[i::2], LABELS[i::2]
        Run.from_arrays(train=rows, head=(WEIGHT, BIAS), classes=NAMES, meta={"shard": shard}).save(folder / f"part{i}")
    decisions.Decision.fit(plain_run()).save(folder / "rules.safetensors")
    np.save(folder / "rows.npy", TEST_FEATURES)
    (folder / "drop.csv").write_text("id\n000000\n")
    from PIL import Image

    for split in ("train", "test"):
        for name in ("a", "b"):
            (folder / "images" / split / name).mkdir(parents=True)
            for i in range(3):
                Image.fromarray(PIXELS[i]).save(folder / "images" / split / name / f"{i}.png")
    import torch

    torch.save(network().state_dict(), folder / "weights.pt")
    return folder


def prepare() -> None:
    """Make what the calls read, and import what they import, before anything is compared."""
    import matplotlib.pyplot  # noqa: F401
    import threadpoolctl  # noqa: F401

    place(), network(), images(), captured_run(), plain_run(), audited(), compared()


def owned() -> dict[str, Any]:
    """The user's objects that the calls are given."""
    return {**ARRAYS, "the network": network(), "the run": plain_run(), "the stored files": place()}


@cache
def audited() -> imblens.Audit:
    """An audit of a few lenses."""
    return imblens.audit(plain_run(), lenses=["archetypes", "class_accuracy", "adversaries"])


@cache
def compared() -> imblens.Comparison:
    """A comparison of two runs."""
    return imblens.compare([plain_run(), plain_run()])


def new(name: str) -> str:
    """A name that does not exist in the current folder, which a repeated call writes anew."""
    count = sum(1 for _ in os.scandir("."))
    return f"{name}-{count}"


def loss(name: str) -> object:
    import torch

    several = name.endswith("bce")
    fitted = losses.build_loss(name, [30, 10, 5], **({"negative_counts": [15, 35, 40]} if several else {}))
    logits = torch.randn(6, 3, generator=torch.Generator().manual_seed(0), requires_grad=True)
    targets = torch.eye(3)[[0, 1, 2] * 2] if several else torch.tensor([0, 1, 2] * 2)
    fitted(logits, targets).backward()
    return logits.grad


def fit(**settings: Any) -> object:
    from imblens.training import train

    return train(images(), out=new("trained"), progress=False, **{"arch": "smallnet", "epochs": 1, **settings})


def checked(**settings: Any) -> object:
    from imblens.training import check_training

    return check_training(images(), out=new("trained"), **{"arch": "smallnet", "epochs": 1, **settings})


def trained_and_captured(**options: Any) -> object:
    from imblens.training import TrainingPlan
    from imblens.workflows import train_and_capture

    return train_and_capture(images(), Path(new("both")), TrainingPlan(arch="smallnet", epochs=1), **options)


STUDY = """
question = "?"
treatments = ["none", "crt"]
measures = ["accuracy"]
seeds = [0]
[[data]]
name = "digits"
source = "digits"
[train]
arch = "smallnet"
epochs = 1
loss = ["ce"]
"""


def found_study() -> object:
    Path("study.toml").write_text(STUDY)
    return studies.find_study("study.toml")


def studied(text: str = STUDY) -> object:
    Path("study.toml").write_text(text)
    return studies.run_study(studies.find_study("study.toml"), new("study"), workers=1, progress=lambda line: None)


def costs(run: Run) -> Any:
    file = Path(new("costs") + ".csv")
    rows = [f"{name}," + ",".join("0" if name == other else "1" for other in run.classes) for name in run.classes]
    file.write_text("\n".join(["true," + ",".join(run.classes), *rows]))
    return decisions.read_costs(run, file)


def captured(**options: Any) -> Any:
    given = {"train": (PIXELS, OF_PIXELS), "test": (PIXELS, OF_PIXELS), "batch_size": 4}
    return imblens.capture(network(), **{**given, **options})


def completed(**options: Any) -> object:
    from imblens.extraction import TrainingMeans, complete

    train, parts = images().train, []
    for i in range(2):
        meta = {"shard": {"index": i, "of": 2, "instances": {"train": len(train)}}, "to_complete": {}}
        own = {"train": train.subset(range(i, len(train), 2)), "probes": [TrainingMeans()], "shortcuts": False}
        parts.append(captured(**own, test=None, out=new(f"part {i}"), meta=meta).path)
    return complete(merge(parts, new("merged")).path, network(), **{"train": train, **options})


def watched(**options: Any) -> object:
    return watch.audit_now(
        network(),
        **{"train": (PIXELS, OF_PIXELS), "test": (PIXELS, OF_PIXELS), "lenses": ["class_accuracy"], **options},
    )


class Log:
    """A tracker with the method of TensorBoard."""

    def add_scalar(self, name: str, value: float, step: int) -> None:
        """Take a number."""

    def add_figure(self, name: str, figure: Any, step: int) -> None:
        """Take a figure."""

    def add_text(self, name: str, text: str, step: int) -> None:
        """Take a text."""


def weights(path: object) -> object:
    import copy

    return models.load_weights(copy.deepcopy(network()), path)  # type: ignore[arg-type]


def own_lens(question: object = "?") -> object:
    return lenses.lens(question)(lambda run: lenses.Finding({}, {}))  # type: ignore[arg-type]


def of_entries() -> dict[str, tuple[Call, Call | None]]:
    """The functions of `tests.trust.options`, each with its first argument that is refused when it is an object."""
    made: dict[str, tuple[Call, Call | None]] = {}
    for name, (function, arguments) in ENTRIES.items():
        bad = next(argument for argument, served in arguments.items() if "object" not in served)
        good = {
            "Run.load": {"path": place() / "run"},
            "Decision.load": {"path": place() / "rules.safetensors"},
            "Decision.predict": {"features": TEST_FEATURES},
        }
        given: dict[str, Any] = good.get(name, {})
        made[name] = partial(function, **given), partial(function, **{**given, bad: object()})
    return made


@cache
def _calls() -> dict[str, tuple[Call, Call | None]]:
    run, rules = plain_run(), decisions.Decision.fit(plain_run())
    confusion = np.array([[8, 1, 1], [2, 6, 2], [0, 1, 9]])
    shares = np.full(3, 1 / 3)
    sets = decisions.fit_sets(LOGITS, TEST_LABELS)
    calls: dict[str, tuple[Call, Call | None]] = {
        **of_entries(),
        "Run.table_columns": (lambda: Run.table_columns(frame()), partial(Run.table_columns, "no")),
        "merge": (
            lambda: merge([place() / "part0", place() / "part1"], new("merged")),
            lambda: merge([place() / "part0"], new("merged")),
        ),
        "complete": (completed, lambda: completed(test=images().test)),
        "drop_power": (partial(decisions.drop_power, 50, 0.1, gained=0.05, level=0.05), None),
        "detectable_drop": (partial(decisions.detectable_drop, 50, gained=0.05, level=0.05), None),
        "sign_p_values": (partial(decisions.sign_p_values, np.array([3, 1]), np.array([1, 4])), None),
        "em_prior": (partial(decisions.em_prior, EXPECTED, shares), None),
        "black_box_prior": (partial(decisions.black_box_prior, confusion, shares), None),
        "adjusted_probabilities": (partial(decisions.adjusted_probabilities, EXPECTED, shares, shares), None),
        "collection_gain": (partial(decisions.collection_gain, run, draws=20), None),
        "fit_sets": (
            partial(decisions.fit_sets, LOGITS, TEST_LABELS),
            partial(decisions.fit_sets, LOGITS, TEST_LABELS, method="x"),
        ),
        "set_coverage": (partial(decisions.set_coverage, sets, LOGITS, TEST_LABELS), None),
        "conformal_quantile": (partial(decisions.conformal_quantile, LOGITS[:, 0], 0.9), None),
        "needed_for": (partial(decisions.needed_for, 0.9), None),
        "fit_calibration": (partial(decisions.fit_calibration, LOGITS, TEST_LABELS), None),
        "read_unlabelled": (
            lambda: decisions.read_unlabelled(place() / "rows.npy"),
            lambda: decisions.read_unlabelled(place() / "drop.csv"),
        ),
        "write_decisions": (
            lambda: decisions.write_decisions(rules, decisions.Unlabelled(TEST_FEATURES), new("p") + ".csv"),
            lambda: decisions.write_decisions(rules, decisions.Unlabelled(TEST_FEATURES), new("p") + ".xyz"),
        ),
        "recall_threshold": (partial(decisions.recall_threshold, EXPECTED[:, 0], 0.8), None),
        "checked_prior": (
            partial(decisions.checked_prior, run, "training"),
            partial(decisions.checked_prior, run, "x"),
        ),
        "read_costs": (partial(costs, run), lambda: decisions.read_costs(run, place() / "no.csv")),
        "exports": (exports.exports, None),
        "find_export": (partial(exports.find_export, "coco"), partial(exports.find_export, "x")),
        **{
            f"export {to}": (partial(exported, to), partial(exported, to, what="x"))
            for to in ("label-studio", "cvat", "coco")
        },
        "run_lenses": (
            partial(lenses.run_lenses, captured_run()),
            partial(lenses.run_lenses, run, ["no lens"]),
        ),
        "run_lenses, several labels": (partial(lenses.run_lenses, captured_run(task="multilabel")), None),
        "class_measures": (lambda: lenses.class_measures(audited().findings), None),
        "lens": (own_lens, None),
        **{f"build_loss {name}": (partial(loss, name), None) for name in losses.loss_names()},
        "build_loss": (partial(losses.build_loss, "ce", [3, 2]), partial(losses.build_loss, "x", [3, 2])),
        "build_model": (partial(models.build_model, "smallnet", 3), partial(models.build_model, "x", 3)),
        "find_head": (lambda: models.find_head(network()), lambda: models.find_head(network(), "x")),
        "load_weights": (lambda: weights(place() / "weights.pt"), lambda: weights(place() / "drop.csv")),
        "Audit.save": (lambda: audited().save(new("report")), lambda: audited().save(place() / "run")),
        "summary": (lambda: report.summary(audited()), None),
        "report_html": (lambda: report.report_html(audited()), None),
        "figures": (lambda: report.figures(audited()), None),
        "assumptions": (partial(report.assumptions, run), None),
        "Audit.verdict": (lambda: audited().verdict(), None),
        "Comparison.save": (lambda: compared().save(new("compared")), lambda: compared().save(place() / "run")),
        "notebook": (lambda: audited()._repr_html_(), None),
        **{
            f"treat {name}": (partial(imblens.treat, run, name), partial(imblens.treat, run, name, x=1))
            for name in TREATED
        },
        "treatment_names": (treatments.treatment_names, None),
        "find_treatment": (partial(treatments.find_treatment, "eos"), partial(treatments.find_treatment, "x")),
        "treatment_table": (lambda: treatments.treatment_table(run, imblens.treat(run, "tau_norm")), None),
        "treatment_summary": (lambda: treatments.treatment_summary(run, imblens.treat(run, "tau_norm")), None),
        "treatment_lines": (lambda: treatments.treatment_lines(imblens.treat(run, "tau_norm")), None),
        "resample": (partial(treatments.resample, run, "eos"), partial(treatments.resample, run, "x")),
        "cross_validated": (
            partial(treatments.cross_validated, run, "tau_norm", {"tau": [0.5, 1.0]}),
            partial(treatments.cross_validated, run, "tau_norm", {"x": [1]}),
        ),
        "train_head": (partial(treatments.train_head, FEATURES, LABELS, 3), None),
        "find_study": (found_study, partial(studies.find_study, "x")),
        "run_study": (studied, partial(studied, STUDY.replace("crt", "x"))),
        "oversample_pixels": (
            lambda: synthesis.oversample_pixels(images(), "smote"),
            lambda: synthesis.oversample_pixels(images(), "x"),
        ),
        "oversampling_memory": (
            lambda: synthesis.oversampling_memory(images(), "smote"),
            lambda: synthesis.oversampling_memory(images(), "x"),
        ),
        "oversample_pixels deepsmote": (
            lambda: synthesis.oversample_pixels(images(), "deepsmote", steps=2),
            lambda: synthesis.oversample_pixels(images(), "deepsmote", steps=0),
        ),
        "train": (fit, partial(fit, arch="x")),
        "train eos in batch": (partial(fit, eos=True, loss="ldam", drw=True), partial(fit, eos={"x": 1})),
        "check_training": (checked, partial(checked, loss="x")),
        "train_and_capture": (trained_and_captured, partial(trained_and_captured, oversample="x")),
        "audit_now": (watched, partial(watched, lenses=["x"])),
        "audit_now, report": (partial(watched, report=True, log=Log()), partial(watched, log=object())),
        "class_metrics": (lambda: watch.class_metrics(audited()), None),
        "log_audit": (lambda: watch.log_audit(audited(), Log()), lambda: watch.log_audit(audited(), object())),
        "load_images": (lambda: data.load_images(place() / "images"), lambda: data.load_images(place() / "run")),
        "digits": (data.digits, partial(data.digits, profile="x")),
        "shapes": (partial(data.shapes, imbalance=5, n_max=20, test_per_class=4), partial(data.shapes, causes=["x"])),
        "imbalance_profile": (
            partial(data.imbalance_profile, [30, 30], "exp:3"),
            partial(data.imbalance_profile, [3], "x"),
        ),
        "drop_images": (
            lambda: data.drop_images(images(), place() / "drop.csv"),
            lambda: data.drop_images(images(), place() / "no.csv"),
        ),
        "capture": (captured, partial(captured, layer="x")),
        "capture, stored": (lambda: captured(out=new("run")), lambda: captured(out=place() / "run")),
        "capture, maps": (partial(captured, maps="2", previews=False), partial(captured, maps="x")),
    }
    return calls


SAMPLED = ("eos", "balanced_svm", "svm_smote", "kmeans_smote", "near_miss")
TREATED = ("best", "logit_adjustment", "temperature", "refit", "crt", "lws", "ncm", *SAMPLED)


def exported(to: str, **options: Any) -> object:
    return exports.export(with_images(), to, new("exported"), **options)


@cache
def with_images() -> Run:
    """A captured run that stores its images."""
    run: Run = captured()
    return run


def __getattr__(name: str) -> Any:
    if name == "CALLS":
        return _calls()
    raise AttributeError(name)
