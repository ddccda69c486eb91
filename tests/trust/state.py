"""What a process and its user own, before and after each public function: random states, settings, arrays, the network.

    python -m tests.trust.state            every call of `tests.trust.calls`: done, refused, and interrupted in the middle
    python -m tests.trust.state train      the calls whose names hold these letters

A call is made three times: with good arguments, with a wrong one, and with an exception raised inside it, at calls of
functions of imblens chosen at random. What is listed by `portrait` must be the same before and after.
"""

from __future__ import annotations

import decimal
import gc
import hashlib
import io
import locale
import logging
import os
import random
import signal
import socket
import sys
import tempfile
import threading
import types
import warnings
from collections.abc import Callable, Mapping
from contextlib import redirect_stderr, redirect_stdout
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

INTERRUPTS = 4  # places per call at which an exception is raised
MOVES = {"build_model": ["torch's random state"]}  # new layers draw their weights from it, as all layers of torch
LONG = 20_000  # of these calls of functions and more, one place
# Functions that put things back: nothing can be promised where these themselves are interrupted.
PUTS_BACK = ("_restore", "_put_back", "__exit__", "<module>", "__getattr__")


class StoppedError(Exception):
    """Raised in the middle of a call."""


def portrait(owned: Mapping[str, Any] | None = None) -> dict[str, Any]:
    """Everything that no call may change, as values that can be compared; `owned` are the user's objects by name."""
    found: dict[str, Any] = {
        "random": random.getstate(),
        "numpy's random state": [str(part) for part in np.random.get_state()],
        "numpy's errstate": np.geterr(),
        "numpy's print options": np.get_printoptions(),
        "pandas' options": pandas_options(),
        "warning filters": list(warnings.filters),
        "showing warnings": warnings.showwarning,
        "folder": os.getcwd(),
        "environment": dict(os.environ),
        "sys.path": list(sys.path),
        "sys.argv": list(sys.argv),
        "streams": (sys.stdout, sys.stderr, sys.stdin),
        "exception hooks": (sys.excepthook, threading.excepthook, sys.unraisablehook),
        "limits of Python": (sys.getrecursionlimit(), sys.getswitchinterval(), gc.isenabled(), gc.get_threshold()),
        "decimal": str(decimal.getcontext()),
        "locale": locale.setlocale(locale.LC_ALL),
        "time-out of sockets": socket.getdefaulttimeout(),
        "signals": {n: signal.getsignal(n) for n in (signal.SIGINT, signal.SIGTERM)},
        "root logger": (
            logging.root.level,
            list(logging.root.handlers),
            logging.root.disabled,
            logging.root.manager.disable,
        ),
        "threads": {thread.name for thread in threading.enumerate() if not thread.daemon},
        "umask": umask(),
    }
    for name, read in READ_IF_LOADED.items():
        if name in sys.modules:
            found |= read()
    return found | {name: print_of(value) for name, value in (owned or {}).items()}


def pandas_options() -> dict[str, str]:
    """Every option of pandas."""
    from pandas._config.config import _registered_options, get_option

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return {name: str(get_option(name)) for name in _registered_options}


def umask() -> int:
    """The mask of new files."""
    mask = os.umask(0)
    os.umask(mask)
    return mask


def of_torch() -> dict[str, Any]:
    """Settings of torch."""
    import torch

    return {
        "torch's random state": hashlib.sha256(torch.get_rng_state().numpy().tobytes()).hexdigest(),
        "torch's threads": (torch.get_num_threads(), torch.get_num_interop_threads()),
        "torch's default dtype": torch.get_default_dtype(),
        "torch's default device": str(torch.get_default_device()) if hasattr(torch, "get_default_device") else "",
        "torch's modes": (
            torch.is_grad_enabled(),
            torch.is_inference_mode_enabled(),
            torch.is_autocast_enabled("cpu"),
            torch.are_deterministic_algorithms_enabled(),
            torch.is_deterministic_algorithms_warn_only_enabled(),
            torch.get_float32_matmul_precision(),
            torch.backends.cudnn.enabled,
            torch.backends.cudnn.allow_tf32,
            torch.backends.cudnn.benchmark,
            torch.backends.cudnn.deterministic,
            torch.backends.mkldnn.flags.__name__,
            torch.is_anomaly_enabled(),
            torch._C._get_flush_denormal() if hasattr(torch._C, "_get_flush_denormal") else None,
        ),
        "torch's hooks": len(torch.nn.modules.module._global_forward_hooks),
        "sharing of tensors": torch.multiprocessing.get_sharing_strategy(),
    }


