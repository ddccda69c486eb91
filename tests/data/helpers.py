"""Writing small data sets of every layout."""

from __future__ import annotations

import io
import json
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from PIL import Image

HOSTILE = ("'\"><img src=x onerror=1>", "😀 猫", "=cmd|calc", "{{7*7}}", "a\nb")


def pixels(n: int, height: int = 5, width: int = 7, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 256, (n, height, width, 3), dtype=np.uint8)


def png(image: np.ndarray, **options: Any) -> bytes:
    file = io.BytesIO()
    Image.fromarray(image).save(file, "PNG", **options)
    return file.getvalue()


def write_classes(root: Path, counts: dict[str, int], seed: int = 0) -> dict[str, np.ndarray]:
    """Write root/<class>/NN.png and return the pixels by path relative to root."""
    written = {}
    for k, (name, n) in enumerate(counts.items()):
        (root / name).mkdir(parents=True)
        for i, image in enumerate(pixels(n, seed=1000 * seed + k)):
            (root / name / f"{i:02d}.png").write_bytes(png(image))
            written[f"{name}/{i:02d}.png"] = image
    return written


def table(images: np.ndarray | list[bytes | None], *, paths: list[str] | None = None, **columns: Any) -> pa.Table:
    encoded = [png(i) if isinstance(i, np.ndarray) else i for i in images]
    kind = pa.struct([("bytes", pa.binary()), ("path", pa.string())])
    rows = [{"bytes": e, "path": p} for e, p in zip(encoded, paths or [None] * len(encoded), strict=True)]
    return pa.table({"image": pa.array(rows, type=kind), **columns})


def write_parquet(path: Path, content: pa.Table, features: dict[str, Any] | None = None, **metadata: str) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    if features is not None:
        metadata["huggingface"] = json.dumps({"info": {"features": features}})
    pq.write_table(content.replace_schema_metadata(metadata or None), path)
    return path


def named(*names: str) -> dict[str, Any]:
    return {"names": list(names), "_type": "ClassLabel"}
