"""Results are computed once, and a copy starts empty."""

from __future__ import annotations

import copy
import pickle
from concurrent.futures import ThreadPoolExecutor

import pytest

from imblens.base.memo import Memo


def test_a_result_is_computed_once():
    memo, calls = Memo(), []
    for _ in range(3):
        assert memo.get(("key", 1), lambda: calls.append(1) or "result") == "result"
    assert len(calls) == 1


def test_none_is_a_result():
    memo, calls = Memo(), []
    for _ in range(2):
        assert memo.get("none", lambda: calls.append(1)) is None
    assert len(calls) == 1


def test_an_error_keeps_nothing():
    memo = Memo()
    with pytest.raises(ZeroDivisionError):
        memo.get("ratio", lambda: 1 / 0)
    assert memo.get("ratio", lambda: 2) == 2


def test_a_result_may_need_another():
    memo = Memo()
    assert memo.get("sum", lambda: memo.get("one", lambda: 1) + 1) == 2
    assert memo.known("one") == 1


def test_put_replaces():
    memo = Memo()
    memo.put("graph", 1)
    memo.put("graph", 2)
    assert memo.known("graph") == 2


@pytest.mark.parametrize("copied", [copy.copy, copy.deepcopy, lambda memo: pickle.loads(pickle.dumps(memo))])
def test_a_copy_starts_empty(copied):
    memo = Memo()
    memo.put("a", 1)
    other = copied(memo)
    assert other.known("a") is None
    other.put("a", 2)
    assert memo.known("a") == 1


def test_threads_get_one_object():
    memo = Memo()
    with ThreadPoolExecutor(8) as pool:
        results = list(pool.map(lambda _: memo.get("object", object), range(200)))
    assert len({id(result) for result in results}) == 1
