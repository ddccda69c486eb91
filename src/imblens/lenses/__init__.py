"""One question, one file: each lens is a pure function from a run to a frozen finding.

The order here is the order of a report, from broad to narrow. Third parties add lenses through the entry-point group
`imblens.lenses`.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from imblens.errors import MissingError, did_you_mean
from imblens.lenses._adversaries import adversaries
from imblens.lenses._alignment import alignment
from imblens.lenses._archetypes import archetypes
from imblens.lenses._base import Finding, LensInfo, lens, lens_info
from imblens.lenses._calibration import calibration
from imblens.lenses._class_accuracy import class_accuracy
from imblens.lenses._class_features import class_features
from imblens.lenses._co_occurrence import co_occurrence
from imblens.lenses._colours import colours
from imblens.lenses._compare_class_features import compare_class_features
from imblens.lenses._concepts import concepts
from imblens.lenses._diagnosis import diagnosis
from imblens.lenses._embedding_map import common_map, embedding_map
from imblens.lenses._feature_density import feature_density
from imblens.lenses._feature_overlap import feature_overlap
from imblens.lenses._generalization_gap import generalization_gap
from imblens.lenses._label_suspects import label_suspects
from imblens.lenses._pages import lens_page
from imblens.lenses._ranking import ranking
from imblens.lenses._weight_norms import weight_norms
from imblens.run import Run

if TYPE_CHECKING:
    from importlib.metadata import EntryPoint

BUILT_IN: tuple[Callable[..., Finding], ...] = (
    class_accuracy,
    co_occurrence,
    archetypes,
    adversaries,
    feature_overlap,
    feature_density,
    class_features,
    generalization_gap,
    weight_norms,
    calibration,
    ranking,
    colours,
    alignment,
    concepts,
    label_suspects,
    embedding_map,
    diagnosis,
)


def all_lenses() -> dict[str, Callable[..., Finding]]:
    """Every lens by name: the built-in ones in report order, then those of installed packages."""
    from importlib.metadata import entry_points

    found = {lens_info(function).name: function for function in BUILT_IN}
    for point in entry_points(group="imblens.lenses"):
        if point.name not in found:
            found[point.name] = _loaded(point)
    return found


def _loaded(point: EntryPoint) -> Callable[..., Finding]:
    """The lens of an installed package; one that cannot be imported says so when it is run, and harms no other."""
    try:
        found: Callable[..., Finding] = point.load()
        return found
    except Exception as error:  # whatever the other package's import raises
        reason = f"{point.value} cannot be loaded: {type(error).__name__}: {error}"

    def unavailable(run: Run, **options: Any) -> Finding:
        raise ImportError(reason)

    return unavailable


def find_lens(name: str) -> Callable[..., Finding]:
    """Return a lens by name.

    Raises:
        MissingError: no such lens; the hint names the nearest.
    """
    known = all_lenses()
    if name not in known:
        raise MissingError(f"there is no lens {name!r}.", hint=did_you_mean(name, list(known)))
    return known[name]


__all__ = [
    "BUILT_IN",
    "Finding",
    "LensInfo",
    "adversaries",
    "alignment",
    "all_lenses",
    "archetypes",
    "calibration",
    "class_accuracy",
    "class_features",
    "co_occurrence",
    "colours",
    "common_map",
    "compare_class_features",
    "concepts",
    "diagnosis",
    "embedding_map",
    "feature_density",
    "feature_overlap",
    "find_lens",
    "generalization_gap",
    "label_suspects",
    "lens",
    "lens_info",
    "lens_page",
    "ranking",
    "weight_norms",
]
