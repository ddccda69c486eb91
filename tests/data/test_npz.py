from __future__ import annotations

import io
import zipfile

import numpy as np
import pytest

from imblens.base import archives
from imblens.data import load_images
from imblens.errors import InputError, MissingError

from .helpers import HOSTILE, pixels


def sets(**more):
    return {
        "train_images": pixels(6, seed=1),
        "train_labels": np.array([[0], [1], [2], [0], [0], [1]], dtype=np.uint8),
        "test_images": pixels(3, seed=2),
        "test_labels": np.array([[2], [1], [0]], dtype=np.uint8),
        **more,
    }


def save(path, arrays, *, packed=True):
    (np.savez_compressed if packed else np.savez)(path, **arrays)
    return path


@pytest.mark.parametrize("packed", [True, False])
def test_medmnist_layout_round_trips(tmp_path, packed):
    arrays = sets(val_images=pixels(2, seed=3), val_labels=np.array([[1], [0]]))
    loaded = load_images(save(tmp_path / "blood.npz", arrays, packed=packed))
    assert loaded.name == "blood" and loaded.classes == ("0", "1", "2") and loaded.task == "multiclass"
    for name, split in loaded.splits.items():
        assert (split.array() == arrays[f"{name}_images"]).all()
        assert split.labels.tolist() == arrays[f"{name}_labels"][:, 0].tolist()
        assert split.labels.dtype == np.int64
        assert split.ids.tolist()[1] == f"{name}/000001"


def test_greyscale_flat_labels_and_names(tmp_path):
    grey = np.random.default_rng(0).integers(0, 256, (4, 6, 5), dtype=np.uint8)
    arrays = {
        "train_images": grey,
        "train_labels": np.array([0, 1, 1, 0]),
        "test_images": grey[:2],
        "test_labels": np.array([1, 0]),
        "class_names": np.array(HOSTILE[:2]),
    }
    loaded = load_images(save(tmp_path / "a.npz", arrays))
    assert loaded.classes == HOSTILE[:2] and loaded.train.greyscale
    assert (loaded.train.array()[..., 1] == grey).all()


def test_labels_may_be_names_or_start_anywhere(tmp_path):
    text = {"train_labels": np.array(list("bacaab")), "test_labels": np.array(["c", "b", "a"])}
    loaded = load_images(save(tmp_path / "a.npz", sets(**text)))
    assert loaded.classes == ("a", "b", "c") and loaded.train.labels.tolist() == [1, 0, 2, 0, 0, 1]
    shifted = {"train_labels": np.array([7, 300, 9, 7, 7, 300]), "test_labels": np.array([9, 300, 7])}
    loaded = load_images(save(tmp_path / "b.npz", sets(**shifted)))
    assert loaded.classes == ("7", "9", "300") and loaded.train.labels.tolist() == [0, 2, 1, 0, 0, 2]


def test_multi_hot_labels_make_a_multi_label_set(tmp_path):
    hot = np.array([[1, 0, 1], [0, 0, 0], [0, 1, 0], [1, 1, 0], [0, 0, 0], [1, 0, 0]])
    loaded = load_images(save(tmp_path / "a.npz", sets(train_labels=hot, test_labels=hot[:3])))
    assert loaded.task == "multilabel" and loaded.train.labels.dtype == np.uint8
    assert (loaded.train.labels == hot).all() and loaded.class_counts.tolist() == [3, 2, 1]
    assert loaded.notes == ()
    one_hot = {"train_labels": np.eye(3)[[0, 1, 2, 0, 0, 1]], "test_labels": np.eye(3)}
    loaded = load_images(save(tmp_path / "b.npz", sets(**one_hot)))
    assert loaded.task == "multiclass" and loaded.train.labels.tolist() == [0, 1, 2, 0, 0, 1]
    assert "read as single-label" in loaded.notes[0]


