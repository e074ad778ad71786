"""A demo for each module or two that go together, brought as far as each test says (tests/e2e/demos.py)."""

from __future__ import annotations

import subprocess
from collections.abc import Generator, Iterator
from pathlib import Path

import pytest

from tests.e2e.demos import ROOT, Demos, FinishedDemo, Make, run_demo
from tests.order import together

FAILED = pytest.StashKey[bool]()


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    report = yield
    item.stash[FAILED] = report.failed or item.stash.get(FAILED, False)
    return report


@pytest.fixture(scope="module")
def make_demo() -> Make:
    """A module that needs another demo has a fixture of this name."""
    return run_demo


@pytest.fixture(scope="session")
def kept() -> Iterator[dict[str, Demos]]:
    """Demos by the file that began with them."""
    made: dict[str, Demos] = {}
    yield made
    for each in made.values():
        each.end()


@pytest.fixture(scope="module")
def demos(
    make_demo: Make,
    kept: dict[str, Demos],
    request: pytest.FixtureRequest,
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[Demos]:
    first = began_with(request.path)
    yield kept.setdefault(first, Demos(make_demo, lambda: tmp_path_factory.mktemp("demo")))
    later = [item.path for item in request.session.items if began_with(item.path) == first]
    if later[-1] == request.path:
        kept.pop(first).end()


def began_with(file: Path) -> str:
    return together(file.relative_to(ROOT).as_posix())


@pytest.fixture
def demo(demos: Demos, request: pytest.FixtureRequest) -> Iterator[FinishedDemo]:
    """The demo after the steps that a test's mark `after` names; the next test does not go on from a failed one's."""
    mark = request.node.get_closest_marker("after")
    yield demos.after(*(mark.kwargs["steps"] if mark else ()))
    if request.node.stash.get(FAILED, False):
        demos.end()


@pytest.fixture
def clone(demo: FinishedDemo, tmp_path: Path) -> Path:
    """The scratch clone at its newest commit, for a test that commits or changes files."""
    made = tmp_path / "clone"
    subprocess.run(["git", "clone", "--quiet", str(demo.clone), str(made)], check=True)
    return made


@pytest.fixture
def nothing_scheduled(demo: FinishedDemo) -> None:
    demo.unschedule()
