"""Every name of the emulator that we rebind is listed and checked, and every one that we use is there."""

from __future__ import annotations

import ast
import asyncio
import importlib
import json
import subprocess
import sys
from functools import cache
from pathlib import Path
from typing import Any

import pytest
from ministack.services import sts

from local import seams, server
from local.seams import ABSENT, MovedError, Seam, UnlistedError
from local.settings import Settings

ROOT = Path(__file__).parents[3]
NAME = "services.sts._evict_expired_sessions"
US = __name__


def test_the_emulator_that_is_installed_is_the_one_that_we_wrote_for() -> None:
    seams.check()


def test_a_source_that_moved_is_named_with_its_place_and_who_rebinds_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sts, "_evict_expired_sessions", lambda: None)
    with pytest.raises(MovedError) as refused:
        seams.check()
    assert f"{NAME}: {__file__}:" in str(refused.value)
    assert "see local.iam.policies" in str(refused.value)
    assert "1 of" in str(refused.value)


def test_a_name_that_is_gone_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delattr(sts, "_evict_expired_sessions")
    with pytest.raises(MovedError, match=f"{NAME}: gone"):
        seams.check()


def test_what_the_emulator_has_now_by_itself_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sts, "_sagemaker", {"Tags": "list"}, raising=False)
    with pytest.raises(MovedError, match=r"services\.sts\._sagemaker"):
        seams.check({"services.sts._sagemaker": Seam(ABSENT, ("local.sagemaker",))})


def test_an_entry_of_a_table_moves_with_any_function_in_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sts, "_handlers", {"Role": {"create": server.main, "update": server.run}}, raising=False)
    name = "services.sts._handlers[Role]"
    listed = {name: Seam(seams.digest(name), (US,))}
    seams.check(listed)
    monkeypatch.setattr(sts, "_handlers", {"Role": {"create": server.main, "update": server.main}})
    assert seams.moved_of(listed) == [name]


