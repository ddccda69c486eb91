"""Statistics computed by Ray are those computed here, of parts on disk, in memory and cut out of files."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import nullcontext
from importlib.util import find_spec
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from typer.testing import CliRunner

from imblens import Run, audit
from imblens.cli import app
from imblens.errors import DependencyError, InputError, MissingError
from imblens.run import _exact, engine, nearest
from imblens.run._engine import uses_ray

SAME = """
import os, sys
from dataclasses import replace
import numpy as np
import imblens
from imblens.run import Part, Run, TopKCounts, engine

def run_of(parts):
    cut = lambda array, rows: None if array is None else array[rows]
    return lambda split: replace(split, parts=tuple(
        Part(part.features[rows], part.labels[rows], cut(part.logits, rows), table_path=None)
        for part in split.parts for rows in (slice(0, 7), slice(7, None)))) if parts == "cut" else split

def main():
    rng = np.random.default_rng(0)
    labels = rng.choice(3, 90, p=[0.6, 0.3, 0.1])
    features = (rng.normal(size=(90, 5)) + labels[:, None]).astype(np.float32)
    whole = Run.from_arrays(train=(features, labels), test=(features[::2], labels[::2]), head=(np.eye(3, 5), np.zeros(3)))
    parts = tuple(Part(features[rows], labels[rows]) for rows in (slice(0, 20), slice(20, 50), slice(50, 90)))
    memory = replace(whole, train=replace(whole.train, parts=parts))
    memory.save(sys.argv[1] + "/run")
    def fresh(name):
        run = memory if name == "memory" else Run.load(sys.argv[1] + "/run")
        return replace(run, train=replace(run_of(name)(run.train)))

    local = {name: imblens.audit(fresh(name)) for name in ("memory", "disk", "cut")}
    environment = dict(os.environ)
    with engine("ray"):
        import ray
        assert fresh("disk").train.reduce(lambda: TopKCounts(3, 5, 1)).sum() == 90
        for name, here in local.items():
            there = imblens.audit(fresh(name), engine="ray")
            assert list(here) == list(there) and here.skipped == there.skipped
            for lens in here:
                assert here[lens].summary == there[lens].summary, (name, lens)
                for table in here[lens].tables:
                    assert here[lens].tables[table].equals(there[lens].tables[table]), (name, lens, table)
            assert ray.is_initialized()  # not ended by whom it was not started
    assert not ray.is_initialized()
    assert dict(os.environ) == environment, set(os.environ.items()) ^ set(environment.items())

if __name__ == "__main__":
    main()
    print("the same")
"""


@pytest.mark.slow
@pytest.mark.skipif(find_spec("ray") is None, reason="Ray is not installed")
def test_ray_gives_the_same_result_and_is_stopped_afterwards(tmp_path: Path) -> None:
    home = tmp_path / "home"
    home.mkdir()
    done = subprocess.run(
        [sys.executable, "-c", SAME, str(tmp_path)],
        capture_output=True,
        text=True,
        timeout=600,
        env={**os.environ, "HOME": str(home)},
    )
    assert done.stdout.strip().endswith("the same"), done.stderr[-2000:]
    assert not (home / ".ray").exists()


def same_in_a_process(script: str, folder: Path, **environment: str) -> None:
    """Run a script that compares results, in a process of its own."""
    words, environment = [sys.executable, "-c", script, str(folder)], {**os.environ, **environment}
    done = subprocess.run(words, capture_output=True, text=True, timeout=600, env=environment)
    assert done.stdout.strip().endswith("the same"), done.stderr[-2000:]


KILLED = """
import os, sys
from dataclasses import replace
import numpy as np
from imblens.errors import ImblensError, InputError
from imblens.run import Part, Run, TopKCounts, _engine, engine

class Killed(TopKCounts):
    def update(self, batch):
        os._exit(1)

class Refused(TopKCounts):
    def update(self, batch):
        raise InputError("7.png is damaged.", hint="Remove it.")

