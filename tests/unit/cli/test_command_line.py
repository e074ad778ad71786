from __future__ import annotations

import json
import os
import re
import shlex
import subprocess
import sys
from importlib import import_module
from pathlib import Path
from typing import Any

import pytest
from botocore.exceptions import ClientError

from cli import main, terminal
from cli.context import find_root
from cli.main import COMMANDS
from lockgate.errors import ConfigError, RefusedError


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_has_a_help_page(command: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        main.main([command, "--help"])
    assert ended.value.code == 0
    assert f"usage: lockgate {command}" in capsys.readouterr().out


def test_the_help_page_lists_each_command_once_by_what_a_person_does(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        main.main(["--help"])
    shown = capsys.readouterr().out
    titles = [
        shown.index(f"\n{title}:\n") for title in ("set up", "make", "deliver", "decide", "release", "look", "govern")
    ]
    assert titles == sorted(titles)
    assert {command: len(re.findall(rf"^  {command} ", shown, re.M)) for command in COMMANDS} == dict.fromkeys(
        COMMANDS, 1
    )
    assert shown.count("\n  example: lockgate ") == len(titles)
    assert "exit codes:" in shown


def test_every_example_of_the_help_pages_is_one_that_the_parser_takes() -> None:
    shown = [import_module(main._module(command)).EXAMPLE for command in COMMANDS]
    shown += [group.example for group in main.GROUPS]
    for example in shown:
        program, *words = shlex.split(example)
        assert program == "lockgate"
        assert main.parser().parse_args(words).command in COMMANDS


def test_a_group_shows_an_example_of_one_of_its_commands() -> None:
    assert [group.title for group in main.GROUPS if group.example.split()[1] not in group.commands] == []


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_shows_an_example_of_itself(command: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        main.main([command, "--help"])
    assert f"\nexample:\n  lockgate {command}" in capsys.readouterr().out


def test_the_environment_is_read_inside_commands_only(monkeypatch: pytest.MonkeyPatch) -> None:
    class Unread(dict[str, str]):
        def get(self, name: str, default: Any = None) -> Any:
            assert not name.startswith(("GITHUB", "ACTIONS", "AWS", "LOCKGATE")), name
            return super().get(name, default)

        def __getitem__(self, name: str) -> str:
            assert not name.startswith(("GITHUB", "ACTIONS", "AWS", "LOCKGATE")), name
            return super().__getitem__(name)

    monkeypatch.setattr("os.environ", Unread(os.environ))
    main.parser()


@pytest.mark.parametrize("port", ["80", "65535", "http", "-1"])
def test_a_port_that_cannot_be_used_is_answered_in_a_few_words(port: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        main.main(["up", f"--port={port}"])
    said = capsys.readouterr().err
    assert f"found '{port}', expected a number from 1024 to 65533" in said
    assert len(said) < 500


def test_a_revision_that_is_no_commit_is_named(capsys: pytest.CaptureFixture[str]) -> None:
    assert main.main(["follow", "deadbeef"]) == 1
    assert "revision: found 'deadbeef', expected a commit of the repository in" in capsys.readouterr().err


def test_a_command_nobody_knows_is_wrong_usage() -> None:
    with pytest.raises(SystemExit) as ended:
        main.main(["promote-everything"])
    assert ended.value.code == 2


def test_an_error_is_one_line_and_exit_code_1(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def refuse(arguments: object) -> int:
        raise RefusedError("not today")

    monkeypatch.setattr("cli.commands.status.run", refuse)
    assert main.main(["status"]) == 1
    assert capsys.readouterr().err == "lockgate: not today\n"


@pytest.mark.parametrize("content", [None, b"", b"two words", b"\xff\xfe"], ids=str)
def test_a_file_that_holds_no_token_is_an_error_before_anything_is_asked(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], content: bytes | None
) -> None:
    file = tmp_path / "token"
    if content is not None:
        file.write_bytes(content)
    assert main.main(["replay", "prod", "--token-file", str(file)]) == 1
    assert f"lockgate: --token-file {file}: " in capsys.readouterr().err


def test_outside_the_project_the_error_says_where_it_looked(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=f"{tmp_path}.*environments/tools.toml.*to run inside the project"):
        find_root(tmp_path)


def test_the_root_is_found_from_a_folder_below_it(tmp_path: Path) -> None:
    (tmp_path / "environments").mkdir()
    (tmp_path / "environments" / "tools.toml").touch()
    below = tmp_path / "model" / "census"
    below.mkdir(parents=True)
    assert find_root(below) == tmp_path


def test_without_credentials_the_answer_is_one_clear_line(tmp_path: Path) -> None:
    environment = {
        "PATH": "/usr/bin:/bin",
        "HOME": str(tmp_path),
        "LOCKGATE_LOCAL_STATE": str(tmp_path / "none"),
        "AWS_EC2_METADATA_DISABLED": "true",
    }
    done = subprocess.run(
        [sys.executable, "-m", "cli", "status", "--json"],
        cwd=Path(__file__).parents[3],
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr == (
        "lockgate: status: AWS could not be asked: found no credentials, expected those of a profile: choose one by "
        "AWS_PROFILE; on this machine, `make demo` starts an embedded AWS\n"
    )


def test_json_goes_to_standard_output_alone(capsys: pytest.CaptureFixture[str]) -> None:
    terminal.progress("working")
    terminal.show_json({"a": 1})
    said = capsys.readouterr()
    assert json.loads(said.out) == {"a": 1}
    assert said.err == "working\n"


def test_a_rollback_with_the_wrong_credentials_says_whose_it_wants(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def refuse(session: object, function: str) -> None:
        raise ClientError({"Error": {"Code": "ResourceNotFoundException", "Message": "Function not found"}}, "GetUrl")

    monkeypatch.setattr("cli.commands.rollback.FunctionUrl", refuse)
    assert main.main(["rollback", "prod", "--reason", "too slow"]) == 1
    said = capsys.readouterr().err
    assert "Function not found; AWS_PROFILE chooses the account" in said
    assert "; rollback wants the credentials of an operator of prod, in its account " in said
