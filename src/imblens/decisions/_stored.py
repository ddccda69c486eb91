"""Rules of decisions as one safetensors file: arrays, and a JSON text with the rest."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from imblens.base.files import claim_file, write_bytes
from imblens.decisions._calibration import Calibration
from imblens.decisions._distance import Distances
from imblens.decisions._sets import SetRule
from imblens.errors import InputError, MissingError, nearby
from imblens.run import Head

SCHEMA = "imblens decision 1"
OPTIONAL = ("shares", "costs", "thresholds", "centre")  # arrays


def write_decision(rules: Mapping[str, Any], path: Path, *, force: bool) -> Path:
    """Write the rules, the fields of a `Decision`; see `Decision.save`."""
    if path.suffix != ".safetensors":
        raise InputError(f"{path} is not a valid name for a decision.", hint="End it with .safetensors.")
    claim_file(path, force=force)
    write_bytes(path, decision_bytes(rules))
    return path


def decision_bytes(rules: Mapping[str, Any]) -> bytes:
    """The rules, the fields of a `Decision`, as the content of a safetensors file; the same rules give the same bytes."""
    from safetensors.numpy import save

    calibration: Calibration = rules["calibration"]
    sets: SetRule = rules["sets"]
    head, distances = rules["head"], rules["distances"]
    arrays: dict[str, NDArray[Any]] = {
        "bias": calibration.bias,
        "thresholds": sets.thresholds,
        "counts": sets.counts,
        "prior": sets.prior,
    }
    if head is not None:
        arrays |= {"head_weight": head.weight, "head_bias": head.bias}
        arrays |= {"head_unit": np.ones(1, np.float32)} if head.unit else {}
    arrays |= {f"rule_{name}": rules[name] for name in OPTIONAL if rules[name] is not None}
    if distances is not None:
        arrays |= {name: getattr(distances, name) for name in ("features", "starts", "scale", "grid")}
    facts = {
        "schema": SCHEMA,
        "classes": list(rules["classes"]),
        "temperature": calibration.temperature,
        "multilabel": calibration.multilabel,
        "n_labels": calibration.n_labels,
        "method": sets.method,
        "coverage": sets.coverage,
        "least": rules["least"],
        "by_probability": rules["by_probability"],
        "notes": list(rules["notes"]),
    }
    return save({name: np.ascontiguousarray(array) for name, array in arrays.items()}, {"imblens": json.dumps(facts)})


def read_decision(path: Path) -> dict[str, Any]:
    """Read the rules as arguments of `Decision`.

    Raises:
        MissingError: no such file.
        InputError: it is damaged or holds something else.
    """
    from safetensors import SafetensorError, safe_open

    if not path.exists():
        raise MissingError(f"there is no {path}.", hint=f"{nearby(path)}Write it with Decision.save.")
    try:
        with safe_open(path, framework="numpy") as file:
            facts = json.loads((file.metadata() or {}).get("imblens", "{}"))
            arrays = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118  (no mapping)
        if facts.get("schema") != SCHEMA:
            raise InputError(f"{path} holds no decision of this imblens.", hint="Write it again with Decision.save.")
        multilabel = bool(facts["multilabel"])
        head = (
            Head(arrays["head_weight"], arrays["head_bias"], "head_unit" in arrays) if "head_weight" in arrays else None
        )
        of_distance: list[Any] = [arrays.get(name) for name in ("features", "starts", "scale", "grid")]
        if 0 < sum(part is None for part in of_distance) < len(of_distance):
            raise ValueError("a part of the distances is missing")
        return {
            "classes": tuple(facts["classes"]),
            "head": head,
            "calibration": Calibration(facts["temperature"], arrays["bias"], multilabel, facts["n_labels"]),
            "sets": SetRule(
                facts["method"], facts["coverage"], arrays["thresholds"], arrays["counts"], arrays["prior"], multilabel
            ),
            "least": facts["least"],
            "distances": None if of_distance[0] is None else Distances(*of_distance),
            "by_probability": bool(facts["by_probability"]),
            **{name: arrays.get(f"rule_{name}") for name in OPTIONAL},
            "notes": tuple(facts["notes"]),
        }
    except (OSError, SafetensorError, ValueError, KeyError, TypeError) as error:
        if isinstance(error, InputError):
            raise
        raise InputError(
            f"{path} cannot be read: it is damaged, or holds something else.", hint="Write it again with Decision.save."
        ) from error
