"""The neighbour graph of a large run lies in its folder, and in that of a run with the same features."""

from __future__ import annotations

import tracemalloc
from dataclasses import replace

import numpy as np
import pytest

from imblens.run import Head, Part, Run, Split, neighbour_graph


def test_a_large_run_keeps_its_graph_for_other_commands(tmp_path, monkeypatch):
    rng = np.random.default_rng(0)
    features, labels = rng.normal(size=(60, 3)).astype(np.float32), np.arange(60) % 2
    small = Run.load(Run.from_arrays(train=(features, labels)).save(tmp_path / "small"))
    small.neighbours(5)
    assert not (tmp_path / "small" / "neighbours.npz").exists()
    monkeypatch.setattr("imblens.run._stored_graph.STORED_FROM", 50)
    folder = Run.from_arrays(train=(features, labels)).save(tmp_path / "run")
    first = Run.load(folder).neighbours(7)
    assert (folder / "neighbours.npz").exists()

    def never(*args, **kwargs):
        raise AssertionError("searched again")

    with monkeypatch.context() as patch:
        patch.setattr("imblens.run._split.neighbour_graph", never)
        again = Run.load(folder).neighbours(5)
    np.testing.assert_array_equal(again.indices, first.indices[:, :5])
    np.testing.assert_array_equal(again.distances, first.distances[:, :5])
    assert again.exact and again.recall is None
    Run.from_arrays(train=(features[::-1], labels)).save(folder, force=True)  # other features: not that graph
    np.testing.assert_array_equal(Run.load(folder).neighbours(7).indices, neighbour_graph(features[::-1], 7).indices)
    (folder / "neighbours.npz").write_bytes(b"PK damaged")
    np.testing.assert_array_equal(Run.load(folder).neighbours(7).indices, neighbour_graph(features[::-1], 7).indices)


def test_a_treated_run_has_the_graph_of_the_run_it_was_made_of(tmp_path, monkeypatch):
    monkeypatch.setattr("imblens.run._stored_graph.STORED_FROM", 50)
    rng = np.random.default_rng(0)
    features, labels = rng.normal(size=(60, 3)).astype(np.float32), np.arange(60) % 2
    two_parts = Split((Part(features[:40], labels[:40]), Part(features[40:], labels[40:])), ("a", "b"), "train", None)
    folder = Run(two_parts, None, None, ("a", "b")).save(tmp_path / "run")
    head = Head(np.ones((2, 3), np.float32), np.zeros(2, np.float32))
    searched = Run.load(folder)
    graph = searched.neighbours(7)

    def never(*args, **kwargs):
        raise AssertionError("searched again")

    monkeypatch.setattr("imblens.run._split.neighbour_graph", never)
    read, known = tmp_path / "read", tmp_path / "known"
    Run.load(folder).with_head(head).save(read)  # of the graph, only the file is known
    searched.with_head(head).save(known)
    in_memory = Run.load(folder).with_head(head)
    for run in (Run.load(read), Run.load(known), in_memory):
        np.testing.assert_array_equal(run.neighbours(5).indices, graph.indices[:, :5])
    fewer = Run.load(folder)
    fewer = replace(fewer, train=replace(fewer.train, parts=fewer.train.parts[:1]))
    fewer.save(tmp_path / "fewer")
    monkeypatch.undo()
    monkeypatch.setattr("imblens.run._stored_graph.STORED_FROM", 30)
    assert not (tmp_path / "fewer" / "neighbours.npz").exists()
    np.testing.assert_array_equal(fewer.neighbours(7).indices, neighbour_graph(features[:40], 7).indices)


def test_a_graph_is_not_kept_with_features_that_it_is_not_of(tmp_path, monkeypatch):
    monkeypatch.setattr("imblens.run._stored_graph.STORED_FROM", 50)
    rng = np.random.default_rng(0)
    features, labels = rng.normal(size=(60, 3)).astype(np.float32), np.arange(60) % 2
    folder = Run.from_arrays(train=(features, labels)).save(tmp_path / "run")
    run = Run.load(folder)
    Run.from_arrays(train=(features[::-1], labels)).save(folder, force=True)  # `run` has the features before
    Run.load(folder).neighbours(7)
    run.save(tmp_path / "copy")
    copy = Run.load(tmp_path / "copy")
    np.testing.assert_array_equal(copy.train.features, features)
    assert not (tmp_path / "copy" / "neighbours.npz").exists()
    np.testing.assert_array_equal(copy.neighbours(7).indices, neighbour_graph(features, 7).indices)


