"""Instances that are not images: the start of a text, a small waveform, or a row's most unusual values."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np
from markupsafe import Markup
from numpy.typing import NDArray

from imblens.base.blocks import row_blocks

if TYPE_CHECKING:
    from imblens.run import Run, Split

Key = tuple[str, str]  # split, id
TEXT = 300  # characters of a text
UNUSUAL = 3  # values of a row
HEIGHT = 32  # of a waveform, whose pairs of samples are one unit apart
MOST = 700_000  # characters of all previews of a page


@dataclass(frozen=True)
class Preview:
    """What is shown of one instance.

    Attributes:
        lines: a text, or one line for each unusual value.
        path: SVG path of a waveform, "" for none.
        width: of the waveform.
    """

    lines: tuple[str, ...] = ()
    path: str = ""
    width: int = 0

    def svg(self, label: str) -> Markup:
        """The waveform as an image."""
        return Markup(
            '<svg class="wave" role="img" aria-label="{}" viewBox="0 0 {} {}" preserveAspectRatio="none"><path d="{}"/></svg>'
        ).format(label, self.width, HEIGHT, self.path)

    @property
    def size(self) -> int:
        """Characters in the page."""
        return sum(map(len, self.lines)) + len(self.path)


@dataclass(frozen=True)
class Previews:
    """What is shown of instances, by split and id; `kind` is "text", "waveform", "values" or None."""

    kind: str | None = None
    found: Mapping[Key, Preview] = field(default_factory=dict)

    def at(self, split: str, name: str) -> Preview | None:
        """The preview of an instance, or None."""
        return self.found.get((split, name))

    def data(self) -> dict[str, Any]:
        """What a script needs to show an instance by split and id."""
        shown: dict[str, dict[str, Any]] = {}
        for (split, name), preview in self.found.items():
            one: Any = list(preview.lines) if preview.lines else {"path": preview.path, "width": preview.width}
            shown.setdefault(split, {})[name] = one
        return shown


def previews(run: Run, wanted: Iterable[Key], most: int = MOST) -> Previews:
    """Previews of instances, of at most `most` characters in all; what is asked for first stays. None where images exist."""
    kind = run.train.preview_kind
    names: list[str] | None = run.meta.get("value_names") or run.meta.get("feature_names")
    if kind is None and names is not None:
        kind = "values"
    if kind is None or kind == "image" or (kind == "values" and names is None):
        return Previews()
    usual = _usual(run.train) if kind == "values" else None
    order = [key for key in dict.fromkeys(wanted) if key[0] in run.splits]
    made: dict[Key, Preview] = {}
    for split in {key[0] for key in order}:
        ids = {name for of, name in order if of == split}
        rows = [(k, str(name)) for k, name in enumerate(run.splits[split].ids) if str(name) in ids]
        made |= {(split, name): one for name, one in _made(run, run.splits[split], kind, rows, names or [], usual)}
    kept: dict[Key, Preview] = {}
    total = 0
    for key in order:
        if key in made and total + made[key].size <= most:
            kept[key] = made[key]
            total += made[key].size
    return Previews(kind, kept)


def _made(
    run: Run,
    split: Split,
    kind: str,
    rows: list[tuple[int, str]],
    names: list[str],
    usual: tuple[NDArray[Any], NDArray[Any]] | None,
) -> list[tuple[str, Preview]]:
    places = np.array([k for k, _ in rows], dtype=np.int64)
    if not len(places) or (kind != "values" and split.preview_kind != kind):
        return []
    if kind == "text":
        texts = split.instances(["preview"])["preview"].to_numpy(dtype=object)[places]
        return [
            (name, Preview((" ".join(text.split())[:TEXT],)))
            for (_, name), text in zip(rows, texts, strict=True)
            if isinstance(text, str) and text.strip()
        ]
    if kind == "waveform":
        signals = split.matrix("waveform")[places]
        return [(name, _wave(signal)) for (_, name), signal in zip(rows, signals, strict=True) if signal.size > 1]
    assert usual is not None
    values = _numbers(split)[places].astype(np.float64)
    mean, deviation = usual
    centre = np.asarray(run.meta["centre"]) if "centre" in run.meta and "values" not in split.columns else 0.0
    with np.errstate(invalid="ignore", divide="ignore"):
        far = np.where(deviation > 0, (values - mean) / deviation, np.nan)
    shown = values + centre
    return [(name, _unusual(names, shown[k], far[k])) for k, (_, name) in enumerate(rows)]


def _numbers(split: Split) -> NDArray[Any]:
    return split.matrix("values") if "values" in split.columns else split.features


def _usual(train: Split) -> tuple[NDArray[Any], NDArray[Any]]:
    """(F,) mean and standard deviation of the training values; NaN is left out."""
    values = _numbers(train)
    count = np.zeros(values.shape[1])
    total, squares = np.zeros(values.shape[1]), np.zeros(values.shape[1])
    origin = np.nan_to_num(values[0].astype(np.float64))
    for rows in row_blocks(*values.shape):
        block = values[rows].astype(np.float64) - origin
        known = np.isfinite(block)
        block = np.where(known, block, 0)
        count += known.sum(axis=0)
        total += block.sum(axis=0)
        squares += (block**2).sum(axis=0)
    count = np.maximum(count, 1)
    mean = total / count
    return origin + mean, np.sqrt(np.maximum(squares / count - mean**2, 0))


def _unusual(names: list[str], values: NDArray[Any], far: NDArray[Any]) -> Preview:
    """The values farthest from the training mean, in standard deviations."""
    strength = np.where(np.isfinite(far), np.abs(far), -1)
    order = np.argsort(-strength, kind="stable")[:UNUSUAL]
    lines = [f"{names[k]} {values[k]:,.4g} ({far[k]:+.1f} SD)" for k in order if strength[k] >= 0]
    return Preview(tuple(lines))


def _wave(signal: NDArray[Any]) -> Preview:
    """Pairs of lowest and highest samples as vertical strokes."""
    pairs = np.nan_to_num(signal[: len(signal) // 2 * 2].reshape(-1, 2).astype(np.float64))
    top = np.abs(pairs).max() or 1.0
    places = np.rint((1 - pairs / top) * (HEIGHT - 2) / 2 + 1).astype(int)
    strokes = [f"M{x} {low + (low == high)}V{high}" for x, (low, high) in enumerate(places.tolist())]
    return Preview(path="".join(strokes), width=len(strokes))
