"""The Lightning module that trains a network."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import kornia.augmentation as kornia
import lightning.pytorch as lightning
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional

from imblens.losses import ClassLoss, LabelLoss
from imblens.models import logits_among
from imblens.training._features import FeatureTap, with_synthetic
from imblens.training._global_state import derived_seed, seed_everything
from imblens.training._mixing import MIXINGS
from imblens.training._plan import TrainingPlan
from imblens.training._ranks import rank, world
from imblens.training._samplers import Batches, draw_epoch
from imblens.training._schedules import Schedule
from imblens.training._tallies import Aurocs, Recalls, Tally


class Fitting(lightning.LightningModule):
    """One training: everything random in an epoch follows from the seed and the epoch's number.

    So a training that resumes at the end of an epoch takes the same steps as one that was never interrupted, and no
    random state needs to be stored.

    Args:
        model: the network.
        loss: (logits, targets) -> number.
        plan: with every default filled in.
        batches: of the training split; this sets their order.
        labels: (N,) of the training split, or (N, C): 1, 0, or -1 where unknown.
        mean, std: of each channel of the training images, in [0, 1].
        facts: plain values to store in checkpoints.
        tap: reads the features of a batch, for a loss or for EOS that need them.
        recolour: changes colours of training images (B, 3, H, W) of classes (B,).
    """

    mean: Tensor
    std: Tensor
    class_counts: Tensor

    def __init__(
        self,
        model: nn.Module,
        loss: ClassLoss | LabelLoss,
        plan: TrainingPlan,
        batches: Batches,
        labels: NDArray[Any],
        *,
        mean: list[float],
        std: list[float],
        facts: dict[str, Any],
        tap: FeatureTap | None = None,
        recolour: nn.Module | None = None,
    ) -> None:
        super().__init__()
        self.tap, self.recolour = tap, recolour
        self.model, self.loss, self.plan = model, loss, plan
        self.schedule, self.epochs = plan.recipe, int(plan.epochs or 0)
        self.batches, self.labels, self.facts = batches, labels, facts
        self.register_buffer("mean", torch.tensor(mean)[:, None, None], persistent=False)
        self.register_buffer("std", torch.tensor(std)[:, None, None], persistent=False)
        self.input_size = None if plan.input_size is None else (plan.input_size, plan.input_size)
        self.augment = augmentation(self.schedule, self.input_size)
        self.n_classes = len(facts["class_counts"])
        counts = torch.tensor(facts["class_counts"], dtype=torch.float32)
        self.register_buffer("class_counts", counts, persistent=False)
        self.lr = 0.0
        self.tally = self._new_tally()
        self._loss_sum = torch.zeros(())
        self._seen = 0

    def configure_optimizers(self) -> Any:
        """Return the optimizer, and the learning rate of every step."""
        schedule = self.schedule
        parameters = self.model.parameters()
        shared: dict[str, Any] = {"lr": schedule.lr, "weight_decay": schedule.weight_decay}
        optimizer: torch.optim.Optimizer
        if schedule.optimizer == "adam":
            optimizer = torch.optim.Adam(parameters, **shared)
        else:
            optimizer = torch.optim.SGD(parameters, momentum=schedule.momentum, nesterov=schedule.nesterov, **shared)
        steps = len(self.batches)
        rate = torch.optim.lr_scheduler.LambdaLR(optimizer, lambda step: schedule.lr_share(step / steps, self.epochs))
        return {"optimizer": optimizer, "lr_scheduler": {"scheduler": rate, "interval": "step"}}

    def on_train_epoch_start(self) -> None:
        """Seed the epoch, draw its images, pass the epoch to the loss."""
        epoch = self.current_epoch
        seed_everything(derived_seed(self.plan.seed, 1, epoch))
        self.batches.order = draw_epoch(
            self.labels,
            self.plan.sampler,
            n_classes=self.n_classes,
            epoch=epoch,
            epochs=self.epochs,
            seed=derived_seed(self.plan.seed, 2, epoch),
        )
        self.loss.set_epoch(epoch, self.epochs)
        self.forget()
        self._loss_sum = torch.zeros((), device=self.device, dtype=torch.float64)

    def on_validation_epoch_start(self) -> None:
        """Restart counting, for the validation split."""
        self.forget()

    def on_after_batch_transfer(self, batch: Any, dataloader_idx: int) -> Any:
        """Turn bytes into network inputs on the device: (B, 3, H, W), augmented when training, normalised."""
        images, labels = batch
        inputs = images.permute(0, 3, 1, 2).float().div_(255)
        if self.trainer.training and len(self.augment):
            inputs = self.augment(inputs)
        if self.input_size is not None and inputs.shape[2:] != self.input_size:
            inputs = functional.interpolate(inputs, self.input_size, mode="bilinear", antialias=True)
        if self.trainer.training and self.recolour is not None:
            inputs = self.recolour(inputs, labels)
        if self.trainer.training and self.current_epoch < self.schedule.small_until * self.epochs:
            inputs = shrunk(inputs)
        inputs = (inputs - self.mean) / self.std
        return inputs.contiguous(memory_format=torch.channels_last), labels

    def training_step(self, batch: tuple[Tensor, Tensor], batch_idx: int) -> Tensor:
        """Return the loss of a batch."""
        inputs, labels = batch
        own = slice(rank(), None, world())  # the share of this device: all were drawn and augmented alike
        whole = len(labels)
        if self.plan.mixing is None:
            labels = labels[own]
            logits = self._logits(inputs[own])
            loss: Tensor = self.loss(logits, labels if logits.shape[1] > 1 else labels[:, None])
            if self.tap is not None:
                loss = self._with_features(loss, self.tap, labels)
        else:
            name, options = self.plan.mixing
            mixed = MIXINGS[name].mix(inputs, labels, self.class_counts, **options)
            logits, share = self._logits(mixed.inputs[own]), mixed.share[own]
            first, second = mixed.labels[own], mixed.other[own]
            loss = self.loss(logits, first, share) + self.loss(logits, second, 1 - share)
            labels = torch.where(share < 0.5, second, first)  # counted as the class with the larger share
        self.tally.add(of_classes(logits.detach(), self.n_classes), labels)
        self._loss_sum += loss.detach().double() * len(labels)
        self._seen += len(labels)
        self.lr = self.trainer.optimizers[0].param_groups[0]["lr"]
        return loss if world() == 1 else loss * (len(labels) * world() / whole)  # DDP averages over devices

    def _with_features(self, loss: Tensor, tap: FeatureTap, labels: Tensor) -> Tensor:
        """Return the loss with what is asked of the features of the batch."""
        features = tap.take()
        if isinstance(self.loss, ClassLoss) and self.loss.needs_features:
            loss = loss + self.loss.penalty(features, labels)
        options = self.plan.eos
        if isinstance(options, Mapping) and self.current_epoch >= options["start"] * self.epochs:
            loss = with_synthetic(loss, features, labels, options=options, logits=tap.logits, measure=self.loss)
        return loss

    def validation_step(self, batch: tuple[Tensor, Tensor], batch_idx: int) -> None:
        """Count the predictions of a batch."""
        inputs, labels = batch
        self.tally.add(of_classes(self._logits(inputs), self.n_classes), labels)

    def on_save_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Store the settings of this training."""
        checkpoint["imblens"] = self.facts

    def forget(self) -> None:
        """Restart counting."""
        self.tally = self._new_tally()
        if self.trainer.training:
            self._seen = 0

    def mean_loss(self) -> float:
        """Return the mean loss over the images of the epoch."""
        return float(self._loss_sum) / max(self._seen, 1)

    def _logits(self, inputs: Tensor) -> Tensor:
        """Return logits (n, C), or (n, 1) of two classes, also of a network that returns more beside them."""
        one = isinstance(self.loss, LabelLoss) and self.labels.ndim == 1
        return logits_among(self.model(inputs), 1 if one else self.n_classes)

    def _new_tally(self) -> Tally:
        return Aurocs(self.n_classes) if self.labels.ndim == 2 else Recalls(self.n_classes)


