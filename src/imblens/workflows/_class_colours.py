"""From a captured run to the colours that a training with `class_colours` changes."""

from __future__ import annotations

from typing import Any

from imblens.lenses import colours
from imblens.run import Run


def class_colours(run: Run) -> dict[str, Any]:
    """Return the colours of each class's most salient pixels, as `TrainingPlan.class_colours` takes them.

    Args:
        run: captured from a network on images, with colours.

    Returns:
        "references": (14, 3) reference colours of the bands, 0 to 255; "shares": the share of each band among the most salient
        pixels of each class that has some.

    Raises:
        NotApplicable: the run has no colours.
    """
    from imblens.extraction import BANDS

    table = colours(run).tables["colours"].pivot(index="class", columns="band", values="share")
    table = (
        table.dropna(how="all").reindex(columns=list(BANDS)).fillna(0.0)
    )  # bands that no image has are left out there
    shares = {str(name): [float(value) for value in row] for name, row in table.iterrows() if row.sum() > 0}
    return {"references": [list(colour) for colour in BANDS.values()], "shares": shares}