def test_a_run_whose_files_are_links_keeps_its_graph_beside_them(tmp_path, monkeypatch):
    monkeypatch.setattr("imblens.run._stored_graph.STORED_FROM", 50)
    features = np.random.default_rng(0).normal(size=(60, 3)).astype(np.float32)
    folder = Run.from_arrays(train=(features, np.arange(60) % 2)).save(tmp_path / "run")
    file = folder / "train" / "part-00000" / "features.npy"
    file.symlink_to(file.rename(tmp_path / "cache"))
    (tmp_path / "link").symlink_to(folder)
    Run.load(tmp_path / "link").neighbours(5)
    assert (folder / "neighbours.npz").exists()


@pytest.mark.parametrize("when", ["before the search", "during the search"])
def test_a_run_that_another_one_replaced_has_and_leaves_only_its_own_graph(tmp_path, monkeypatch, when):
    monkeypatch.setattr("imblens.run._stored_graph.STORED_FROM", 50)
    features, labels = np.random.default_rng(0).normal(size=(60, 3)).astype(np.float32), np.arange(60) % 2
    folder = Run.from_arrays(train=(features, labels)).save(tmp_path / "run")
    replaced = Run.load(folder)
    later = features.copy()
    later[5:] = features[:4:-1]  # the first rows are the same

    def overwritten(*args, **options):
        if not np.array_equal(Run.load(folder).train.features, later):
            Run.from_arrays(train=(later, labels)).save(folder, force=True)
        return neighbour_graph(*args, **options)

    if when == "before the search":
        overwritten(features, 1)
        Run.load(folder).neighbours(7)  # keeps its graph, of as many instances
    else:
        monkeypatch.setattr("imblens.run._split.neighbour_graph", overwritten)
    np.testing.assert_array_equal(replaced.neighbours(7).indices, neighbour_graph(features, 7).indices)
    np.testing.assert_array_equal(Run.load(folder).neighbours(7).indices, neighbour_graph(later, 7).indices)


def test_of_a_graph_of_many_neighbours_only_those_are_read_that_are_needed(tmp_path, monkeypatch):
    monkeypatch.setattr("imblens.run._stored_graph.STORED_FROM", 50)
    monkeypatch.setattr("imblens.base.archives.BLOCK", 2**16)
    features = np.random.default_rng(0).normal(size=(1_000, 3)).astype(np.float32)
    folder = Run.from_arrays(train=(features, np.arange(1_000) % 2)).save(tmp_path / "run")
    whole = Run.load(folder).neighbours(200)

    def never(*args, **kwargs):
        raise AssertionError("searched again")

    monkeypatch.setattr("imblens.run._split.neighbour_graph", never)
    run = Run.load(folder)
    tracemalloc.start()
    few = run.neighbours(5)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < (folder / "neighbours.npz").stat().st_size / 4
    np.testing.assert_array_equal(few.indices, whole.indices[:, :5])
    run.with_head(Head(np.ones((2, 3), np.float32), np.zeros(2, np.float32))).save(tmp_path / "treated")
    for one in (run, Run.load(tmp_path / "treated")):
        more = one.neighbours(150)  # more than what is in memory
        np.testing.assert_array_equal(more.indices, whole.indices[:, :150])
        np.testing.assert_array_equal(more.distances, whole.distances[:, :150])
    assert run.neighbours(200).k == 200
    file = folder / "neighbours.npz"
    damaged = bytearray(file.read_bytes())
    damaged[len(damaged) // 4] ^= 1  # one bit of a column that is left out
    file.write_bytes(damaged)
    with pytest.raises(AssertionError, match="searched again"):
        Run.load(folder).neighbours(5)
