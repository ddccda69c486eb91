"""The image sets of a study: found, thinned, resized, and turned into the task that is asked for."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict

from imblens.data import ImageSet, built_in_sets, finding_or_none, image_sets, load_images, parse_profile
from imblens.errors import InputError

Kind = Literal["as labelled", "finding or none"]


class Data(BaseModel):
    """An image set of a study.

    Attributes:
        name: in the table.
        source: what `imblens train` takes as DATA; None where the user must say (`--data NAME=FOLDER`).
        public: name of the public set whose published files the folder may hold.
        profile, seed: how the training split is thinned.
        size: height and width in pixels; None as stored.
        train: options of `imblens.training.train` for this set, over those of the study.
        task: "finding or none" makes one label of many: whether an image has any.
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
        """Return the set as it lies in `source`; a folder by its whole path, which means the same from anywhere."""
        path = None if source is None else Path(source).expanduser()
        whole = path is not None and path.exists() and source not in image_sets()
        return self.model_copy(update={"source": str(path.resolve()) if path is not None and whole else source})

    def load(self) -> ImageSet:
        """Read the set.

        Raises:
            InputError: it cannot be used; the message says what was found and what to do.
        """
        assert self.source is not None
        try:
            found = load_images(self.source, profile=self.profile, seed=self.seed)
        except InputError:
            if self.public is None:
                raise
            found = load_images(self.public, root=self.source, profile=self.profile, seed=self.seed)
        if self.size is not None:
            found = found.resized((self.size, self.size))
        return found if self.task == "as labelled" else finding_or_none(found)

    @property
    def is_thinned(self) -> bool:
        """Whether the training split is at least half as imbalanced as the profile asks, or has a profile of its own."""
        ratio = parse_profile(self.profile).ratio
        if ratio is None or self.source in built_in_sets():
            return ratio is not None
        found = self.model_copy(update={"profile": "natural", "size": None, "task": "as labelled"}).load()
        counts = found.class_counts
        return found.task == "multiclass" and bool(0 < counts.min() and counts.max() >= ratio / 2 * counts.min())
