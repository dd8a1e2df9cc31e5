"""The isolation around a submission, each measure applied where the machine has it.

Process-wide ones are set up once in the warm parent and inherited (`isolate_parent`); the others in each
child right before the submission is looked at (`isolate_child`). Every measure stands alone: if one is
missing the others still hold, and the names of those that were really active go into the report.
"""

from __future__ import annotations

import contextlib
import ctypes
import os
import sys
from collections.abc import Callable, Collection, Mapping, Sequence
from typing import Any

from grader.sandbox.isolation.seccomp import install_filter

try:
    import resource
except ImportError:  # Windows
    _HAS_RESOURCE = False
else:
    _HAS_RESOURCE = True

NOBODY = 65534
_PR_SET_PDEATHSIG, _PR_SET_DUMPABLE, _PR_SET_NO_NEW_PRIVS = 1, 4, 38
_SIGKILL = 9
_CLONE_NEWNS, _CLONE_NEWUTS, _CLONE_NEWIPC = 0x00020000, 0x04000000, 0x08000000
_CLONE_NEWUSER, _CLONE_NEWNET = 0x10000000, 0x40000000
_SYS_LANDLOCK_CREATE, _SYS_LANDLOCK_RESTRICT = 444, 446  # the same on every architecture
_SYS_CAPSET = {"x86_64": 126, "aarch64": 91}


def libc() -> Any:
    """The C library with errno kept per call; None where there is none to talk to."""
    if not sys.platform.startswith("linux"):
        return None
    return ctypes.CDLL(None, use_errno=True)


def isolate_parent(wanted: Collection[str]) -> list[str]:
    """Apply the measures that the warm parent sets up once; returns those that took hold."""
    steps: dict[str, Callable[[], bool]] = {
        "empty environment": _empty_environment,
        "empty folder": _empty_folder,
        "unprivileged user": _become_nobody,
        "namespaces": _leave_namespaces,
    }
    return [name for name, step in steps.items() if name in wanted and step()]


def isolate_child(wanted: Collection[str], limits: Mapping[str, Any], keep: Sequence[int]) -> list[str]:
    """Apply the measures of one child; returns those that took hold. keep: descriptors that stay open."""
    _die_with_parent()
    steps: dict[str, Callable[[], bool]] = {
        "closed files": lambda: _close_files(keep),
        "no new privileges": _no_new_privileges,
        "landlock": _landlock,
        "resource limits": lambda: _limit_resources(limits),
        "seccomp": lambda: install_filter(libc()),
    }
    return [name for name, step in steps.items() if name in wanted and step()]


# the parent's


def _empty_environment() -> bool:
    os.environ.clear()
    return not os.environ


def _empty_folder() -> bool:
    """Stand in a folder that no longer exists: nothing is in it and nothing can be put there."""
    import tempfile

    try:
        folder = tempfile.mkdtemp(prefix="grader-")
        os.chdir(folder)
        os.rmdir(folder)
    except OSError:
        return False
    return True


def _become_nobody() -> bool:
    """Leave root for good. True as well for a plain user, who is unprivileged already."""
    if not hasattr(os, "setresuid"):
        return hasattr(os, "geteuid") and os.geteuid() != 0
    if os.geteuid() != 0:
        return True
    with contextlib.suppress(OSError):
        os.setgroups([])
    try:
        os.setresgid(NOBODY, NOBODY, NOBODY)
        os.setresuid(NOBODY, NOBODY, NOBODY)
    except OSError:
        return False
    return os.geteuid() != 0


def _leave_namespaces() -> bool:
    """New user, network, IPC, UTS and mount namespaces: no interface is up, nothing outside can be named.

    No user is mapped into the new namespace and the capabilities it would bring are dropped at once.
    """
    library = libc()
    if library is None:
        return False
    flags = _CLONE_NEWUSER | _CLONE_NEWNET | _CLONE_NEWIPC | _CLONE_NEWUTS | _CLONE_NEWNS
    if library.unshare(flags) != 0:
        return False
    _drop_capabilities(library)
    return True


class _CapHeader(ctypes.Structure):
    _fields_ = (("version", ctypes.c_uint32), ("pid", ctypes.c_int))


def _drop_capabilities(library: Any) -> None:
    number = _SYS_CAPSET.get(os.uname().machine)
    if number is not None:
        header = _CapHeader(0x20080522, 0)  # _LINUX_CAPABILITY_VERSION_3
        library.syscall(number, ctypes.byref(header), (ctypes.c_uint32 * 6)())


# the child's


def _die_with_parent() -> None:
    library = libc()
    if library is not None:
        library.prctl(_PR_SET_PDEATHSIG, _SIGKILL, 0, 0, 0)
        library.prctl(_PR_SET_DUMPABLE, 0, 0, 0, 0)


def _close_files(keep: Sequence[int]) -> bool:
    """Close every other file descriptor, standard input and output among them."""
    highest = 4096
    if _HAS_RESOURCE:
        soft, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
        highest = soft if 0 < soft < 65536 else 65536
    start = 0
    for fd in sorted(keep):
        os.closerange(start, fd)
        start = fd + 1
    os.closerange(start, highest)
    return True


def _limit_resources(limits: Mapping[str, Any]) -> bool:
    """CPU (backstop behind the per-group timer), address space, no file growth, no new files, processes or
    cores."""
    if not _HAS_RESOURCE:
        return False
    cpu = int(limits["wall_s"]) + 2
    wanted = [("RLIMIT_CPU", cpu), ("RLIMIT_AS", int(limits["memory_bytes"])), ("RLIMIT_FSIZE", 0)]
    wanted += [("RLIMIT_CORE", 0), ("RLIMIT_NPROC", 0), ("RLIMIT_NOFILE", 0), ("RLIMIT_MSGQUEUE", 0)]
    done = 0
    for name, value in wanted:
        which = getattr(resource, name, None)
        if which is None:
            continue
        try:
            resource.setrlimit(which, (value, value))
            done += 1
        except (OSError, ValueError):  # macOS refuses an address-space limit
            continue
    return done > 0


def _no_new_privileges() -> bool:
    library = libc()
    return library is not None and library.prctl(_PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0


class _LandlockRuleset(ctypes.Structure):
    _fields_ = (("fs", ctypes.c_uint64), ("net", ctypes.c_uint64), ("scoped", ctypes.c_uint64))


def _landlock() -> bool:
    """Deny every file access there is a right for, TCP (ABI 4), abstract sockets and signals to others
    (ABI 6)."""
    library = libc()
    if library is None:
        return False
    library.prctl(_PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0)
    abi = library.syscall(_SYS_LANDLOCK_CREATE, None, ctypes.c_size_t(0), 1)
    if abi < 1:
        return False
    fs_bits = {1: 13, 2: 14, 3: 15, 4: 15}.get(abi, 16)
    rules = _LandlockRuleset((1 << fs_bits) - 1, 0b11 if abi >= 4 else 0, 0b11 if abi >= 6 else 0)
    size = 8 if abi < 4 else 16 if abi < 6 else 24
    fd = library.syscall(_SYS_LANDLOCK_CREATE, ctypes.byref(rules), ctypes.c_size_t(size), 0)
    if fd < 0:
        return False
    active = library.syscall(_SYS_LANDLOCK_RESTRICT, fd, 0) == 0
    os.close(fd)
    return bool(active)
