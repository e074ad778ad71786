"""Roles are assumed from many threads of the embedded AWS at once."""

from __future__ import annotations

from typing import Any

import pytest
from ministack.services import sts

from local.iam.policies import evict_expired_sessions


def test_a_session_may_begin_while_expired_ones_are_dropped(monkeypatch: pytest.MonkeyPatch) -> None:
    """A workflow died of it: `dictionary changed size during iteration`."""
    sessions: dict[str, Any] = {"expired": {"Expiration": 0}, "for ever": {}}

    def meanwhile(session: dict[str, Any]) -> bool:
        sessions[f"began {len(sessions)}"] = {}
        return session.get("Expiration") == 0

    monkeypatch.setattr(sts, "_sessions", sessions)
    monkeypatch.setattr(sts, "_session_expired", meanwhile)
    evict_expired_sessions()
    assert {"expired", "for ever"} & sessions.keys() == {"for ever"}
