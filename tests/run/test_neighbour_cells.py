"""Cells exclude rows only where no neighbour can be: the bound against true distances, and the graph against brute force."""

from __future__ import annotations

import numpy as np
import pytest

import imblens.run._candidates as candidates
import imblens.run._cells as cells
import imblens.run._exact as exact
from imblens.run import nearest, neighbour_graph
from imblens.run._space import Space
from tests.oracles.neighbours import brute_force, brute_graph

RNG = np.random.default_rng(11)
MEANS = 6 * RNG.normal(size=(9, 6))
CLUSTERS = MEANS[RNG.integers(9, size=260)] + RNG.normal(size=(260, 6))
CASES = {
    "clusters": CLUSTERS,
    "normal": RNG.normal(size=(240, 12)),
    "grid, many ties": RNG.integers(0, 3, size=(300, 5)).astype(float),
    "one feature": RNG.normal(size=(150, 1)),
    "copies": RNG.permutation(np.repeat(CLUSTERS[:60], RNG.integers(1, 6, 60), axis=0)),
    "one far outlier": np.vstack([CLUSTERS, 1e9 * np.ones((1, 6))]),
    "far from the origin": CLUSTERS + 1e6,
    "tight clusters far from the origin": 1e6 + 100 * np.repeat(MEANS, 20, axis=0) + RNG.normal(size=(180, 6)),
    "tiny clusters": np.repeat(MEANS, 25, axis=0) + 1e-6 * RNG.normal(size=(225, 6)),
    "most in one place": np.vstack([1e-3 * RNG.normal(size=(200, 6)), CLUSTERS[:40]]),
}


@pytest.fixture
def small_cells(monkeypatch):
    monkeypatch.setattr(cells, "FEWEST_ROWS", 0)
    monkeypatch.setattr(cells, "CELL_ROWS", 8)
    monkeypatch.setattr(cells, "CELL_QUERIES", 1)
    monkeypatch.setattr(candidates, "TILE_ROWS", 16)
    monkeypatch.setattr(candidates, "NEAREST_CELLS", 2)
    monkeypatch.setattr(candidates, "FRESH", 0)
    monkeypatch.setattr(exact, "BLOCK_ROWS", 40)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("name", CASES)
def test_many_small_cells_agree_with_brute_force_to_the_last_tie(small_cells, name, dtype):
    features = CASES[name].astype(dtype)
    assert len(cells.Cells.of(Space.of(features), 3, len(features)).centroids) > 4
    indices, distances = brute_graph(features, 11)
    for k in (1, 4, 11):
        graph = neighbour_graph(features, k)
        assert np.array_equal(graph.indices, indices[:, :k])
        np.testing.assert_allclose(graph.distances, distances[:, :k], rtol=1e-14, atol=0)


def test_queries_that_are_not_in_the_base_are_found_in_small_cells(small_cells):
    queries = np.vstack([CLUSTERS[:50] + 0.1, 1e3 * np.ones((1, 6)), np.zeros((1, 6))])
    indices, distances = nearest(CLUSTERS, queries, 7)
    true_indices, true_distances = brute_force(CLUSTERS, queries, 7)
    assert np.array_equal(indices, true_indices)
    np.testing.assert_allclose(distances, true_distances, rtol=1e-14)


@pytest.mark.parametrize("name", CASES)
def test_no_row_of_a_cell_is_nearer_than_its_bound(small_cells, name):
    space = Space.of(CASES[name].astype(np.float32))
    found = cells.Cells.of(space, 3, len(space.base))
    scaled = (space.base - space.centre) * space.unit
    own = found.of_rows(space, space.base)
    least = found.least_squared(scaled, own)
    wide = np.longdouble(scaled)
    squared = ((wide[:, None] - wide[found.order]) ** 2).sum(axis=2)
    true = np.minimum.reduceat(squared, found.begins[:-1], axis=1)
    assert (least <= true).all()
    assert (least[np.arange(len(own)), own] == 0).all()
    if name == "clusters":
        assert np.median(least[true > 0] / true[true > 0]) > 0.3  # and it is not empty


def test_few_rows_or_queries_are_not_worth_cells(monkeypatch):
    space = Space.of(RNG.normal(size=(3_000, 2)))
    assert len(cells.Cells.of(space, 3, 3_000).centroids) == 1
    monkeypatch.setattr(cells, "FEWEST_ROWS", 3_000)
    assert len(cells.Cells.of(space, 3, 3_000).centroids) > 1
    assert len(cells.Cells.of(space, 3, 100).centroids) == len(cells.Cells.of(space, 400, 3_000).centroids) == 1


def test_cells_hold_every_row_once(small_cells):
    space = Space.of(CASES["copies"])
    found = cells.Cells.of(space, 3, len(space.base))
    assert np.array_equal(np.sort(found.order), np.arange(len(space.base)))
    assert found.begins[0] == 0 and found.begins[-1] == len(space.base) and (np.diff(found.begins) > 0).all()


def test_rows_of_clusters_far_apart_are_multiplied_with_few_others(monkeypatch, small_cells):
    multiplied = []
    keep = candidates.Candidates._keep
    count = lambda self, rows, low, product: multiplied.append(product.size) or keep(self, rows, low, product)  # noqa: E731
    monkeypatch.setattr(candidates.Candidates, "_keep", count)
    features = np.repeat(100 * RNG.normal(size=(20, 8)), 40, axis=0) + RNG.normal(size=(800, 8))
    graph = neighbour_graph(features, 5)
    assert sum(multiplied) < 0.35 * 800**2
    assert np.array_equal(graph.indices, brute_graph(features, 5)[0])