def test_multi_label_sets_without_test_hold_out_a_fifth_of_the_rarest(tmp_path):
    hot = np.zeros((60, 3), np.uint8)
    hot[:40, 0] = 1
    hot[30:50, 1] = 1
    hot[:10, 2] = 1
    arrays = {"train_images": pixels(60), "train_labels": hot}
    loaded = load_images(save(tmp_path / "a.npz", arrays))
    assert len(loaded.test) == 12 and len(loaded.train) == 48
    assert loaded.test.labels[:, 2].sum() == 2 and loaded.test.labels[:, 1].sum() == 4
    assert (~loaded.test.labels.any(axis=1)).sum() == 2


def test_val_alone_is_held_out(tmp_path):
    arrays = sets(val_images=pixels(2), val_labels=np.array([[1], [0]]))
    del arrays["test_images"], arrays["test_labels"]
    loaded = load_images(save(tmp_path / "a.npz", arrays))
    assert loaded.val is None and len(loaded.test) == 2 and "val is the held-out" in loaded.notes[0]


@pytest.mark.parametrize(
    ("change", "message", "hint"),
    [
        ({"train_images": None}, "no train_images; its keys: train_labels", "train_images and train_labels"),
        ({"train_labels": None}, "no train_labels", "train_images and train_labels"),
        ({"test_labels": None}, "no test_labels", "test_"),
        ({"train_labels": np.zeros(5, int)}, "shape (5,) for 6 images", "(N, 1)"),
        ({"train_labels": np.zeros((6, 1, 1), int)}, "shape (6, 1, 1)", "(N, C)"),
        ({"train_labels": np.array([0, 1, 2, 0.5, 0, 1])}, "0.5 in row 3", "whole number"),
        ({"train_labels": np.array([0, 1, 2, np.nan, 0, 1])}, "nan in row 3", "whole number"),
        ({"train_labels": np.full((6, 2), 3), "test_labels": np.zeros((3, 2))}, "more than 0 and 1", "multi-hot"),
        ({"train_labels": np.zeros((6, 2), int)}, "different columns", "same labels"),
        ({"test_labels": np.array([0, 1, 5])}, "no image of '5', though test has some", "training images"),
        ({"train_labels": np.zeros(6, int), "test_labels": np.zeros(3, int)}, "only '0'", "one subfolder"),
        ({"class_names": np.array(["a", "b"])}, "row 2 has label 2", "0 to 1"),
        ({"class_names": np.array(["a", "b", "a"])}, "'a' appears twice", "differ"),
        ({"class_names": np.array(list("abcd"))}, "no image of 'd'", "take the class out"),
        ({"train_labels": np.array(list("abcaab"))}, "some splits have text", "one kind"),
        (
            {"train_labels": np.array([0, 1, 2, 0, 0, -1]), "class_names": np.array(list("abc"))},
            "label -1",
            "not given",
        ),
        ({"train_images": pixels(6).astype(float) / 255}, "float64", "* 255"),
        ({"train_images": pixels(6).transpose(0, 3, 1, 2)}, "shape (6, 3, 5, 7)", "transpose"),
    ],
)
def test_what_cannot_be_read_is_stated(tmp_path, change, message, hint):
    arrays = {key: value for key, value in sets(**change).items() if value is not None}
    with pytest.raises(InputError) as caught:
        load_images(save(tmp_path / "a.npz", arrays))
    assert message in caught.value.message and hint in caught.value.hint


def test_captured_features_are_refused(tmp_path):
    with pytest.raises(MissingError, match="features, not images") as caught:
        load_images(save(tmp_path / "a.npz", {"train_features": np.ones((3, 2)), "train_labels": np.arange(3)}))
    assert "imblens audit" in caught.value.hint


class Trap:
    sprung = False

    def __reduce__(self):
        return (setattr, (Trap, "sprung", True))


