"""Reading one item ahead in a thread: order, errors, and filters of warnings, which all threads share."""

from __future__ import annotations

import threading
import warnings

import pytest

from imblens.data import _decode, decode, one_ahead
from tests.data.helpers import pixels, png


def test_one_item_is_read_ahead_and_no_more():
    read = [threading.Event() for _ in range(5)]

    def reading(item):
        read[item].set()
        return 10 * item

    for number, result in enumerate(one_ahead(reading, range(5))):
        assert result == 10 * number
        assert number == 4 or read[number + 1].wait(20)
        assert not any(event.is_set() for event in read[number + 2 :])
    assert list(one_ahead(reading, ())) == []


def test_an_error_comes_in_its_place_and_the_thread_ends():
    before, seen = threading.active_count(), []
    with pytest.raises(ZeroDivisionError):
        for result in one_ahead(lambda item: 6 // item, [3, 2, 0, 1]):
            seen.append(result)
    assert seen == [2, 3] and threading.active_count() == before


@pytest.mark.parametrize("error", [ValueError, KeyboardInterrupt])
def test_nothing_is_read_after_an_item_that_fails(error):
    read = []

    def reading(item):
        read.append(item)
        if item == 1:
            raise error
        return item

    with pytest.raises(error):
        list(one_ahead(reading, range(4)))
    assert read == [0, 1]


def test_the_thread_ends_with_a_loop_that_fails():
    before = threading.active_count()
    with pytest.raises(KeyError):
        for _ in one_ahead(abs, range(5)):
            raise KeyError
    assert threading.active_count() == before


def test_filters_of_warnings_are_left_alone_by_the_thread_and_put_back(monkeypatch):
    real, found, image = _decode._refuse_large, [], png(pixels(1)[0])
    monkeypatch.setattr(_decode, "_refuse_large", lambda *given: found.append(warnings.filters) or real(*given))
    before = warnings.filters
    for _ in one_ahead(lambda _: decode(image, "an image"), range(3)):
        inside = warnings.filters
    assert len(found) == 3 and all(filters is inside for filters in found)
    assert warnings.filters is before
    decode(image, "an image")
    assert found[3] is not inside and warnings.filters is before


def test_warnings_of_decoding_are_ignored_and_others_are_not():
    def reading(module):
        warnings.warn_explicit("of a file", UserWarning, "file.py", 1, module=module)

    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert list(one_ahead(reading, ["PIL.Image", "imblens.data._decode"])) == [None, None]
        with pytest.raises(UserWarning):
            list(one_ahead(reading, ["user.network"]))
