"""The neighbour graph against brute force with exact sums, and what must not change it."""

from __future__ import annotations

import os
import subprocess
import sys
import tracemalloc
from types import SimpleNamespace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from scipy.spatial.distance import cdist

import imblens.run._exact as exact
import imblens.run._neighbours as module
import imblens.run._space as space
from imblens.errors import DependencyError, InputError, ShapeError
from imblens.lenses import archetypes
from imblens.run import NeighbourGraph, Run, nearest, neighbour_graph
from tests.oracles.neighbours import brute_force, brute_graph

RNG = np.random.default_rng(7)


def relu(n, d):
    return np.maximum(RNG.normal(size=(n, d)), 0)


def copies(n_rows, d, most):
    """Rows with one to `most` copies each, in mixed order."""
    return RNG.permutation(np.repeat(RNG.normal(size=(n_rows, d)), RNG.integers(1, most, n_rows), axis=0))


CASES = {
    "plain": RNG.normal(size=(211, 13)),
    "rectified": relu(237, 64),
    "grid, many ties": RNG.integers(0, 3, size=(190, 5)).astype(float),
    "binary, more ties": RNG.integers(0, 2, size=(160, 24)).astype(float),
    "one-hot, all tied": np.eye(40),
    "copies": copies(40, 4, 9),
    "all the same": np.ones((37, 3)),
    "one feature": RNG.normal(size=(150, 1)),
    "tight clusters": np.repeat(RNG.normal(size=(4, 16)), 45, axis=0) + 1e-6 * RNG.normal(size=(180, 16)),
    "one far outlier": np.vstack([RNG.normal(size=(170, 8)), 1e9 * np.ones((1, 8))]),
    "mirrored": np.vstack([(half := RNG.normal(size=(70, 6))), half[:, ::-1]]),
    "minus zero": np.where(RNG.random((60, 3)) < 0.5, -0.0, RNG.integers(0, 2, (60, 3)).astype(float)),
    "two": np.array([[0.0, 1.0], [1.0, 0.0]]),
}


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("name", CASES)
def test_agrees_with_brute_force_to_the_last_tie(name, dtype):
    features = CASES[name].astype(dtype)
    whole_indices, whole_distances = brute_graph(features, len(features) - 1)
    for k in (1, 5, 31, 10_000):
        graph = neighbour_graph(features, k)
        used = min(k, len(features) - 1)
        assert graph.exact and graph.recall is None and graph.k == used
        assert np.array_equal(graph.indices, whole_indices[:, :used])
        np.testing.assert_allclose(graph.distances, whole_distances[:, :used], rtol=1e-14, atol=0)


@settings(deadline=None, derandomize=True, max_examples=60)
@given(
    hnp.arrays(
        np.float32,
        st.tuples(st.integers(1, 23), st.integers(1, 4)),
        elements=st.sampled_from([0.0, -0.0, 1.0, 1.5, -2.0, 3.0, 1e4, 2**-10]),
    ),
    st.integers(1, 25),
)
def test_small_lattices(features, k):
    graph = neighbour_graph(features, k)
    indices, distances = brute_graph(features, min(k, len(features) - 1))
    assert np.array_equal(graph.indices, indices.reshape(len(features), -1))
    np.testing.assert_allclose(graph.distances, distances.reshape(len(features), -1), rtol=1e-14)


@pytest.mark.parametrize(("offset", "scale"), [(1e8, 1.0), (0.0, 1e-310), (0.0, 1e200), (0.0, 1e306), (-3e5, 1e-3)])
def test_float64_far_from_the_origin_or_from_one(offset, scale):
    features = RNG.normal(size=(120, 32)) * scale + offset
    exact = np.longdouble(features)
    squared = ((exact[:, None] - exact) ** 2).sum(axis=2)
    np.fill_diagonal(squared, np.inf)
    graph = neighbour_graph(features, 6)
    assert np.array_equal(graph.indices, np.argsort(squared, axis=1, kind="stable")[:, :6])
    true = np.sqrt(np.sort(squared, axis=1)[:, :6])
    assert np.abs(graph.distances / true - 1).max() < (1e-12 if scale > 1e-300 else 1e-9)


def test_float32_extremes():
    for scale in (1e-38, 1e37):
        features = (RNG.normal(size=(90, 7)) * scale).astype(np.float32)
        assert np.array_equal(neighbour_graph(features, 4).indices, brute_graph(features, 4)[0])


