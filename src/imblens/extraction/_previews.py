"""How instances that are not images are shown in reports: text, waveforms, values of a row; see `imblens.run.Split`."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from imblens.errors import InputError, ShapeError
from imblens.extraction._inputs import TEXT_KEYS, Inputs
from imblens.run import PREVIEWS

NO_TEXT = (
    "id",
    "ids",
    "path",
    "file",
    "filename",
    "image_id",
    "name",
    "label",
    "labels",
    "target",
    "targets",
    "y",
    "class",
)
TOKEN_KEYS = ("input_ids", "tokens", "token_ids", "ids", "text")
AUDIO_KEYS = ("input_values", "waveform", "audio")
TEXT_LENGTH = 300  # characters of a text preview
STRETCHES = 128  # of a waveform
SHORTEST, LONGEST_ROW = 256, 4096  # samples of (b, channels, T); of (b, T), where rows of numbers may be no signal
MOST_VALUES = 256  # numbers of a row that are kept


class Previews:
    """The previews of one split, of the kind that its first batch gives.

    Attributes:
        names: of the values of a row, where that is the kind.
    """

    def __init__(self, given: Any, name: str, tokenizer: Any, value_names: Sequence[str] | None = None) -> None:
        """Prepare for the split `name`.

        Args:
            given: True finds previews in the batches, False takes none; a list with one for each instance, a function of
                the batch that returns such a list, or a mapping of lists or functions by split. Its entries are text,
                images (uint8 arrays or of Pillow), or numbers of a signal. `{"names": [...]}` names the values of rows.
            name: of the split.
            tokenizer: decodes tokens: an object with `batch_decode` or `decode`, a function of a list of numbers, or the
                words by number.
            value_names: of the values of a row, where known.
        """
        self.names: list[str] | None = None
        named = given.get("names", value_names) if isinstance(given, Mapping) else value_names
        self._given_names = None if named is None else [str(entry) for entry in named]
        self._given = given.get(name, True) if isinstance(given, Mapping) else given
        self._split, self._tokenizer = name, tokenizer
        self._column: str | None = None
        self._width = 0
        self._started = False

    def columns(
        self, batch: Any, inputs: Inputs, rows: range, image: NDArray[np.uint8] | None
    ) -> tuple[dict[str, Any], Sequence[Any] | None]:
        """Return columns of a batch, and images for thumbnails.

        Raises:
            ShapeError: a list or function gives another number of previews than instances.
        """
        if self._given is False or self._given is None:
            return {}, None
        n = len(rows)
        if self._given is not True:
            return self._of_user(batch, rows)
        if image is not None:
            return {}, list(image)
        found = self._found(batch, inputs, n)
        if not self._started:
            self._started = True
            self._column, self._width = (found[0], np.shape(found[1])[-1]) if found is not None else (None, 0)
        if self._column is None:
            return {}, None
        if found is None or found[0] != self._column or (found[0] != "preview" and found[1].shape[1] != self._width):
            empty = [None] * n if self._column == "preview" else np.full((n, self._width), np.nan, np.float32)
            return {self._column: empty}, None
        return {self._column: found[1]}, None

    def _found(self, batch: Any, inputs: Inputs, n: int) -> tuple[str, Any] | None:
        texts = _texts(batch, inputs, n) or _decoded(self._tokenizer, inputs)
        if texts is not None and len(texts) == n:
            return PREVIEWS["text"], texts
        signal = _signal(inputs)
        if signal is not None:
            return PREVIEWS["waveform"], envelopes(signal)
        values = _values(inputs, n)
        if values is None:
            return None
        numbers, names = values
        if self._given_names is not None and len(self._given_names) == numbers.shape[1]:
            names = self._given_names
        self.names = names
        return PREVIEWS["values"], numbers

    def _of_user(self, batch: Any, rows: range) -> tuple[dict[str, Any], Sequence[Any] | None]:
        given = self._given
        found = list(given(batch)) if callable(given) else list(given[rows.start : rows.stop])
        if len(found) != len(rows):
            raise ShapeError(
                f"previews has {len(found)} entries for {len(rows)} {self._split} instances.",
                hint="Give one for each instance, or a function of the batch that returns a list of them.",
            )
        first = next((entry for entry in found if entry is not None), "")
        if isinstance(first, str):
            return {PREVIEWS["text"]: [None if t is None else str(t)[:TEXT_LENGTH] for t in found]}, None
        arrays = [np.asarray(entry) for entry in found]
        if all(a.ndim == 1 and len(a) for a in arrays):
            return {PREVIEWS["waveform"]: np.concatenate([envelopes(a[None]) for a in arrays])}, None
        if all(a.dtype == np.uint8 and (a.ndim == 2 or (a.ndim == 3 and a.shape[2] in (3, 4))) for a in arrays):
            return {}, [np.repeat(a[..., None], 3, 2) if a.ndim == 2 else a[..., :3] for a in arrays]
        raise InputError(
            f"previews holds {type(first).__name__} of shape {arrays[0].shape}.",
            hint="Give texts, uint8 images (H, W, 3), or 1-D numbers of a signal.",
        )


def envelopes(signal: NDArray[Any]) -> NDArray[np.float32]:
    """Return (b, 256) of (b, T): lowest and highest sample of 128 equal stretches, in turn.

    Example:
        >>> envelopes(np.arange(512)[None])[0, :4].tolist()
        [0.0, 3.0, 4.0, 7.0]
    """
    n = signal.shape[1]
    edges = np.linspace(0, n, STRETCHES + 1)
    starts = np.minimum(edges[:-1].astype(int), n - 1)
    ends = np.maximum(np.ceil(edges[1:]).astype(int), starts + 1)
    pairs = [
        (signal[:, low:high].min(axis=1), signal[:, low:high].max(axis=1))
        for low, high in zip(starts, ends, strict=True)
    ]
    return np.array(pairs, dtype=np.float32).transpose(2, 0, 1).reshape(len(signal), -1)


def _texts(batch: Any, inputs: Inputs, n: int) -> list[str] | None:
    """Return the texts of a batch: under the usual keys, else all entries of text; of inputs that are text themselves."""

    def is_text(value: Any) -> bool:
        return isinstance(value, (list, tuple)) and len(value) == n and all(isinstance(text, str) for text in value)

    found: list[Any] = []
    if isinstance(batch, Mapping):
        entries = {key: value for key, value in batch.items() if str(key).lower() not in NO_TEXT and is_text(value)}
        usual = next((key for key in TEXT_KEYS if key in entries), None)
        found = [entries[usual]] if usual is not None else list(entries.values())
    elif inputs.args and is_text(inputs.args[0]):
        found = [inputs.args[0]]
    return [" | ".join(parts)[:TEXT_LENGTH] for parts in zip(*found, strict=True)] if found else None


def _decoded(tokenizer: Any, inputs: Inputs) -> list[str] | None:
    """Return the tokens as text."""
    if tokenizer is None:
        return None
    tokens = next((inputs.kwargs[key] for key in TOKEN_KEYS if key in inputs.kwargs), None)
    if tokens is None:
        tokens = next((leaf for leaf in inputs.leaves() if leaf.ndim == 2 and not leaf.is_floating_point()), None)
    if tokens is None or not hasattr(tokens, "tolist"):
        return None
    rows: list[list[int]] = tokens.tolist()
    if hasattr(tokenizer, "batch_decode"):
        texts = tokenizer.batch_decode(rows, skip_special_tokens=True)
    elif hasattr(tokenizer, "decode") or callable(tokenizer):
        decode = getattr(tokenizer, "decode", tokenizer)
        texts = [decode(row) for row in rows]
    else:
        texts = [" ".join(str(tokenizer[token]) for token in row) for row in rows]
    joined = [text if isinstance(text, str) else " ".join(map(str, text)) for text in texts]
    return [text[:TEXT_LENGTH] for text in joined]


def _signal(inputs: Inputs) -> NDArray[np.float32] | None:
    """Return the one signal (b, T) among the inputs, the first channel of two; None where there is none."""
    floating = [leaf for leaf in inputs.leaves() if leaf.is_floating_point()]
    named = [inputs.kwargs[key] for key in AUDIO_KEYS if hasattr(inputs.kwargs.get(key), "is_floating_point")]
    found: list[torch.Tensor] = []
    for leaf in named or floating:
        long = leaf.ndim == 3 and leaf.shape[1] <= 2 and leaf.shape[2] >= SHORTEST
        if long or (leaf.ndim == 2 and leaf.shape[1] > (SHORTEST if named else LONGEST_ROW)):
            found.append(leaf[:, 0] if long else leaf)
    return found[0].float().numpy() if len(found) == 1 else None


def _values(inputs: Inputs, n: int) -> tuple[NDArray[np.float32], list[str]] | None:
    """Return the numbers (n, F) of rows of a table and their names; None where inputs are anything else."""
    named: list[tuple[str, Any]] = [(str(i), value) for i, value in enumerate(inputs.args)]
    named = ([("", named[0][1])] if len(named) == 1 else named) + list(inputs.kwargs.items())
    leaves = inputs.leaves()
    if len(leaves) != len(named) or not any(leaf.is_floating_point() for leaf in leaves):
        return None
    if any(leaf.ndim not in (1, 2) or len(leaf) != n for leaf in leaves):
        return None
    blocks = [leaf.float().reshape(n, -1).numpy() for leaf in leaves]
    if sum(block.shape[1] for block in blocks) > MOST_VALUES:
        return None
    names: list[str] = []
    for (key, _), leaf, block in zip(named, leaves, blocks, strict=True):
        places = range(block.shape[1])
        if leaf.ndim == 1:
            names.append(key or "value")
        else:
            names += [
                f"{key}[{i}]" if key and not key.isdigit() else f"input {key}, value {i}" if key else f"value {i}"
                for i in places
            ]
    return np.concatenate(blocks, axis=1), names


Given = bool | Sequence[Any] | Callable[[Any], Sequence[Any]] | Mapping[str, Any]
