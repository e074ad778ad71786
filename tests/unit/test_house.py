"""What keeps the house in order that no linter checks."""

from __future__ import annotations

import ast
import re
import subprocess
import sys
import tomllib
from collections.abc import Iterable, Iterator
from pathlib import Path

import pytest

from lockgate.configuration.tools import read_tools

ROOT = Path(__file__).parents[2]
OURS = ("app.py", "stacks", "constructs", "lockgate", "lambdas", "runtime", "model")
# Words by which code could tell the embedded AWS from AWS.
TELLS = re.compile(
    r"ministack|localhost|127\.0\.0\.1|endpoint_url|AWS_ENDPOINT|LOCKGATE_LOCAL|\bemulat|\bembedded\b", re.I
)


def tracked(*patterns: str) -> list[Path]:
    listed = subprocess.run(["git", "ls-files", *patterns], cwd=ROOT, capture_output=True, text=True, check=True)
    return [ROOT / name for name in listed.stdout.splitlines()]


def test_nothing_but_the_embedded_aws_and_the_command_line_knows_where_it_runs() -> None:
    allowed = {("lockgate/aws/github_identity.py", "127.0.0.1")}  # a token endpoint on loopback may be plain HTTP
    found = {
        (str(file.relative_to(ROOT)), tell)
        for file in tracked(*OURS)
        if file.suffix == ".py"
        for tell in TELLS.findall(file.read_text())
    }
    assert found - allowed == set()


def test_only_the_frame_of_the_command_line_touches_the_embedded_aws() -> None:
    users = {file.name for file in tracked("cli") if re.search(r"^ *(from|import) local\b", file.read_text(), re.M)}
    assert users == {"embedded_aws.py", "up.py", "down.py"}


def test_source_roots_and_tests_have_no_init_file() -> None:
    roots = [ROOT / "constructs", ROOT / "model", ROOT / "tests", *(ROOT / "tests").iterdir()]
    assert [root for root in roots if (root / "__init__.py").exists()] == []


def test_what_pyproject_pins_is_in_the_lock_file() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    pinned = {*project["dependencies"], *(pin for group in project["optional-dependencies"].values() for pin in group)}
    locked = set((ROOT / "requirements.lock").read_text().splitlines())
    assert pinned - locked == set(), "run `make lock`"


