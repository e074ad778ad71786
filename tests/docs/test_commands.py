"""Every command that README.md, CONTRIBUTING.md and docs/ show is one that exists, and is run where a test can run it.

tests/e2e/test_main_job.py runs those that only read, on the demo. SHOWN_ONLY in pages.py lists what no test runs as it
stands, with the reasons.
"""

from __future__ import annotations

import ast
import importlib.util
import re
import shutil
import subprocess
from collections.abc import Iterable
from pathlib import Path

import pytest

from cli.main import parser
from lockgate.configuration.environment import read_environment
from lockgate.configuration.model import read_model
from lockgate.policy.of_model import read_model_policy
from runtime.serving.rows import Decoder
from tests.docs.pages import (
    HISTORY,
    PLACEHOLDERS,
    PROGRAMS,
    ROOT,
    SHOWN_ONLY,
    Command,
    commands,
    pages,
    pieces,
    runs_on_the_demo,
)

ALL = commands()
LANGUAGES = {"sh", "toml", "json", "python", "text"}


def of(*programs: str) -> list[Command]:
    return [command for command in ALL if command.program in programs]


def refused(words: list[str], capsys: pytest.CaptureFixture[str]) -> str:
    """What the command line's own parser has against the words; empty if it takes them."""
    try:
        parser(words[0]).parse_args(words)
    except SystemExit as ended:
        return capsys.readouterr().err if ended.code else ""
    return ""


def test_the_pages_were_found_and_their_commands_too() -> None:
    names = {str(page.relative_to(ROOT)) for page in pages()}
    assert {"README.md", "CONTRIBUTING.md", HISTORY, "docs/release.md"} <= names
    assert {command.program for command in ALL} >= {"lockgate", "make", "pytest", "cdk"}


def test_every_block_says_what_language_it_is_in() -> None:
    """A block without one would be a block of commands that nobody looks at."""
    wrong = [
        f"{page.relative_to(ROOT)}:{line}: {info or 'no language'}"
        for page in pages()
        for kind, _, info, line in pieces(page)
        if kind == "code_block" or (kind == "fence" and info not in LANGUAGES and not info.startswith("{"))
    ]
    assert wrong == [], f"mark each block with one of {sorted(LANGUAGES)}, indented ones too"


POLICY = "# model/employment/policy.toml\n"
MODEL = "# model/employment/model.toml\n"


def blocks_of_toml() -> list[str]:
    return [
        content for page in pages() for kind, content, info, _ in pieces(page) if kind == "fence" and info == "toml"
    ]


def test_every_part_of_a_models_policy_that_a_page_shows_is_read_as_its_file_is(tmp_path: Path) -> None:
    shown = [content for content in blocks_of_toml() if content.startswith(POLICY)]
    assert shown
    for content in shown:
        (tmp_path / "policy.toml").write_text(content)
        read_model_policy(tmp_path)


def test_every_key_of_a_model_that_a_page_shows_is_read_as_its_file_is(tmp_path: Path) -> None:
    shown = [content for content in blocks_of_toml() if content.startswith(MODEL)]
    assert shown
    for content in shown:
        folder = shutil.copytree(ROOT / "model" / "employment", tmp_path / "employment", dirs_exist_ok=True)
        declared = (ROOT / "model" / "employment" / "model.toml").read_text()
        if "[[attribute]]" in content:  # tables come after keys
            name = re.search(r'name = "(\w+)"', content)
            declared = declared.replace("protected = [", f'protected = ["{name and name[1]}", ') + content
        else:
            declared = content + declared
        (folder / "model.toml").write_text(declared)
        read_model(folder)


def test_every_table_of_an_environment_that_a_page_shows_is_read_as_its_file_is(tmp_path: Path) -> None:
    shown = [content for content in blocks_of_toml() if not content.startswith((POLICY, MODEL))]
    assert shown
    for content in shown:
        shutil.copytree(ROOT / "environments", tmp_path, dirs_exist_ok=True)
        (tmp_path / "shown.toml").write_text(f'extends = "prod"\n{content}')
        read_environment(tmp_path / "shown.toml")


def test_a_row_that_a_page_shows_is_one_that_the_examples_model_takes() -> None:
    decoder = Decoder(read_model(ROOT / "model" / "employment"))
    shown = [
        content for page in pages() for kind, content, info, _ in pieces(page) if kind == "fence" and info == "json"
    ]
    assert shown
    assert all(decoder.json(content.encode()) for content in shown)


def test_every_program_of_a_block_is_one_that_a_test_knows() -> None:
    assert [str(command) for command in ALL if command.program not in PROGRAMS] == []


def test_lockgate_takes_each_of_its_commands(capsys: pytest.CaptureFixture[str]) -> None:
    wrong = {}
    for command in of("lockgate"):
        complaint = refused(command.words[1:], capsys)
        if complaint and not (not command.whole and "arguments are required" in complaint):
            wrong[str(command)] = complaint.splitlines()[-1]
    assert wrong == {}


def test_lockgate_has_each_option_that_a_sentence_names(capsys: pytest.CaptureFixture[str]) -> None:
    wrong = []
    for command in of("lockgate"):
        with pytest.raises(SystemExit):
            parser(command.words[1]).parse_args([command.words[1], "--help"])
        page = capsys.readouterr().out
        options = [word for word in command.words if word.startswith("--")]
        wrong += [str(command) for option in options if not re.search(rf"{option}\b", page)]
    assert wrong == []