class Failed(TopKCounts):
    def update(self, batch):
        raise KeyError("no such key")

def raised(split, kind):
    try:
        split.reduce(lambda: kind(3, 3, 1))
    except Exception as error:
        return error

class KilledOnce(TopKCounts):
    def update(self, batch):
        if batch.start == 20 and not os.path.exists(sys_argv_1):
            open(sys_argv_1, "w").close()
            os._exit(1)
        super().update(batch)

sys_argv_1 = sys.argv[1] + "/killed"
rng = np.random.default_rng(0)
features, labels = rng.normal(size=(90, 3)).astype(np.float32), rng.choice(3, 90)
run = Run.from_arrays(train=(features, labels), head=(np.eye(3), np.zeros(3)))
parts = tuple(Part(features[rows], labels[rows]) for rows in (slice(0, 20), slice(20, 50), slice(50, 90)))
train = replace(run.train, parts=parts)
stored = Run.load(replace(run, train=train).save(sys.argv[1] + "/run")).train
os.unlink(sys.argv[1] + "/run/train/part-00001/features.npy")
with engine("ray"):
    found = train.reduce(lambda: KilledOnce(3, 3, 1))
    _engine.RETRIES = 0
    errors = [raised(train, Killed), raised(train, Refused), raised(train, Failed), raised(stored, TopKCounts)]
assert [type(error) for error in errors] == [ImblensError, InputError, KeyError, InputError], errors
assert "could not compute a task: WorkerCrashedError: The worker died unexpectedly" in str(errors[0])
assert (errors[1].message, errors[1].hint) == ("7.png is damaged.", "Remove it.")
assert "a worker of Ray cannot use" in str(errors[3]) and "part-00001/features.npy: No such file" in str(errors[3])
assert os.path.exists(sys_argv_1)
assert (found == run.train.reduce(lambda: TopKCounts(3, 3, 1))).all()
print("the same")
"""


@pytest.mark.slow
@pytest.mark.skipif(find_spec("ray") is None, reason="Ray is not installed")
def test_a_killed_worker_costs_a_retry_and_what_fails_is_reported(tmp_path: Path) -> None:
    same_in_a_process(KILLED, tmp_path)


NEIGHBOURS = """
import os, sys
import numpy as np
import imblens.run._exact as exact
import ray
from imblens.run import engine, nearest, neighbour_graph

class KilledOnce(exact._Search):
    def run(self, rows, progress=None):
        open(f"{folder}/{os.getpid()}", "a").close()
        if 0 in rows and not os.path.exists(folder + "/killed"):
            open(folder + "/killed", "w").close()
            os._exit(1)
        yield from super().run(rows, progress)

folder = sys.argv[1]
rng = np.random.default_rng(0)
features = (rng.normal(size=(40, 6))[rng.integers(40, size=900)] * 5 + rng.normal(size=(900, 6))).astype(np.float32)
features[600:700] = features[11] + 1e-6 * rng.normal(size=(100, 6))  # too near each other for float32
features[700:720] = features[5]
here, found_here = neighbour_graph(features, 7), nearest(features[:500], features[500:], 7)
exact.SHARED_NUMBERS, exact.TASK_ROWS = 0, 50
exact._Search = KilledOnce
told = []
exact.REPORT_SECONDS = 0.0
with engine("ray"):
    there = neighbour_graph(features, 7, progress=told.append)
    found_there = nearest(features[:500], features[500:], 7)
assert np.array_equal(here.indices, there.indices) and np.array_equal(here.distances, there.distances)
assert all(np.array_equal(a, b) for a, b in zip(found_here, found_there))
assert os.path.exists(folder + "/killed") and not os.path.exists(f"{folder}/{os.getpid()}")
assert any(line.startswith("neighbours of 100% of") for line in told)
print("the same")
"""


@pytest.mark.slow
@pytest.mark.skipif(find_spec("ray") is None, reason="Ray is not installed")
def test_neighbours_are_tasks_with_the_same_result_and_a_killed_worker_costs_a_retry(tmp_path: Path) -> None:
    same_in_a_process(NEIGHBOURS, tmp_path)


NODES = """
import os, sys, time
from dataclasses import replace
from functools import partial
from pathlib import Path
from threading import Thread
import numpy as np
import pandas as pd
import ray
from ray.cluster_utils import Cluster
import imblens
import imblens.run._exact as exact
from imblens.run import Part, Run, TopKCounts, engine

