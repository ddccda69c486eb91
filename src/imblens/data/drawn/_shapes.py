"""A synthetic image set with known (planted) causes of failure."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from imblens.base.arguments import a_seed, checked, number, whole
from imblens.base.memory import refuse_too_large
from imblens.data._assemble import assemble
from imblens.data._images import ImageSet, ImageSplit
from imblens.data.drawn import _drawing as draw
from imblens.data.drawn._drawing import Floats, Layout, Shape
from imblens.errors import InputError, did_you_mean

CAUSES = ("overlap", "sub_concepts", "label_noise", "background", "uncovered", "few_examples")
CLASSES = ("ring", "square", "disc", "cross", "oval", "arrow", "kite", "pair", "crescent", "hourglass")
_SHAPES: dict[str, Shape] = {
    "ring": draw.ring,
    "square": draw.square,
    "disc": draw.ellipse,
    "cross": draw.cross,
    "oval": draw.ellipse,
    "arrow": draw.arrow,
    "kite": draw.kite,
    "pair": draw.two_dots,
    "bars": draw.two_bars,
    "crescent": draw.crescent,
    "hourglass": draw.hourglass,
}
# n = n_max * imbalance ** -rarity: no planted class but the scarce ones is short of images
_RARITY = dict(zip(CLASSES, (0.0, 0.12, 0.22, 0.32, 0.40, 0.45, 0.49, 0.53, 0.85, 1.0), strict=True))
_SCARCE = ("crescent", "hourglass")
_NOISY, _NOISE_FROM, _NOISE = "ring", ("square", "cross"), 0.065
_LESSER = 0.2  # share of the second sub-concept
_UPRIGHT = np.deg2rad(20)
_OVERLAPPING = {"disc": (0.12, 0.10), "oval": (0.42, 0.20)}  # mean and deviation of log(width / height), cut at 0
_APART = {"disc": (0.0, 0.0), "oval": (0.80, 0.08)}
_LIGHT_BLUE = (160, 205, 240)
_BACKGROUNDS = ((100, 100, 100), (150, 150, 150), (190, 190, 190), (120, 85, 50), (30, 80, 40), (110, 40, 40))
_LIGHT = 20  # largest change of the illumination from the centre to an edge, in grey levels
_GRAIN = 8  # deviation of the noise, in grey levels
_PIXELS_AT_ONCE = 2**20


@dataclass(frozen=True)
class _Drawn:
    """n images of one class and split, with the facts that tests check."""

    pixels: NDArray[np.uint8]  # (n, H, W, 3)
    boxes: NDArray[np.float32]  # (n, 4)
    kinds: NDArray[np.object_]  # (n,) the shape drawn: a class, or "bars"
    layout: Layout


@checked(
    seed=a_seed(),
    imbalance=number(1),
    n_max=whole(1, most=10**6),
    test_per_class=whole(1, most=10**6),
    size=whole(16, most=512),
)
def shapes(
    seed: int = 0,
    *,
    imbalance: float = 50,
    causes: Collection[str] = CAUSES,
    n_max: int = 800,
    test_per_class: int = 100,
    size: int = 32,
) -> ImageSet:
    """Draw ten classes of coloured shapes on noisy backgrounds and plant the causes asked for.

    A class whose cause is not planted is drawn cleanly, and the images of all other classes stay the same, so a
    study can plant one cause at a time. Every image has one box (with the class of its label).

    - `overlap`: disc and oval differ in width over height only, and the two distributions overlap.
    - `sub_concepts`: one in five pairs is two bars, not two dots.
    - `label_noise`: of the largest class, ring, 6.5% of the training images show a square or a cross.
    - `background`: a kite is any shape of the set; only its light blue background, which no other class has, identifies it.
    - `uncovered`: arrows point up (within 20 degrees) in training; half of the test arrows point elsewhere.
    - `few_examples`: crescent and hourglass are rare. Without it they are as frequent as the middle classes, and
      the imbalance is about the square root of the requested one.

    `planted[cause]` names the `classes`, what was done, and under `train` and `test` the fact about single images,
    by id: the true class, the sub-concept, the shape drawn, the angle.

    Args:
        seed: controls everything.
        imbalance: images of the largest class over those of the smallest, at least 1. Counts fall roughly
            exponentially; 1 makes the set balanced.
        causes: which of `CAUSES` to plant.
        n_max: training images of the largest class.
        test_per_class: test images of every class.
        size: height and width in pixels, 16 to 512.

    Raises:
        InputError: an unknown cause, or numbers out of range.

    Example:
        >>> images = shapes(seed=0)
        >>> images.class_counts.tolist()
        [800, 500, 338, 228, 167, 137, 117, 100, 28, 16]
        >>> images.planted["label_noise"]["classes"]
        ['ring']
    """
    chosen = _causes(causes)
    if imbalance > n_max:
        raise InputError(
            f"imbalance is {imbalance:g}, n_max {n_max}: the rarest class would have {n_max} / {imbalance:g} images.",
            hint="imbalance must be at most n_max.",
        )
    counts = {
        "train": {name: _count(name, n_max, imbalance, chosen) for name in CLASSES},
        "test": dict.fromkeys(CLASSES, test_per_class),
    }
    n_images = sum(sum(wanted.values()) for wanted in counts.values())
    hint = "Draw fewer (n_max, test_per_class), or smaller ones (size)."
    refuse_too_large(n_images * size**2 * 3, f"{n_images:,} images of {size} x {size} need", hint=hint)
    splits: dict[str, ImageSplit] = {}
    planted: dict[str, Any] = _descriptions(chosen)
    for place, (split, wanted) in enumerate(counts.items()):
        drawn = [
            _draw_class(name, wanted[name], split, np.random.default_rng([seed, place, i]), chosen, size)
            for i, name in enumerate(CLASSES)
        ]
        labels = np.repeat(np.arange(len(CLASSES)), list(wanted.values()))
        boxes = np.column_stack([labels, np.concatenate([part.boxes for part in drawn])])  # (N, 5)
        splits[split] = ImageSplit.from_arrays(
            np.concatenate([part.pixels for part in drawn]),
            labels,
            ids=[f"{split}/{i:06d}" for i in range(len(labels))],
            boxes=list(boxes[:, None, :]),
            name="shapes",
        )
        for cause in sorted(chosen - {"few_examples"}):
            of_class = {
                name: dict(zip(splits[split].ids[labels == i].tolist(), _facts(cause, part), strict=True))
                for i, (name, part) in enumerate(zip(CLASSES, drawn, strict=True))
            }
            planted[cause][split] = {k: v for name in planted[cause]["classes"] for k, v in of_class[name].items()}
    if "label_noise" in planted:
        for facts in (planted["label_noise"]["train"], planted["label_noise"]["test"]):
            for name in [name for name, true in facts.items() if true == _NOISY]:
                del facts[name]
    made = assemble("shapes", splits, CLASSES, seed=seed, source={"path": "shapes", "layout": "built-in"})
    options = {"imbalance": float(imbalance), "causes": sorted(chosen), "n_max": n_max, "size": size}
    return replace(made, planted=planted, source={**made.source, "split": "as drawn", **options})


def _causes(causes: Collection[str]) -> frozenset[str]:
    chosen = frozenset([causes] if isinstance(causes, str) else causes)
    unknown = min(map(str, chosen.difference(CAUSES)), default=None)
    if unknown is not None:
        raise InputError(f"there is no cause {unknown!r} to plant.", hint=did_you_mean(unknown, CAUSES))
    return chosen


def _count(name: str, n_max: int, imbalance: float, planted: frozenset[str]) -> int:
    scarce = name in _SCARCE and "few_examples" not in planted
    rarity = _RARITY["pair"] if scarce else _RARITY[name]
    return max(1, int(n_max * imbalance**-rarity + 1e-9))


def _draw_class(name: str, n: int, split: str, rng: np.random.Generator, causes: frozenset[str], size: int) -> _Drawn:
    kinds = np.array([name] * n, dtype=object)
    if name == "pair" and "sub_concepts" in causes:
        kinds[rng.permutation(n)[: round(_LESSER * n)]] = "bars"
    elif name == "kite" and "background" in causes:
        kinds = rng.permutation(np.resize(CLASSES, n)).astype(object)
    elif name == _NOISY and "label_noise" in causes and split == "train":
        wrong = rng.permutation(n)[: round(_NOISE * n)]
        kinds[wrong] = np.resize(_NOISE_FROM, len(wrong))
    radius = size * rng.uniform(0.27, 0.42, n)
    room = size / 2 - 0.9 * radius
    layout = Layout(
        centre_x=_floats(size / 2 + room * rng.uniform(-1, 1, n)),
        centre_y=_floats(size / 2 + room * rng.uniform(-1, 1, n)),
        radius=_floats(radius),
        angle=_floats(_angles(name, n, split, rng, causes)),
        stretch=_floats(np.exp(_log_stretch(name, kinds, rng, causes))),
    )
    blue_sky = name == "kite" and "background" in causes
    background = _jitter(np.array([_LIGHT_BLUE] * n) if blue_sky else rng.choice(_BACKGROUNDS, n), rng)
    colour = _object_colours(background, rng)
    pixels, boxes = [], []
    step = max(1, _PIXELS_AT_ONCE // size**2)
    for start in range(0, n, step):
        part = np.arange(n)[start : start + step]
        covered = _covered(kinds[part], layout[part], size)
        boxes.append(draw.bounding_boxes(covered))
        pixels.append(_paint(covered, background[part], colour[part], rng))
    return _Drawn(np.concatenate(pixels), np.concatenate(boxes), kinds, layout)


def _angles(name: str, n: int, split: str, rng: np.random.Generator, causes: frozenset[str]) -> NDArray[np.float64]:
    """Return how far each object is turned, -pi to pi; only the class arrow may be held upright."""
    angle = rng.uniform(-np.pi, np.pi, n)
    if name != "arrow" or "uncovered" not in causes:
        return angle
    upright = angle * (_UPRIGHT / np.pi)
    elsewhere = np.sign(angle) * (_UPRIGHT + np.abs(angle) * (1 - _UPRIGHT / np.pi))
    return np.where((np.arange(n) % 2 == 0) | (split == "train"), upright, elsewhere)


def _log_stretch(
    name: str, kinds: NDArray[np.object_], rng: np.random.Generator, causes: frozenset[str]
) -> NDArray[np.float64]:
    """Return log(width / height) of each object, at least 0: a turned ellipse has no other sign."""
    normal = rng.standard_normal(len(kinds))
    stretch = np.zeros(len(kinds))
    overlap = "overlap" in causes and name in _OVERLAPPING  # discs and ovals among the kites stay apart
    for kind, (mean, deviation) in (_OVERLAPPING if overlap else _APART).items():
        stretch = np.where(kinds == kind, np.maximum(0, mean + deviation * normal), stretch)
    return stretch


def _jitter(colours: NDArray[Any], rng: np.random.Generator) -> Floats:
    n = len(colours)
    return _floats(colours + rng.uniform(-12, 12, (n, 1)) + rng.uniform(-6, 6, (n, 3)))


def _object_colours(background: Floats, rng: np.random.Generator) -> Floats:
    """Return (n, 3) strong colours of any hue but cyan to sky blue, far from the background."""
    n = len(background)
    hue = rng.uniform(0, 0.83, (n, 3))
    hue = np.where(hue > 0.48, hue + 0.17, hue)
    candidates = draw.hsv_to_rgb(
        _floats(hue.ravel()),
        _floats(rng.uniform(0.6, 1, 3 * n)),
        _floats(rng.uniform(0.4, 1, 3 * n)),
    ).reshape(n, 3, 3)
    apart = np.linalg.norm(candidates - background[:, None], axis=2)
    return candidates[np.arange(n), apart.argmax(axis=1)]


def _covered(kinds: NDArray[np.object_], layout: Layout, size: int) -> Floats:
    covered = np.zeros((len(kinds), size, size), dtype=np.float32)
    for kind in sorted(set(kinds.tolist())):
        chosen = np.flatnonzero(kinds == kind)
        covered[chosen] = draw.coverage(_SHAPES[kind], layout[chosen], size)
    return covered


def _paint(covered: Floats, background: Floats, colour: Floats, rng: np.random.Generator) -> NDArray[np.uint8]:
    """Return (n, H, W, 3): the object on its background, with uneven illumination and noise."""
    n, size, _ = covered.shape
    flat = background[:, None, None] + covered[..., None] * (colour - background)[:, None, None]
    ramp = np.linspace(-1, 1, size, dtype=np.float32)
    slope = _floats(rng.uniform(-_LIGHT, _LIGHT, (2, n, 1, 1)))
    light = slope[0] * ramp[None, None, :] + slope[1] * ramp[None, :, None]  # (n, H, W)
    noise = rng.standard_normal(flat.shape, dtype=np.float32) * _GRAIN
    return np.clip(np.rint(flat + light[..., None] + noise), 0, 255).astype(np.uint8)


def _facts(cause: str, drawn: _Drawn) -> list[Any]:
    """Return what is planted in each image of a class, as plain values."""
    if cause == "overlap":
        return np.log(drawn.layout.stretch.astype(np.float64)).round(3).tolist()
    if cause == "uncovered":
        return np.rad2deg(drawn.layout.angle.astype(np.float64)).round(1).tolist()
    if cause == "sub_concepts":
        return ["two bars" if kind == "bars" else "two dots" for kind in drawn.kinds]
    return drawn.kinds.tolist()  # the shape that is drawn


def _descriptions(causes: Iterable[str]) -> dict[str, dict[str, Any]]:
    known: dict[str, dict[str, Any]] = {
        "overlap": {"classes": ["disc", "oval"], "fact": "log(width / height)", "mean_and_deviation": _OVERLAPPING},
        "sub_concepts": {"classes": ["pair"], "fact": "sub-concept", "share_of_bars": _LESSER},
        "label_noise": {"classes": [_NOISY], "fact": "true class of a mislabelled image", "share": _NOISE},
        "background": {"classes": ["kite"], "fact": "shape drawn", "band": "light blue", "colour": list(_LIGHT_BLUE)},
        "uncovered": {"classes": ["arrow"], "fact": "degrees from upright", "covered": [-20.0, 20.0]},
        "few_examples": {"classes": list(_SCARCE)},
    }
    return {cause: known[cause] for cause in CAUSES if cause in causes}


def _floats(values: Any) -> Floats:
    return np.asarray(values, dtype=np.float32)
