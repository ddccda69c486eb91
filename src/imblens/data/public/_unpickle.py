"""Reading CIFAR's pickles without running code.

A pickle is a program. This reader leaves out the instructions that make instances, look things up elsewhere or set memory
aside, and lets a file name only what builds arrays and bytes. Each name is replaced by a function
of this module, so that NumPy never reads what an array claims about itself. It is the standard library's reader in Python: the
one in C allocates memory for any position that a file mentions.
"""

from __future__ import annotations

import io
import math
import pickle
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

_REFUSED = (
    *(pickle.INST, pickle.OBJ, pickle.NEWOBJ, pickle.NEWOBJ_EX),  # make instances of classes
    *(pickle.EXT1, pickle.EXT2, pickle.EXT4, pickle.PERSID, pickle.BINPERSID),  # look things up elsewhere
    *(pickle.BYTEARRAY8, pickle.NEXT_BUFFER, pickle.READONLY_BUFFER),  # allocate before there is anything to read
    pickle.DICT,  # of the oldest protocol: takes any key
)


class _Dict(dict[Any, Any]):
    """A dict of text: the hash of a nested key can take for ever."""

    def __setitem__(self, key: Any, value: Any) -> None:
        if not isinstance(key, (str, bytes)):
            raise pickle.UnpicklingError(f"a key of type {type(key).__name__}")
        super().__setitem__(key.decode("utf-8", "replace") if isinstance(key, bytes) else key, value)


class _Type:
    """An array's element type as a pickle describes it: bytes, or nothing that we read."""

    def __init__(self, code: Any, *rest: Any) -> None:
        if code not in ("u1", b"u1", "uint8"):
            raise pickle.UnpicklingError("an array of something else than bytes")

    def set(self, state: Any) -> None:
        """Byte order and fields do not matter for single bytes."""


class _Array:
    """An array of bytes in the making; `value` once its state was read."""

    value: NDArray[np.uint8] | None = None

    def set(self, state: Any) -> None:
        """Take (version, shape, type, whether in Fortran order, bytes)."""
        _, shape, kind, fortran, data = state
        plain = isinstance(shape, tuple) and all(type(side) is int and side >= 0 for side in shape)
        if not plain or type(kind) is not _Type or not isinstance(data, bytes) or math.prod(shape) != len(data):
            raise pickle.UnpicklingError("an array whose bytes do not fit its shape")
        self.value = np.frombuffer(data, dtype=np.uint8).reshape(shape, order="F" if fortran else "C")


def _reconstruct(*claims: Any) -> _Array:
    return _Array()


def _encode(text: Any, encoding: Any = "latin1") -> bytes:
    if not isinstance(text, str) or encoding not in ("latin1", b"latin1"):
        raise pickle.UnpicklingError("text in an unknown encoding")
    return text.encode("latin1")


def _nothing(*claims: Any) -> None:
    raise pickle.UnpicklingError("a call of numpy.ndarray")


_KNOWN = {
    ("numpy.core.multiarray", "_reconstruct"): _reconstruct,
    ("numpy._core.multiarray", "_reconstruct"): _reconstruct,
    ("numpy", "ndarray"): _nothing,  # named as an argument, never called
    ("numpy", "dtype"): _Type,
    ("_codecs", "encode"): _encode,
}


class _Reader(pickle._Unpickler):
    stack: list[Any]
    dispatch: ClassVar[dict[int, Any]] = {
        code: do for code, do in pickle._Unpickler.dispatch.items() if bytes([code]) not in _REFUSED
    }

    def find_class(self, module: str, name: str) -> Any:
        if (module, name) not in _KNOWN:
            raise pickle.UnpicklingError(f"a call of {module[:80]}.{name[:80]}")
        return _KNOWN[module, name]

    def load_build(self) -> None:
        """Set the state of an array or a type; of nothing else, such as the functions that we lend."""
        state = self.stack.pop()
        if type(self.stack[-1]) not in (_Array, _Type):
            raise pickle.UnpicklingError("a state for something that has none")
        self.stack[-1].set(state)

    def load_empty_dictionary(self) -> None:
        self.stack.append(_Dict())

    dispatch[pickle.BUILD[0]] = load_build
    dispatch[pickle.EMPTY_DICT[0]] = load_empty_dictionary


def unpickle(data: bytes) -> dict[str, Any]:
    """Return the dict that a pickle of plain values and byte arrays holds, its keys as text.

    Raises:
        pickle.UnpicklingError: it is none, is damaged, or asks for anything else, which the message names.
    """
    try:
        found = _Reader(io.BytesIO(data), encoding="bytes").load()
    except pickle.UnpicklingError:
        raise
    except Exception as error:  # a damaged stream may fail in any instruction
        raise pickle.UnpicklingError(f"something that cannot be read ({type(error).__name__})") from error
    if type(found) is not _Dict:
        raise pickle.UnpicklingError(f"a {type(found).__name__.lower()} instead of a dict")
    return {key: value.value if isinstance(value, _Array) else value for key, value in found.items()}
