"""One trained network of a study, and the treatments measured on it."""

from __future__ import annotations

import time
import warnings
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from imblens.errors import ImblensError, ImblensWarning, InputError
from imblens.run import Run
from imblens.studies._data import Data
from imblens.studies._details import DETAILS
from imblens.studies._jobs import DETAILS as KEPT
from imblens.studies._jobs import UNTREATED, Job
from imblens.studies._measures import measured
from imblens.studies._store import Store
from imblens.training import TrainingPlan
from imblens.workflows import OVERSAMPLED, train_and_capture

GIVEN = "as given"  # the cut of a set that a study with cuts does not thin
OVERSAMPLE = "oversample"  # an option of a network that balances its training images before it is trained
STRONG = {"resnet50": 0.04}  # share of activations that make a concept: LOOKING, section 4; 0.01 for maps of 28 x 28


@dataclass(frozen=True)
class Network(Job):
    """A network, trained once and stored, and every treatment of it.

    Attributes:
        data: the image set.
        options: attributes of `imblens.training.TrainingPlan`, and `oversample`.
        shown: options that differ between networks of the study, as in the table.
        seed: of the network and of the treatments.
        cut: seed of the draw that thinned the images, `GIVEN`, or None in studies without cuts.
        treatments: as typed: a name and key=value options, or "none".
        measures: groups of `imblens.studies.MEASURES`.
        details: rows that figures need: names in `DETAILS`.
    """

    data: Data
    options: Mapping[str, Any]
    shown: tuple[str, ...]
    seed: int
    treatments: tuple[str, ...]
    measures: tuple[str, ...]
    cut: int | str | None = None
    details: tuple[str, ...] = ()

    @property
    def label(self) -> str:
        """Data, distinguishing options, cut, seed."""
        cut = [] if self.cut in (None, GIVEN) else [f"cut={self.cut}"]
        options = (f"{key}={self.options[key]}" for key in self.shown)
        return " ".join([self.data.name, *options, *cut, f"seed={self.seed}"])

    @property
    def shown_options(self) -> dict[str, Any]:
        """Data, and the options that differ between networks."""
        return {"data": self.data.name, **{key: self.options[key] for key in self.shown}}

    @property
    def cells(self) -> list[dict[str, Any]]:
        """A cell for every treatment."""
        own = self.shown_options
        drawn = {} if self.cut is None else {"cut": self.cut}
        return [{**own, "treatment": treatment, **drawn, "seed": self.seed} for treatment in self.treatments]

    def measure(self, store: Store, wanted: list[dict[str, Any]]) -> Iterator[tuple[dict[str, Any], dict[str, Any]]]:
        """Train or load the network, then treat and measure."""
        run, seconds = trained(store.network(self.key()), self.data, self.options, self.seed)
        for key in wanted:
            start = time.perf_counter()
            try:
                better = treated(run, key["treatment"], self.seed)
                took = time.perf_counter() - start
                values = measured(better, self.measures)
                rows = {name: DETAILS[name](better) for name in self.details}
            except ImblensError as error:  # a treatment or a measure that this run does not allow
                yield key, {"failed": str(error)}
                continue
            times = {"train_seconds": round(seconds, 1), "treat_seconds": round(took, 2)}
            yield key, {**values, **times, "minutes": round((seconds + took) / 60, 3), KEPT: rows}

    def plan(self) -> TrainingPlan:
        """Return the settings of the training.

        Raises:
            InputError: one of them is out of range.
        """
        return planned(self.options, self.seed)

    def images(self, store: Store) -> dict[str, Path]:
        """Return the sheet of synthetic images, if the network was trained with any."""
        sheet = store.network(self.key()) / OVERSAMPLED / "samples.png"
        return {self.label: sheet} if sheet.is_file() else {}

    def key(self) -> dict[str, Any]:
        """Everything that decides the network, and nothing else: studies that share a folder reuse it."""
        asked = self.data.model_dump(exclude={"name", "needs", "train"}, exclude_defaults=True)
        plain = {key: value for key, value in self.options.items() if value not in (None, False)}
        if plain.get(OVERSAMPLE) == UNTREATED:
            del plain[OVERSAMPLE]
        return {"data": asked, "options": plain, "seed": self.seed, **self.data.mirroring(self.options)}


def check_memory(jobs: Iterable[Job]) -> None:
    """Refuse networks whose over-sampling needs more than half of this machine's memory, before any is trained.

    Raises:
        InputError: names the network, and what it needs.
    """
    from imblens.synthesis import oversampling_memory

    asked: dict[str, tuple[Data, dict[str, str]]] = {}
    for job in jobs:
        if isinstance(job, Network) and (method := oversampling(job.options)[0]) is not None:
            sizes = job.data.model_dump_json(include={"source", "public", "profile", "size", "task"})
            asked.setdefault(sizes, (job.data, {}))[1].setdefault(method, job.label)
    for data, methods in asked.values():
        images = data.load()
        for method, label in methods.items():
            try:
                oversampling_memory(images, method)
            except InputError as error:
                raise InputError(f"{label}: {error.message}", hint=error.hint) from None


def trained(folder: Path, data: Data, options: Mapping[str, Any], seed: int) -> tuple[Run, float]:
    """Return the captured run of a network and its training seconds; train, or resume, where it is not finished."""
    if (folder / "run.json").exists():
        run = Run.load(folder)
        return run, float(run.meta["study_seconds"])
    start = time.perf_counter()
    method, balancing = oversampling(options)
    plan = planned(options, seed)
    begun = (folder / "checkpoints" / "last.ckpt").exists()
    run, result = train_and_capture(
        data.load(),
        folder,
        plan,
        oversample=method,
        balancing=balancing,
        resume=begun,
        overwrite=not begun,
        colours=False,
        shortcuts=False,
        thumbnails=False,
        concepts=STRONG.get(str(options.get("arch")), 0.01),
    )
    balanced_in = float(run.meta["data"].get(OVERSAMPLE, {}).get("seconds", 0.0))
    # the time of an earlier, interrupted start is in the log of epochs and beside the synthetic images
    seconds = max(time.perf_counter() - start, balanced_in + float(result.log["seconds"].sum()))
    replace(run, meta={**run.meta, "study_seconds": seconds}).save(folder, force=True)
    return Run.load(folder), seconds


def planned(options: Mapping[str, Any], seed: int) -> TrainingPlan:
    """Return the training plan of a network."""
    return TrainingPlan(**{key: value for key, value in options.items() if key != OVERSAMPLE}, seed=seed)


def oversampling(options: Mapping[str, Any]) -> tuple[str | None, dict[str, Any]]:
    """Return name and options of the over-sampler that a network asks for; None without one.

    >>> oversampling({"oversample": "smote k_neighbors=3"})
    ('smote', {'k_neighbors': 3})
    """
    typed = str(options.get(OVERSAMPLE, UNTREATED))
    if typed == UNTREATED:
        return None, {}
    from imblens.synthesis import parse_options

    name, *pairs = typed.split()
    return name, parse_options(name, pairs)


def treated(run: Run, text: str, seed: int) -> Run:
    """Treat as typed: a name and key=value options; the seed is the network's unless it is typed."""
    if text == UNTREATED:
        return run
    from imblens.treatments import find_treatment, parse_options, treat

    name, *pairs = text.split()
    options = parse_options(name, pairs)
    if any(option.name == "random_state" for option in find_treatment(name).options):
        options.setdefault("random_state", seed)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ImblensWarning)
        return treat(run, name, **options)
