"""Reading CIFAR's pickles without running code.

A pickle is a program. `pickletools` lists its instructions, and this reader follows those that build plain values and arrays
of bytes; it has no others, such as those that make instances or look things up elsewhere. A file may name only what builds
arrays and bytes, and each name is replaced by a function of this module, so that NumPy never reads what an array claims
about itself.
"""

from __future__ import annotations

import math
import pickle
import pickletools
from typing import Any

import numpy as np
from numpy.typing import NDArray

_NUMBERS = {"INT", "BININT", "BININT1", "BININT2", "LONG", "LONG1", "LONG4", "FLOAT", "BINFLOAT"}
_TEXTS = {"UNICODE", "BINUNICODE", "SHORT_BINUNICODE", "BINUNICODE8"}
_BYTES = {"BINBYTES", "SHORT_BINBYTES", "BINBYTES8"}
_OLD_BYTES = {"STRING", "BINSTRING", "SHORT_BINSTRING"}  # text of Python 2, which `pickletools` decodes as Latin-1
_CONSTANTS = {"NONE": None, "NEWTRUE": True, "NEWFALSE": False}
_NEW = {"EMPTY_TUPLE": tuple, "EMPTY_LIST": list}
_TUPLES = {"TUPLE1": 1, "TUPLE2": 2, "TUPLE3": 3}


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


class _Reader:
    """A stack, the places that were marked on it, and what a pickle set aside by number."""

    def __init__(self) -> None:
        self.stack: list[Any] = []
        self.marks: list[int] = []
        self.memo: dict[int, Any] = {}

    def load(self, data: bytes) -> Any:
        """Follow all instructions and return what they leave."""
        for instruction, argument, _ in pickletools.genops(data):
            self._follow(instruction.name, argument)
        return self.stack.pop()

    def _follow(self, name: str, argument: Any) -> None:
        stack = self.stack
        if name in _NUMBERS | _TEXTS | _BYTES:
            stack.append(argument)
        elif name in _OLD_BYTES:
            stack.append(argument.encode("latin-1"))
        elif name in _CONSTANTS:
            stack.append(_CONSTANTS[name])
        elif name in _NEW:
            stack.append(_NEW[name]())
        elif name == "EMPTY_DICT":
            stack.append(_Dict())
        elif name == "MARK":
            self.marks.append(len(stack))
        elif name in ("TUPLE", "LIST"):
            stack.append((tuple if name == "TUPLE" else list)(self._since_mark()))
        elif name in _TUPLES:
            stack[-_TUPLES[name] :] = [tuple(stack[-_TUPLES[name] :])]
        elif name in ("APPEND", "APPENDS"):
            items = [stack.pop()] if name == "APPEND" else self._since_mark()
            list.extend(stack[-1], items)
        elif name in ("SETITEM", "SETITEMS"):
            items = [stack.pop(-2), stack.pop()] if name == "SETITEM" else self._since_mark()
            for key, value in zip(items[::2], items[1::2], strict=True):
                _Dict.__setitem__(stack[-1], key, value)
        elif name == "POP":
            stack.pop()
        elif name == "POP_MARK":
            self._since_mark()
        elif name == "DUP":
            stack.append(stack[-1])
        elif name in ("PUT", "BINPUT", "LONG_BINPUT", "MEMOIZE"):
            self.memo[len(self.memo) if name == "MEMOIZE" else argument] = stack[-1]
        elif name in ("GET", "BINGET", "LONG_BINGET"):
            stack.append(self.memo[argument])
        elif name == "GLOBAL":
            stack.append(_named(*argument.split(" ", 1)))
        elif name == "STACK_GLOBAL":
            stack.append(_named(stack.pop(-2), stack.pop()))
        elif name == "REDUCE":
            arguments, function = stack.pop(), stack.pop()
            if not any(function is known for known in _KNOWN.values()):
                raise pickle.UnpicklingError("a call of something that is not a function")
            stack.append(function(*arguments))
        elif name == "BUILD":  # of nothing else, such as the functions that we lend
            state = stack.pop()
            if type(stack[-1]) not in (_Array, _Type):
                raise pickle.UnpicklingError("a state for something that has none")
            stack[-1].set(state)
        elif name not in ("PROTO", "FRAME", "STOP"):
            raise pickle.UnpicklingError(f"something that cannot be read ({name})")

    def _since_mark(self) -> list[Any]:
        start = self.marks.pop()
        items = self.stack[start:]
        del self.stack[start:]
        return items


def _named(module: Any, name: Any) -> Any:
    if not isinstance(module, str) or not isinstance(name, str):
        raise pickle.UnpicklingError("a call of something without a name")
    if (module, name) not in _KNOWN:
        raise pickle.UnpicklingError(f"a call of {module[:80]}.{name[:80]}")
    return _KNOWN[module, name]


def unpickle(data: bytes) -> dict[str, Any]:
    """Return the dict that a pickle of plain values and byte arrays holds, its keys as text.

    Raises:
        pickle.UnpicklingError: it is none, is damaged, or asks for anything else, which the message names.
    """
    try:
        found = _Reader().load(data)
    except pickle.UnpicklingError:
        raise
    except Exception as error:  # a damaged stream may fail in any instruction
        raise pickle.UnpicklingError(f"something that cannot be read ({type(error).__name__})") from error
    if type(found) is not _Dict:
        raise pickle.UnpicklingError(f"a {type(found).__name__.lower()} instead of a dict")
    return {key: value.value if isinstance(value, _Array) else value for key, value in found.items()}
