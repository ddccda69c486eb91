"""Weights from files, none of which may run code."""

from __future__ import annotations

import gzip
import os
import re
import zipfile
from argparse import Namespace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import save_file
from torch import nn

from imblens.errors import InputError, MissingError, ShapeError
from imblens.models import build_model, load_pretrained, load_weights


class Evil:
    """Makes a folder when it is unpickled."""

    def __init__(self, folder: str) -> None:
        self.folder = folder

    def __reduce__(self) -> Any:
        return os.mkdir, (self.folder,)


def network(seed: int, n_classes: int = 4) -> nn.Module:
    torch.manual_seed(seed)
    return build_model("smallnet", n_classes)


def equal(a: nn.Module, b: nn.Module) -> bool:
    return all(torch.equal(x, y) for x, y in zip(a.state_dict().values(), b.state_dict().values(), strict=True))


def prefixed(state: dict[str, Any], prefix: str) -> dict[str, Any]:
    return {prefix + key: value for key, value in state.items()}


@pytest.mark.parametrize(
    ("file", "wrap"),
    [
        ("w.safetensors", lambda s: s),
        ("w.safetensors", lambda s: prefixed(s, "module.")),
        ("w.pt", lambda s: s),
        ("w.pth", lambda s: {"state_dict": s, "epoch": 3}),
        ("w.pth", lambda s: {"model": prefixed(s, "module."), "optimizer": {"lr": 0.1}}),
        ("w.ckpt", lambda s: {"state_dict": prefixed(s, "model._orig_mod."), "epoch": 3}),
        ("w.pt", lambda s: {"model_state_dict": prefixed(s, "_orig_mod.module.")}),
        ("w.pt", lambda s: {"net": prefixed(s, "net.")}),
        ("w.pt", lambda s: {k: v for k, v in s.items() if not k.endswith("num_batches_tracked")}),
    ],
)
def test_layouts_that_people_save(tmp_path: Path, file: str, wrap: Any) -> None:
    source, target = network(0), network(1)
    save = save_file if file.endswith("safetensors") else torch.save
    save(wrap(source.state_dict()), tmp_path / file)
    assert not equal(source, target)
    assert load_weights(target, tmp_path / file) is target
    assert equal(source, target)


KEYS = ("params", "network", "model_ema", "params_ema", "state_dict_best", "ema_state_dict", "weights", "model_state")
PREFIXES = ("backbone.", "network.", "encoder.", "_forward_module.", "module.model.", "net._orig_mod.", "a.b.c.")


@pytest.mark.parametrize("key", KEYS)
@pytest.mark.parametrize("file", ["best.pth.tar", "best.T7", "checkpoint"])
def test_weights_are_found_under_any_key_of_any_file(tmp_path: Path, key: str, file: str) -> None:
    source, target = network(0), network(1)
    torch.save({key: source.state_dict(), "optimizer": {"state": {0: {"exp_avg": torch.ones(3)}}}}, tmp_path / file)
    assert equal(load_weights(target, tmp_path / file), source)


@pytest.mark.parametrize("prefix", PREFIXES)
def test_prefixes_and_other_tensors_are_no_obstacle(tmp_path: Path, prefix: str) -> None:
    source, target, lines = network(0), network(1), []
    more = {"criterion.weight": torch.ones(4), "val_f1.tp": torch.zeros(4), "n_averaged": torch.tensor(3)}
    torch.save({"state_dict": {**prefixed(source.state_dict(), prefix), **more}}, tmp_path / "w")
    assert equal(load_weights(target, tmp_path / "w", progress=lines.append), source)
    kept = prefix.replace("_forward_module.", "").replace("_orig_mod.", "")
    assert f"under '{f'state_dict.{kept}'[:-1]}'" in lines[0]
    assert "state_dict.criterion (1)" in lines[1] and "state_dict.n_averaged (1)" in lines[1]


def test_wrappers_inside_names_are_skipped(tmp_path: Path) -> None:
    source, target = network(0), network(1)
    state = {
        k.replace("convolutions.", "convolutions._fsdp_wrapped_module."): v for k, v in source.state_dict().items()
    }
    torch.save(state, tmp_path / "w")
    assert equal(load_weights(target, tmp_path / "w"), source)