def test_set_up_without_git_is_one_clear_line() -> None:
    command = [sys.executable, "-I", str(ROOT / "scripts" / "setup.py")]
    done = subprocess.run(command, env={"PATH": ""}, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (1, "set-up: git is not installed, or not on PATH\n")


def test_lock_files_carry_no_download_addresses() -> None:
    for file in tracked("*.lock", "package-lock.json"):
        assert not re.search(r"https?://|file://", file.read_text()), file


@pytest.mark.parametrize("file", tracked(".github/workflows/*.yml"), ids=lambda file: file.name)
def test_workflow_actions_are_pinned_to_a_commit_and_no_keys_are_stored(file: Path) -> None:
    text = file.read_text()
    used = re.findall(r"uses: (\S+)", text)
    assert used
    assert all(re.fullmatch(r"[\w./-]+@[0-9a-f]{40}", action) for action in used)
    assert "secrets." not in text
    assert "pull_request_target" not in text


def test_the_delivery_workflow_runs_on_the_branch_that_the_delivery_role_trusts() -> None:
    branch = read_tools(ROOT / "environments" / "tools.toml").github.branch
    assert f"branches: [{branch}]" in (ROOT / ".github" / "workflows" / "deliver.yml").read_text()


# Names under which a module asks what time it is.
WALL_CLOCKS = {"now", "utcnow", "today", "time", "time_ns", "gmtime", "localtime"}
DEFERRED = (ast.FunctionDef, ast.AsyncFunctionDef, ast.Lambda)
WIDER = ("class", "module", "package", "session")


def moments_that_age(tree: ast.Module) -> Iterator[str]:
    """Where a module reads a clock before a test begins: when it is imported, or in a fixture that several tests share.

    A deadline of a shared fixture's own waiting is no such moment: it is read from the monotonic clock.
    """
    helpers = [node for node in tree.body if isinstance(node, ast.FunctionDef) and any(_reads(node, WALL_CLOCKS))]
    names = {helper.name for helper in helpers} - {"main"}  # a program begins when it is called
    yield from _reads(tree, {"monotonic", *WALL_CLOCKS, *names}, deferred=False)
    for node in ast.walk(tree):
        if isinstance(node, ast.FunctionDef) and _is_shared_fixture(node):
            yield from _reads(node, WALL_CLOCKS | names)


def _reads(tree: ast.AST, clocks: set[str], *, deferred: bool = True) -> Iterator[str]:
    """Calls of a clock, with their lines; without `deferred`, none of those that only a call of a function makes."""
    if isinstance(tree, ast.Call) and _name(tree) in clocks:
        yield f"{tree.lineno}: {ast.unparse(tree)}"
    inner: Iterable[ast.AST] = ast.iter_child_nodes(tree)
    if isinstance(tree, DEFERRED) and not deferred:
        inner = [*getattr(tree, "decorator_list", []), tree.args]
    for node in inner:
        yield from _reads(node, clocks, deferred=deferred)


def _name(call: ast.Call) -> str:
    """The last word of what is called."""
    return getattr(call.func, "attr", getattr(call.func, "id", ""))


def _is_shared_fixture(function: ast.FunctionDef) -> bool:
    return any(
        isinstance(decorator, ast.Call)
        and _name(decorator) == "fixture"
        and any(ast.unparse(word.value).strip("'") in WIDER for word in decorator.keywords if word.arg == "scope")
        for decorator in function.decorator_list
    )


def test_no_clock_is_read_before_the_test_that_needs_the_moment() -> None:
    """An hour may pass between import and test; what was now is then the past."""
    found = [
        f"{file.relative_to(ROOT)}:{moment}"
        for file in tracked("*.py")
        for moment in moments_that_age(ast.parse(file.read_text()))
    ]
    assert found == [], "read the clock inside the test"


@pytest.mark.parametrize(
    "source",
    [
        "NOW = datetime.now(UTC)",
        "class Case:\n    begun = time.time()",
        "def helper(now=shared.now()): ...",
        "@pytest.mark.parametrize('day', [date.today()])\ndef test_it(day): ...",
        "@pytest.fixture(scope='session')\ndef begun():\n    return datetime.now(UTC)",
        "LATER = [now() + timedelta(days=day) for day in range(2)]",
        "def day(ahead):\n    return datetime.now(UTC) + ahead\nTOMORROW = day(DAY)",
    ],
)
def test_a_moment_that_ages_is_seen(source: str) -> None:
    assert list(moments_that_age(ast.parse(source)))


@pytest.mark.parametrize(
    "source",
    [
        "def now():\n    return datetime.now(UTC)",
        "@pytest.fixture\ndef begun():\n    return datetime.now(UTC)",
        "@pytest.fixture(scope='session')\ndef server():\n    deadline = time.monotonic() + 60",
        "READ = lambda: time.time()",
    ],
)
def test_a_moment_of_a_test_of_its_own_is_none_that_ages(source: str) -> None:
    assert not list(moments_that_age(ast.parse(source)))


# Every handler reads its own environment into its own Settings, and no two are imported into one module.
SHARED_CLASS_NAMES = {"Settings"}


def test_a_class_has_a_name_of_its_own_in_the_tree() -> None:
    """What runs in an environment of its own (bench/serving/peers) knows nothing of the tree."""
    places: dict[str, list[str]] = {}
    for file in tracked("*.py", ":!bench/serving/peers"):
        for node in ast.parse(file.read_text()).body:
            if isinstance(node, ast.ClassDef):
                places.setdefault(node.name, []).append(str(file.relative_to(ROOT)))
    twins = {name: files for name, files in places.items() if len(files) > 1 and name not in SHARED_CLASS_NAMES}
    assert twins == {}, "one word means one thing: name each after what it is"
