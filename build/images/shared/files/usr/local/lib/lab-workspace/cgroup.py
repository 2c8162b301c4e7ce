"""What this container may use and what it uses, as its control groups say.

Programs that ask the operating system hear of the CPUs and the memory of the host.
The limits are read anew each time, because they can be changed while the container
runs. Version 2 of control groups is asked first, then version 1.
"""

import os

ROOT = "/sys/fs/cgroup/"


def _read(path: str) -> str:
    try:
        with open(ROOT + path) as file:
            return file.read()
    except OSError:
        return ""


def _number(*paths: str) -> int | None:
    """The number in the first of these files that holds one; "max" is none."""
    for path in paths:
        text = _read(path).strip()
        if text.isdigit():
            return int(text)
    return None


def _entry(path: str, name: str) -> int | None:
    """The number behind a name in a file with one of them per line."""
    for line in _read(path).splitlines():
        key, _, value = line.partition(" ")
        if key == name and value.isdigit():
            return int(value)
    return None


def cpu_limit() -> float:
    """How many CPUs the container may use at a time; fractions are possible."""
    available = len(os.sched_getaffinity(0))
    quota = _read("cpu.max").split() or [
        _read("cpu/cpu.cfs_quota_us"),
        _read("cpu/cpu.cfs_period_us"),
    ]
    try:
        cpus = int(quota[0]) / int(quota[1])
    except (ValueError, ZeroDivisionError, IndexError):  # "max 100000", no control groups
        return available
    return min(available, cpus) if cpus > 0 else available  # -1: no limit


def cpu_seconds() -> float | None:
    """The time that CPUs have worked for the container, since it started."""
    microseconds = _entry("cpu.stat", "usage_usec")
    if microseconds is not None:
        return microseconds / 1e6
    nanoseconds = _number("cpuacct/cpuacct.usage")
    return None if nanoseconds is None else nanoseconds / 1e9


def memory_limit() -> int:
    """How many bytes the container may use, at most those of the host."""
    host = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    return min(host, _number("memory.max", "memory/memory.limit_in_bytes") or host)


def memory_used() -> int | None:
    """How many bytes the container uses.

    Files that were read and not touched since stay in memory until it is wanted for
    something else: as in `docker stats`, they do not count.
    """
    used = _number("memory.current", "memory/memory.usage_in_bytes")
    if used is None:
        return None
    idle = _entry("memory.stat", "inactive_file")
    if idle is None:
        idle = _entry("memory/memory.stat", "total_inactive_file")
    return max(0, used - (idle or 0))
