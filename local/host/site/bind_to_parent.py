"""Become the given command; on Linux the kernel ends it when the server that started it ends.

usage: bind_to_parent.py PARENT_PID COMMAND [ARGUMENT]...
"""

from __future__ import annotations

import ctypes
import os
import signal
import sys

_PR_SET_PDEATHSIG = 1

if __name__ == "__main__":
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
        if os.getppid() != int(sys.argv[1]):
            sys.exit("the server ended before this process was bound to it")
    try:
        os.execvp(sys.argv[2], sys.argv[2:])  # noqa: S606
    except OSError as error:
        sys.stderr.write(f"exec {sys.argv[2]}: {error.strerror}\n")
        sys.exit(126 if isinstance(error, PermissionError) else 127)