def test_a_copy_is_a_neighbour_and_oneself_is_not():
    graph = neighbour_graph(np.array([[2.0], [0.0], [2.0], [2.0], [7.0]]), 3)
    assert graph.indices.tolist() == [[2, 3, 1], [0, 2, 3], [0, 3, 1], [0, 2, 1], [0, 2, 3]]
    assert graph.distances.tolist() == [[0, 0, 2], [2, 2, 2], [0, 0, 2], [0, 0, 2], [5, 5, 5]]


def test_one_instance_has_no_neighbours():
    graph = neighbour_graph(np.array([[1.0, 2.0]]), 5)
    assert graph.indices.shape == graph.distances.shape == (1, 0)
    assert graph.indices.dtype == np.int64


def test_first_slices():
    graph = neighbour_graph(CASES["plain"], 9)
    small = neighbour_graph(CASES["plain"], 4)
    assert np.array_equal(graph.first(4).indices, small.indices)
    assert graph.first(99).k == 9
    approximate = NeighbourGraph(graph.indices, graph.distances, exact=False, recall=0.5).first(2)
    assert (approximate.exact, approximate.recall, approximate.k) == (False, 0.5, 2)


def test_scaling_by_a_power_of_two_changes_nothing_but_the_scale():
    features = CASES["plain"]
    graph = neighbour_graph(features, 7)
    for power in (-700, -60, 3, 400):
        scaled = neighbour_graph(np.ldexp(features, power), 7)
        assert np.array_equal(scaled.indices, graph.indices)
        assert np.array_equal(scaled.distances, np.ldexp(graph.distances, power))


def test_order_of_features_does_not_matter_even_in_ties():
    features = CASES["mirrored"]
    graph = neighbour_graph(features, 11)
    assert np.array_equal(neighbour_graph(features[:, [3, 0, 5, 1, 4, 2]], 11).indices, graph.indices)


def test_permuted_rows_permute_the_graph():
    features = CASES["rectified"].astype(np.float32)
    order = RNG.permutation(len(features))
    graph, moved = neighbour_graph(features, 5), neighbour_graph(features[order], 5)
    assert np.array_equal(order[moved.indices], graph.indices[order])


def test_many_blocks_and_small_pieces_give_the_same(monkeypatch):
    features = np.vstack([CASES["copies"], CASES["copies"][:30], RNG.normal(size=(300, 4))])
    graph = neighbour_graph(features, 12)
    monkeypatch.setattr(exact, "PRODUCT_NUMBERS", 2**10)
    monkeypatch.setattr(space, "NUMBERS", 2**7)
    small = neighbour_graph(features, 12)
    assert np.array_equal(small.indices, graph.indices)
    assert np.array_equal(small.distances, graph.distances)


def test_two_rows_that_share_a_hash_are_still_two(monkeypatch):
    monkeypatch.setattr(space, "_hashes", lambda matrix: np.zeros(len(matrix), np.uint64))
    features = CASES["copies"]
    assert np.array_equal(neighbour_graph(features, 5).indices, brute_graph(features, 5)[0])


def test_input_random_state_and_threads_are_left_as_found():
    from threadpoolctl import threadpool_info

    features = CASES["copies"].astype(np.float32)
    before, state = features.copy(), np.random.get_state()[1].copy()
    threads = [(pool["prefix"], pool["num_threads"]) for pool in threadpool_info()]
    neighbour_graph(features, 5)
    assert np.array_equal(features, before)
    assert np.array_equal(np.random.get_state()[1], state)
    assert [(pool["prefix"], pool["num_threads"]) for pool in threadpool_info()] == threads


def test_memory_mapped_features(tmp_path):
    features = CASES["rectified"].astype(np.float32)
    np.save(tmp_path / "features.npy", features)
    mapped = np.load(tmp_path / "features.npy", mmap_mode="r")
    assert np.array_equal(neighbour_graph(mapped, 5).indices, neighbour_graph(features, 5).indices)


HASH = """
import hashlib, numpy as np
from imblens.run import neighbour_graph
rng = np.random.default_rng(3)
features = np.maximum(rng.normal(size=(1500, 20)), 0).astype(np.float32)
features[700:760] = features[11]
graph = neighbour_graph(features, 8)
print(hashlib.sha256(graph.indices.tobytes() + graph.distances.tobytes()).hexdigest())
"""


def test_same_bytes_at_any_number_of_threads():
    found = set()
    for threads in ("1", "2", "8"):
        limits = {"OMP_NUM_THREADS": threads, "OPENBLAS_NUM_THREADS": threads}
        run = subprocess.run(
            [sys.executable, "-c", HASH], env={**os.environ, **limits}, capture_output=True, check=True
        )
        found.add(run.stdout)
    assert len(found) == 1


