"""An autoencoder and three adversarial games, each as one Lightning module of the same kind."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Mapping, Sequence
from typing import Any

import lightning.pytorch as lightning
import torch
from torch import Tensor, nn
from torch.nn import functional

from imblens.synthesis._networks import Canvas, ClassEncoder, Decoder, Encoder


class Game(lightning.LightningModule):
    """Networks that are trained in turns, and their losses.

    Attributes:
        history: one row per step: name of a loss to its value.
    """

    def __init__(self, learning_rate: float) -> None:
        super().__init__()
        self.automatic_optimization = False
        self.learning_rate = learning_rate
        self.history: list[dict[str, float]] = []

    @abstractmethod
    def players(self) -> Sequence[Sequence[nn.Module]]:
        """Return the networks that each optimizer moves."""

    @abstractmethod
    def play(self, images: Tensor, labels: Tensor) -> Mapping[str, Tensor]:
        """Take one step of every player; return the losses."""

    def configure_optimizers(self) -> Any:
        """Return an Adam for each player, as DCGAN (Radford et al. 2016)."""
        return [
            torch.optim.Adam(nn.ModuleList(player).parameters(), lr=self.learning_rate, betas=(0.5, 0.999))
            for player in self.players()
        ]

    def training_step(self, batch: tuple[Tensor, Tensor], batch_idx: int) -> None:
        """Take one step, and record the losses."""
        self.history.append({name: float(loss.detach()) for name, loss in self.play(*batch).items()})

    def move(self, player: int, loss: Tensor) -> Tensor:
        """Take an optimizer step for one player; the others do not change."""
        optimizers = self.optimizers()
        optimizer = optimizers[player] if isinstance(optimizers, list) else optimizers
        optimizer.zero_grad()
        self.manual_backward(loss)
        optimizer.step()
        return loss

    def noise(self, n: int, size: int) -> Tensor:
        """Return (n, size) standard normal numbers."""
        return torch.randn(n, size, device=self.device)


class Autoencoder(Game):
    """Encoder and decoder that reproduce images.

    With `penalty`, the second half of a batch is of one class. Its encodings are shuffled before decoding and must
    reproduce the images in their original order ("paper"), or the image of each encoding without training the encoder
    ("released").
    """

    def __init__(
        self, canvas: Canvas, width: int, latent: int, learning_rate: float, penalty: str | None = None
    ) -> None:
        """Draw weights from torch's global random state."""
        super().__init__(learning_rate)
        self.encoder, self.decoder = Encoder(canvas, width, latent), Decoder(canvas, width, latent)
        self.penalty = penalty

    def players(self) -> Sequence[Sequence[nn.Module]]:
        """Return encoder and decoder as one player."""
        return [[self.encoder, self.decoder]]

    def play(self, images: Tensor, labels: Tensor) -> Mapping[str, Tensor]:
        """Take one step."""
        if self.penalty is None:
            return {"reconstruction": self.move(0, self._error(self.encoder(images), images))}
        half = len(images) // 2
        first, of_class = images[:half], images[half:]
        reconstruction = self._error(self.encoder(first), first)
        encodings = self.encoder(of_class)
        if self.penalty == "released":
            second = self._error(encodings.detach(), of_class)
        else:
            second = self._error(encodings[torch.randperm(len(of_class), device=self.device)], of_class)
        self.move(0, reconstruction + second)
        return {"reconstruction": reconstruction, "penalty": second}

    def _error(self, latent: Tensor, images: Tensor) -> Tensor:
        return functional.mse_loss(self.decoder(latent), images)


