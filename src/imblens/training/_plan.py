"""The settings of a training, checked once."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from imblens.base.arguments import check_argument, flag, one_of, whole
from imblens.base.files import sha256
from imblens.base.options import Configurable, Option
from imblens.data import BINARY, MIRRORED
from imblens.errors import InputError, MissingError
from imblens.losses import find_loss
from imblens.models import find_model
from imblens.training._mixing import MIXINGS
from imblens.training._samplers import SAMPLERS
from imblens.training._schedules import SCHEDULES, Schedule, augmentation_steps, default_schedule

if TYPE_CHECKING:
    from imblens.data import ImageSet

PRECISIONS = ("32-true", "bf16-mixed")
_RULES = {
    "epochs": whole(1, optional=True),
    "batch_size": whole(1, optional=True),
    "devices": whole(1),
    "input_size": whole(1, optional=True),
    "seed": whole(0),
    "drw": flag(),
    "precision": one_of(*PRECISIONS, optional=True),
}
_LATER: dict[str, Any] = {"eos": None, "class_colours": None, "devices": 1, "input_size": None}


class _Eos(Configurable):
    name = "eos"
    options = (
        Option("k_neighbors", 10.0, "neighbours in the batch.", low=1, high=1e6),
        Option("start", 0.0, "share of the epochs after which it begins.", low=0, high=1),
        Option("weight", 1.0, "how much a synthetic instance counts.", low=0, high=1e6),
    )


EOS = _Eos()


@dataclass(frozen=True, kw_only=True)
class TrainingPlan:
    """Everything that decides a training, except the images.

    Values are checked and normalised when the plan is created. None means a default that depends on the images or on
    the schedule; `for_images` fills these in.

    Attributes:
        arch: a name of `imblens.models.model_names()`, LIBRARY:NAME (timm, torchvision, transformers) or FILE.py:FACTORY.
        weights: file of pretrained weights to start from (see `imblens.models.load_pretrained`).
        loss: a name of `imblens.losses.loss_names()`; default `ce`, for multi-label sets and any finding against none `bce`.
            `ldam` gives a named network a normalised head. A multi-label loss on two classes gives the network one output,
            the logit of the second class, as in the binary task of LOOKING.
        loss_options: of the loss, such as {"gamma": 1.5} for `focal`.
        drw: weight classes by their effective number in the last fifth of the epochs.
        schedule: a name of `schedule_descriptions()`; default `short`, for multi-label losses `short_adam`.
        epochs: default: the schedule's; its learning-rate steps scale with it.
        batch_size: default: the schedule's.
        augment: `crop`, `flip` (left to right) and `jitter` (of colours) joined by +, or `none`; default: the schedule's,
            which includes `flip` in all built-in schedules, without `flip` for sets whose mirrored images are not of
            their class, such as digits (see `imblens.data.unmirrored`).
        sampler: `natural`, `class_balanced`, `square_root` or `progressive`; for multi-label sets only `natural`.
        remix: balance each batch and mix it with a permutation of itself (Bellinger et al. 2021); True, or options such
            as {"alpha": 0.2}. Metrics of training batches are then those of mixed images.
        rebalanced_mixup: mix each batch with a permutation of itself, with labels in favour of the rarer class (Chou et
            al. 2020); True, or options such as {"kappa": 3, "tau": 0.5, "alpha": 1}. At most one of the two.
        eos: Expansive Over-Sampling while the representation is trained (see `eos_in_batch`); True, or options such as
            {"k_neighbors": 10, "start": 0.5, "weight": 1}: neighbours in the batch, the share of the epochs after which it
            begins, how much a synthetic instance counts. Suggested by EOS, section VII; for single-label sets.
        class_colours: colours to change in training images (see `Recolour`): {"references": (K, 3) colours, 0 to 255,
            "shares": {class: K shares}}, as `imblens.workflows.class_colours(run)` returns.
        input_size: height and width of images that enter the network, in pixels; default: those of the images. Random crops are
            then taken from the images as they are, and resized to it; images of validation and capture are resized.
        devices: processes that share each batch, one for each GPU, or on CPUs; see docs/studies.md.
        seed: 0 or more: of weights, order and augmentation.
        precision: `32-true` or `bf16-mixed`; default: the faster one on this device.

    Raises:
        InputError: a value is out of its range.
        MissingError: no network, loss, schedule, sampler or mixing option has that name.

    Example:
        >>> TrainingPlan(loss="focal", loss_options={"gamma": 1.5}, remix=True).remix
        {'alpha': 0.2}
        >>> TrainingPlan(schedule="shrot")
        Traceback (most recent call last):
        imblens.errors.MissingError: there is no schedule 'shrot'. Did you mean 'short'? ...
    """

    arch: str = "smallnet"
    weights: str | Path | None = None
    loss: str | None = None
    loss_options: Mapping[str, Any] | None = None
    drw: bool = False
    schedule: str | None = None
    epochs: int | None = None
    batch_size: int | None = None
    augment: str | None = None
    sampler: str = "natural"
    remix: Mapping[str, Any] | bool | None = False
    rebalanced_mixup: Mapping[str, Any] | bool | None = False
    eos: Mapping[str, Any] | bool | None = False
    class_colours: Mapping[str, Any] | None = None
    input_size: int | None = None
    devices: int = 1
    seed: int = 0
    precision: str | None = None

    def __post_init__(self) -> None:
        find_model(self.arch)
        if self.loss is not None:
            find_loss(self.loss)
        if self.schedule is not None:
            SCHEDULES.find(self.schedule)
        SAMPLERS.find(self.sampler)
        if self.augment is not None:
            augmentation_steps(self.augment)
        for name, rule in _RULES.items():
            self._set(name, check_argument("train", name, getattr(self, name), rule))
        self._set("loss_options", _plain(self.loss_options))
        for name, mixing in MIXINGS.items():
            self._set(name, _options(mixing, getattr(self, name)))
        if len(chosen := [name for name in MIXINGS if getattr(self, name) is not None]) > 1:
            raise InputError(f"{' and '.join(chosen)} both mix the images of a batch.", hint="Choose one.")
        self._set("eos", _options(EOS, self.eos))
        self._set("class_colours", _plain(self.class_colours) or None)
        if self.eos and chosen:
            raise InputError(f"eos needs a label for each feature, and {chosen[0]} mixes them.", hint="Choose one.")

    def _set(self, name: str, value: Any) -> None:
        object.__setattr__(self, name, value)

    @property
    def mixing(self) -> tuple[str, dict[str, float]] | None:
        """Name and options of how batches are mixed; None where they are not."""
        return next(((name, dict(getattr(self, name))) for name in MIXINGS if getattr(self, name) is not None), None)

    @property
    def recipe(self) -> Schedule:
        """The schedule, with the plan's augmentation; of a plan that `for_images` filled in."""
        assert self.schedule is not None
        return SCHEDULES[self.schedule].augmented(self.augment)

    def for_images(self, image_set: ImageSet) -> TrainingPlan:
        """Return the plan with every default filled in, precision excepted.

        Args:
            image_set: what the network is trained on.

        Raises:
            InputError: a setting does not fit multi-label images.
        """
        multilabel = image_set.task == "multilabel"
        if multilabel and self.sampler != "natural":
            raise InputError(
                f"sampler {self.sampler!r} draws images by class, and those of {image_set.name} are multi-label.",
                hint="Leave it out; the losses wbce and cb_focal_bce weight labels by their counts.",
            )
        if multilabel and self.mixing is not None:
            raise InputError(
                f"{self.mixing[0]} needs images with one class each, and those of {image_set.name} are multi-label.",
                hint="Leave it out.",
            )
        if multilabel and (self.eos or self.class_colours):
            what = "eos" if self.eos else "class_colours"
            raise InputError(
                f"{what} needs images with one class each, and those of {image_set.name} are multi-label.",
                hint="Leave it out.",
            )
        finding = multilabel or image_set.source.get("task") == BINARY
        loss = self.loss or ("bce" if finding else "ce")
        if find_loss(loss).multilabel and self.mixing is not None:
            raise InputError(
                f"{self.mixing[0]} mixes labels of single-label losses, not of {loss!r}.", hint="Leave it out."
            )
        if find_loss(loss).multilabel and self.eos:
            raise InputError(f"eos is for single-label losses, not for {loss!r}.", hint="Leave it out.")
        name = self.schedule or default_schedule(multilabel=find_loss(loss).multilabel)
        schedule = SCHEDULES[name]
        batch_size = self.batch_size or schedule.batch_size
        steps = -(-len(image_set.train) // batch_size)
        return replace(
            self,
            loss=loss,
            schedule=name,
            batch_size=batch_size,
            epochs=self.epochs or schedule.epochs_for(steps),
            augment=schedule.augmented(self.augment or _default_augment(schedule, image_set)).augment,
        )

    def note(self, image_set: ImageSet) -> str:
        """Return one line on what the images change in the schedule's augmentation; "" for nothing.

        Example:
            >>> from imblens.data import digits
            >>> TrainingPlan().note(digits())
            'digits: images are not mirrored, since a mirrored one is not of its class (augmentation crop).'
            >>> TrainingPlan(augment="crop+flip").note(digits())
            ''
        """
        filled = self.for_images(image_set)
        if self.augment is not None or filled.augment == SCHEDULES[str(filled.schedule)].augment:
            return ""
        return (
            f"{image_set.name}: images are not mirrored, since a mirrored one is not of its class "
            f"(augmentation {filled.augment})."
        )

    def record(self) -> dict[str, Any]:
        """Return all settings that decide the result as plain JSON values; pretrained weights as a hash of their file.

        Precision is left out: it is decided, or read from a checkpoint, when training starts.

        Raises:
            MissingError: there is no weights file.
        """
        values = {one.name: getattr(self, one.name) for one in fields(self) if one.name != "precision"}
        for name, default in _LATER.items():  # trainings of earlier versions resume
            if values[name] == default:
                del values[name]
        return {**values, "weights": None if self.weights is None else _file_hash(Path(self.weights))}


def _options(method: Configurable, given: Mapping[str, Any] | bool | None) -> dict[str, Any] | None:
    """Every option of a method; None where it is off (None or False)."""
    if given is None or given is False:
        return None
    return method.check({} if given is True else given)


def _default_augment(schedule: Schedule, image_set: ImageSet) -> str:
    return schedule.augment if image_set.source.get(MIRRORED, True) else replace(schedule, flip=False).augment


def _file_hash(file: Path) -> str:
    if not file.is_file():
        raise MissingError(f"there is no weights file {file}.", hint="Check the path given with --weights.")
    return sha256(file)[:32]


def _plain(options: Mapping[str, Any] | None) -> dict[str, Any]:
    try:
        plain: dict[str, Any] = json.loads(json.dumps(dict(options or {})))
    except (TypeError, ValueError) as error:
        raise InputError(f"loss_options are not plain values: {error}.", hint="Give numbers and lists.") from error
    return plain