def test_weights_of_the_inside_of_a_wrapper_fit_the_wrapper(tmp_path: Path) -> None:
    class Wrapper(nn.Module):
        def __init__(self, seed: int) -> None:
            super().__init__()
            self.backbone = network(seed)

    source, target = Wrapper(0), Wrapper(1)
    torch.save({"state_dict": source.backbone.state_dict()}, tmp_path / "w")
    assert equal(load_weights(target, tmp_path / "w"), source)


@pytest.mark.parametrize(
    ("plain", "average"), [("state_dict", "state_dict_ema"), ("model", "ema"), ("net", "model_ema")]
)
def test_an_average_beside_plain_weights_is_named_and_can_be_chosen(tmp_path: Path, plain: str, average: str) -> None:
    source, mean, target, lines = network(0), network(2), network(1), []
    torch.save({average: prefixed(mean.state_dict(), "module."), plain: source.state_dict()}, tmp_path / "w.pth")
    assert equal(load_weights(target, tmp_path / "w.pth", progress=lines.append), source)
    assert f"'{average}.module', averaged weights (EMA)" in lines[1] and f"w.pth:{average}.module" in lines[1]
    assert equal(load_weights(target, f"{tmp_path / 'w.pth'}:{average}"), mean)
    assert equal(load_weights(target, tmp_path / "w.pth", key=plain), source)
    with pytest.raises(MissingError, match="no weights under 'emma'"):
        load_weights(target, tmp_path / "w.pth", key="emma")


def test_a_deeper_network_does_not_pass_for_a_shallow_one(tmp_path: Path) -> None:
    torch.save(nn.Sequential(nn.Linear(2, 2), nn.Linear(2, 2)).state_dict(), tmp_path / "w")
    with pytest.raises(ShapeError, match=r"2 unexpected \(1.weight, 1.bias\)"):
        load_weights(nn.Sequential(nn.Linear(2, 2)), tmp_path / "w")


def test_values_of_training_scripts_are_no_obstacle(tmp_path: Path) -> None:
    source, target = network(0), network(1)
    more = {"best": np.float64(0.5), "lr": np.float32(0.1), "args": Namespace(lr=0.1), "history": np.zeros(3)}
    torch.save({"state_dict": source.state_dict(), **more}, tmp_path / "w")
    assert equal(load_weights(target, tmp_path / "w"), source)


def test_a_folder_of_one_file_or_of_shards(tmp_path: Path) -> None:
    source, target = network(0), network(1)
    state = source.state_dict()
    names = list(state)
    for i, part in enumerate((names[:5], names[5:])):
        torch.save({name: state[name] for name in part}, tmp_path / f"pytorch_model-{i}.bin")
    with pytest.raises(InputError, match="several files of weights"):
        load_weights(target, tmp_path)
    (tmp_path / "pytorch_model.bin.index.json").write_text("{}")
    assert equal(load_weights(target, tmp_path), source)
    (tmp_path / "empty").mkdir()
    with pytest.raises(InputError, match="folder without a file of weights"):
        load_weights(target, tmp_path / "empty")


def test_programs_and_other_files_are_named(tmp_path: Path) -> None:
    model = nn.Sequential(nn.Linear(3, 2))
    with zipfile.ZipFile(tmp_path / "script.pt", "w") as archive:  # the members of a TorchScript archive
        archive.writestr("archive/constants.pkl", b"")
        archive.writestr("archive/code/__torch__.py", b"")
    torch.export.save(torch.export.export(model, (torch.zeros(2, 3),)), tmp_path / "export.pt2")
    np.savez(tmp_path / "arrays.pt", a=np.zeros(3))
    (tmp_path / "arrays.pt.npz").rename(tmp_path / "arrays.pt")
    (tmp_path / "page.pth").write_text("<!DOCTYPE html><html></html>")
    (tmp_path / "lfs.bin").write_text("version https://git-lfs.github.com/spec/v1\noid sha256:0")
    (tmp_path / "notes.pt").write_text("epoch 3, loss 0.2\n")
    torch.save(model.state_dict(), tmp_path / "inner.pt")
    whole = (tmp_path / "inner.pt").read_bytes()
    (tmp_path / "half.pt").write_bytes(whole[:-300])
    (tmp_path / "packed.pt").write_bytes(gzip.compress(whole))
    (tmp_path / "onnx.pt").write_bytes(b"\x08\x07\x12\x07pytorch" + bytes(99))
    with zipfile.ZipFile(tmp_path / "outer.pt", "w") as archive:
        archive.write(tmp_path / "inner.pt", "inner.pt")
    kinds = {
        "script.pt": "a TorchScript program",
        "export.pt2": "an exported program",
        "arrays.pt": "an archive of NumPy arrays",
        "page.pth": "an HTML or XML page",
        "lfs.bin": "a Git LFS pointer",
        "notes.pt": "a text, not",
        "half.pt": "cut off",
        "packed.pt": "compressed",
        "onnx.pt": "an ONNX model",
        "outer.pt": r"an archive of inner\.pt \(extract it first\)",
    }
    for name, kind in kinds.items():
        with pytest.raises(InputError, match=f"{name} is {kind}"):
            load_weights(model, tmp_path / name)


