"""Determination of the available memory."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

from phono3py_mlp_plugin.operating_system import physical_memory

try:
    import resource
except ImportError:
    # Windows has no such limits.
    resource = None  # type: ignore[assignment]

_MEMINFO = Path("/proc/meminfo")
_OWN_GROUPS = Path("/proc/self/cgroup")
_GROUPS = Path("/sys/fs/cgroup")

# Files with the limit and the use, and the key in memory.stat of cached files, which
# the system releases if memory is needed.
_V1 = ("memory.limit_in_bytes", "memory.usage_in_bytes", "total_inactive_file")
_V2 = ("memory.max", "memory.current", "inactive_file")


def available_memory() -> int:
    """Return the number of bytes available without swapping or being killed.

    This is the minimum of the free memory of the machine, of the control groups of the
    job, and of the limit of the address space. If none is known, the largest integer is
    returned.
    """
    limits = [_free_on_machine(), *_free_in_groups()]
    if resource is not None and sys.platform != "win32":
        soft, _ = resource.getrlimit(resource.RLIMIT_AS)
        if soft != resource.RLIM_INFINITY:
            limits.append(soft)
    return max(0, min(limits))


def _free_on_machine() -> int:
    for line in _lines(_MEMINFO):
        if line.startswith("MemAvailable:"):
            return 1024 * int(line.split()[1])
    memory = physical_memory()
    return sys.maxsize if memory is None else memory


def _free_in_groups() -> Iterator[int]:
    """Yield the free memory of each control group, from this process to the root.

    Queues and containers run jobs in nested groups, each of which may have a limit.
    """
    for line in _lines(_OWN_GROUPS):
        _, controllers, path = line.split(":", 2)
        if controllers == "":
            root, names = _GROUPS, _V2
        elif "memory" in controllers.split(","):
            root, names = _GROUPS / "memory", _V1
        else:
            continue
        below = Path(path.strip("/"))
        for group in (below, *below.parents):
            yield from _free_in_group(root / group, *names)


def _free_in_group(group: Path, limit: str, used: str, cache: str) -> Iterator[int]:
    try:
        free = int((group / limit).read_text()) - int((group / used).read_text())
    except (OSError, ValueError):
        return  # There is no limit, or it is "max".
    for line in _lines(group / "memory.stat"):
        if line.startswith(f"{cache} "):
            free += int(line.split()[1])
    yield free


def _lines(path: Path) -> list[str]:
    """Return the lines of a file, or an empty list if it does not exist."""
    try:
        return path.read_text().splitlines()
    except OSError:
        return []


def peak_memory() -> float:
    """Return the largest memory of this process so far in bytes, zero if unknown."""
    if resource is None or sys.platform == "win32":
        return 0.0
    largest = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return float(largest) * (1 if sys.platform == "darwin" else 1024)
