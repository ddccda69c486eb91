"""A study as a TOML file: data x networks x treatments x seeds, and the paper's table beside it."""

from __future__ import annotations

import itertools
from collections.abc import Mapping
from dataclasses import fields
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from imblens.base.toml import TOMLDecodeError, read_toml
from imblens.errors import InputError, MissingError, did_you_mean, nearby
from imblens.studies._data import Data
from imblens.studies._figures import FIGURES
from imblens.studies._jobs import UNTREATED
from imblens.studies._measures import MEASURES
from imblens.studies._networks import GIVEN, OVERSAMPLE, Network, oversampling

HERE = Path(__file__).parent
OWN = "treatments"  # key of a network that has its own
Scalar = str | int | float | bool


class Grid(BaseModel):
    """A study: every network (data x options x seed) with every treatment.

    Attributes:
        name, question: for people.
        paper: which table of which paper, if any.
        published: name of a table in `studies/papers`, whose values are shown beside ours.
        data: image sets.
        train: attributes of `imblens.training.TrainingPlan`; a list means one network each, crossed with the other lists.
        networks: instead of crossing: one table of options for each network, over `train`; its own `treatments`, if
            any, replace those of the study.
        treatments: as typed: `eos k_neighbors=200`; `none` is the untreated network. So is the option
            `oversample`, which balances the training images before a network is trained.
        measures: `accuracy`, `gap`, `forecast`.
        figures: names of figures of the papers to draw, such as `gap`; see docs/studies.md.
        classes: that the figures show; all without.
        claims: such as `eos > smote`: treatments, or options as `oversample=smote`, compared on the first column of the
            first measure, network by network.
        seeds: of the networks.
        cuts: seeds of the draws that thin the training images, crossed with `seeds`: EOS compares three cuts, drawn with 0, 10
            and 100, and reports one. A set that is not thinned has one cut. Without cuts, each set's own `seed` draws.
        quick: what differs with `--quick`: `quick.data` may be a whole list, or changes by name; `quick.train` also
            wins over what a data set asks for.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    name: str
    question: str = ""
    paper: str = ""
    published: str = ""
    data: list[Data] = Field(min_length=1)
    train: dict[str, Scalar | list[Scalar] | dict[str, Any]] = {}
    networks: list[dict[str, Scalar | list[str]]] = []
    treatments: list[str] = Field(default=[UNTREATED], min_length=1)
    measures: list[str] = Field(default=["accuracy"], min_length=1)
    figures: list[str] = []
    classes: list[str] = []
    claims: list[str] = []
    seeds: list[int] = Field(default=[0, 1, 2], min_length=1)
    cuts: list[int] = []
    quick: dict[str, Any] = {}

    @property
    def varied(self) -> tuple[str, ...]:
        """Options that differ between networks."""
        listed = [key for key, value in self.train.items() if isinstance(value, list)]
        return tuple(dict.fromkeys([*listed, *(key for network in self.networks for key in network if key != OWN)]))

    def jobs(self) -> list[Network]:
        """Return a job for every network whose data is available, seed by seed, so that early results cover one."""
        return [
            Network(
                data=data if cut is None else data.model_copy(update={"seed": cut}),
                options={**{key: value for key, value in options.items() if key != OWN}, **data.train},
                shown=self.varied,
                seed=seed,
                cut=GIVEN if cut is None and self.cuts else cut,
                treatments=tuple(options.get(OWN, self.treatments)),
                measures=tuple(self.measures),
                details=self.kept,
            )
            for seed in self.seeds
            for data in self.data
            if data.source is not None
            for cut in (self.cuts if self.cuts and data.thins else [None])
            for options in self.jobs_options()
        ]

    @property
    def kept(self) -> tuple[str, ...]:
        """Rows that the figures need of every cell."""
        return tuple(dict.fromkeys(FIGURES[name].details for name in self.figures if FIGURES[name].details))

    def jobs_options(self) -> list[dict[str, Any]]:
        """Return the options of every network."""
        lists = {key: value if isinstance(value, list) else [value] for key, value in self.train.items()}
        crossed = [dict(zip(lists, values, strict=True)) for values in itertools.product(*lists.values())]
        absent = {key: value for key, value in _train_options().items() if key in self.varied}
        return [{**absent, **options, **network} for options in crossed for network in self.networks or [{}]]


def built_in() -> dict[str, Path]:
    """Return the studies that come with imblens, by name."""
    return {path.stem: path for path in sorted((HERE / "built_in").glob("*.toml"))}


def described(path: Path) -> tuple[str, str]:
    """Return the question of a study file, and the paper's table."""
    spec = read_toml(path)
    return str(spec.get("question", "")), str(spec.get("paper", ""))


