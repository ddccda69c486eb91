"""Reading a run from one ARRAYS.npz."""

from __future__ import annotations

import difflib
from collections.abc import Mapping
from pathlib import Path
from tempfile import gettempdir
from typing import Any

from numpy.typing import NDArray

from imblens.base.archives import open_arrays
from imblens.errors import InputError, MissingError

KEYS = ("features", "labels", "logits")
SPLITS = ("train", "test", "val")
KNOWN = {f"{split}_{key}" for split in SPLITS for key in (*KEYS, "groups")} | {
    "head_weight",
    "head_bias",
    "class_names",
    "head_balanced",
}


def read_npz(path: Path) -> dict[str, Any]:
    """Read an ARRAYS.npz and return the arguments of `Run.from_arrays`.

    Features and logits of an archive above 1 GiB are streamed to temporary files and mapped, as a note states.

    Raises:
        MissingError: an array is missing; the message lists those that are there.
        InputError: the archive is damaged or hostile, or an array has an unknown name.
    """
    with open_arrays(path, hint="Write it with numpy.savez.", mapped=True) as archive:
        keys = set(archive.keys)
        for key in ("train_features", "train_labels"):
            if key not in keys:
                raise MissingError(
                    f"{path} has no {key!r}.",
                    hint=f"It holds: {', '.join(sorted(keys)) or 'nothing'}. Needed: train_features, train_labels, "
                    "and optionally train_logits, the same with test_, head_weight, head_bias, class_names, head_balanced.",
                )
        for key in sorted(keys - KNOWN):
            meant = difflib.get_close_matches(key, KNOWN, n=1, cutoff=0.8)
            if meant:
                raise InputError(f"{path} has an unknown array {key!r}.", hint=f"Did you mean {meant[0]!r}? Rename it.")
        if "head_bias" in keys and "head_weight" not in keys:
            raise MissingError(f"{path} has 'head_bias' but no 'head_weight'.", hint="Give both, or neither.")
        for name in ("test", "val"):
            present = [f"{name}_{key}" for key in KEYS if f"{name}_{key}" in keys]
            missing = [f"{name}_{key}" for key in ("features", "labels") if f"{name}_{key}" not in keys]
            if present and missing:
                hint = "Give both, or neither."
                raise MissingError(f"{path} has {present[0]!r} but no {missing[0]!r}.", hint=hint)
        arrays = {key: archive.loaded(key) for key in sorted(keys) if key in KNOWN}
        notes = []
        if archive.large:
            notes.append(
                f"{path.name} holds {archive.unpacked / 1e9:.1f} GB: its arrays were streamed to files in "
                f"{gettempdir()}, where they are mapped until the command ends."
            )
    head = None
    if "head_weight" in arrays:
        head = (arrays["head_weight"], arrays.get("head_bias"))
    return {
        "train": _triple(arrays, "train"),
        "test": _triple(arrays, "test") or None,
        "val": _triple(arrays, "val") or None,
        "head": head,
        "classes": arrays["class_names"].ravel().tolist() if "class_names" in arrays else None,
        "groups": {split: arrays[f"{split}_groups"] for split in SPLITS if f"{split}_groups" in arrays} or None,
        "meta": {
            "data": {"source": path.name, "layout": "arrays"},
            **({"notes": notes} if notes else {}),
            **({"head_balanced": _stated(arrays["head_balanced"])} if "head_balanced" in arrays else {}),
        },
    }


def _stated(value: NDArray[Any]) -> Any:
    """True or false of one bool, 0 or 1; anything else as it is, to be refused."""
    single = value.reshape(-1)[0].item() if value.size == 1 else value.tolist()
    return bool(single) if single in (0, 1) else single


def _triple(arrays: Mapping[str, NDArray[Any]], split: str) -> tuple[NDArray[Any], ...]:
    return tuple(arrays[f"{split}_{key}"] for key in KEYS if f"{split}_{key}" in arrays)
