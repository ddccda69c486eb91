"""Pickles as Python 2 wrote them, which is how CIFAR is published: opcode by opcode, since Python 3 writes others."""

from __future__ import annotations

import struct
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np


def _text(value: bytes) -> bytes:
    if len(value) < 256:
        return b"U" + bytes([len(value)]) + value
    return b"T" + struct.pack("<i", len(value)) + value


def _number(value: int) -> bytes:
    return b"K" + bytes([value]) if value < 256 else b"J" + struct.pack("<i", value)


def _array(array: np.ndarray) -> bytes:
    shape = b"".join(_number(side) for side in array.shape)
    return (
        b"cnumpy.core.multiarray\n_reconstruct\n"
        + b"cnumpy\nndarray\n" + _number(0) + b"\x85" + _text(b"b") + b"\x87R"
        + b"(" + _number(1) + shape + (b"\x86" if array.ndim == 2 else b"\x85")
        + b"cnumpy\ndtype\n" + _text(b"u1") + _number(0) + _number(1) + b"\x87R"
        + b"(" + _number(3) + _text(b"|") + b"NNNJ\xff\xff\xff\xffJ\xff\xff\xff\xff" + _number(0) + b"tb"
        + b"\x89" + _text(array.tobytes()) + b"tb"
    )  # fmt: skip


def _value(value: Any) -> bytes:
    if isinstance(value, bytes):
        return _text(value)
    if isinstance(value, np.ndarray):
        return _array(value)
    if isinstance(value, Sequence):
        return b"](" + b"".join(_value(item) for item in value) + b"e"
    return _number(int(value))


def python2_pickle(content: Mapping[bytes, Any]) -> bytes:
    """Protocol 2: dict of byte strings to byte strings, whole numbers, lists and arrays of bytes."""
    return b"\x80\x02}(" + b"".join(_text(key) + _value(value) for key, value in content.items()) + b"u."
