"""The embedded AWS as the command line sees it: an extra, which need not be installed.

It is imported late, by those who start or end it, and by the others only where one runs.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from lockgate.errors import NotFoundError

if TYPE_CHECKING:
    from local.embedded import Session


@contextmanager
def extra() -> Iterator[None]:
    """Around an import of `local`. Raises NotFoundError when what it needs is not installed."""
    try:
        yield
    except ModuleNotFoundError as error:
        raise NotFoundError(
            f"the embedded AWS: found no module {error.name!r}, expected what the extra `local` brings: run "
            "`make setup` in a checkout, or `pip install 'lockgate[local]'`"
        ) from error


def running() -> Session | None:
    """The embedded AWS that runs here; None where none does, and where the extra is not installed."""
    try:
        from local.settings import default_state

        if not default_state().exists():
            return None
        from local import embedded
    except ModuleNotFoundError:
        return None
    return embedded.attach(default_state())
