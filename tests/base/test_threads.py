"""Work in threads: order, errors, and the threads of BLAS left as found."""

from __future__ import annotations

import sys
import threading

import numpy as np
import pytest

from imblens.base.threads import at_once, single_threaded_blas


def blas_threads() -> list[int]:
    from threadpoolctl import threadpool_info

    return [pool["num_threads"] for pool in threadpool_info() if pool["user_api"] == "blas"]


@pytest.fixture
def two_threads():
    from threadpoolctl import threadpool_limits

    with threadpool_limits(2, user_api="blas"):
        if 2 not in blas_threads():
            pytest.skip("this BLAS has one thread")
        yield


def test_results_keep_the_order_of_the_items(two_threads):
    first = threading.Event()

    def work(item):
        if item == 0:
            assert first.wait(10)  # the second item ends before the first
        else:
            first.set()
        return 10 * item

    assert at_once(work, range(4)) == [0, 10, 20, 30]


def test_large_copies_are_made_one_after_the_other(two_threads):
    running, most = [], []

    def work(item):
        running.append(item)
        most.append(len(running))
        running.remove(item)

    at_once(work, range(50), copied=2**30)
    assert most == [1] * 50


def test_an_error_is_raised_and_the_threads_of_blas_are_restored(two_threads):
    before = blas_threads()
    with pytest.raises(ZeroDivisionError):
        at_once(lambda item: 1 // item, [1, 0])
    assert blas_threads() == before


def test_a_thread_that_finds_blas_held_leaves_it_to_the_holder(two_threads):
    entered, leave = threading.Event(), threading.Event()
    found = []

    def hold():
        with single_threaded_blas() as usual:
            found.append((usual, blas_threads()))
            entered.set()
            leave.wait(10)

    other = threading.Thread(target=hold)
    with single_threaded_blas():
        other.start()
        assert entered.wait(10)
    leave.set()
    other.join()
    assert found[0][0] == 2
    assert set(found[0][1]) == {1}
    assert 2 in blas_threads()


def test_openmp_has_one_thread_in_each(two_threads):
    from sklearn.utils._openmp_helpers import _openmp_effective_n_threads

    assert set(at_once(lambda _: _openmp_effective_n_threads(), range(4))) == {1}


def test_products_are_those_of_one_thread(two_threads):
    left = np.random.default_rng(0).normal(size=(300, 500))
    with single_threaded_blas():
        alone = left @ left.T
    assert all(np.array_equal(alone, product) for product in at_once(lambda _: left @ left.T, range(3)))


def test_libraries_are_looked_for_again_only_when_modules_were_imported_since(monkeypatch):
    import threadpoolctl

    looked = []

    class Counted(threadpoolctl.ThreadpoolController):
        def __init__(self):
            looked.append(len(sys.modules))
            super().__init__()

    monkeypatch.setattr(threadpoolctl, "ThreadpoolController", Counted)
    monkeypatch.setitem(sys.modules, "imblens_first", threading)
    for _ in range(3):
        assert at_once(abs, [-1]) == [1]
    assert len(looked) == 1
    monkeypatch.setitem(sys.modules, "imblens_second", threading)
    assert at_once(abs, [-1]) == [1]
    assert len(looked) == 2
