"""A transformers.Trainer as the arguments of `capture`: its network, data sets, collator and label names."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from torch.utils.data import DataLoader

from imblens.errors import InputError
from imblens.extraction._inputs import TEXT_KEYS

_ALWAYS = ("label", "label_ids")  # columns that collators turn into labels


def is_trainer(value: Any) -> bool:
    """Return whether `value` is a Trainer of transformers, which need not be installed."""
    return any(
        kind.__name__ == "Trainer" and kind.__module__.startswith("transformers.") for kind in type(value).__mro__
    )


def trainer_arguments(trainer: Any, train: Any, val: Any, test: Any, label: Any) -> dict[str, Any]:
    """Return what `capture` takes from a trainer: model, splits as loaders, label and tokenizer.

    The evaluation set is the test split; where `test` is given, it is the validation split.

    Raises:
        InputError: there is no training set, or there are several evaluation sets.
    """
    given = {"train": train if train is not None else trainer.train_dataset, "test": test, "val": val}
    if given["train"] is None:
        raise InputError("the trainer has no train_dataset.", hint="Pass train=, or create the trainer with one.")
    held_out = trainer.eval_dataset
    free = next((name for name in ("test", "val") if given[name] is None), None)
    if held_out is not None and free is not None and not any(held_out is split for split in given.values()):
        if not isinstance(held_out, Mapping):
            given[free] = held_out
        elif test is None:
            raise InputError(
                f"the trainer has several evaluation sets: {', '.join(map(str, held_out))}.",
                hint="Choose one: test=trainer.eval_dataset[NAME].",
            )
    collate = _Collate(trainer)
    splits = {name: _loader(split, collate) for name, split in given.items()}
    tokenizer = getattr(trainer, "processing_class", None)
    names = list(getattr(trainer, "label_names", None) or [])
    return {
        "model": trainer.model,
        **splits,
        "label": label if label is not None or len(names) != 1 else names[0],
        "tokenizer": tokenizer if hasattr(tokenizer, "batch_decode") else None,
    }


class _Collate:
    """The trainer's collator on the columns that its network takes, with the text beside for previews."""

    def __init__(self, trainer: Any) -> None:
        self._collator: Callable[[list[Any]], Any] = trainer.data_collator
        self._columns: set[str] | None = None
        if trainer.args.remove_unused_columns:
            trainer._set_signature_columns_if_needed()
            self._columns = {*trainer._signature_columns, *_ALWAYS}

    def __call__(self, rows: list[Any]) -> Any:
        """Return the batch that the trainer's network receives."""
        if not all(isinstance(row, Mapping) for row in rows):
            return self._collator(rows)
        kept = rows
        if self._columns is not None:
            kept = [{key: value for key, value in row.items() if key in self._columns} for row in rows]
        batch = dict(self._collator(kept))
        for key in TEXT_KEYS:
            texts = [row.get(key) for row in rows]
            if key not in batch and all(isinstance(text, str) for text in texts):
                batch[key] = texts
        return batch


def _loader(split: Any, collate: Callable[[list[Any]], Any]) -> Any:
    """Return a loader of a data set; loaders, arrays and nothing stay as they are."""
    if split is None or isinstance(split, (DataLoader, tuple, Mapping)):
        return split
    iterable = not (hasattr(split, "__getitem__") and hasattr(split, "__len__"))
    if iterable and not hasattr(split, "__iter__"):
        return split
    return DataLoader(split, batch_size=32, collate_fn=collate)


def data_sets_classes(source: Any, label: Any = None) -> Sequence[str] | None:
    """Return the class names that a data set knows: `classes` of torchvision's, ClassLabel of `datasets`."""
    dataset = source
    for _ in range(8):
        inner = getattr(dataset, "dataset", None)
        if inner is None or isinstance(getattr(dataset, "features", None), Mapping):
            break
        dataset = inner
    features = getattr(dataset, "features", None)
    if isinstance(features, Mapping):
        keys = [label] if isinstance(label, str) else ["labels", "label", "target", "targets", "y"]
        keys += ["label"]  # collators rename it
        names = next((getattr(features[key], "names", None) for key in keys if key in features), None)
    else:
        names = getattr(dataset, "classes", None)
    plain = isinstance(names, (list, tuple)) and names and all(isinstance(name, str) for name in names)
    return [str(name) for name in names] if plain and names is not None else None