class Slow(TopKCounts):
    def update(self, batch):
        node = ray.get_runtime_context().get_node_id()
        (seen / f"{batch.start} {node}").touch()
        if node == ending_node:
            time.sleep(600)  # until it ends
        while not list(seen.glob(f"* {ending_node}")):
            time.sleep(0.05)  # so that a part is left for it
        super().update(batch)

close = partial(pd.testing.assert_frame_equal, rtol=1e-6, atol=1e-6)  # counts are equal

def same(here, there):
    assert list(here) == list(there) and here.skipped == there.skipped
    for lens in here:
        flat = [pd.json_normalize(dict(found[lens].summary)) for found in (here, there)]
        close(*flat)
        for table in here[lens].tables:
            close(here[lens].tables[table], there[lens].tables[table])

def end(node):
    cluster.remove_node(node, allow_graceful=False)

folder = Path(sys.argv[1])
seen = folder / "seen"
seen.mkdir()
rng = np.random.default_rng(0)
features, labels = rng.normal(size=(160, 5)).astype(np.float32), rng.choice(3, 160, p=[0.6, 0.3, 0.1])
whole = Run.from_arrays(train=(features, labels), test=(features[::2], labels[::2]), head=(np.eye(3, 5), np.zeros(3)))
parts = tuple(Part(features[low:low + 20], labels[low:low + 20]) for low in range(0, 160, 20))
replace(whole, train=replace(whole.train, parts=parts)).save(folder / "run")
local = imblens.audit(whole, skip=["embedding_map"])
exact.SHARED_NUMBERS, exact.TASK_ROWS = 0, 40  # neighbours are tasks too
searched = []
tasks = exact.tasks
def counted(function, given, **options):
    searched.append(len(given))
    return tasks(function, given, **options)
exact.tasks = counted
cluster = Cluster(initialize_head=True, head_node_args={"num_cpus": 1})
second = cluster.add_node(num_cpus=1)
ending_node = second.node_id
with engine("ray", cluster.address):
    same(local, imblens.audit(Run.load(folder / "run"), engine="ray", skip=["embedding_map"]))

    def end_in_a_task():
        while not list(seen.glob(f"* {ending_node}")):
            time.sleep(0.05)
        end(second)

    ending = Thread(target=end_in_a_task)
    ending.start()
    found = Run.load(folder / "run").train.reduce(lambda: Slow(3, 5, 1))
    ending.join()
    assert (found == whole.train.reduce(lambda: TopKCounts(3, 5, 1))).all()
    tried = [file.name.split()[0] for file in seen.iterdir()]
    assert len(tried) > len(set(tried)) == 8  # a part was tried on both nodes
    while sum(node["Alive"] for node in ray.nodes()) > 1:
        time.sleep(0.2)

    third = cluster.add_node(num_cpus=1)
    steps = []
    def step(name):
        steps.append(name)
        if len(steps) == 5:
            end(third)
    same(local, imblens.audit(Run.load(folder / "run"), engine="ray", skip=["embedding_map"], on_step=step))
    assert len(steps) > 5
