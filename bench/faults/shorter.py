"""A copy of the project whose canaries take two minutes: what a run waits for is not what it shows."""

from __future__ import annotations

import re
from pathlib import Path

from demo.main_job import StepError, git

# Lines of environments/*.toml and of the example's policy: what is before the number stays.
BUDGET = r"(?m)^(decisions = )\d+"
MINUTES = r"(?m)^((?:step|bake)_minutes = )\d+"
CANARIES = ("staging", "prod")
IDENTITY = ("-c", "user.name=ada", "-c", "user.email=ada@example.com", "-c", "commit.gpgsign=false")


def with_short_canaries(root: Path, project: Path, *, decisions: int | None = None) -> Path:
    """Clone `root` to `project`, with what is changed but not committed, and commit the change there.

    decisions: that a holdout serves. Files that git does not know are not in it.
    """
    git(root, "clone", "--quiet", str(root), str(project))
    changes = git(root, "diff", "--binary", "--no-ext-diff", "--no-color", "--src-prefix=a/", "--dst-prefix=b/", "HEAD")
    if changes:
        patch = project.with_suffix(".patch")
        patch.write_text(changes)
        git(project, "apply", "--index", str(patch))
    for name in CANARIES:
        _change(project / "environments" / f"{name}.toml", MINUTES, 1)
    if decisions is not None:
        _change(project / "model" / "employment" / "policy.toml", BUDGET, decisions)
    git(project, *IDENTITY, "commit", "--quiet", "--all", "--message", "Short canaries for many runs")
    return project


def _change(file: Path, pattern: str, number: int) -> None:
    """Raises StepError where the pattern finds nothing."""
    text, changed = re.subn(pattern, rf"\g<1>{number}", file.read_text())
    if not changed:
        raise StepError(f"{file}: expected a line like {pattern}")
    file.write_text(text)