def test_nearest_of_another_set():
    base, queries = copies(50, 3, 5), np.vstack([RNG.normal(size=(31, 3)), np.zeros((1, 3))])
    queries[4] = base[17]
    for k in (1, 6, 9_999):
        indices, distances = nearest(base, queries, k)
        true_indices, true_distances = brute_force(base, queries, min(k, len(base)))
        assert np.array_equal(indices, true_indices)
        np.testing.assert_allclose(distances, true_distances, rtol=1e-14)
    assert nearest(base, base[:1], 1)[1].item() == 0
    far = nearest(np.array([[0.0], [1.0]]), np.array([[1e30]]), 2)
    assert far[0].tolist() == [[0, 1]]  # 1e30 - 1 is 1e30: a tie


def test_bad_input_is_named():
    with pytest.raises(InputError, match="k=0"):
        neighbour_graph(np.ones((3, 2)), 0)
    with pytest.raises(ShapeError, match=r"features .* found shape \(3,\)"):
        neighbour_graph(np.ones(3), 1)
    with pytest.raises(InputError, match="features holds NaN"):
        neighbour_graph(np.array([[1.0], [np.nan]]), 1)
    with pytest.raises(InputError, match="queries holds NaN or infinite"):
        nearest(np.ones((2, 1)), np.array([[np.inf]]), 1)
    with pytest.raises(ShapeError, match="queries has 3 columns, base 2"):
        nearest(np.ones((2, 2)), np.ones((2, 3)), 1)
    with pytest.raises(InputError, match="dtype"):
        neighbour_graph(np.array([["a"], ["b"]]), 1)


def test_a_run_computes_its_graph_once_at_the_largest_k(monkeypatch):
    asked = []
    search = lambda *a, **o: asked.append(a[1]) or neighbour_graph(*a, **o)  # noqa: E731
    monkeypatch.setattr("imblens.run._split.neighbour_graph", search)
    features = CASES["plain"].astype(np.float32)
    run = Run.from_arrays(train=(features, RNG.integers(0, 3, len(features))))
    ten = run.neighbours(10)
    assert np.array_equal(run.neighbours(4).indices, ten.indices[:, :4])
    assert asked == [10]


# ------------------------------------------------------------------------------------------------------- approximate


def proposals_with_gaps(scaled, k):
    """Half of the true neighbours, strangers for the rest, some repeated, some missing, some rows nearly empty."""
    rng = np.random.default_rng(1)
    found = np.argsort(cdist(scaled, scaled), axis=1)[:, 1 : k + 1]
    found[:, ::2] = rng.integers(0, len(scaled), found[:, ::2].shape)
    found[:, 1] = found[:, 3]
    found[5, 1:] = -1
    return found


@pytest.fixture
def half_right(monkeypatch):
    monkeypatch.setattr(module, "_has_pynndescent", lambda: True)
    monkeypatch.setattr(module, "_proposals", proposals_with_gaps)


def test_approximate_neighbours_tell_their_recall(half_right):
    base = RNG.normal(size=(1100, 3)).astype(np.float32)
    features = np.vstack([base[:1050], base[:20]])
    told: list[str] = []
    graph = neighbour_graph(features, 4, approximate=True, progress=told.append)
    assert told == ["approximate neighbours of 1,070 instances; the time left of this search is not known"]
    true = neighbour_graph(features, 4, approximate=False)
    assert true.exact and not graph.exact
    assert not (graph.indices == np.arange(len(features))[:, None]).any()
    assert all(len(set(row)) == 4 for row in graph.indices.tolist())
    assert np.array_equal(graph.indices[5], true.indices[5])  # the row that was nearly empty
    assert np.array_equal(graph.indices[:20, 0], np.arange(1050, 1070))  # copies are always found
    wide = features.astype(np.float64)
    np.testing.assert_allclose(
        graph.distances, np.linalg.norm(wide[:, None] - wide[graph.indices], axis=2), rtol=1e-13, atol=1e-15
    )
    share = np.mean([np.isin(true.indices[i], graph.indices[i]).mean() for i in range(len(features))])
    assert 0.2 < share < 0.9
    assert graph.recall == pytest.approx(share, abs=0.02)  # 1,000 of 1,070 instances are the sample


def test_few_instances_are_searched_exactly_even_so(half_right):
    graph = neighbour_graph(RNG.normal(size=(200, 3)), 4, approximate=True)
    assert graph.exact and graph.recall is None