def of_matplotlib() -> dict[str, Any]:
    """Settings of matplotlib."""
    import matplotlib

    return {"matplotlib's settings": str(sorted(matplotlib.rcParams.items(), key=str))}


def of_pillow() -> dict[str, Any]:
    """Limits of Pillow."""
    from PIL import Image, ImageFile

    return {"Pillow's limits": (Image.MAX_IMAGE_PIXELS, ImageFile.LOAD_TRUNCATED_IMAGES)}


def of_altair() -> dict[str, Any]:
    """Settings of altair."""
    import altair

    return {"altair's settings": (altair.data_transformers.active, altair.renderers.active, altair.theme.active)}


def of_pools() -> dict[str, Any]:
    """Threads of BLAS and OpenMP."""
    from threadpoolctl import threadpool_info

    return {"threads of libraries": {pool["filepath"]: pool["num_threads"] for pool in threadpool_info()}}


def of_arrow() -> dict[str, Any]:
    """Threads of Arrow."""
    import pyarrow

    return {"threads of Arrow": (pyarrow.cpu_count(), pyarrow.io_thread_count())}


READ_IF_LOADED: dict[str, Callable[[], dict[str, Any]]] = {
    "torch": of_torch,
    "matplotlib": of_matplotlib,
    "PIL.ImageFile": of_pillow,
    "altair": of_altair,
    "threadpoolctl": of_pools,
    "pyarrow": of_arrow,
}


def print_of(value: Any) -> Any:
    """A digest of an object of the user: arrays, frames, runs, networks, image sets, containers of these."""
    if "torch" in sys.modules:
        import torch

        if isinstance(value, torch.nn.Module):
            return of_network(value)
        if isinstance(value, torch.Tensor):
            return (value.data_ptr(), value.requires_grad, value.detach().numpy().tobytes())
    if isinstance(value, np.ndarray):
        return (value.dtype.str, value.shape, value.flags.writeable, hashlib.sha256(value.tobytes()).hexdigest())
    if isinstance(value, pd.DataFrame):
        return (tuple(map(str, value.columns)), hashlib.sha256(value.to_csv().encode()).hexdigest())
    if isinstance(value, Mapping):
        return {key: print_of(inner) for key, inner in value.items()}
    if isinstance(value, (list, tuple)):
        return [print_of(inner) for inner in value]
    if hasattr(value, "parts") and hasattr(value, "classes"):
        return [print_of((part.features, part.labels, part.logits, part.table)) for part in value.parts]
    if hasattr(value, "splits"):
        return [print_of(value.splits), str(value.meta), print_of([getattr(value.head, "weight", None)]), value.classes]
    if isinstance(value, Path):
        return sorted((str(f), f.read_bytes(), f.stat().st_mtime_ns) for f in [value, *value.rglob("*")] if f.is_file())
    return repr(value) if not callable(value) else id(value)


def of_network(model: Any) -> dict[str, Any]:
    """Weights, buffers, gradients, modes, hooks and attributes of a network."""
    named = [*model.named_parameters(), *model.named_buffers()]
    return {
        "tensors": {n: (id(t), t.data_ptr(), t.requires_grad, t.detach().cpu().numpy().tobytes()) for n, t in named},
        "gradients": {
            n: None if p.grad is None else (id(p.grad), p.grad.numpy().tobytes()) for n, p in model.named_parameters()
        },
        "training": {n: m.training for n, m in model.named_modules()},
        "attributes": {n: sorted(vars(m)) for n, m in model.named_modules()},
        "hooks": {
            n: [list(vars(m)[k]) for k in sorted(vars(m)) if k.endswith("_hooks")] for n, m in model.named_modules()
        },
    }


def changes(before: Mapping[str, Any], after: Mapping[str, Any]) -> list[str]:
    """What is not as it was; a library that was imported in between is not compared."""
    return [key for key, value in before.items() if not same(value, after.get(key))]


