"""One batch of instances for the network: inputs, labels, ids, groups and previews."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from imblens.extraction._inputs import Inputs
from imblens.extraction._preprocessing import Pixels


@dataclass(frozen=True)
class InputBatch:
    """A batch before the network.

    Attributes:
        inputs: arguments of forward, copies, so that the network may change them in place.
        labels: (b,) integers or (b, C) multi-hot.
        ids: b texts.
        pixels: (b, H, W, 3) uint8 as the network sees them before normalisation, or None where unknown.
        originals: b images (H, W, 3) uint8 as they are stored, or their thumbnails, encoded; or None.
        boxes: per image (n, 5), in pixels of `pixels`; or None.
        unknown: (b, C) uncertain labels; or None.
        previews: columns of b previews for reports, by name.
    """

    inputs: Inputs
    labels: NDArray[Any]
    ids: Sequence[str]
    pixels: Pixels | None
    originals: Sequence[Pixels | bytes] | None
    boxes: Sequence[NDArray[Any]] | None = None
    unknown: NDArray[np.bool_] | None = None
    previews: Mapping[str, Any] = field(default_factory=dict)

    def rows(self, chosen: NDArray[np.bool_]) -> InputBatch:
        """Return some instances; the inputs stay whole."""
        places = np.flatnonzero(chosen).tolist()

        def some(values: Any) -> Any:
            if values is None or isinstance(values, np.ndarray):
                return None if values is None else values[chosen]
            return [values[i] for i in places]

        names = ("labels", "ids", "pixels", "originals", "boxes", "unknown")
        previews = {name: some(values) for name, values in self.previews.items()}
        return replace(self, previews=previews, **{name: some(getattr(self, name)) for name in names})