def test_without_pynndescent(monkeypatch):
    monkeypatch.setattr(module, "_has_pynndescent", lambda: False)
    monkeypatch.setattr(module, "APPROXIMATE_ABOVE", 10)
    with pytest.raises(DependencyError, match=r"imblens\[approximate\]"):
        neighbour_graph(CASES["plain"], 3, approximate=True)
    told: list[str] = []
    assert neighbour_graph(CASES["plain"], 3, progress=told.append).exact  # nobody asked for less
    assert len(told) == 1 and "of 211 instances are searched exactly" in told[0] and "imblens[approximate]" in told[0]
    told.clear()
    neighbour_graph(CASES["plain"], 3, approximate=False, progress=told.append)
    neighbour_graph(CASES["two"], 1, progress=told.append)
    assert told == []


def test_beyond_the_limit_approximate_is_the_default(half_right, monkeypatch):
    features = RNG.normal(size=(1020, 3)).astype(np.float32)
    assert neighbour_graph(features, 3).exact
    monkeypatch.setattr(module, "APPROXIMATE_ABOVE", 1_000)
    assert not neighbour_graph(features, 3).exact


def test_a_run_searches_as_it_is_asked_to_and_lenses_follow(half_right):
    features = RNG.normal(size=(1020, 3)).astype(np.float32)
    run = Run.from_arrays(train=(features, np.arange(1020) % 2))
    assert run.neighbours(3).exact and not run.neighbours(5, approximate=True).exact
    assert not run.neighbours(3).exact  # sliced from what is known
    assert any("Neighbours are approximate" in note for note in archetypes(run).notes)
    assert run.neighbours(5, approximate=False).exact


class ParamsOfCuvs:
    def __init__(self, *, metric, graph_degree, intermediate_graph_degree):
        assert metric == "sqeuclidean" and intermediate_graph_degree >= 1.5 * graph_degree
        self.graph_degree = graph_degree


def built_by_cuvs(params, dataset):
    """As cuVS: the graph is uint32, with 2^32 - 1 where fewer were found; it may repeat rows and hold the row itself."""
    assert dataset.dtype == np.float32 and dataset.flags.c_contiguous and np.abs(dataset).max() <= 1
    graph = proposals_with_gaps(dataset, params.graph_degree).astype(np.uint32)
    graph[7, 2] = 7
    return SimpleNamespace(graph=graph)


@pytest.fixture
def with_cuvs(monkeypatch):
    descent = SimpleNamespace(IndexParams=ParamsOfCuvs, build=built_by_cuvs)
    monkeypatch.setitem(sys.modules, "cuvs.neighbors", SimpleNamespace(nn_descent=descent))
    monkeypatch.setattr(module, "_has_pynndescent", lambda: False)
    return descent


def test_what_cuvs_proposes_is_measured_and_its_recall_is_reported(with_cuvs):
    features = 50 + 9 * RNG.normal(size=(1_030, 3)).astype(np.float32)
    graph, true = neighbour_graph(features, 4, approximate="cuvs"), neighbour_graph(features, 4)
    assert true.exact and not graph.exact
    assert all(len({i, *row}) == 5 for i, row in enumerate(graph.indices.tolist()))
    assert np.array_equal(graph.indices[5], true.indices[5])  # the row for which it proposed nearly none
    wide = features.astype(np.float64)
    np.testing.assert_allclose(graph.distances, np.linalg.norm(wide[:, None] - wide[graph.indices], axis=2), rtol=1e-13)
    share = np.mean([np.isin(true.indices[i], graph.indices[i]).mean() for i in range(len(features))])
    assert 0.2 < share < 0.95
    assert graph.recall == pytest.approx(share, abs=0.02)  # 1,000 of 1,030 instances are the sample


def test_a_run_asks_cuvs_only_where_it_was_named(with_cuvs, monkeypatch):
    features = RNG.normal(size=(1_020, 3)).astype(np.float32)
    run = Run.from_arrays(train=(features, np.arange(1_020) % 2))
    assert run.neighbours(5).exact
    assert not run.neighbours(3, approximate="cuvs").exact  # not the graph that exists, which is exact
    monkeypatch.setattr(module, "APPROXIMATE_ABOVE", 1_000)
    assert neighbour_graph(features, 3).exact
    with pytest.raises(InputError, match="approximate='faiss' is not allowed"):
        run.neighbours(3, approximate="faiss")


def test_an_approximate_graph_that_exists_is_used_for_cuvs_too(half_right, monkeypatch):
    features = RNG.normal(size=(1_020, 3)).astype(np.float32)
    run = Run.from_arrays(train=(features, np.arange(1_020) % 2))
    graph = run.neighbours(5, approximate=True)
    monkeypatch.setitem(sys.modules, "cuvs.neighbors", None)
    assert np.array_equal(run.neighbours(5, approximate="cuvs").indices, graph.indices)
    with pytest.raises(DependencyError, match="cuVS"):
        run.neighbours(6, approximate="cuvs")


