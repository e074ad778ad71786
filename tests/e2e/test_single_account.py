"""The whole way of a commit where tools and every environment share one account."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

from local import embedded

ROOT = Path(__file__).parents[2]
ACCOUNT = "111111111111"


def test_a_commit_reaches_production_in_one_account_and_a_worse_one_is_refused(
    tmp_path: Path, free_ports: Callable[[int], int]
) -> None:
    project, state, build = tmp_path / "project", tmp_path / "state", tmp_path / "build"
    subprocess.run(["git", "clone", "--quiet", str(ROOT), str(project)], check=True)
    for file in (project / "environments").glob("*.toml"):
        file.write_text(re.sub(r"[0-9]{12}(?=[\":])", ACCOUNT, file.read_text()))
    identity = ("-c", "user.name=ada", "-c", "user.email=ada@example.com", "-c", "commit.gpgsign=false")
    subprocess.run(
        ["git", *identity, "commit", "--quiet", "--all", "--message", "One account"], cwd=project, check=True
    )
    path = os.pathsep.join((str(Path(sys.executable).parent), str(ROOT / "node_modules" / ".bin"), os.environ["PATH"]))
    roots = os.pathsep.join((str(project), str(project / "constructs")))
    environment = {**os.environ, "PATH": path, "PYTHONPATH": roots, "LOCKGATE_LOCAL_STATE": str(state)}
    command = [sys.executable, "-m", "local.demo", "--port", str(free_ports(3)), "--build", str(build)]
    done = subprocess.run(
        command, cwd=project, env=environment, capture_output=True, text=True, check=False, timeout=900
    )
    try:
        assert done.returncode == 0, done.stdout[-2000:] + done.stderr[-2000:]
        session = embedded.attach(state)
        assert session is not None
        assert set(session.accounts.values()) == {ACCOUNT}
        status = subprocess.run(
            ["lockgate", "status", "--json"],
            cwd=project,
            env={**environment, **session.environment("ada")},
            capture_output=True,
            text=True,
            check=True,
        )
        environments = json.loads(status.stdout)["environments"]
        live = [model["live"]["version"] for found in environments.values() for model in found["models"].values()]
        assert live == [1, 1, 1]
    finally:
        embedded.stop(state)