def test_object_arrays_are_refused_and_not_run(tmp_path):
    trap = np.empty(6, dtype=object)
    trap[:] = [Trap() for _ in range(6)]
    for key in ("train_labels", "train_images", "class_names"):
        path = tmp_path / f"{key}.npz"
        np.savez(path, **sets(**{key: trap}))
        with pytest.raises(InputError, match=f"'{key}' is an object array") as caught:
            load_images(path)
        assert str(path) in caught.value.message
    assert not Trap.sprung


def test_bombs_are_seen_before_they_are_unpacked(tmp_path, monkeypatch):
    monkeypatch.setattr(archives, "LARGE_BYTES", 10**6)
    path = save(tmp_path / "bomb.npz", sets(train_images=np.zeros((6, 512, 512, 3), np.uint8)))
    assert path.stat().st_size < 30_000
    with pytest.raises(InputError, match="more than 200-fold"):
        load_images(path)


def test_more_than_memory_is_refused(tmp_path, monkeypatch):
    monkeypatch.setattr(archives, "memory_limit", lambda: 1000)
    with pytest.raises(InputError, match="half of this machine's memory"):
        load_images(save(tmp_path / "a.npz", sets()))


def header(shape: str) -> bytes:
    text = f"{{'descr': '|u1', 'fortran_order': False, 'shape': {shape}, }}"
    text = text.ljust(117) + "\n"
    return b"\x93NUMPY\x01\x00" + len(text).to_bytes(2, "little") + text.encode()


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (header("(75000000000,)") + b"1234", "claims shape (75000000000,)"),
        (header("(-5,)") + b"1234", "claims shape (-5,)"),
        (header("(2, 2)") + b"123", "claims shape (2, 2)"),
        (header("(2, 2)") + b"12345", "claims shape (2, 2)"),
        (b"no array", "'train_images' cannot be read"),
        (b"\x93NUMPY\x09\x00" + b"0" * 99, "'train_images' cannot be read"),
        (b"", "'train_images' cannot be read"),
    ],
)
def test_lying_headers_are_refused(tmp_path, content, message):
    path = tmp_path / "a.npz"
    labels = io.BytesIO()
    np.save(labels, np.array([0, 1]))
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("train_images.npy", content)
        archive.writestr("train_labels.npy", labels.getvalue())
    with pytest.raises(InputError) as caught:
        load_images(path)
    assert message in caught.value.message and caught.value.hint


@pytest.mark.parametrize("name", ["../../evil.npy", "a/b.npy", "a\\b.npy"])
def test_odd_member_names_are_refused(tmp_path, name):
    path = save(tmp_path / "a.npz", sets())
    with zipfile.ZipFile(path, "a") as archive:
        archive.writestr(name, b"")
    with pytest.raises(InputError, match="holds a member named"):
        load_images(path)


def test_a_key_that_occurs_twice_is_refused(tmp_path):
    path = save(tmp_path / "a.npz", sets())
    with zipfile.ZipFile(path, "a") as archive, pytest.warns(UserWarning, match="Duplicate"):
        archive.writestr("train_labels.npy", b"")
    with pytest.raises(InputError, match="holds two members named"):
        load_images(path)


def test_damage_is_never_read_in_silence(tmp_path):
    arrays = sets()
    whole = save(tmp_path / "a.npz", arrays).read_bytes()
    random = np.random.default_rng(0)
    silent = 0
    for trial in range(60):
        broken = bytearray(whole)
        if trial % 2:
            broken = broken[: random.integers(0, len(whole))]
        else:
            broken[random.integers(0, len(whole))] ^= 1 << random.integers(0, 8)
        (tmp_path / "b.npz").write_bytes(broken)
        try:
            loaded = load_images(tmp_path / "b.npz")
        except InputError:
            continue
        same = (loaded.train.array() == arrays["train_images"]).all()
        silent += not (same and loaded.train.labels.tolist() == arrays["train_labels"][:, 0].tolist())
    assert silent == 0