class BalancingGame(Game):
    """Second phase of BAGAN: a discriminator that predicts the class or "synthetic", and one generator of all classes.

    Args:
        start: the trained autoencoder. The decoder becomes the generator, the encoder's convolutions the discriminator's.
        means: (C, latent) of the encodings of each class.
        spreads: (C, latent, latent), square roots of their covariances.
        canvas, width, latent, learning_rate: as for the autoencoder.
    """

    means: Tensor
    spreads: Tensor

    def __init__(
        self, start: Autoencoder, means: Tensor, spreads: Tensor, canvas: Canvas, width: int, learning_rate: float
    ) -> None:
        """Draw the discriminator's last layer from torch's global random state."""
        super().__init__(learning_rate)
        self.generator = start.decoder
        self.discriminator = Encoder(canvas, width, len(means) + 1)
        self.discriminator.convolutions.load_state_dict(start.encoder.convolutions.state_dict())
        self.register_buffer("means", means)
        self.register_buffer("spreads", spreads)

    def players(self) -> Sequence[Sequence[nn.Module]]:
        """Return discriminator and generator."""
        return [[self.discriminator], [self.generator]]

    def make(self, labels: Tensor) -> Tensor:
        """Return an image of each requested class."""
        latent = self.means[labels]
        generated: Tensor = self.generator(
            latent + torch.einsum("nij,nj->ni", self.spreads[labels], self.noise(len(labels), latent.shape[1]))
        )
        return generated

    def play(self, images: Tensor, labels: Tensor) -> Mapping[str, Tensor]:
        """Take one step of each."""
        n_classes = len(self.means)
        n_generated = -(-len(labels) // n_classes)  # the count of a class in a balanced batch
        generated = self.make(torch.randint(n_classes, (n_generated,), device=self.device)).detach()
        truth = torch.cat([labels, labels.new_full((n_generated,), n_classes)])
        judged = functional.cross_entropy(self.discriminator(torch.cat([images, generated])), truth)
        self.move(0, judged)
        wanted = torch.randint(n_classes, (len(labels) + n_generated,), device=self.device)
        fooled = self.move(1, functional.cross_entropy(self.discriminator(self.make(wanted)), wanted))
        return {"discriminator": judged, "generator": fooled}


class ClassGame(Game):
    """A generator and a discriminator for one class, with the non-saturating loss."""

    def __init__(self, canvas: Canvas, width: int, latent: int, learning_rate: float) -> None:
        """Draw weights from torch's global random state."""
        super().__init__(learning_rate)
        self.latent = latent
        self.generator, self.discriminator = Decoder(canvas, width, latent), Encoder(canvas, width, 1)

    def players(self) -> Sequence[Sequence[nn.Module]]:
        """Return discriminator and generator."""
        return [[self.discriminator], [self.generator]]

    def make(self, labels: Tensor) -> Tensor:
        """Return as many images as there are labels."""
        generated: Tensor = self.generator(self.noise(len(labels), self.latent))
        return generated

    def play(self, images: Tensor, labels: Tensor) -> Mapping[str, Tensor]:
        """Take one step of each."""
        real, generated = self.discriminator(images), self.discriminator(self.make(labels).detach())
        judged = self.move(0, functional.softplus(-real).mean() + functional.softplus(generated).mean())
        fooled = self.move(1, functional.softplus(-self.discriminator(self.make(labels))).mean())
        return {"discriminator": judged, "generator": fooled}


class ConvexGame(Game):
    """GAMO: a generator of convex combinations against a classifier and a discriminator.

    Args:
        members: by class that is to grow, (n, channels, height, width) real images that its synthetic ones combine.
        n_classes: C.
        canvas, width, latent, learning_rate: as for the others.
    """

    def __init__(
        self,
        members: Mapping[int, Tensor],
        n_classes: int,
        canvas: Canvas,
        width: int,
        latent: int,
        learning_rate: float,
    ) -> None:
        """Draw weights from torch's global random state."""
        super().__init__(learning_rate)
        self.latent, self.grown = latent, sorted(members)
        self.classifier, self.discriminator = Encoder(canvas, width, n_classes), ClassEncoder(canvas, width, n_classes)
        hidden = 4 * width
        self.shared = nn.Sequential(  # the paper's conditional transient mapping unit
            nn.Linear(latent + n_classes, hidden), nn.LeakyReLU(0.2), nn.Linear(hidden, hidden), nn.LeakyReLU(0.2)
        )
        self.units = nn.ModuleDict({str(c): nn.Linear(hidden, len(members[c])) for c in self.grown})
        for c in self.grown:
            self.register_buffer(f"members_{c}", members[c], persistent=False)
        self.n_classes = n_classes

    def players(self) -> Sequence[Sequence[nn.Module]]:
        """Return classifier, discriminator and generator."""
        return [[self.classifier], [self.discriminator], [self.shared, self.units]]

    def make(self, labels: Tensor) -> Tensor:
        """Return an image of each requested class."""
        known = functional.one_hot(labels, self.n_classes).to(self.dtype)
        hidden = self.shared(torch.cat([self.noise(len(labels), self.latent), known], dim=1))
        generated = hidden.new_zeros(len(labels), *getattr(self, f"members_{self.grown[0]}").shape[1:])
        for c in self.grown:
            of_class = torch.nonzero(labels == c)[:, 0]
            if len(of_class):
                shares = self.units[str(c)](hidden[of_class]).softmax(dim=1)  # (n, members)
                generated = generated.index_copy(
                    0, of_class, torch.tensordot(shares, getattr(self, f"members_{c}"), dims=1)
                )
        return generated

    def play(self, images: Tensor, labels: Tensor) -> Mapping[str, Tensor]:
        """Take one step of each."""
        grown = torch.tensor(self.grown, device=self.device)
        wanted = grown[torch.randint(len(grown), (len(labels),), device=self.device)]
        generated = self.make(wanted).detach()
        predictions = self.classifier(torch.cat([images, generated])).softmax(dim=1)
        truth = functional.one_hot(torch.cat([labels, wanted]), self.n_classes).to(predictions.dtype)
        named = self.move(0, (predictions - truth).square().sum(dim=1).mean())
        real, false = self.discriminator.score(images, labels), self.discriminator.score(generated, wanted)
        judged = self.move(1, ((real - 1).square() + false.square()).mean())
        generated = self.make(wanted)
        own = self.classifier(generated).softmax(dim=1).gather(1, wanted[:, None]).square().mean()
        fooled = self.move(2, own + (self.discriminator.score(generated, wanted) - 1).square().mean())
        return {"classifier": named, "discriminator": judged, "generator": fooled}
