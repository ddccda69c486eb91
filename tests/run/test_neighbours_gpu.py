"""Neighbours with products on a GPU are those of the processor, bit for bit; here torch's processor stands for a GPU."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from imblens.run import nearest, neighbour_graph

torch = pytest.importorskip("torch")
RNG = np.random.default_rng(4)
MIDDLES = RNG.normal(size=(7, 5)) * 6


def clustered(n: int) -> np.ndarray:
    return (MIDDLES[np.arange(n) % 7] + RNG.normal(size=(n, 5))).astype(np.float32)


DATA: dict[str, Callable[[], np.ndarray]] = {
    "normal": lambda: RNG.normal(size=(700, 9)).astype(np.float32),
    "clusters": lambda: clustered(2_100),
    "ties on a grid": lambda: RNG.integers(0, 4, size=(600, 3)).astype(np.float32),
    "a grid of many equal distances": lambda: np.stack(np.meshgrid(*[np.arange(9.0)] * 3), -1).reshape(-1, 3),
    "tiny clusters far apart": lambda: MIDDLES[np.arange(900) % 7] * 1e4 + RNG.normal(size=(900, 5)) * 1e-4,
    "float64": lambda: RNG.normal(size=(300, 4)) + 1e6,
    "one feature": lambda: RNG.normal(size=(400, 1)).astype(np.float32),
    "few rows": lambda: RNG.normal(size=(6, 3)).astype(np.float32),
}


@pytest.fixture
def with_gpu(monkeypatch: pytest.MonkeyPatch) -> Callable[[], list[int]]:
    """From its call on, searches take torch's processor for a GPU; gives the numbers of queries that were searched there."""
    seen: list[int] = []

    def gpu(n_queries: int, n_rows: int, dim: int) -> Any:
        seen.append(n_queries)
        return torch.device("cpu")

    def begin() -> list[int]:
        monkeypatch.setattr("imblens.run._exact.gpu_for", gpu)
        monkeypatch.setattr("imblens.run._on_gpu.TILE_NUMBERS", 300 * 1_024)  # several products for each block
        return seen

    return begin


@pytest.mark.parametrize("name", DATA)
@pytest.mark.parametrize("k", [1, 5, 20])
def test_the_graph_is_the_same(name: str, k: int, with_gpu: Callable[[], list[int]]) -> None:
    features = DATA[name]()
    usual = neighbour_graph(features, k)
    seen = with_gpu()
    found = neighbour_graph(features, k)
    assert len(seen) == 1 and found.exact
    np.testing.assert_array_equal(found.indices, usual.indices)
    np.testing.assert_array_equal(found.distances, usual.distances)


def test_new_rows_have_the_same_neighbours(with_gpu: Callable[[], list[int]]) -> None:
    base, queries = clustered(1_500), clustered(70)
    usual = nearest(base, queries, 4)
    with_gpu()
    for values, expected in zip(nearest(base, queries, 4), usual, strict=True):
        np.testing.assert_array_equal(values, expected)


def test_rows_with_too_many_candidates_are_searched_in_float64(
    with_gpu: Callable[[], list[int]], monkeypatch: pytest.MonkeyPatch
) -> None:
    from imblens.run import _exact

    features = DATA["tiny clusters far apart"]()
    with_gpu()
    again: list[int] = []
    real = _exact._Search.on_engine
    monkeypatch.setattr(
        _exact._Search, "on_engine", lambda self, rows, to: again.append(len(rows)) or real(self, rows, to)
    )
    neighbour_graph(features, 1)
    assert again == [len(features)]


def test_the_precision_of_products_is_set_and_put_back(with_gpu: Callable[[], list[int]]) -> None:
    features = DATA["normal"]()
    usual = neighbour_graph(features, 3)
    before = torch.get_float32_matmul_precision()
    try:
        torch.set_float32_matmul_precision("medium")
        with_gpu()
        with torch.autocast("cpu", dtype=torch.bfloat16):
            found = neighbour_graph(features, 3)
            assert torch.is_autocast_enabled("cpu")
        np.testing.assert_array_equal(found.distances, usual.distances)
        assert torch.get_float32_matmul_precision() == "medium"
    finally:
        torch.set_float32_matmul_precision(before)