def test_quantised_weights_are_not_taken_for_weights(tmp_path: Path) -> None:
    torch.save({k: v.to(torch.int8) for k, v in network(0).state_dict().items()}, tmp_path / "w.pt")
    with pytest.raises(ShapeError, match="of whole numbers, as quantised weights have them"):
        load_weights(network(1), tmp_path / "w.pt")


def test_lazy_layers_take_the_shapes_of_the_weights(tmp_path: Path) -> None:
    source = nn.Sequential(nn.Linear(6, 4), nn.ReLU(), nn.Linear(4, 3))
    torch.save(source.state_dict(), tmp_path / "w")
    target = nn.Sequential(nn.LazyLinear(4), nn.ReLU(), nn.LazyLinear(3))
    assert equal(load_weights(target, tmp_path / "w"), source)


def test_names_that_belong_to_the_network_keep_their_prefix(tmp_path: Path) -> None:
    class Wrapped(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.model = nn.Linear(2, 3)

    source, target = Wrapped(), Wrapped()
    torch.save(source.state_dict(), tmp_path / "w.pt")
    assert equal(load_weights(target, tmp_path / "w.pt"), source)


def test_tied_weights_may_occur_once(tmp_path: Path) -> None:
    source, target = (nn.Sequential(nn.Linear(2, 2), nn.Linear(2, 2)) for _ in range(2))
    for model in (source, target):
        model[1].weight = model[0].weight
    state = dict(source.state_dict())
    state.pop("1.weight")
    save_file(state, tmp_path / "w.safetensors")
    assert equal(load_weights(target, tmp_path / "w.safetensors"), source)


def test_misfits_are_named_and_change_nothing(tmp_path: Path) -> None:
    state = network(0, n_classes=5).state_dict()
    state["head.extra"] = torch.zeros(1)
    del state["convolutions.0.weight"]
    torch.save(state, tmp_path / "w.pt")
    target, twin = network(1), network(1)
    with pytest.raises(ShapeError) as error:
        load_weights(target, tmp_path / "w.pt")
    assert "1 missing (convolutions.0.weight)" in error.value.message
    assert "1 unexpected (head.extra)" in error.value.message
    assert "2 of another shape (head.weight (5, 64) for (4, 64), head.bias (5,) for (4,))" in error.value.message
    assert equal(target, twin)


def test_a_foreign_file_lists_only_the_first_names(tmp_path: Path) -> None:
    torch.save(nn.Sequential(*(nn.Linear(1, 1) for _ in range(9))).state_dict(), tmp_path / "w.pt")
    with pytest.raises(ShapeError, match=r"22 missing \(convolutions.0.weight, .*under 0, 1, 2, 3, 4, 5, 6, 7 and "):
        load_weights(network(0), tmp_path / "w.pt")


def test_a_hostile_pickle_never_runs(tmp_path: Path) -> None:
    folder = tmp_path / "pwned"
    torch.save({"state_dict": Evil(str(folder))}, tmp_path / "w.pt")
    with pytest.raises(InputError, match=r"could run any code.*--unsafe-pickle"):
        load_weights(network(0), tmp_path / "w.pt")
    assert not folder.exists()


def test_a_pickled_network_needs_the_flag(tmp_path: Path) -> None:
    source, target = network(0), network(1)
    torch.save(source, tmp_path / "w.pt")
    with pytest.raises(InputError, match="--unsafe-pickle"):
        load_weights(target, tmp_path / "w.pt")
    assert equal(load_weights(target, tmp_path / "w.pt", unsafe_pickle=True), source)


@pytest.mark.parametrize("name", ["w.pt", "w.safetensors", "w.ckpt"])
@pytest.mark.parametrize("content", [b"", b"not weights at all", b"PK\x03\x04broken"])
def test_damaged_files_are_refused_by_name(tmp_path: Path, name: str, content: bytes) -> None:
    (tmp_path / name).write_bytes(content)
    with pytest.raises(InputError, match=name):
        load_weights(network(0), tmp_path / name)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ({"a": 1}, "keys \\['a'\\]"),
        ([1, 2], "a list"),
        ({}, "keys \\[\\]"),
        ({"state_dict": {"x": "y"}}, "keys \\['state_dict'\\]"),
    ],
)
def test_files_without_tensors(tmp_path: Path, content: Any, message: str) -> None:
    torch.save(content, tmp_path / "w.pt")
    with pytest.raises(InputError, match=message + ", and no named tensors"):
        load_weights(network(0), tmp_path / "w.pt")


