"""The image sets of a study: located, subsampled, resized, and converted to the requested task."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict

from imblens.data import (
    UNMIRRORED,
    ImageSet,
    built_in_sets,
    finding_or_none,
    image_sets,
    load_images,
    parse_profile,
    unmirrored,
)
from imblens.errors import InputError

Kind = Literal["as labelled", "finding or none"]


class Data(BaseModel):
    """An image set of a study.

    Attributes:
        name: in the table.
        source: what `imblens train` takes as DATA; None where the user must give it (`--data NAME=FOLDER`).
        public: name of the public set whose published files the folder may hold.
        profile, seed: how the training split is subsampled.
        size: height and width in pixels; None as stored.
        train: attributes of `imblens.training.TrainingPlan` for this set, over those of the study.
        task: "finding or none" collapses multi-label data to whether an image has any finding.
        needs: what to download, where `source` is None.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    name: str
    source: str | None = None
    public: str | None = None
    profile: str = "natural"
    seed: int = 0
    size: int | None = None
    train: dict[str, Any] = {}
    task: Kind = "as labelled"
    needs: str = ""

    def found(self, source: str | None) -> Data:
        """Return the set with its source; a folder by its absolute path, which is valid from any working directory."""
        path = None if source is None else Path(source).expanduser()
        whole = path is not None and path.exists() and source not in image_sets()
        return self.model_copy(update={"source": str(path.resolve()) if path is not None and whole else source})

    def load(self) -> ImageSet:
        """Read the set.

        Raises:
            InputError: it cannot be used; the message states why and what to do.
        """
        assert self.source is not None
        try:
            images = load_images(self.source, profile=self.profile, seed=self.seed)
        except InputError:
            if self.public is None or not Path(self.source).is_dir():
                raise
            images = load_images(self.public, root=self.source, profile=self.profile, seed=self.seed)
        if not self.may_be_mirrored:  # also a copy of the public set in another layout
            images = unmirrored(images)
        if self.size is not None:
            images = images.resized((self.size, self.size))
        return images if self.task == "as labelled" else finding_or_none(images)

    @property
    def may_be_mirrored(self) -> bool:
        """Whether mirrored images are of their class, as far as the set is known by name."""
        return not {self.source, self.public} & UNMIRRORED

    def mirroring(self, options: Mapping[str, Any]) -> dict[str, bool]:
        """What the set adds to the key of a network: earlier versions mirrored every set where no `augment` is given."""
        return {} if self.may_be_mirrored or options.get("augment") is not None else {"mirrored": False}

    @property
    def thins(self) -> bool:
        """Whether a draw thins the training split."""
        return parse_profile(self.profile).ratio is not None

    @property
    def is_thinned(self) -> bool:
        """Whether the training split is at least half as imbalanced as the profile asks, or has a profile of its own."""
        ratio = parse_profile(self.profile).ratio
        if ratio is None or self.source in built_in_sets():
            return ratio is not None
        original = self.model_copy(update={"profile": "natural", "size": None, "task": "as labelled"}).load()
        counts = original.class_counts
        return original.task == "multiclass" and bool(0 < counts.min() and counts.max() >= ratio / 2 * counts.min())