def test_make_has_each_target_and_uses_each_variable() -> None:
    makefile = (ROOT / "Makefile").read_text()
    targets = set(re.findall(r"^([a-z-]+):", makefile, re.M))
    wrong = []
    for command in of("make"):
        variables = {word.split("=")[0] for word in command.words[1:] if "=" in word}
        if {word for word in command.words[1:] if "=" not in word} - targets:
            wrong.append(str(command))
        if any(f"$({name}" not in makefile for name in variables):
            wrong.append(str(command))
    assert wrong == []


def chosen(expression: str, names: Iterable[str]) -> list[str]:
    """The tests that `pytest -k` would take: any of the words joined by `or`, as pytest reads it without case."""
    assert " and " not in expression and "not " not in expression, "this test reads `or` only"
    return [name for name in names if any(word.strip().lower() in name.lower() for word in expression.split(" or "))]


def functions_of(path: Path) -> list[str]:
    """`file::function` of every test, from the source: collecting them takes a minute."""
    files = [path] if path.is_file() else sorted(path.rglob("test_*.py"))
    return [
        f"{file.relative_to(ROOT)}::{node.name}"
        for file in files
        for node in ast.walk(ast.parse(file.read_text()))
        if isinstance(node, ast.FunctionDef) and node.name.startswith("test_")
    ]


def test_pytest_finds_tests_by_each_of_its_commands() -> None:
    wrong = []
    for command in of("pytest"):
        paths = [ROOT / word for word in command.words[1:] if "/" in word] or [ROOT / "tests"]
        expressions = [after for word, after in zip(command.words, command.words[1:], strict=False) if word == "-k"]
        names = [name for path in paths if path.exists() for name in functions_of(path)]
        missing = [path for path in paths if not path.exists()]
        lost = [word for text in expressions for word in text.split(" or ") if not chosen(word, names)]
        if missing or lost or not names:
            wrong.append(f"{command}: {missing or lost or 'no tests'}")
    assert wrong == []


def test_python_has_each_module_that_is_run() -> None:
    modules = [(command, command.words[2]) for command in of("python") if command.words[1] == "-m"]
    assert modules
    assert [str(command) for command, module in modules if importlib.util.find_spec(module) is None] == []


def test_cdk_is_given_stages_that_exist() -> None:
    stages = {"tools", "anchor", *(file.stem for file in (ROOT / "environments").glob("*.toml"))}
    known = {"bootstrap", "deploy", "destroy", "diff", "drift", "synth"}
    wrong = [
        str(command)
        for command in of("cdk")
        if command.words[1] not in known or {word.split("/")[0] for word in command.words[2:] if "/" in word} - stages
    ]
    assert wrong == []


def test_aws_has_each_operation_with_its_parameters() -> None:
    """As botocore's models have them, from which AWS's own command line is made."""
    import botocore.session

    session = botocore.session.get_session()
    wrong = []
    for command in of("aws"):
        service, operation = command.words[1].replace("s3api", "s3"), command.words[2]
        model = session.get_service_model(service)
        name = "".join(word.capitalize() for word in operation.split("-"))
        if name not in model.operation_names:
            wrong.append(str(command))
            continue
        shape = model.operation_model(name).input_shape
        members = {re.sub(r"[^a-z]", "", member.lower()) for member in (shape.members if shape else {})}
        given = {word[2:].replace("-", "") for word in command.words if word.startswith("--")}
        if given - members - {"query", "output", "nocliPager"}:
            wrong.append(f"{command}: {given - members}")
    assert wrong == []


def test_each_command_of_a_block_is_run_by_a_test_or_is_listed_with_the_reason_why_not() -> None:
    whole = [command for command in ALL if command.whole]
    unlisted = [
        str(command)
        for command in whole
        if not runs_on_the_demo(command) and not any(command.said.startswith(text) for text in SHOWN_ONLY)
    ]
    assert unlisted == []
    unused = [text for text in SHOWN_ONLY if not any(command.said.startswith(text) for command in whole)]
    assert unused == [], "no page shows these any more: take them from the list"


@pytest.mark.parametrize("text", [text for text in SHOWN_ONLY if text.startswith("lockgate ")])
def test_a_command_that_is_only_shown_is_run_by_another_test(text: str) -> None:
    word, named = text.split()[1], re.findall(r"tests/\S+\.py", SHOWN_ONLY[text])
    folders = [ROOT / "tests" / "e2e", ROOT / "tests" / "integration"]
    files = [ROOT / name for name in named] or [file for folder in folders for file in folder.rglob("test_*.py")]
    assert any(re.search(rf'"{word}"' if not named else word, file.read_text()) for file in files)


def test_every_placeholder_is_one_that_the_tests_fill_in() -> None:
    wrong = [
        str(command)
        for command in of("lockgate", "aws", "cdk")
        for word in re.findall(r"(?<=[ '])[A-Z]{2,}\b", command.text.split("#")[0])
        if word not in PLACEHOLDERS
    ]
    assert wrong == []


def test_every_file_that_a_page_names_exists() -> None:
    """What contains a slash and begins with a folder of the project; `<name>` and `*` stand for anything."""
    listed = subprocess.run(["git", "ls-files"], cwd=ROOT, capture_output=True, text=True, check=True)
    folders = {name.split("/")[0] for name in listed.stdout.splitlines() if "/" in name}
    wrong = [
        f"{page.relative_to(ROOT)}:{line}: {content}"
        for page in pages()
        if page.name != HISTORY
        for kind, content, _, line in pieces(page)
        if kind == "code_inline" and re.fullmatch(r"[\w.<>*-]+(/[\w.<>*-]*)+", content)
        if content.split("/")[0] in folders and not list(ROOT.glob(re.sub(r"<\w+>", "*", content).rstrip("/")))
    ]
    assert wrong == []
