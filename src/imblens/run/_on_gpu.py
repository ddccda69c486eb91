"""Candidates for the nearest rows from a GPU: the same lower bounds as on the processor, measured again there in float64."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np

from imblens.run._candidates import Columns
from imblens.run._engine import uses_ray
from imblens.run._space import Indices, Wide

FEWEST_PAIRS = 2**32  # of rows, below which starting a GPU takes longer than it saves
TILE_NUMBERS = 2**27  # in one product: 512 MiB
QUERIES = 1_024  # of one product
DRIVER = Path("/dev/nvidiactl")


def gpu_for(n_queries: int, n_rows: int, dim: int) -> Any | None:
    """The GPU that a search is made on, as torch's device; None for few pairs, or without one that works and holds the base.

    PyTorch is loaded only where it is already, or where this machine has a driver of NVIDIA.
    """
    if n_queries * n_rows < FEWEST_PAIRS or uses_ray() or not ("torch" in sys.modules or DRIVER.exists()):
        return None
    try:
        import torch

        if not torch.cuda.is_available():
            return None
        free, _ = torch.cuda.mem_get_info()
    # torch without its libraries; a GPU that another process has to itself
    except (ImportError, OSError, RuntimeError):
        return None
    needed = 4 * n_rows * (dim + 1) + 6 * 4 * TILE_NUMBERS
    return torch.device("cuda") if 2 * needed <= free else None


def candidates_on(device: Any, columns: Columns, blocks: Iterable[Wide]) -> Iterator[tuple[Indices, Indices, Any]]:
    """Yield of every block of scaled queries (b, D): row of the block, row of the base, and (b,) which rows are too loose.

    As `Candidates.search` gives: pairs by row that hold all true neighbours, without those of loose rows. The smallest lower
    bounds of each query are kept, some more than k; where all of them are within the threshold, the row is loose.

    Args:
        device: of torch.
        columns: the base in float32; all rows are one cell.
        blocks: queries, scaled as the base is.
    """
    import torch

    with exact_products(device), torch.inference_mode():
        base, slack = (torch.from_numpy(values).to(device) for values in (columns.bounds, columns.slack))
        most = min(8 * columns.k + 64, len(base))
        width = max(most, TILE_NUMBERS // QUERIES)
        for scaled in blocks:
            left = np.ones((len(scaled), scaled.shape[1] + 1), np.float32)
            left[:, :-1] = scaled
            queries = torch.from_numpy(left).to(device)
            value = torch.full((len(left), 0), np.inf, device=device)
            place = torch.zeros((len(left), 0), dtype=torch.int64, device=device)
            for low in range(0, len(base), width):
                product = queries @ base[low : low + width].T
                some, at = product.topk(min(most, product.shape[1]), dim=1, largest=False)
                value, place = torch.cat([value, some], dim=1), torch.cat([place, at + low], dim=1)
                if value.shape[1] > most:
                    value, at = value.topk(most, dim=1, largest=False)
                    place = place.gather(1, at)
            upper = (value + slack[place]).kthvalue(columns.k, dim=1).values
            found = [tensor.cpu().numpy() for tensor in (value, place, upper)]
            yield within_threshold(columns, scaled, *found)


def within_threshold(
    columns: Columns, scaled: Wide, value: Any, place: Indices, upper: Any
) -> tuple[Indices, Indices, Any]:
    """Pairs whose lower bound (b, m) does not exceed what the upper bound (b,) of the k-th implies; see `Candidates`."""
    norms = np.einsum("nd,nd->n", scaled, scaled)
    limit = upper.astype(np.float64) + 3 * columns.error * norms + 2 * columns.tiny
    threshold = np.nextafter(limit.astype(np.float32), np.float32(np.inf))
    kept = value <= threshold[:, None]
    loose = kept.all(axis=1) & (value.shape[1] < len(columns.row))
    row, at = np.nonzero(kept & ~loose[:, None])
    return row, columns.row[place[row, at]], loose


@contextmanager
def exact_products(device: Any) -> Iterator[None]:
    """Products and convolutions in float32 with all of its digits; settings are put back."""
    import torch

    owners: list[Any] = [torch.backends.cuda.matmul, torch.backends.cudnn]
    name, exact = "allow_tf32", False
    if hasattr(owners[0], "fp32_precision"):  # torch >= 2.9
        rest = ("mkldnn", "matmul"), ("mkldnn", "conv"), ("cudnn", "conv")
        found = (getattr(getattr(torch.backends, module), part, None) for module, part in rest)
        owners = [owners[0], *(one for one in found if one is not None)]
        name, exact = "fp32_precision", "ieee"  # type: ignore[assignment]
    before = [getattr(owner, name) for owner in owners]
    try:
        for owner in owners:
            setattr(owner, name, exact)
        with torch.autocast(device.type, enabled=False):
            yield
    finally:
        for owner, value in zip(owners, before, strict=True):
            setattr(owner, name, value)