def test_a_gpu_is_used_for_large_searches_on_which_the_base_fits(monkeypatch: pytest.MonkeyPatch) -> None:
    from imblens.run._on_gpu import gpu_for

    large = (100_000, 100_000, 64)
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    assert gpu_for(*large) is None
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "mem_get_info", lambda: (80 * 2**30, 80 * 2**30))
    assert gpu_for(*large) == torch.device("cuda")
    assert gpu_for(1_000, 100_000, 64) is None
    monkeypatch.setattr(torch.cuda, "mem_get_info", lambda: (4 * 2**30, 80 * 2**30))
    assert gpu_for(*large) is None

    def broken() -> None:
        raise RuntimeError("CUDA-capable device(s) is/are busy or unavailable")

    monkeypatch.setattr(torch.cuda, "mem_get_info", broken)
    assert gpu_for(*large) is None


def failing_after_one_block(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let the GPU run out of memory after the first block of queries."""
    from imblens.run import _exact

    real = _exact.candidates_on

    def failing(*given: Any) -> Any:
        yield next(real(*given))
        raise RuntimeError("CUDA out of memory.\nTried to allocate 2 GiB")

    monkeypatch.setattr(_exact, "candidates_on", failing)


def test_a_gpu_that_fails_half_way_costs_time_only(
    with_gpu: Callable[[], list[int]], monkeypatch: pytest.MonkeyPatch
) -> None:
    features = clustered(2_500)
    usual = neighbour_graph(features, 5)
    with_gpu()
    failing_after_one_block(monkeypatch)
    told: list[str] = []
    found = neighbour_graph(features, 5, progress=told.append)
    assert told == [
        "the GPU failed (RuntimeError: CUDA out of memory); the processor searches the neighbours that are left"
    ]
    np.testing.assert_array_equal(found.indices, usual.indices)
    np.testing.assert_array_equal(found.distances, usual.distances)


@pytest.fixture
def laid_out(monkeypatch: pytest.MonkeyPatch) -> list[tuple[str, bool]]:
    """Where rows lie in many cells from 100 rows on: of every layout of the base, its precision and whether it has cells."""
    from imblens.run import _cells, _exact

    for name, value in {"FEWEST_ROWS": 100, "CELL_ROWS": 50, "CELL_QUERIES": 8}.items():
        monkeypatch.setattr(_cells, name, value)
    found: list[tuple[str, bool]] = []

    class Columns(_exact.Columns):
        def __init__(self, space: Any, cells: Any, k: int, dtype: Any) -> None:
            super().__init__(space, cells, k, dtype)
            found.append((np.dtype(dtype).name, len(cells.centroids) > 1))

    monkeypatch.setattr(_exact, "Columns", Columns)
    return found


def test_what_a_gpu_leaves_is_searched_in_cells(
    with_gpu: Callable[[], list[int]], laid_out: list[tuple[str, bool]], monkeypatch: pytest.MonkeyPatch
) -> None:
    features = clustered(2_500)
    usual = neighbour_graph(features, 5)
    with_gpu()
    laid_out.clear()
    failing_after_one_block(monkeypatch)
    found = neighbour_graph(features, 5)
    assert laid_out == [("float32", False), ("float32", True)]
    np.testing.assert_array_equal(found.indices, usual.indices)
    np.testing.assert_array_equal(found.distances, usual.distances)


def test_rows_that_need_float64_are_searched_in_cells_after_a_gpu(
    with_gpu: Callable[[], list[int]], laid_out: list[tuple[str, bool]]
) -> None:
    features = DATA["tiny clusters far apart"]()
    usual = neighbour_graph(features, 1)
    with_gpu()
    laid_out.clear()
    found = neighbour_graph(features, 1)
    assert laid_out == [("float32", False), ("float64", True)]
    np.testing.assert_array_equal(found.indices, usual.indices)
    np.testing.assert_array_equal(found.distances, usual.distances)