def test_no_file_and_an_unknown_kind(tmp_path: Path) -> None:
    with pytest.raises(MissingError, match="there is no weights file"):
        load_weights(network(0), tmp_path / "w.pt")
    (tmp_path / "w.h5").write_bytes(b"\x89HDF\r\n")
    with pytest.raises(InputError, match="an HDF5 file"):
        load_weights(network(0), tmp_path / "w.h5")


def published(state: dict[str, Any], head: str) -> dict[str, Any]:
    """Return weights under the names that torchvision gives them."""
    return {name.replace("head.", head): weight for name, weight in state.items()}


@pytest.mark.parametrize(("name", "head", "classes"), [("resnet50", "fc.", 1000), ("densenet121", "classifier.", 3)])
def test_published_weights_are_taken_all_but_a_head_of_other_classes(
    tmp_path: Path, name: str, head: str, classes: int
) -> None:
    source, target = build_model(name, 1000), build_model(name, classes)
    fresh = target.head.weight.clone()
    weights = published(source.state_dict(), head)
    first = "conv1.weight" if name == "resnet50" else "features.denseblock3.denselayer24.norm1.running_var"
    assert first in weights and head + "bias" in weights
    weights = {key: weight for key, weight in weights.items() if not key.endswith("num_batches_tracked")}
    torch.save(weights, tmp_path / "w.pth")
    line = load_pretrained(target, tmp_path / "w.pth")
    for key, tensor in target.state_dict().items():
        if not key.startswith("head."):
            assert torch.equal(tensor, source.state_dict()[key]), key
    assert torch.equal(target.head.weight, source.head.weight if classes == 1000 else fresh)
    assert ("is loaded" if classes == 1000 else "is re-initialised") in line


def test_names_of_old_densenet_files_are_known(tmp_path: Path) -> None:
    source, target = build_model("densenet121", 4), build_model("tdensenet121", 4)
    old = {
        re.sub(r"(denselayer\d+\.(?:norm|conv))([12])\.", r"\1.\2.", key): weight
        for key, weight in published(source.state_dict(), "classifier.").items()
    }
    assert "features.denseblock1.denselayer1.norm.1.weight" in old
    torch.save(old, tmp_path / "old.pth")
    load_pretrained(target, tmp_path / "old.pth")
    assert torch.equal(
        target.features.denseblock2.denselayer12.conv2.weight, source.features.denseblock2.denselayer12.conv2.weight
    )


def test_weights_of_another_network_are_refused(tmp_path: Path) -> None:
    target = build_model("tdensenet_small", 4)
    before = {key: tensor.clone() for key, tensor in target.state_dict().items()}
    torch.save(build_model("tdensenet121", 4).state_dict(), tmp_path / "w.pt")
    with pytest.raises(ShapeError, match="do not fit DenseNet"):
        load_pretrained(target, tmp_path / "w.pt")
    torch.save(build_model("resnet50_small", 4).state_dict(), tmp_path / "w.pt")
    with pytest.raises(ShapeError, match="missing"):
        load_pretrained(target, tmp_path / "w.pt")
    with pytest.raises(MissingError, match="no weights file"):
        load_pretrained(target, tmp_path / "none.pt")
    assert all(torch.equal(before[key], tensor) for key, tensor in target.state_dict().items())


def test_tensors_without_values_and_an_index_are_named(tmp_path: Path) -> None:
    model = build_model("smallnet", 3)
    torch.save({name: tensor.to("meta") for name, tensor in model.state_dict().items()}, tmp_path / "meta.pt")
    with pytest.raises(InputError, match="on the device meta, without values"):
        load_weights(model, tmp_path / "meta.pt")
    (tmp_path / "model.safetensors.index.json").write_text('{"weight_map": {}}')
    with pytest.raises(InputError, match="a text in JSON"):
        load_weights(model, tmp_path / "model.safetensors.index.json")
