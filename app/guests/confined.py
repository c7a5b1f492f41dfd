"""Run a command that can read, write and use only what it is given: `python -m app.guests.confined`.

A compiler reads what its input tells it to read (`#include`, `.incbin`), and its input is a stranger's.
Linux's Landlock lets a process without privileges give up its own access to files and network for good,
before it becomes the compiler. Source: Linux, Documentation/userspace-api/landlock.rst.
"""

import ctypes
import os
import resource
import sys
from collections.abc import Iterable
from pathlib import Path

CREATE_RULESET, ADD_RULE, RESTRICT_SELF = 444, 445, 446
ASK_VERSION = 1
RULE_PATH_BENEATH = 1
NO_NEW_PRIVILEGES = 38  # prctl
EXECUTE, WRITE_FILE, READ_FILE, READ_DIRECTORY = 1, 2, 4, 8
ALL_OF_ABI_1 = (1 << 13) - 1
REFER, TRUNCATE, TCP = 1 << 13, 1 << 14, 3  # of ABI 2, 3 and 4
READ = EXECUTE | READ_FILE | READ_DIRECTORY
SECONDS, MEMORY_BYTES, FILE_BYTES = 60, 4 << 30, 64 << 20


class Ruleset(ctypes.Structure):
    """`struct landlock_ruleset_attr`: what is forbidden unless a rule allows it."""

    _fields_ = (("files", ctypes.c_uint64), ("network", ctypes.c_uint64))


class PathRule(ctypes.Structure):
    """`struct landlock_path_beneath_attr`: what is allowed below an open directory."""

    _pack_ = 1
    _layout_ = "ms"
    _fields_ = (("allowed", ctypes.c_uint64), ("parent", ctypes.c_int32))


def landlock_version() -> int:
    """Return the version of the kernel's Landlock, 0 without."""
    if sys.platform != "linux":
        return 0
    return max(0, ctypes.CDLL(None).syscall(CREATE_RULESET, None, 0, ASK_VERSION))


def confine(readable: Iterable[Path], writable: Iterable[Path]) -> None:
    """Give up all files but those below some directories, the network, and the right to much time or memory.

    Raises OSError.
    """
    files = ALL_OF_ABI_1
    version = landlock_version()
    files |= (REFER if version >= 2 else 0) | (TRUNCATE if version >= 3 else 0)
    wanted = Ruleset(files, TCP if version >= 4 else 0)
    size = 16 if version >= 4 else 8
    ruleset = _call(CREATE_RULESET, ctypes.byref(wanted), size, 0)
    for allowed, paths in ((READ, readable), (files, writable)):
        for path in paths:
            folder = os.open(path, os.O_PATH | os.O_CLOEXEC)
            rule = PathRule(
                allowed if path.is_dir() else allowed & (EXECUTE | WRITE_FILE | READ_FILE), folder
            )
            _call(ADD_RULE, ruleset, RULE_PATH_BENEATH, ctypes.byref(rule), 0)
            os.close(folder)
    ctypes.CDLL(None).prctl(NO_NEW_PRIVILEGES, 1, 0, 0, 0)
    _call(RESTRICT_SELF, ruleset, 0)
    os.close(ruleset)
    for limit, value in (
        (resource.RLIMIT_CPU, SECONDS),
        (resource.RLIMIT_AS, MEMORY_BYTES),
        (resource.RLIMIT_FSIZE, FILE_BYTES),
        (resource.RLIMIT_CORE, 0),
    ):
        resource.setrlimit(limit, (value, value))


def _call(number: int, *arguments: object) -> int:
    result = ctypes.CDLL(None, use_errno=True).syscall(number, *arguments)
    if result < 0:
        raise OSError(ctypes.get_errno(), "Landlock: " + os.strerror(ctypes.get_errno()))
    return result


def main() -> None:
    """`READABLE... -- WRITABLE... -- COMMAND...`."""
    first = sys.argv.index("--")
    second = sys.argv.index("--", first + 1)
    command = sys.argv[second + 1 :]
    confine(map(Path, sys.argv[1:first]), map(Path, sys.argv[first + 1 : second]))
    os.execv(command[0], command)


if __name__ == "__main__":
    main()