assert searched.count(4) >= 2  # of 160 instances, by both audits
cluster.shutdown()
print("the same")
"""


@pytest.mark.slow
@pytest.mark.thorough
@pytest.mark.skipif(find_spec("ray") is None, reason="Ray is not installed")
def test_two_nodes_of_which_one_ends_half_way_give_the_same_findings(tmp_path: Path) -> None:
    same_in_a_process(NODES, tmp_path, RAY_USAGE_STATS_ENABLED="0", RAY_raylet_start_wait_time_s="120")


def test_an_address_without_a_cluster_is_reported(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    run = Run.from_arrays(train=(np.eye(4), [0, 0, 1, 1]))
    with pytest.raises(InputError, match="is that of a Ray cluster"):
        audit(run, address="10.0.0.1:6379")

    def refused(**options: object) -> None:
        assert options["address"] == "10.0.0.1:6379" and "_temp_dir" not in options
        raise ConnectionError("Could not find any running Ray instance.\nmore")

    ray = SimpleNamespace(is_initialized=lambda: False, init=refused, shutdown=lambda: None)
    monkeypatch.setitem(sys.modules, "ray", ray)
    before = dict(os.environ)
    with pytest.raises(MissingError, match=r"no Ray cluster at 10\.0\.0\.1:6379: Could not find"):
        audit(run, engine="ray", address="10.0.0.1:6379")
    assert dict(os.environ) == before
    run.save(tmp_path / "run")
    words = ["audit", str(tmp_path / "run"), "--lens", "errors", "--engine", "ray", "--address", "10.0.0.1:6379"]
    told = CliRunner().invoke(app, words)
    assert "no Ray cluster at 10.0.0.1:6379" in str(told.exception)


def test_an_engine_that_is_not_there_is_reported(monkeypatch: pytest.MonkeyPatch) -> None:
    run = Run.from_arrays(train=(np.eye(4), [0, 0, 1, 1]))
    with pytest.raises(MissingError, match="Did you mean 'ray'"), engine("rai"):
        pass
    monkeypatch.setitem(sys.modules, "ray", None)
    with pytest.raises(DependencyError, match=r"imblens\[ray\]"):
        audit(run, engine="ray")
    assert audit(run, lenses=["archetypes"]).findings


@pytest.mark.parametrize("search", [(), ("--exact",)], ids=["by default", "--exact"])
def test_neighbours_are_searched_by_the_engine_that_was_chosen(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, search: tuple[str, ...]
) -> None:
    rng = np.random.default_rng(0)
    np.savez(tmp_path / "a.npz", train_features=rng.normal(size=(60, 3)), train_labels=np.repeat([0, 1], 30))
    seen = []
    on_engine = _exact._Search.on_engine

    def spied(self: _exact._Search, rows: np.ndarray, progress: Callable[[str], object] | None) -> Iterator[Any]:
        seen.append(uses_ray())
        return on_engine(self, rows, progress)

    monkeypatch.setattr(_exact._Search, "on_engine", spied)
    monkeypatch.setattr("imblens.run._engine.connected", nullcontext)  # too few instances for a task
    words = ["audit", str(tmp_path / "a.npz"), "--lens", "archetypes", "--out", str(tmp_path / "out"), *search]
    for name in ("local", "ray"):
        done = CliRunner().invoke(app, [*words, "--force", "--engine", name])
        assert done.exit_code == 0, done.output
    assert seen == [False, True]


def test_few_queries_are_searched_where_the_command_runs(monkeypatch: pytest.MonkeyPatch) -> None:
    def sent(function: Any, given: list[Any], **options: Any) -> Iterator[Any]:
        tasks.append(len(given))
        return (function(options["shared"], *one) for one in given)

    tasks: list[int] = []
    monkeypatch.setattr(_exact, "tasks", sent)
    monkeypatch.setattr(_exact, "uses_ray", lambda: True)
    monkeypatch.setattr(_exact, "SHARED_NUMBERS", 0)
    monkeypatch.setattr(_exact, "TASK_ROWS", 40)
    base = np.random.default_rng(0).normal(size=(300, 4))
    found, _ = nearest(base, base[:40], 3)  # as those on which an approximate search is measured
    assert tasks == []
    np.testing.assert_array_equal(nearest(base, base[:81], 3)[0][:40], found)
    assert tasks == [3]
