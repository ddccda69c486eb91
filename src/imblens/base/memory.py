"""How much of this machine one request may take: memory, cores and space for temporary files."""

from __future__ import annotations

import os
import re
import shutil
import tempfile
import warnings
from pathlib import Path

from imblens.errors import ImblensWarning, InputError, StorageError

MOUNTS = Path("/proc/mounts")  # of Linux
NOTED = 2**30  # bytes of temporary files in memory that are worth a warning


def memory_limit() -> int:
    """Return how many bytes one data set or result may take: half of this machine's memory, 8 GiB where unknown."""
    try:
        return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") // 2
    except (AttributeError, ValueError, OSError):  # not a POSIX system
        return 8 * 2**30


def cores() -> int:
    """Return how many cores this process may use, at most 16."""
    allowed = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return min(allowed, 16)


def refuse_too_large(needed: int, what: str, *, hint: str) -> None:
    """Refuse what needs more than `memory_limit`, before anything is allocated.

    Args:
        needed: bytes.
        what: subject and verb of the message: "FILE holds", "smote on 10 images needs".
        hint: what to do instead.

    Raises:
        InputError: it needs more.

    Example:
        >>> refuse_too_large(2**62, "a.npz holds", hint="Split it.")
        Traceback (most recent call last):
        imblens.errors.InputError: a.npz holds 4611686018.4 GB, more than half of this machine's memory. Split it.
    """
    if needed > memory_limit():
        raise InputError(f"{what} {needed / 1e9:.1f} GB, more than half of this machine's memory.", hint=hint)


def refuse_few_addresses(needed: int, what: str) -> None:
    """Refuse what needs more bytes of address space than a limit (`ulimit -v`) leaves; arguments as above.

    Raises:
        InputError: it needs more.

    Example:
        >>> refuse_few_addresses(2**20, "one image needs")
    """
    left = _addresses_left()
    if left is not None and left < needed:
        raise InputError(
            f"{what} {needed / 2**30:.0f} GiB of address space (little of it is used); "
            f"the limit of this process (ulimit -v) leaves {max(left, 0) / 2**30:.1f} GiB.",
            hint="Remove that limit, for example with: ulimit -v unlimited",
        )


def _addresses_left() -> int | None:
    """Bytes of address space that a limit leaves this process; None where there is no limit, or not on Linux."""
    try:
        import resource

        limit = resource.getrlimit(resource.RLIMIT_AS)[0]
        used = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
    except (ImportError, OSError):
        return None
    return None if limit == resource.RLIM_INFINITY else limit - used


def lies_in_memory(folder: str | Path) -> bool:
    """Return whether a folder lies on a file system in memory (tmpfs), as /tmp of some Linux systems; False if unknown."""
    try:
        place, lines = Path(folder).resolve(), MOUNTS.read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:
        return False
    found = (0, "")  # length of the mount point, kind of file system
    for line in lines:
        _, point, kind = (re.sub(r"\\(\d{3})", lambda code: chr(int(code[1], 8)), text) for text in line.split(" ")[:3])
        if place.is_relative_to(point) and len(point) >= found[0]:
            found = (len(point), kind)
    return found[1] in ("tmpfs", "ramfs")


def refuse_full(needed: int, what: str) -> None:
    """Refuse what needs more bytes than the folder for temporary files (TMPDIR) has free; arguments as above.

    Warns of 1 GiB or more in a folder that lies in memory.

    Raises:
        StorageError: it needs more.
    """
    folder = tempfile.gettempdir()
    free = shutil.disk_usage(folder).free
    if needed > free:
        raise StorageError(
            f"{what} {needed / 1e9:.1f} GB in {folder} for temporary files, {free / 1e9:.1f} GB are free.",
            hint="Set TMPDIR to a folder with more space.",
        )
    if needed >= NOTED and lies_in_memory(folder):
        warnings.warn(
            f"temporary files of 1 GiB or more are written to {folder}, which lies in memory (tmpfs): set TMPDIR to a "
            "folder on a disk.",
            ImblensWarning,
            stacklevel=1,
        )
