"""The synthetic images that a network was trained with, beside real ones."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from markupsafe import Markup

from imblens.report._overlays import data_address
from imblens.run import Run

SHEET = ("oversampled", "samples.png")
LARGEST = 2 * 2**20  # bytes: a larger sheet stays beside the report


def synthetic(run: Run) -> dict[str, Any] | None:
    """Return image, alternative text and caption of the sheet that over-sampling left in the run's folder, or None."""
    data = run.meta.get("data")
    made = data.get("oversample") if isinstance(data, Mapping) else None
    if not isinstance(made, Mapping) or run.path is None:
        return None
    path = run.path.joinpath(*SHEET)
    if not path.is_file() or path.stat().st_size > LARGEST:
        return None
    content = path.read_bytes()
    if not content.startswith(b"\x89PNG\r\n\x1a\n"):
        return None
    name, count = str(made.get("name", "an over-sampler")), made.get("synthetic", 0)
    return {
        "image": Markup('<img class="sheet" alt="{}" src="{}">').format(
            f"Real and synthetic images of {name}, one row a class", data_address(content, "png")
        ),
        "caption": f"A row for each class that {name} added to ({count:,} images in all), in the order of the classes: four "
        "real images, then ten synthetic ones. The network was trained with both; everything else on this page is about "
        "the real ones.",
    }
