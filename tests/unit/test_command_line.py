from __future__ import annotations

import io
import json
import subprocess
import sys
from pathlib import Path

import pytest

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


def test_the_help_page_lists_the_commands_and_the_exit_codes(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        main.main(["--help"])
    shown = capsys.readouterr().out
    assert all(f"\n    {command}" in shown for command in COMMANDS)
    assert "exit codes:" in shown


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


def test_colour_is_only_for_a_terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    class Terminal(io.StringIO):
        def isatty(self) -> bool:
            return True

    assert terminal.paint("passed", "green") == "passed"
    monkeypatch.setattr(sys, "stdout", Terminal())
    monkeypatch.delenv("NO_COLOR", raising=False)
    assert terminal.paint("passed", "green") == "\033[32mpassed\033[0m"
    monkeypatch.setenv("NO_COLOR", "1")
    assert terminal.paint("passed", "green") == "passed"


def test_tables_align_their_columns() -> None:
    assert terminal.table([("A", "B"), ("longer", "x")]) == "A       B\nlonger  x"


def test_without_credentials_the_answer_is_one_clear_line(tmp_path: Path) -> None:
    environment = {
        "PATH": "/usr/bin:/bin",
        "HOME": str(tmp_path),
        "LOCKGATE_LOCAL_STATE": str(tmp_path / "none"),
        "AWS_EC2_METADATA_DISABLED": "true",
    }
    done = subprocess.run(
        [sys.executable, "-m", "cli", "status", "--json"],
        cwd=Path(__file__).parents[2],
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr == "lockgate: AWS could not be asked: Unable to locate credentials\n"


def test_json_goes_to_standard_output_alone(capsys: pytest.CaptureFixture[str]) -> None:
    terminal.progress("working")
    terminal.show_json({"a": 1})
    said = capsys.readouterr()
    assert json.loads(said.out) == {"a": 1}
    assert said.err == "working\n"
