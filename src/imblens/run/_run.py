"""A run: what a network made of a data set, ready for every lens and treatment."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from os import PathLike
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, TypeVar

import numpy as np
from numpy.typing import NDArray

from imblens.errors import InputError, ShapeError
from imblens.run._check import class_names, features_matrix, labels_vector, named_labels, one_column
from imblens.run._split import Part, Split

if TYPE_CHECKING:
    from imblens.run._neighbours import NeighbourGraph

Task = Literal["multiclass", "multilabel"]
Arrays = Sequence[Any]
Result = TypeVar("Result")


@dataclass(frozen=True)
class Head:
    """The last linear layer: logits = features @ weight.T + bias.

    Attributes:
        weight: (C, D) float32.
        bias: (C,) float32.
    """

    weight: NDArray[np.float32]
    bias: NDArray[np.float32]

    def __call__(self, features: NDArray[Any]) -> NDArray[np.float32]:
        """Return (n, C) logits of (n, D) features."""
        return (features @ self.weight.T + self.bias).astype(np.float32, copy=False)

    @classmethod
    def checked(cls, weight: Any, bias: Any | None, *, dim: int, n_classes: int) -> Head:
        """Check a head against D features and C classes; a missing bias is zero.

        Raises:
            ShapeError: weight is not (C, D) or bias not (C,).
        """
        matrix = features_matrix(weight, "head_weight")
        if matrix.shape != (n_classes, dim):
            turned = " It looks transposed." if matrix.shape == (dim, n_classes) else ""
            raise ShapeError(
                f"head_weight has shape {matrix.shape}; {n_classes} classes and {dim} features need "
                f"({n_classes}, {dim}).{turned}",
                hint="Give the weight of the last linear layer, one row per class.",
            )
        vector = np.zeros(n_classes, np.float32) if bias is None else np.asarray(bias)
        if vector.shape != (n_classes,):
            raise ShapeError(
                f"head_bias has shape {vector.shape}, {n_classes} classes need ({n_classes},).",
                hint="Give one number per class.",
            )
        return cls(matrix, features_matrix(vector[None], "head_bias")[0])


@dataclass(frozen=True)
class Run:
    """Splits, head and classes of one network on one data set. Nothing in it is ever changed in place.

    Attributes:
        train: the training split.
        test: the held-out split, or None.
        head: the last linear layer, or None.
        classes: C names.
        task: "multiclass" or "multilabel".
        meta: what made it (data, model, loss, seed, versions): plain JSON values.
        synthetic: training instances that a treatment added in feature space, or None.
        val: instances to choose on (thresholds, options of treatments), neither trained nor tested on; or None.
        path: the folder it was read from, or None.
    """

    train: Split
    test: Split | None
    head: Head | None
    classes: tuple[str, ...]
    task: Task = "multiclass"
    meta: Mapping[str, Any] = field(default_factory=dict)
    synthetic: Split | None = None
    val: Split | None = None
    path: Path | None = None
    _memory: dict[Any, Any] = field(default_factory=dict, init=False, repr=False, compare=False)

    def __repr__(self) -> str:
        """Return one line: splits, features, classes."""
        sizes = ", ".join(f"{len(split):,} {name}" for name, split in self.splits.items())
        head = "with head" if self.head is not None else "no head"
        return f"Run({self.task}: {sizes} instances x {self.dim} features, {self.n_classes} classes, {head})"

    def remember(self, key: Any, compute: Callable[[], Result]) -> Result:
        """Return what was computed under `key` before, or compute it; a copy with another head starts afresh."""
        if key not in self._memory:
            self._memory[key] = compute()
        found: Result = self._memory[key]
        return found

    @property
    def n_classes(self) -> int:
        """C."""
        return len(self.classes)

    @property
    def dim(self) -> int:
        """D."""
        return self.train.dim

    @property
    def splits(self) -> dict[str, Split]:
        """The splits there are, by name."""
        found = {"train": self.train, "val": self.val, "test": self.test, "synthetic": self.synthetic}
        return {name: split for name, split in found.items() if split is not None}

    def neighbours(self, k: int, *, approximate: bool | None = None) -> NeighbourGraph:
        """The k nearest other training instances of every training instance, nearest first.

        Computed once at the largest k asked for so far and sliced after that.

        Args:
            k: 1 or more; at most all others are found.
            approximate: whether an approximate search, with its recall measured on a sample, will do, here and for all that
                asks later for as many neighbours or fewer. None: what is known already, else above 300,000 instances.

        Raises:
            DependencyError: approximate=True without pynndescent.
        """
        from imblens.run._neighbours import neighbour_graph

        known = self.searched
        unlike = known is not None and approximate is not None and known.exact is approximate
        if known is None or unlike or known.k < min(k, len(self.train) - 1):
            known = neighbour_graph(self.train.features, k, approximate=approximate)
            self.train._cache["neighbours"] = known
        return known.first(k)

    @property
    def searched(self) -> NeighbourGraph | None:
        """The neighbours that were searched before, or None: nothing is searched for this."""
        found: NeighbourGraph | None = self.train._cache.get("neighbours")
        return found

    def with_head(self, head: Head, *, synthetic: Split | None = None, **meta: Any) -> Run:
        """Return this run as another head would have it: same features, logits computed from `head`."""
        return replace(
            self,
            train=_rehead(self.train, head),
            test=None if self.test is None else _rehead(self.test, head),
            val=None if self.val is None else _rehead(self.val, head),
            synthetic=synthetic,
            head=head,
            meta={**self.meta, **meta},
            path=None,
        )

    @classmethod
    def from_arrays(
        cls,
        *,
        train: Arrays,
        test: Arrays | None = None,
        val: Arrays | None = None,
        head: Any | None = None,
        classes: Sequence[str] | None = None,
        meta: Mapping[str, Any] | None = None,
    ) -> Run:
        """Make a run of arrays; only training features and labels are required.

        Args:
            train: (features (N, D), labels (N,) or (N, C)) or with logits (N, C) as third. Labels (N, 1) count as (N,).
            test: the same for held-out instances.
            val: the same for instances to choose on.
            head: (weight (C, D), bias (C,)) of the last linear layer, or the layer: what has `weight` and `bias`.
            classes: C names. Without them, classes are numbered by the logit columns, the head's rows, or, where
                neither is there, by the labels' sorted values (which may then be text or have gaps).
            meta: what made the arrays; goes into reports.

        Raises:
            InputError, ShapeError: the message names the argument, what was found and what to do.

        Example:
            >>> import numpy as np
            >>> rng = np.random.default_rng(0)
            >>> run = Run.from_arrays(train=(rng.normal(size=(6, 3)), ["a", "a", "a", "b", "b", "c"]))
            >>> run.classes, run.train.class_counts.tolist()
            (('a', 'b', 'c'), [3, 2, 1])
        """
        given = {"train": _triple(train, "train")}
        if test is not None:
            given["test"] = _triple(test, "test")
        if val is not None:
            given["val"] = _triple(val, "val")
        features = {name: features_matrix(values[0], f"{name}_features") for name, values in given.items()}
        dim = features["train"].shape[1]
        for name, matrix in features.items():
            if matrix.shape[1] != dim:
                raise ShapeError(
                    f"{name}_features has {matrix.shape[1]} columns, train_features {dim}.",
                    hint="Capture all splits with the same network.",
                )
        logits = {
            name: features_matrix(values[2], f"{name}_logits")
            for name, values in given.items()
            if values[2] is not None
        }
        layer = None if head is None else _weight_and_bias(head)
        n_classes = _count_classes(given, logits, layer, dim)
        if classes is None and n_classes is None:
            numbered, names = named_labels([(f"{name}_labels", values[1]) for name, values in given.items()])
            labels: dict[str, NDArray[Any]] = dict(zip(given, numbered, strict=True))
        else:
            names = class_names(range(n_classes) if classes is None and n_classes else classes, n_classes)
            labels = {name: _as_indices(values[1], names) for name, values in given.items()}
        for name in given:
            labels[name] = labels_vector(labels[name], f"{name}_labels", names, len(features[name]))
            found = logits.get(name)
            if found is not None and found.shape != (len(features[name]), len(names)):
                raise ShapeError(
                    f"{name}_logits has shape {found.shape}; {len(features[name])} instances and {len(names)} classes "
                    f"need ({len(features[name])}, {len(names)}).",
                    hint="Give one row per instance and one column per class.",
                )
        multilabel = {array.ndim == 2 for array in labels.values()}
        if len(multilabel) > 1:
            raise ShapeError("the splits' labels differ in kind.", hint="Give all as (N,) or all as (N, C).")
        last = None if layer is None else Head.checked(*layer, dim=dim, n_classes=len(names))
        splits = {
            name: Split((Part(features[name], labels[name], logits.get(name)),), names, name, last) for name in given
        }
        _two_classes(splits["train"])
        return cls(
            train=splits["train"],
            test=splits.get("test"),
            val=splits.get("val"),
            head=last,
            classes=names,
            task="multilabel" if multilabel.pop() else "multiclass",
            meta=dict(meta or {}),
        )

    @classmethod
    def load(cls, path: str | Path) -> Run:
        """Read a run folder or an ARRAYS.npz; features stay on disk until they are needed.

        Raises:
            MissingError: there is none at `path`.
            InputError: no path, or what lies there is damaged; the message names the file.
        """
        from imblens.run._store import load

        if not isinstance(path, (str, PathLike)):
            raise InputError(f"Run.load needs a path, found {_found(path)}.", hint="Pass that of a run, or an .npz.")
        return load(Path(path))

    def save(self, path: str | Path, *, force: bool = False) -> Path:
        """Write the run as a folder and return it; refuses to overwrite without `force`."""
        from imblens.run._store import save

        return save(self, Path(path), force=force)

    def install(self, model: Any) -> Any:
        """Put this run's head into `model`'s last linear layer, in place, and return the model.

        Raises:
            ShapeError: the layer does not have the head's shape.
        """
        from imblens.run._install import install

        return install(self, model)


def as_run(value: Any, asked: str) -> Run:
    """Return `value`, or say how a run is made of what was passed in its place.

    Raises:
        InputError: not a run.
    """
    if isinstance(value, Run):
        return value
    if isinstance(value, (str, Path)):
        hint = f"Read it first: imblens.{asked}(imblens.Run.load({str(value)!r}), ...)."
    else:
        hint = "Pass imblens.Run.load(PATH), Run.from_arrays(train=(features, labels), ...), or what capture returned."
    raise InputError(f"{asked} needs a Run, found {_found(value)}.", hint=hint)


def _found(value: Any) -> str:
    if isinstance(value, (str, Path)):
        return f"the {'text' if isinstance(value, str) else 'path'} {str(value)!r}"
    return "None" if value is None else f"a value of type {type(value).__name__}"


def _triple(values: Any, name: str) -> tuple[Any, Any, Any]:
    if not isinstance(values, (tuple, list)) or len(values) not in (2, 3):
        raise ShapeError(
            f"{name} must be (features, labels) or (features, labels, logits).",
            hint="Pass a tuple of arrays.",
        )
    return values[0], one_column(values[1], f"{name}_labels"), values[2] if len(values) == 3 else None


def _weight_and_bias(head: Any) -> tuple[Any, Any]:
    """The weight and bias of a pair, of a weight alone, or of a layer that has both."""
    if hasattr(head, "weight"):  # a torch.nn.Linear, or our own Head
        head = (head.weight, getattr(head, "bias", None))
    if not isinstance(head, (tuple, list)) or len(head) not in (1, 2):
        raise InputError(
            f"head must be (weight, bias) of the last linear layer, or the layer itself; found {_found(head)}.",
            hint="Pass head=(weight, bias), with weight of shape (classes, features), or head=model.fc.",
        )
    bias: Any = head[1] if len(head) == 2 else None
    return head[0], bias.detach().cpu() if hasattr(bias, "detach") else bias


def _count_classes(
    given: Mapping[str, Any], logits: Mapping[str, Any], head: tuple[Any, Any] | None, dim: int
) -> int | None:
    for array in logits.values():
        return int(array.shape[1])
    if head is not None:
        shape = tuple(np.shape(head[0]))
        if len(shape) != 2:
            return None
        turned = shape[1] != dim and shape[0] == dim  # then its columns are the classes, and `Head.checked` says so
        return int(shape[1] if turned else shape[0])
    for _, labels, _ in given.values():
        if np.ndim(labels) == 2:
            return int(np.shape(labels)[1])
    return None


def _as_indices(labels: Any, names: tuple[str, ...]) -> Any:
    """Turn labels given as class names into their positions; leave numbers as they are."""
    array = np.asarray(labels)
    if array.dtype.kind not in "USO" or array.ndim != 1:
        return labels
    position = {name: i for i, name in enumerate(names)}
    unknown = next((v for v in array.tolist() if str(v) not in position), None)
    if unknown is not None:
        raise ShapeError(f"the label {unknown!r} is not one of the class names.", hint=f"They are: {', '.join(names)}.")
    return np.array([position[str(v)] for v in array.tolist()], dtype=np.int64)


def _two_classes(train: Split) -> None:
    if not train.multilabel and np.count_nonzero(train.class_counts) < 2:
        raise ShapeError(
            "train_labels holds fewer than two classes.",
            hint="Comparing classes needs instances of two or more.",
        )


def _rehead(latents: Split, head: Head) -> Split:
    parts = tuple(replace(part, logits=None) for part in latents.parts)
    kept = {key: value for key, value in latents._cache.items() if key in KEPT_WITH_FEATURES}
    return Split(parts, latents.classes, latents.name, head, kept)


KEPT_WITH_FEATURES = frozenset({"neighbours", "moments", "range"})  # statistics that no head changes
