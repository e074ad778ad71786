"""The embedded AWS as the command line sees it: an extra, which need not be installed.

It is imported late, and by most commands only where one runs.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from local.embedded import Session


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