def test_an_embedded_aws_does_not_start_on_other_sources(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(sts, "_evict_expired_sessions", lambda: None)
    monkeypatch.setattr(server, "EXTENSIONS", ("no.such.module",))
    with pytest.raises(MovedError):
        asyncio.run(server.run(Settings(tmp_path, 1, 2, 3), {}))


def test_a_name_that_is_not_listed_for_a_module_is_not_rebound() -> None:
    with pytest.raises(UnlistedError, match=f"{US} rebinds {NAME}"):
        seams.rebind(NAME, None)
    assert sts._evict_expired_sessions is not None


def test_a_module_that_builds_on_another_does_not_come_first(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sts, "_evict_expired_sessions", None)
    monkeypatch.setattr(seams, "rebound", {NAME: ["local.last"]})
    monkeypatch.setattr(seams, "SEAMS", {NAME: Seam("", (US, "local.last"))})
    with pytest.raises(UnlistedError, match=r"after local\.last"):
        seams.rebind(NAME, None)


def test_everything_that_is_listed_is_rebound_by_whom_the_table_says(tmp_path: Path) -> None:
    """In a process of its own: there is no way back."""
    install_all = """if True:
        import importlib, json, os, sys
        from pathlib import Path
        from local import seams, server
        from local.settings import Settings
        settings = Settings(Path(sys.argv[1]), 1, 2, 3)
        settings.scratch.mkdir(parents=True)
        os.environ.update(server.emulator_environment(settings, {}))
        for name in server.EXTENSIONS:
            importlib.import_module(name).install(settings)
        print(json.dumps({name: list(dict.fromkeys(by)) for name, by in seams.rebound.items()}), flush=True)
        os._exit(0)  # threads of the emulator run on
    """
    done = subprocess.run(
        [sys.executable, "-c", install_all, str(tmp_path)], cwd=ROOT, capture_output=True, text=True, check=True
    )
    assert json.loads(done.stdout) == {name: list(seam.by) for name, seam in seams.SEAMS.items()}


class Uses(ast.NodeVisitor):
    """What a module does with the emulator: names it imports or reads, and places it writes to."""

    def __init__(self, source: str) -> None:
        self.aliases: dict[str, str] = {}  # name in the module -> path in the emulator
        self.read: set[str] = set()
        self.written: list[tuple[int, str]] = []  # line, path; an entry ends in []
        self.visit(ast.parse(source))

    def visit_ImportFrom(self, node: ast.ImportFrom) -> None:
        if (node.module or "").split(".")[0] == "ministack":
            for alias in node.names:
                path = f"{node.module}.{alias.name}"
                self.aliases[alias.asname or alias.name] = path
                self.read.add(path)

    def visit_Assign(self, node: ast.Assign) -> None:
        if isinstance(node.targets[0], ast.Name) and (path := self.path(node.value)):
            self.aliases[node.targets[0].id] = path
        self.generic_visit(node)

    def visit_Attribute(self, node: ast.Attribute) -> None:
        path = self.path(node)
        if path and isinstance(node.ctx, ast.Load):
            self.read.add(path)
        elif path:
            self.written.append((node.lineno, path))
        self.generic_visit(node)

    def visit_Subscript(self, node: ast.Subscript) -> None:
        if (path := self.path(node.value)) and not isinstance(node.ctx, ast.Load):
            self.written.append((node.lineno, f"{path}[]"))
        self.generic_visit(node)

    def visit_Call(self, node: ast.Call) -> None:
        called = node.func
        if isinstance(called, ast.Name) and called.id in ("setattr", "delattr", "vars"):
            path, suffix = self.path(node.args[0]), ""
        elif isinstance(called, ast.Attribute) and called.attr in ("update", "setdefault", "pop", "clear"):
            path, suffix = self.path(called.value), "[]"
        else:
            path = None
        if path:
            self.written.append((node.lineno, path + suffix))
        self.generic_visit(node)

    def path(self, node: ast.expr) -> str | None:
        if isinstance(node, ast.Name):
            return self.aliases.get(node.id)
        if isinstance(node, ast.Attribute) and (outer := self.path(node.value)):
            return f"{outer}.{node.attr}"
        return None


@cache
def modules() -> dict[str, Uses]:
    files = sorted((ROOT / "local").rglob("*.py"))
    return {str(file.relative_to(ROOT)): Uses(file.read_text()) for file in files}


def value(path: str) -> Any:
    """What a path in the emulator leads to. Raises AttributeError or ImportError when it leads nowhere."""
    words = path.split(".")
    found = importlib.import_module(words[0])
    for place, word in enumerate(words[1:], 2):
        if not hasattr(found, word) and not hasattr(found, "__file__"):
            raise AttributeError(path)
        found = getattr(found, word) if hasattr(found, word) else importlib.import_module(".".join(words[:place]))
    return found


def test_every_name_of_the_emulator_that_we_use_exists() -> None:
    """Below what we wait to be called with; a name that it lost fails here, and not when a service first needs it."""
    missing = []
    for file, uses in modules().items():
        for path in sorted(uses.read):
            try:
                value(path)
            except (AttributeError, ImportError) as error:
                missing.append(f"{file}: {path}: {error}")
    assert missing == []


def is_rebinding(path: str) -> bool:
    """Whether a place that is written to is the emulator's code; entries of its stores, empty at first, are data."""
    return not path.endswith("[]") or bool(value(path.removesuffix("[]")))


def test_no_module_changes_the_emulator_but_through_the_one_table() -> None:
    found = [
        f"{file}:{line}: {path}"
        for file, uses in modules().items()
        for line, path in uses.written
        if is_rebinding(path)
    ]
    assert found == [], "use local.seams.rebind or wrap, and list it in local/seams.toml"


@pytest.mark.parametrize(
    "source",
    [
        "from ministack.services import sts\nsts._evict_expired_sessions = None",
        "from ministack.services import sts as tokens\ndef install():\n    tokens._evict_expired_sessions = None",
        "from ministack.services import sts\ndel sts._evict_expired_sessions",
        "from ministack.services import sts\nfor sts._service in (1, 2): ...",
        "from ministack.services import sts\nsetattr(sts, '_evict_expired_sessions', None)",
        "from ministack.services import alb\nalb._ACTION_MAP['RegisterTargets'] = None",
        "from ministack.services import alb\nalb._ACTION_MAP.update(RegisterTargets=None)",
        "from ministack.services import alb\nactions = alb._ACTION_MAP\nactions['RegisterTargets'] = None",
    ],
)
def test_a_change_of_the_emulator_is_seen(source: str) -> None:
    assert any(is_rebinding(path) for _, path in Uses(source).written)


def test_a_record_in_a_store_of_the_emulator_is_no_change_of_it() -> None:
    [(_, path)] = Uses("from ministack.services import iam\niam._oidc_providers['arn'] = {}").written
    assert not is_rebinding(path)


def test_nobody_keeps_a_name_that_is_rebound_from_before_it_was() -> None:
    """`from module import name` at the top of a file gives what stood there when the file was first imported."""
    found = []
    for file in sorted((ROOT / "local").rglob("*.py")):
        for node in ast.parse(file.read_text()).body:
            if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("ministack."):
                names = {f"{node.module}.{alias.name}".removeprefix("ministack.") for alias in node.names}
                found += [f"{file.relative_to(ROOT)}: {name}" for name in names & seams.SEAMS.keys()]
    assert found == []
