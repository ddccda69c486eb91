"""The reader of CIFAR's pickles runs nothing, whatever it is given."""

from __future__ import annotations

import contextlib
import os
import pickle
import time

import numpy as np
import pytest

from imblens.data.public import unpickle
from tests.data.public.pickles import python2_pickle

DATA = np.random.default_rng(0).integers(0, 256, (5, 7), dtype=np.uint8)
CONTENT = {b"data": DATA, b"labels": [0, 3, 300, 1, 2], b"filenames": [b"a.png", b"b.png"], b"batch_label": b"one"}


def test_a_batch_written_by_python_2_is_read() -> None:
    found = unpickle(python2_pickle(CONTENT))
    assert (found["data"] == DATA).all() and found["data"].dtype == np.uint8
    assert found["labels"] == [0, 3, 300, 1, 2]
    assert found["filenames"] == [b"a.png", b"b.png"] and found["batch_label"] == b"one"
    told = pickle.loads(python2_pickle(CONTENT), encoding="bytes")  # the standard library agrees on what was written
    assert (told[b"data"] == DATA).all() and told[b"labels"] == found["labels"]


@pytest.mark.parametrize("protocol", [2, 3, 4])
@pytest.mark.parametrize("order", ["C", "F"])
def test_copies_that_python_3_wrote_are_read(protocol: int, order: str) -> None:
    array = np.array(DATA, order=order)
    found = unpickle(pickle.dumps({"data": array, "labels": [1, 2]}, protocol=protocol))
    assert (found["data"] == DATA).all() and found["labels"] == [1, 2]


class Calls:
    def __init__(self, function, *arguments):
        self.reduced = function, arguments

    def __reduce__(self):
        return self.reduced


def raw(body: bytes) -> bytes:
    return b"\x80\x02" + body + b"."


BIG = b"\x8a\x05" + (10**11).to_bytes(5, "little")  # LONG1
NESTED = b"K\x01K\x01\x86" + b"2\x86" * 60  # a tuple of pairs whose hash and text take 2**60 steps
HOSTILE = {
    "os.system": (pickle.dumps({"data": Calls(os.system, "touch {trap}")}), "a call of posix.system"),
    "eval": (pickle.dumps({"data": Calls(eval, "open({trap!r}, 'w')")}), "a call of builtins.eval"),
    "old protocol": (pickle.dumps(Calls(os.system, "touch {trap}"), protocol=0), "a call of posix.system"),
    "instance": (raw(b"(S'touch {trap}'\nios\nsystem\n"), "cannot be read"),
    "new object": (raw(b"cnumpy\nndarray\n)\x81"), "cannot be read"),
    "ndarray called": (raw(b"cnumpy\nndarray\n" + BIG + b"\x85R"), "a call of numpy.ndarray"),
    "object array": (pickle.dumps({"data": np.array([{}], dtype=object)}, protocol=2), "something else than bytes"),
    "float array": (pickle.dumps({"data": np.ones(3)}, protocol=2), "something else than bytes"),
    "numpy.load": (raw(b"cnumpy\nload\nS'x'\n\x85R"), "a call of numpy.load"),
    "getattr chain": (raw(b"cnumpy.core.multiarray\n_reconstruct.__globals__\n"), "a call of numpy.core.multiarray"),
    "persistent": (raw(b"Pevil\n"), "cannot be read"),
    "extension": (raw(b"\x82\x01"), "cannot be read"),
    "state of a function": (raw(b"cnumpy\ndtype\n}U\x03setU\x01xsb"), "a state for something"),
    "state of attributes": (raw(b"cnumpy\ndtype\nN}U\x03setU\x01xs\x86b"), "a state for something"),
    "memo far away": (raw(b"}r\xff\xff\xff\x7f"), None),
    "huge text": (raw(b"\x8e" + (2**62).to_bytes(8, "little")), "exhausted|cannot be read|truncated"),
    "huge bytearray": (raw(b"\x96" + (2**40).to_bytes(8, "little")), "cannot be read"),
    "key without end": (raw(b"}" + NESTED + b"K\x01s"), "a key of type tuple"),
    "type without end": (raw(b"cnumpy\ndtype\n" + NESTED + b"\x85R"), "something else than bytes"),
    "a list": (pickle.dumps([1, 2]), "a list instead of a dict"),
    "nothing": (b"", "cannot be read"),
    "text": (b"<html>404</html>", "cannot be read|invalid"),
}


@pytest.mark.parametrize("name", HOSTILE)
def test_hostile_pickles_do_nothing(tmp_path, name: str) -> None:
    data, message = HOSTILE[name]
    trap = str(tmp_path / "trap")
    start = time.perf_counter()
    if message is None:
        assert unpickle(data.replace(b"{trap}", trap.encode())) == {}
    else:
        with pytest.raises(pickle.UnpicklingError, match=message):
            unpickle(data)
    assert time.perf_counter() - start < 2
    assert not os.path.exists(trap) and not os.path.exists("{trap}")


def test_an_array_that_claims_more_than_it_holds_is_refused() -> None:
    honest = python2_pickle({b"data": DATA})
    lying = honest.replace(b"K\x05K\x07\x86", b"J\xff\xff\xff\x7fK\x07\x86")
    assert lying != honest
    with pytest.raises(pickle.UnpicklingError, match="do not fit its shape"):
        unpickle(lying)


def test_damage_is_refused_or_changes_values() -> None:
    random = np.random.default_rng(0)
    whole = python2_pickle(CONTENT)
    for trial in range(400):
        broken = bytearray(whole)
        if trial % 2:
            broken = broken[: random.integers(0, len(whole))]
        else:
            broken[random.integers(0, len(whole))] ^= 1 << random.integers(0, 8)
        with contextlib.suppress(pickle.UnpicklingError):  # anything else would be a fault of ours
            assert isinstance(unpickle(bytes(broken)), dict)