@pytest.mark.parametrize("approximate", ["faiss", "", 2, np.zeros(2)])
def test_other_searches_are_refused(approximate):
    with pytest.raises(InputError, match=r"neighbour_graph: approximate=.* is not allowed.*cuvs"):
        neighbour_graph(CASES["plain"], 3, approximate=approximate)


def test_a_fault_of_cuvs_is_one_sentence(with_cuvs, monkeypatch):
    def broken(params, dataset):
        raise RuntimeError("no CUDA-capable device is detected.\nObtained 12 stack frames\n#1 in libcuvs.so")

    features = RNG.normal(size=(1_020, 3)).astype(np.float32)
    with_cuvs.build = broken
    with pytest.raises(InputError) as failed:
        neighbour_graph(features, 3, approximate="cuvs")
    assert failed.value.message == "cuVS failed: RuntimeError: no CUDA-capable device is detected."
    monkeypatch.setitem(sys.modules, "cuvs.neighbors", None)
    with pytest.raises(DependencyError, match="'cuvs' needs NVIDIA's cuVS, which cannot be imported"):
        neighbour_graph(features, 3, approximate="cuvs")


@pytest.mark.parametrize("error", [OSError, RuntimeError])
def test_cuvs_without_the_libraries_of_cuda_is_one_sentence(error, tmp_path, monkeypatch):
    (tmp_path / "cuvs").mkdir()
    text = f"raise {error.__name__}('libcublas.so.12: cannot open shared object file\\nsearched in /lib')"
    (tmp_path / "cuvs" / "__init__.py").write_text(text)
    monkeypatch.syspath_prepend(tmp_path)
    with pytest.raises(DependencyError) as failed:
        neighbour_graph(CASES["plain"], 3, approximate="cuvs")
    assert failed.value.message.endswith(
        f"imported: {error.__name__}: libcublas.so.12: cannot open shared object file."
    )


@pytest.mark.slow
@pytest.mark.thorough  # compiling pynndescent takes a minute; what it proposes is stood in for above
def test_with_pynndescent():
    pytest.importorskip("pynndescent", reason="the approximate search needs pynndescent")
    features = relu(4000, 24).astype(np.float32)
    graph = neighbour_graph(features, 10, approximate=True)
    true = neighbour_graph(features, 10)
    share = np.mean([np.isin(true.indices[i], graph.indices[i]).mean() for i in range(len(features))])
    assert not graph.exact and graph.recall == pytest.approx(share, abs=0.03) and share > 0.8
    assert np.array_equal(neighbour_graph(features, 10, approximate=True).indices, graph.indices)


def test_the_time_left_is_reported(monkeypatch):
    monkeypatch.setattr(exact, "REPORT_SECONDS", 0.0)
    monkeypatch.setattr(exact, "PRODUCT_NUMBERS", 2**10)
    told = []
    neighbour_graph(np.random.default_rng(0).normal(size=(300, 4)), 3, progress=told.append)
    assert len(told) > 3 and all("s left" in line for line in told) and told[-1].startswith("neighbours of 100% of 300")


def test_rows_that_fill_up_groups_give_no_warning():
    for rows in (8, 12, 24, 48, 100):
        features = np.random.default_rng(rows).normal(size=(rows, 1)).astype(np.float32)
        base, queries = features[:-3], features[-3:]
        for k in (1, 5):
            np.testing.assert_array_equal(nearest(base, queries, k)[0], brute_force(base, queries, k)[0])


def test_each_instance_is_dropped_from_its_neighbours_without_a_second_copy(monkeypatch):
    rng = np.random.default_rng(0)
    found = rng.permuted(np.tile(np.arange(21), (20_000, 1)), axis=1)
    squared = rng.random(found.shape)
    own = np.where(np.arange(20_000) % 3 == 0, 99, found[:, 7])  # every third is not among its neighbours
    wanted = [np.where(np.isin(row, one), -1, row) for row, one in zip(found, own, strict=True)]
    wanted = np.array([row[row >= 0][:20] for row in wanted])
    at = np.argmax(found == own[:, None], axis=1)
    lengths = np.array([np.delete(row, -1 if one == 99 else k) for row, one, k in zip(squared, own, at, strict=True)])
    monkeypatch.setattr(space, "NUMBERS", 84 * 500)
    size = found.nbytes
    tracemalloc.start()
    indices, kept = module._without_self(found, squared, own)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert (indices == wanted).all() and (kept == lengths).all() and indices.flags.c_contiguous
    assert peak < size / 5
