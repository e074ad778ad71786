"""What README.md and docs/ show as commands that only read, run as they stand on what the demo left."""

from __future__ import annotations

from typing import Any

import pytest

from tests.docs.pages import commands, runs_on_the_demo

SHOWN = {command.said: command for command in commands() if command.whole and runs_on_the_demo(command)}


@pytest.mark.parametrize("said", SHOWN)
def test_a_command_that_a_page_shows_answers(demo: Any, said: str) -> None:
    command = SHOWN[said]
    done = demo.lockgate(*command.words[1:], profile=command.profile or "ada")
    said_no = {3} if "--dry-run" in command.words else set()  # what it would say of version 2 is no
    assert done.returncode in {0} | said_no, f"{command}\n{done.stderr}"
    assert done.stdout.strip(), command
