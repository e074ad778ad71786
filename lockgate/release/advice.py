"""What a person runs to have a commit trained and judged once more: said in one way wherever it is said."""

from __future__ import annotations


def deliver_again(commit: str | None = None, snapshot: str | None = None) -> str:
    """The command, between backticks: without --again nothing is started for what is unchanged.

    commit: "COMMIT" where the reader has to fill it in. snapshot: where it must be the one that was judged.
    """
    on = f" --snapshot {snapshot}" if snapshot else ""
    return f"`lockgate deliver {commit or 'COMMIT'}{on} --again`"
