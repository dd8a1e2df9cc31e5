"""The seccomp filter: the few system calls that computing needs, everything else fails with EPERM.

Forking, executing, opening, sockets, signals to anyone, tracing and memory that is both mapped and
executable are all outside the list. A call with another architecture's numbers (or x86-64's x32 ones) ends
the process.
"""

from __future__ import annotations

import ctypes
import errno
import os
import struct
from typing import Any

_PR_SET_NO_NEW_PRIVS, _PR_SET_SECCOMP, _MODE_FILTER = 38, 22, 2
_RET_KILL_PROCESS, _RET_ERRNO, _RET_ALLOW = 0x80000000, 0x00050000, 0x7FFF0000
_LD_WORD, _JEQ, _JGE, _JSET, _RET = 0x20, 0x15, 0x35, 0x45, 0x06
_OFFSET_NUMBER, _OFFSET_ARCH, _OFFSET_ARG2 = 0, 4, 32  # struct seccomp_data, low word of args[2]
_PROT_EXEC = 0x4
_X32_BIT = 0x40000000
_AUDIT_ARCH = {"x86_64": 0xC000003E, "aarch64": 0xC00000B7}

# name: (x86_64, aarch64); None where the architecture has no such call
_ALLOWED: dict[str, tuple[int | None, int | None]] = {
    "read": (0, 63),
    "write": (1, 64),
    "close": (3, 57),
    "munmap": (11, 215),
    "brk": (12, 214),
    "rt_sigaction": (13, 134),
    "rt_sigprocmask": (14, 135),
    "rt_sigreturn": (15, 139),
    "sched_yield": (24, 124),
    "mremap": (25, 216),
    "madvise": (28, 233),
    "nanosleep": (35, 101),
    "setitimer": (38, 103),
    "getpid": (39, 172),
    "exit": (60, 93),
    "gettimeofday": (96, 169),
    "getrusage": (98, 165),
    "sigaltstack": (131, 132),
    "gettid": (186, 178),
    "time": (201, None),
    "futex": (202, 98),
    "restart_syscall": (219, 128),
    "clock_gettime": (228, 113),
    "clock_getres": (229, 114),
    "clock_nanosleep": (230, 115),
    "exit_group": (231, 94),
    "getrandom": (318, 278),
    "rseq": (334, 293),
}
_ALLOWED_UNLESS_EXECUTABLE = {"mmap": (9, 222), "mprotect": (10, 226)}


def filter_program(machine: str) -> bytes:
    """The BPF program for a machine ("x86_64" or "aarch64"), as an array of struct sock_filter.

    Raises KeyError for an architecture without a table.
    """
    column = ("x86_64", "aarch64").index(machine) if machine in _AUDIT_ARCH else -1
    code = [
        (_LD_WORD, 0, 0, _OFFSET_ARCH),
        (_JEQ, 1, 0, _AUDIT_ARCH[machine]),
        (_RET, 0, 0, _RET_KILL_PROCESS),
        (_LD_WORD, 0, 0, _OFFSET_NUMBER),
    ]
    if machine == "x86_64":
        code += [(_JGE, 0, 1, _X32_BIT), (_RET, 0, 0, _RET_KILL_PROCESS)]
    for numbers in _ALLOWED_UNLESS_EXECUTABLE.values():
        code += [
            (_JEQ, 0, 4, numbers[column]),
            (_LD_WORD, 0, 0, _OFFSET_ARG2),
            (_JSET, 0, 1, _PROT_EXEC),
            (_RET, 0, 0, _RET_ERRNO | errno.EPERM),
            (_RET, 0, 0, _RET_ALLOW),
        ]
    for pair in _ALLOWED.values():
        number = pair[column]
        if number is not None:
            code += [(_JEQ, 0, 1, number), (_RET, 0, 0, _RET_ALLOW)]
    code.append((_RET, 0, 0, _RET_ERRNO | errno.EPERM))
    return b"".join(struct.pack("<HBBI", *line) for line in code)


class _FilterProgram(ctypes.Structure):
    _fields_ = (("length", ctypes.c_ushort), ("filter", ctypes.c_void_p))


def install_filter(library: Any) -> bool:
    """Put the filter on this process; False where the kernel or the architecture has none."""
    if library is None or os.uname().machine not in _AUDIT_ARCH:
        return False
    code = filter_program(os.uname().machine)
    buffer = ctypes.create_string_buffer(code, len(code))
    program = _FilterProgram(len(code) // 8, ctypes.cast(buffer, ctypes.c_void_p))
    library.prctl(_PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0)
    return bool(library.prctl(_PR_SET_SECCOMP, _MODE_FILTER, ctypes.byref(program), 0, 0) == 0)
