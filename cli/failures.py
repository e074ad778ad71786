"""What a person is told when a command ends with somebody else's error: one boundary, one table.

An error of ours says by itself what was found, what was expected and what to do. The words of AWS, git, Arrow, jsii,
scikit-learn, the SDK or Python do not: they get what was asked before them, and what to do behind them.
"""

from __future__ import annotations

import errno
import traceback
from collections.abc import Sequence
from typing import Final, NamedTuple

from cli.terminal import error_line, progress
from lockgate.errors import LockgateError


class KnownError(NamedTuple):
    """Errors of one class, known by its name, so that nothing heavy is imported to find one.

    name: of the class with its module, or of a module, which then means every class below it.
    of: whose words they are.
    """

    name: str
    of: str
    todo: str


SYNTH = "`make synth` says which file or construct it is about"
ROWS = "check the file with `lockgate snapshot MODEL`: docs/delivery.md says what rows must be like"
REPORT = "this is a fault of Lockgate: report it with the lines above"
# The first that fits counts.
KINDS: Final = (
    KnownError("urllib.error", "the network", "check the network, a proxy and the address"),
    KnownError("ssl", "TLS", "check the certificate of the address, and that this machine trusts who signed it"),
    KnownError("socket", "the network", "check the network, a proxy and the address"),
    KnownError("builtins.ConnectionError", "the network", "check the network, a proxy and the address"),
    KnownError("builtins.TimeoutError", "the network", "wait a minute, and repeat the command"),
    KnownError("pyarrow", "Arrow", ROWS),
    KnownError(
        "sklearn", "scikit-learn", "check train.py and predict.py of the model with the versions of model/*.lock"
    ),
    KnownError("jsii", "jsii, on which the CDK runs", SYNTH),
    KnownError(
        "subprocess", "a program that was started", "check that it is installed (`make setup`), and repeat the command"
    ),
    KnownError(
        "json", "a reader of JSON", "what was read is cut off or altered: make it again (`make synth` for cdk.out)"
    ),
    KnownError("tomllib", "a reader of TOML", "mend the file at the place that it names"),
    KnownError("builtins.UnicodeError", "Python", "save the file as UTF-8"),
    KnownError("builtins.FileNotFoundError", "this machine", "check the name, and run the command inside the project"),
    KnownError("builtins.PermissionError", "this machine", "check who may read and write it"),
    KnownError("builtins.OSError", "this machine", "mend what it names, and repeat the command"),
    KnownError("builtins.MemoryError", "this machine", "free memory, or take a larger machine"),
)
# Of files, what an error's number says more exactly than its class.
NUMBERS: Final = {
    errno.ENOSPC: "free space on the disk (`make clean-caches`), and repeat the command",
    errno.EADDRINUSE: "choose another port (--port), or end what listens there",
}


def failed(error: Exception, command: str) -> int:
    """Say on standard error how a command failed; its exit code. What nobody foresaw is shown with its trace."""
    if isinstance(error, LockgateError):
        return error_line(str(error))
    from lockgate.aws.failures import FAILURES, NOBODY_THERE, told

    if isinstance(error, FAILURES):
        here = "; on this machine, `make demo` starts an embedded AWS" if isinstance(error, NOBODY_THERE) else ""
        return error_line(f"{command}: {told(error)}{here}")
    kind = kind_of(error)
    if kind is None:
        for line in "".join(traceback.format_exception(error)).splitlines():
            progress(line)
    of, todo = (kind.of, _todo(error, kind)) if kind else ("Python", REPORT)
    return error_line(f"{command}: could not be done: found {type(error).__name__} of {of}: {_words(error)}; {todo}")


def kind_of(error: Exception) -> KnownError | None:
    """The row of the table for an error, by the names of its classes, nearest first."""
    for known in type(error).__mro__:
        name = f"{known.__module__}.{known.__qualname__}"
        for kind in KINDS:
            if name == kind.name or known.__module__.partition(".")[0] == kind.name or name.startswith(f"{kind.name}."):
                return kind
    return None


def _todo(error: Exception, kind: KnownError) -> str:
    return NUMBERS.get(error.errno or 0, kind.todo) if isinstance(error, OSError) else kind.todo


def _words(error: Exception) -> str:
    """What the error says, in one line, without what a program printed at length."""
    words: Sequence[str] = str(error).split()
    said = " ".join(words)
    return said if len(said) <= 500 else f"{said[:500]} …"
