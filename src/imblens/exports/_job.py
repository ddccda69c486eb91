"""What a format is given to write."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd

from imblens.base.files import write_text
from imblens.base.wording import number
from imblens.errors import NotApplicable
from imblens.exports._media import Media
from imblens.exports._select import names
from imblens.run import Run


@dataclass(frozen=True)
class Instance:
    """One instance to export; what is unknown is None or empty.

    Attributes:
        at: place in the table.
        id: of the instance in its split.
        split: "train", "val" or "test".
        labels: class names, one in a single-label run.
        predicted: class names.
        confidence: softmax probability of the prediction.
        suggested: class of a label suspect.
        score: that of the label suspects.
        archetype: safe, border, rare or outlier.
    """

    at: int
    id: str
    split: str
    labels: list[str]
    predicted: list[str]
    confidence: float | None
    suggested: str | None
    score: float | None
    archetype: str | None

    def facts(self) -> dict[str, Any]:
        """What is known, by name; class names as text, several joined by commas."""
        found = {
            "id": self.id,
            "split": self.split,
            "class": ", ".join(self.labels),
            "predicted": ", ".join(self.predicted) or None,
            "confidence": self.confidence,
            "suggested": self.suggested,
            "suspect_score": self.score,
            "archetype": self.archetype,
        }
        return {name: value for name, value in found.items() if value is not None}

    def about(self) -> str:
        """One line for the person who looks at it."""
        parts = [f"label: {', '.join(self.labels) or 'none'}"]
        if self.predicted:
            share = "" if self.confidence is None else f" ({self.confidence:.0%})"
            parts.append(f"predicted: {', '.join(self.predicted)}{share}")
        if self.suggested is not None:
            parts.append(f"suggested: {self.suggested}")
        return "; ".join(parts)


@dataclass(frozen=True)
class Job:
    """A run, the chosen instances, and what is shown of them.

    Attributes:
        run: the run.
        table: of `select`.
        what: "suspects", "errors" or "predictions".
        media: of the instances in `table`.
    """

    run: Run
    table: pd.DataFrame
    what: str
    media: Media

    def instances(self) -> list[Instance]:
        """The rows of the table."""
        return [
            Instance(
                at,
                str(row["id"]),
                row["split"],
                names(row["class"]),
                names(row["predicted"]),
                number(row["confidence"]),
                row["suggested"] if isinstance(row["suggested"], str) else None,
                number(row["suspect_score"]),
                row["archetype"] if isinstance(row["archetype"], str) else None,
            )
            for at, row in enumerate(self.table.to_dict("records"))
        ]


def need_images(job: Job) -> None:
    """Refuse a run without images where the format shows images only."""
    if not job.media.are_images:
        raise NotApplicable(
            "this format shows images, and the run stores none.",
            hint="Give their folder or address with --images (in Python, images=), or export to label-studio.",
        )


def write_json(path: Path, content: Any) -> Path:
    """Write JSON as UTF-8, atomically; return the path."""
    write_text(path, json.dumps(content, ensure_ascii=False, allow_nan=False, indent=1) + "\n")
    return path