def of_classes(logits: Tensor, n_classes: int) -> Tensor:
    """Return logits (B, C); one output z of two classes is (0, z)."""
    return logits if logits.shape[1] == n_classes else torch.cat([torch.zeros_like(logits), logits], dim=1)


def augmentation(schedule: Schedule, size: tuple[int, int] | None = None) -> nn.Sequential:
    """Return the augmentation of training images (B, 3, H, W) in [0, 1]: crop, flip, jitter, each image on its own.

    Args:
        schedule: which steps.
        size: (height, width) to which random windows are resized; default: those of the images.
    """
    steps: list[nn.Module] = []
    if schedule.window is not None:
        steps.append(_Window(schedule.window, size))
    elif schedule.pad:
        steps.append(_Crop(schedule.pad))
    if schedule.flip:
        steps.append(kornia.RandomHorizontalFlip(p=0.5))
    if schedule.jitter:
        spread = schedule.jitter
        steps.append(kornia.ColorJitter(brightness=spread, contrast=spread, saturation=spread, p=1.0))
    return nn.Sequential(*steps)


def shrunk(images: Tensor) -> Tensor:
    """Return images (B, 3, H, W) of 32 pixels or more at three quarters of their height and width."""
    height, width = images.shape[2:]
    if min(height, width) < 32:
        return images
    size = (height * 3 // 4, width * 3 // 4)
    return functional.interpolate(images, size, mode="bilinear", antialias=True)


class _Crop(nn.Module):
    """Kornia's random crop, created for the size of the images when they are first seen."""

    def __init__(self, pad: float) -> None:
        super().__init__()
        self.pad = pad
        self._crop: Any = None

    def forward(self, images: Tensor) -> Tensor:
        size = (images.shape[2], images.shape[3])
        if self._crop is None or self._crop.flags["size"] != size:
            pad = int(self.pad) if self.pad >= 1 else max(1, round(self.pad * min(size)))
            self._crop = kornia.RandomCrop(size, padding=pad, cropping_mode="slice")
        cropped: Tensor = self._crop(images)
        return cropped


class _Window(nn.Module):
    """A random window of each image, resized to `size` or that of the image: a crop before the resize (LOOKING, section 4).

    Share of the area and aspect ratio (3:4 to 4:3) are those of the released configuration's RandomResizedCrop.
    """

    def __init__(self, share: tuple[float, float], size: tuple[int, int] | None) -> None:
        super().__init__()
        self.share, self.size = share, size

    def forward(self, images: Tensor) -> Tensor:
        size = self.size or (images.shape[2], images.shape[3])
        cropped: Tensor = kornia.RandomResizedCrop(size, scale=self.share, ratio=(3 / 4, 4 / 3))(images)
        return cropped
