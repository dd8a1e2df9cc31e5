"""What this machine, or the container around the process, really has: cores and memory."""

import os
from pathlib import Path

import psutil

CGROUP = Path("/sys/fs/cgroup")
UNLIMITED_BYTES = 1 << 60  # cgroup v1 writes "no limit" as a huge number


def n_cores() -> int:
    """How many cores this process may use: its affinity, cut to the container's CPU quota, at least 1."""
    affinity = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    quota = _cpu_quota()
    return max(1, min(affinity, round(quota)) if quota is not None else affinity)


def _cpu_quota() -> float | None:
    """The container's CPU quota in cores (cgroup v2, then v1), None without one."""
    try:
        quota, period = (CGROUP / "cpu.max").read_text().split()
        return None if quota == "max" else int(quota) / int(period)
    except (OSError, ValueError):
        pass
    try:
        quota_us = int((CGROUP / "cpu/cpu.cfs_quota_us").read_text())
        period_us = int((CGROUP / "cpu/cpu.cfs_period_us").read_text())
        return quota_us / period_us if quota_us > 0 else None
    except (OSError, ValueError, ZeroDivisionError):
        return None


def memory_limit_bytes() -> int:
    """How much memory this process may use in all: the machine's, cut to the container's limit."""
    total = int(psutil.virtual_memory().total)
    return min([total, *(limit for limit in _container_limits() if 0 < limit < UNLIMITED_BYTES)])


def _container_limits() -> list[int]:
    limits = []
    for name in ("memory.max", "memory/memory.limit_in_bytes"):
        try:
            limits.append(int((CGROUP / name).read_text()))
        except (OSError, ValueError):
            continue
    return limits


def memory_available_bytes() -> int:
    """How much more memory this process can take now without swapping or being killed."""
    free = int(psutil.virtual_memory().available)
    limit = memory_limit_bytes()
    return max(0, min(free, limit - int(psutil.Process().memory_info().rss)))
