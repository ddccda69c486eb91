"""What is sent to Ray, how much of it at once, and how its failures are reported; Ray itself is left out."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from dataclasses import replace
from importlib.util import find_spec
from pathlib import Path
from types import SimpleNamespace
from typing import Any
from weakref import WeakSet

import numpy as np
import pytest

from imblens.base.remote import COPIES
from imblens.cli import main
from imblens.errors import ImblensError, InputError
from imblens.run import Part, Run, TopKCounts, engine, tasks

RNG = np.random.default_rng(0)
N, SIZE = 100, 4  # parts, instances of each
LABELS = RNG.choice(3, N * SIZE)
FEATURES = RNG.normal(size=(N * SIZE, 5)).astype(np.float32)


class RayError(Exception):
    """All errors of Ray."""


class WorkerCrashedError(RayError):
    """A worker was killed again and again."""


class RayTaskError(RayError):
    """A function raised `cause`."""

    def __init__(self, cause: Exception) -> None:
        super().__init__(f"ray::task() (pid=1)\\nTraceback: {cause}")
        self.cause = cause


class Ref:
    """Result of a task, or what it raised."""

    def __init__(self, value: Any) -> None:
        self.value = value


class Ray:
    """Three cores; tasks are computed when they are submitted."""

    exceptions = SimpleNamespace(RayError=RayError)

    def __init__(self) -> None:
        self.alive: WeakSet[Ref] = WeakSet()
        self.most, self.sent, self.put_there = 0, [], []

    def is_initialized(self) -> bool:
        return True

    def cluster_resources(self) -> dict[str, float]:
        return {"CPU": 3.0}

    def put(self, value: Any) -> Ref:
        self.put_there.append(value)
        return Ref(value)

    def remote(self, **options: Any) -> Any:
        return lambda function: SimpleNamespace(remote=lambda *given: self.submit(function, *given))

    def submit(self, function: Any, *given: Any) -> Ref:
        self.sent.append(given)
        try:
            ref = Ref(function(*(one.value if isinstance(one, Ref) else one for one in given)))
        except Exception as error:
            ref = Ref(error if isinstance(error, RayError) else RayTaskError(error))
        self.alive.add(ref)
        self.most = max(self.most, len(self.alive))
        return ref

    def get(self, ref: Ref) -> Any:
        if isinstance(ref.value, Exception):
            raise ref.value
        return ref.value


@pytest.fixture
def ray(monkeypatch: pytest.MonkeyPatch) -> Iterator[Ray]:
    fake = Ray()
    monkeypatch.setitem(sys.modules, "ray", fake)  # type: ignore[arg-type]
    with engine("ray"):
        yield fake


def in_parts() -> Run:
    run = Run.from_arrays(train=(FEATURES, LABELS), head=(RNG.normal(size=(3, 5)), np.zeros(3)))
    rows = [slice(low, low + SIZE) for low in range(0, N * SIZE, SIZE)]
    return replace(run, train=replace(run.train, parts=tuple(Part(FEATURES[own], LABELS[own]) for own in rows)))


def test_what_all_tasks_share_is_sent_once_and_results_do_not_pile_up(ray: Ray) -> None:
    made = []

    def make() -> TopKCounts:
        made.append(TopKCounts(3, 5, 2))
        return made[-1]

    found = in_parts().train.reduce(make)
    single = Run.from_arrays(train=(FEATURES, LABELS))
    np.testing.assert_array_equal(found, single.train.reduce(lambda: TopKCounts(3, 5, 2)))
    assert found.sum() == 2 * N * SIZE and len(ray.sent) == N
    assert len(made) == 2 and len(ray.put_there) == 1  # one here, one for all tasks
    assert all(isinstance(first, Ref) and set(part) == {"features", "labels", "logits"} for first, part, _ in ray.sent)
    assert ray.most <= 8  # two for each core, and what is being read


def test_predictions_of_a_large_split_are_a_task_for_each_part(ray: Ray, monkeypatch: pytest.MonkeyPatch) -> None:
    split = in_parts().train
    expected = split.logits.argmax(axis=1)
    monkeypatch.setattr("imblens.run._split.LOGITS_AT_ONCE", 10)
    large = replace(split)
    np.testing.assert_array_equal(large.predictions, expected)
    assert len(ray.sent) == N
    pairs, counts = np.unique(3 * LABELS + expected, return_counts=True)
    assert large.confusion.toarray().ravel()[pairs].tolist() == counts.tolist()


@pytest.mark.skipif(find_spec("fsspec") is None, reason="fsspec is not installed")
def test_workers_receive_the_addresses_of_parts_in_object_storage(ray: Ray, tmp_path: Path) -> None:
    in_parts().save(tmp_path / "run")
    for place, kind in ((tmp_path / "run", Path), (f"file://{tmp_path / 'run'}", str)):
        ray.sent.clear()
        found = Run.load(place).train.reduce(lambda: TopKCounts(3, 5, 2))
        sent = [part["features"] for _, part, _ in ray.sent]
        assert len(sent) == N and all(isinstance(one, kind) for one in sent)
        assert str(sent[1]).endswith("run/train/part-00001/features.npy")
        assert str(sent[1]).startswith("file://") is (kind is str)
        np.testing.assert_array_equal(found, in_parts().train.reduce(lambda: TopKCounts(3, 5, 2)))
    COPIES.forget()


def raised_by(error: Exception) -> None:
    raise error


MISSING = FileNotFoundError(2, "No such file or directory", "/only/here/features.npy")
CAUSES = {
    "killed": (
        WorkerCrashedError("The worker died.\nSee its log."),
        ImblensError,
        "WorkerCrashedError: The worker died.",
    ),
    "lost": (RayTaskError(RayError("The object is lost.")), ImblensError, "Ray could not compute a task"),
    "file": (MISSING, InputError, "a worker of Ray cannot use /only/here/features.npy: No such file"),
    "ours": (InputError("7.png is damaged.", hint="Remove it."), InputError, "7.png is damaged."),
    "bug": (KeyError("no such key"), KeyError, "no such key"),
}


@pytest.mark.parametrize("name", CAUSES)
def test_what_ray_reports_is_a_sentence_and_what_a_function_raises_stays_as_it_was(ray: Ray, name: str) -> None:
    error, kind, text = CAUSES[name]
    with pytest.raises(kind) as found:
        list(tasks(raised_by, [(error,)]))
    assert type(found.value) is kind and text in str(found.value) and "\n" not in str(found.value)
    assert kind is not InputError or found.value.hint  # type: ignore[attr-defined]


@pytest.mark.usefixtures("ray")
@pytest.mark.parametrize(
    ("error", "sentence", "code"),
    [
        (WorkerCrashedError("The worker died."), "Ray could not compute a task", 2),
        (MISSING, "cannot use /only/here/features.npy", 2),
        (KeyError("no such key"), "imblens failed: KeyError", 1),
    ],
)
def test_only_a_bug_is_called_a_bug(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    error: Exception,
    sentence: str,
    code: int,
) -> None:
    in_parts().save(tmp_path / "run")
    monkeypatch.setattr(TopKCounts, "update", lambda *given: raised_by(error))
    words = [
        "audit",
        str(tmp_path / "run"),
        "--lens",
        "feature_density",
        "--engine",
        "ray",
        "--out",
        str(tmp_path / "a"),
    ]
    monkeypatch.setattr("sys.argv", ["imblens", *words])
    with pytest.raises(SystemExit) as ended:
        main()
    said = [line for line in capsys.readouterr().err.splitlines() if line.startswith("error: ")]
    assert ended.value.code == code and len(said) == 1 and sentence in said[0]
