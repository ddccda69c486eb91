"""A user's data set or loader as a DataLoader that reads every instance once, in a fixed order."""

from __future__ import annotations

from typing import Any

import torch
from torch.utils import data
from torch.utils.data import BatchSampler, DataLoader, IterableDataset, Subset, default_collate

OWN_BATCHES = "{} makes its own batches, which are read as they come; it must give every instance once."


def loader_of(source: Any, name: str) -> tuple[Any, list[str]]:
    """Return a DataLoader in fixed order and sentences on what was changed.

    The collate function, the workers and the subset of a given loader are kept. Samplers that repeat, weigh or drop
    instances are reported.
    """
    if not isinstance(source, DataLoader):
        if hasattr(source, "dataset") and not isinstance(source, (torch.utils.data.Dataset, IterableDataset)):
            if hasattr(source, "__iter__"):
                return source, [f"{name}: {OWN_BATCHES.format(type(source).__name__)}"]
            return DataLoader(source.dataset, batch_size=getattr(source, "batch_size", None) or 1), []
        if hasattr(source, "with_format") and _unformatted(source):
            source = source.with_format("torch")
        if isinstance(source, IterableDataset):
            return DataLoader(source, batch_size=1), []
        if hasattr(source, "__getitem__") and hasattr(source, "__len__"):
            return DataLoader(source), []
        return source, []  # an iterable of batches
    if type(source).__iter__ is not DataLoader.__iter__:
        return source, [f"{name}: {OWN_BATCHES.format(type(source).__name__)}"]
    dataset: Any = source.dataset
    notes: list[str] = []
    if not isinstance(dataset, IterableDataset) and source.batch_sampler is not None:
        order, note = _order(source, len(dataset))
        dataset = dataset if order is None else Subset(dataset, order)
        notes = [] if note is None else [f"{name}: {note}"]
    if isinstance(dataset, IterableDataset) and source.num_workers > 1:
        notes.append(f"{name}: an iterable data set gives its instances to every worker; it is read without workers.")
        return _again(source, dataset, source.batch_size, workers=0), notes
    return _again(source, dataset, source.batch_size), notes


def length_of(dataset: Any) -> int | None:
    """Return how many instances a data set has; None where it does not state it, as streamed ones."""
    try:
        return len(dataset)
    except (TypeError, NotImplementedError):  # a chain of streamed sets has a `__len__` that fails
        return None


def _unformatted(dataset: Any) -> bool:
    """Whether a `datasets.Dataset`, or a streamed one, gives Python lists."""
    given = getattr(dataset, "format", None)
    return getattr(dataset, "_formatting", None) is None if given is None else given["type"] is None


def with_batch_size(loader: Any, size: int) -> Any:
    """Return the loader with another batch size.

    One that does not batch, makes its own batches or has its own collate function stays as it is: what is padded to the
    longest of a batch may depend on the batch.
    """
    if not isinstance(loader, DataLoader) or loader.batch_size is None or loader.collate_fn is not default_collate:
        return loader
    if type(loader).__iter__ is not DataLoader.__iter__:
        return loader
    return _again(loader, loader.dataset, size)


def _again(loader: Any, dataset: Any, size: int | None, workers: int | None = None) -> Any:
    batching = size if size is not None or loader.batch_sampler is None else 1
    n_workers = loader.num_workers if workers is None else workers
    options: dict[str, Any] = {"num_workers": n_workers, "collate_fn": loader.collate_fn}
    if n_workers:
        options |= {"worker_init_fn": loader.worker_init_fn, "timeout": loader.timeout}
        options |= {"multiprocessing_context": loader.multiprocessing_context}
    return DataLoader(dataset, batch_size=batching, **options)


def _order(loader: Any, n: int) -> tuple[list[int] | None, str | None]:
    """Return the instances that the sampler gives, None for all in order, and what is to be reported."""
    sampler = loader.sampler
    own_batches = loader.batch_sampler is not None and type(loader.batch_sampler) is not BatchSampler
    if isinstance(sampler, data.SubsetRandomSampler):
        order = sorted(int(i) for i in sampler.indices)
        return order, f"the loader's sampler gives {len(order):,} of {n:,} instances; they are read in ascending order."
    if isinstance(sampler, data.WeightedRandomSampler) or getattr(sampler, "replacement", False):
        return None, f"the loader's sampler repeats or weighs instances; each of the {n:,} instances is read once."
    if not own_batches and type(sampler) in (data.SequentialSampler, data.RandomSampler):
        return None, None
    with torch.random.fork_rng(devices=[]):  # a sampler may draw
        drawn = [int(i) for batch in loader.batch_sampler for i in batch] if own_batches else [int(i) for i in sampler]
    order = sorted(set(drawn))
    changed = "repeats instances and " if len(order) < len(drawn) else ""
    return order, f"the loader's {type(loader.batch_sampler if own_batches else sampler).__name__} {changed}gives " \
        f"{len(order):,} of {n:,} instances; each is read once, in ascending order."  # fmt: skip