def same(one: Any, two: Any) -> bool:
    try:
        return bool(one == two)
    except ValueError:
        return str(one) == str(two)


def interrupted(call: Callable[[], object], at: int) -> int:
    """Make a call in which `StoppedError` is raised at the `at`-th call of a function of imblens; how many calls it made.

    With `at` of 0 it is made to its end.
    """
    count, main = 0, threading.get_ident()

    def watch(frame: types.FrameType, event: str, argument: Any) -> None:
        nonlocal count
        code = frame.f_code
        if event != "call" or "imblens" not in code.co_filename or "tests" in code.co_filename:
            return
        if code.co_name.startswith(PUTS_BACK) or threading.get_ident() != main or putting_back(frame):
            return
        count += 1
        if count == at:
            sys.setprofile(None)
            raise StoppedError

    sys.setprofile(watch)
    try:
        call()
    except BaseException as error:
        if at == 0 or not stopped(error):
            raise
    finally:
        sys.setprofile(None)
    return count


def putting_back(frame: types.FrameType | None) -> bool:
    """Whether a context manager of imblens is being left: a generator that is resumed by `__exit__`."""
    while frame is not None:
        if frame.f_code.co_name in ("__exit__", "__aexit__", "close", "__del__"):
            return True
        frame = frame.f_back
    return False


def stopped(error: BaseException | None) -> bool:
    """Whether an error is, or comes from, the one that was raised here."""
    while error is not None:
        if isinstance(error, StoppedError) or "StoppedError" in str(error):
            return True
        error = error.__cause__ or error.__context__
    return False


def trials(name: str, *, interrupts: int = INTERRUPTS) -> list[str]:
    """One sentence per thing that a call left changed; empty where all is as it was."""
    from imblens.errors import ImblensError
    from tests.trust.calls import CALLS, owned

    right, wrong = CALLS[name]
    moves = MOVES.get(name, [])
    kept: dict[str, Any] = owned()
    bad: list[str] = []

    def tried(kind: str, call: Callable[[], object], *, compared: bool = True) -> None:
        with tempfile.TemporaryDirectory() as folder:
            here = os.getcwd()
            os.chdir(folder)
            before = portrait(kept)
            try:
                with redirect_stdout(io.StringIO()), redirect_stderr(io.StringIO()):
                    streams = sys.stdout, sys.stderr, sys.stdin
                    call()
                    assert streams == (sys.stdout, sys.stderr, sys.stdin)
            except Exception as error:
                if kind != "refused" or not isinstance(error, ImblensError):
                    bad.append(f"{name}, {kind}: {type(error).__name__} {str(error)[:200]}")
            else:
                if kind == "refused":
                    bad.append(f"{name}: the wrong argument was accepted")
            if compared:
                bad.extend(
                    f"{name}, {kind}: {key} changed" for key in changes(before, portrait(kept)) if key not in moves
                )
            os.chdir(here)

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        tried("done at first", right, compared=False)  # it imports
        tried("done", right)
        if wrong is not None:
            tried("refused", wrong)
        if interrupts:
            total = 0

            def count() -> None:
                nonlocal total
                total = interrupted(right, 0)

            tried("counted", count, compared=False)
            rng = np.random.default_rng([*name.encode()])
            places = interrupts if total < LONG else 1
            for at in sorted({int(rng.integers(1, total + 1)) for _ in range(places)} if total else ()):
                tried(f"interrupted at {at} of {total}", lambda at=at: interrupted(right, at))
    return bad


def main() -> int:
    """Try every call and print what was left changed."""
    from tests.trust.calls import CALLS, prepare

    words = sys.argv[1:]
    names = [name for name in CALLS if not words or any(word in name for word in words)]
    prepare()
    wrong = 0
    for name in names:
        bad = trials(name)
        wrong += bool(bad)
        print(*bad, sep="\n", end="\n" if bad else "", flush=True)
    print(
        f"state: {len(names)} calls of public functions, each done, refused and interrupted at up to {INTERRUPTS} places: "
        f"{len(names) - wrong} left the process, the network and the arrays as they were"
    )
    return int(bool(wrong))


if __name__ == "__main__":
    sys.exit(main())
