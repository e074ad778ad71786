"""What of a commit can change a model, as git knows it: no import is followed, and what is not plain counts."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path

import pytest

from cli.git import image_files

ROOT = Path(__file__).parents[3]
FILES = {
    ".dockerignore": "*\n!lockgate\n!model\n!runtime\n**/__pycache__\n",
    "README.md": "words",
    "docs/page.md": "words",
    "environments/tools.toml": "account",
    "lockgate/rules.py": "rule",
    "model/Dockerfile": "FROM x",
    "model/churn/model.toml": "a",
    "model/churn/train.py": "a",
    "model/income/model.toml": "b",
    "model/income/train.py": "b",
    "model/requirements.lock": "c",
    "model/shared/features.py": "d",
    "runtime/train.py": "e",
    "tests/test_it.py": "f",
}


def git(root: Path, *arguments: str) -> str:
    identity = ("-c", "user.name=ada", "-c", "user.email=ada@example.com")
    done = subprocess.run(["git", "-C", str(root), *identity, *arguments], capture_output=True, text=True, check=True)
    return done.stdout.strip()


def commit(root: Path, **files: str) -> str:
    for path, text in files.items():
        (root / path).parent.mkdir(parents=True, exist_ok=True)
        (root / path).write_text(text)
    git(root, "add", "--all")
    git(root, "commit", "-q", "--allow-empty", "-m", "changed")
    return git(root, "rev-parse", "HEAD")


@pytest.fixture
def project(tmp_path: Path) -> Path:
    git(tmp_path, "init", "-q", "-b", "main")
    commit(tmp_path, **FILES)
    return tmp_path


def changed_models(root: Path, **files: str) -> set[str]:
    before, after = git(root, "rev-parse", "HEAD"), commit(root, **files)
    return {m for m in ("churn", "income") if image_files(root, before, m) != image_files(root, after, m)}


@pytest.mark.parametrize(
    "path",
    ["README.md", "docs/page.md", "tests/test_it.py", "environments/tools.toml", "model/churn/policy.toml"],
)
def test_documents_tests_policies_and_what_no_image_holds_change_no_model(project: Path, path: str) -> None:
    assert changed_models(project, **{path: "other"}) == set()


def test_a_models_own_folder_changes_that_model_alone(project: Path) -> None:
    assert changed_models(project, **{"model/churn/train.py": "other"}) == {"churn"}
    assert changed_models(project, **{"model/income/new.py": "new"}) == {"income"}


@pytest.mark.parametrize(
    "path",
    [
        "lockgate/rules.py",
        "runtime/train.py",
        "model/Dockerfile",
        "model/requirements.lock",
        "model/shared/features.py",
    ],
)
def test_what_models_share_changes_each_of_them(project: Path, path: str) -> None:
    assert changed_models(project, **{path: "other"}) == {"churn", "income"}


def test_a_mode_changes_a_model_and_going_back_does_not(project: Path) -> None:
    before = image_files(project, "HEAD", "churn")
    (project / "model/churn/train.py").chmod(0o755)
    assert changed_models(project) == {"churn"}
    (project / "model/churn/train.py").chmod(0o644)
    assert changed_models(project) == {"churn"}
    assert image_files(project, "HEAD", "churn") == before


def test_a_folder_that_becomes_a_model_is_no_longer_shared(project: Path) -> None:
    assert changed_models(project, **{"model/shared/model.toml": "a model"}) == {"churn", "income"}
    assert changed_models(project, **{"model/shared/features.py": "of its own"}) == set()


@pytest.mark.parametrize("ignored", ["docs\n", "*\n!**/*.py\n", "*\n!*.py\n", "!model\n*\n"])
def test_a_build_that_is_not_plainly_given_some_folders_counts_the_whole_tree(project: Path, ignored: str) -> None:
    commit(project, **{".dockerignore": ignored})
    assert changed_models(project, **{"README.md": "other"}) == {"churn", "income"}


def test_a_build_that_sees_another_folder_counts_it(project: Path) -> None:
    commit(project, **{".dockerignore": FILES[".dockerignore"] + "!docs/page.md\n"})
    assert changed_models(project, **{"docs/page.md": "other"}) == {"churn", "income"}


def test_the_list_of_ignored_files_that_goes_with_the_dockerfile_comes_first(project: Path) -> None:
    assert changed_models(project, **{"model/Dockerfile.dockerignore": "*\n!model\n"}) == {"churn", "income"}
    assert changed_models(project, **{"lockgate/rules.py": "other"}) == set()


def test_the_fingerprint_holds_all_that_this_projects_dockerfile_copies() -> None:
    copied = re.findall(r"^COPY (?!.*--from).*$", (ROOT / "model" / "Dockerfile").read_text(), re.MULTILINE)
    sources = {word.split("/")[0] for line in copied for word in line.split()[2:-1]}
    held = {path.split("/")[0] for path in image_files(ROOT, "HEAD", "employment")}
    assert sources <= held <= sources | {".dockerignore"}