def read(
    path: Path,
    *,
    quick: bool,
    sources: Mapping[str, str],
    seeds: list[int] | None = None,
    cuts: list[int] | None = None,
    name: str | None = None,
) -> Grid:
    """Read a study.

    Args:
        path: a TOML file; see `Grid`.
        quick: apply its `quick` table.
        sources: data by name, or under "" where the study has one set only.
        seeds, cuts: instead of the file's.
        name: what messages call it; default: the file's.

    Raises:
        InputError: the file is not a study; the message names the entry.
        MissingError: no such file, or `sources` names a set that is not in the study.
    """
    try:
        spec = read_toml(path)
    except OSError as error:
        raise MissingError(
            f"{path} cannot be read: {error.strerror}.", hint=f"{nearby(path)}Give a TOML file or a name."
        ) from error
    except (UnicodeDecodeError, TOMLDecodeError) as error:
        raise InputError(
            f"{path} is not TOML: {error}.", hint="See docs/studies.md for the format of a study."
        ) from error
    spec.setdefault("name", path.stem)
    spec["name"] = name or spec["name"]
    if quick:
        if not spec.get("quick"):
            raise InputError(f"{spec['name']} has no quick size.", hint="Leave out --quick, or add a [quick] table.")
        spec = _quick(spec, path)
    if seeds:
        spec["seeds"] = seeds
    if cuts:
        spec["cuts"] = cuts
    spec.pop("quick", None)
    grid = _valid(spec, path)
    names = [data.name for data in grid.data]
    chosen = {(names[0] if not key and len(names) == 1 else key): value for key, value in sources.items()}
    for name in chosen:
        if name not in names:
            raise MissingError(f"{grid.name} has no data {name!r}.", hint=did_you_mean(name, names))
    data = [one.found(chosen.get(one.name, one.source)) for one in grid.data]
    whole = {"profile": "natural"}  # of a set that is long-tailed already, such as a long-tailed copy of the original
    data = [one.model_copy(update=whole) if one.name in chosen and one.is_thinned else one for one in data]
    grid = grid.model_copy(update={"data": data})
    if not any(one.source for one in grid.data):
        needs = "; ".join(f"{one.name}: {one.needs}" for one in grid.data)
        raise MissingError(
            f"{grid.name} has no data to run on.", hint=f"Add --data '{names[0]}=FOLDER'. What it needs: {needs}"
        )
    return grid


def _valid(spec: Mapping[str, Any], path: Path) -> Grid:
    try:
        grid = Grid.model_validate(spec)
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(str(part) for part in first["loc"] if part not in ("str", "int", "float", "bool"))
        raise InputError(
            f"{path.name}: {where}: {first['msg'].lower()}.", hint=f"Known entries: {', '.join(Grid.model_fields)}."
        ) from error
    MEASURES.check_names(grid.measures)
    FIGURES.check_names(grid.figures)
    known = _train_options()
    of_networks = (key for network in grid.networks for key in network if key != OWN)
    for key in dict.fromkeys([*grid.train, *of_networks, *(key for one in grid.data for key in one.train)]):
        if key not in known:
            raise MissingError(f"{path.name}: train has no option {key!r}.", hint=did_you_mean(key, list(known)))
    for claim in grid.claims:
        sides = [side.strip() for side in claim.split(">")]
        if len(sides) != 2 or not all(sides):
            raise InputError(f"{path.name}: claims: {claim!r} is not a comparison.", hint="Write 'eos > smote'.")
    from imblens.treatments import parse_options

    for job in grid.jobs():
        oversampling(job.options)
        job.plan()
    for text in grid.treatments:
        if text != UNTREATED:
            name, *pairs = text.split()
            parse_options(name, pairs)
    return grid


def _train_options() -> dict[str, Any]:
    """Return the options that a network may have, each with its default."""
    from imblens.training import TrainingPlan

    known = {one.name: one.default for one in fields(TrainingPlan) if one.name != "seed"}
    return {OVERSAMPLE: UNTREATED, **known}


def _quick(spec: dict[str, Any], path: Path) -> dict[str, Any]:
    """Apply the `quick` table."""
    changes = dict(spec["quick"])
    by_name = changes.get("data")
    if isinstance(by_name, Mapping):
        unknown = [name for name in by_name if name not in [one.get("name") for one in spec["data"]]]
        if unknown:
            raise InputError(
                f"{path.name}: quick.data names {unknown[0]!r}, which is not in data.", hint="Name sets of data."
            )
        changes["data"] = [{**one, **by_name.get(one.get("name"), {})} for one in spec["data"]]
    merged = _merged(spec, changes)
    ours = changes.get("train", {})
    for one in merged["data"]:
        if "train" in one:
            one["train"] = {key: value for key, value in one["train"].items() if key not in ours}
    return merged


def _merged(spec: Mapping[str, Any], changes: Mapping[str, Any]) -> dict[str, Any]:
    merged = dict(spec)
    for key, value in changes.items():
        old = merged.get(key)
        merged[key] = _merged(old, value) if isinstance(old, Mapping) and isinstance(value, Mapping) else value
    return merged
