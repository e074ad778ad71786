"""docs/ is a site: Sphinx makes it without a warning, and every page is reached from the first one."""

from __future__ import annotations

import re
import shutil
import subprocess
from pathlib import Path

import pytest

from tests.docs.pages import ROOT, pages, pieces

SPHINX = ROOT / ".venv-docs" / "bin" / "sphinx-build"


def build(source: Path, target: Path) -> subprocess.CompletedProcess[str]:
    assert SPHINX.exists(), "make .venv-docs first: `make docs`"
    command = [
        str(SPHINX),
        "-q",
        "-E",
        "-W",
        "--keep-going",
        "-n",
        "-d",
        str(target / "read"),
        str(source),
        str(target),
    ]
    return subprocess.run(command, capture_output=True, text=True, check=False)


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    target = tmp_path_factory.mktemp("site")
    built = build(ROOT / "docs", target)
    assert built.returncode == 0, built.stderr
    return target


def test_the_site_is_built_without_a_warning_and_has_every_page(site: Path) -> None:
    made = {file.relative_to(site).with_suffix("") for file in site.rglob("*.html") if "_static" not in file.parts}
    assert made - {Path("search")} == {
        page.relative_to(ROOT / "docs").with_suffix("") for page in pages() if "docs" in page.parts
    }


def test_no_page_of_the_site_loads_anything_from_elsewhere(site: Path) -> None:
    loaded = re.compile(
        r"<(?:script|img|iframe)[^>]+src=\"(?:https?:)?//|<link[^>]+rel=\"stylesheet\"[^>]+href=\"(?:https?:)?//"
    )
    assert [file.name for file in site.rglob("*.html") if loaded.search(file.read_text())] == []


def test_a_link_to_a_page_a_heading_or_a_picture_that_is_not_there_is_an_error(tmp_path: Path) -> None:
    docs = tmp_path / "docs"
    shutil.copytree(ROOT / "docs" / "_static", docs / "_static")
    shutil.copy(ROOT / "docs" / "conf.py", docs)
    (docs / "release.md").write_text("# A release\n")
    links = "[a page](nowhere.md), [a heading](release.md#nothing-says-this), ![a picture](lost.svg)"
    (docs / "index.md").write_text(f"# First\n\n{links}\n\n```{{toctree}}\nrelease\n```\n")
    built = build(docs, tmp_path / "site")
    assert built.returncode != 0
    assert [lost for lost in ("nowhere.md", "nothing-says-this", "lost.svg") if lost not in built.stderr] == []


def slug(heading: str) -> str:
    return re.sub(r"[^\w -]", "", heading.lower()).replace(" ", "-")


@pytest.mark.parametrize("name", ["README.md", "CONTRIBUTING.md", "CHANGELOG.md"])
def test_links_of_the_pages_outside_the_site_lead_somewhere(name: str) -> None:
    wrong = []
    for kind, target, _, line in pieces(ROOT / name):
        if kind not in ("link_open", "image") or re.match(r"https?://", target):
            continue
        file, _, heading = target.partition("#")
        page = ROOT / file if file else ROOT / name
        headings = re.findall(r"^#+ (.*)$", page.read_text(), re.M) if page.suffix == ".md" else []
        if not page.exists() or (heading and heading not in map(slug, headings)):
            wrong.append(f"{name}:{line}: {target}")
    assert wrong == []


def test_no_page_names_the_host_of_a_registry() -> None:
    hosts = re.compile(r"pypi\.org|pythonhosted|npmjs|registry\.npm|crates\.io|docker\.io|ghcr\.io")
    assert [str(page) for page in pages() if hosts.search(page.read_text())] == []


def test_decisions_are_numbered_without_gaps_and_each_title_begins_with_its_number() -> None:
    files = sorted((ROOT / "docs" / "decisions").glob("[0-9]*.md"))
    assert [int(file.name[:4]) for file in files] == list(range(1, len(files) + 1))
    assert [file.name for file in files if not file.read_text().startswith(f"# {int(file.name[:4])}. ")] == []


def test_the_changelog_is_in_groups_and_each_version_names_its_commit() -> None:
    text = (ROOT / "CHANGELOG.md").read_text()
    groups = {heading.split(":")[0] for heading in re.findall(r"^### (.*)$", text, re.M)}
    assert groups <= {"Added", "Changed", "Mended", "To do when upgrading"}
    versions = dict(re.findall(r"^## (\S+)\n\n(.*)$", text, re.M))
    assert next(iter(versions)) == "Unreleased"
    wrong = [name for name, line in versions.items() if not re.fullmatch(r"Commit `[0-9a-f]{40}`\.", line)]
    assert wrong == ["Unreleased"]


def test_lines_of_text_are_no_longer_than_those_of_code() -> None:
    """Tables and blocks are as long as they must be."""
    wrong = []
    for page in pages():
        inside = False
        for number, line in enumerate(page.read_text().splitlines(), 1):
            inside ^= line.lstrip().startswith("```")
            if len(line) > 120 and not inside and not line.lstrip().startswith("|"):
                wrong.append(f"{page.relative_to(ROOT)}:{number}")
    assert wrong == [], "break these lines at 120 columns"
