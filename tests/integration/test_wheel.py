"""The wheel in an environment of its own: what the command line and the workflows need is what they install."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest
import yaml

ROOT = Path(__file__).parents[2]
UV = Path(sys.executable).parent / "uv"
WORKFLOWS = sorted((ROOT / ".github" / "workflows").glob("*.yml"))


def install(folder: Path, what: str) -> Path:
    """A fresh environment with something installed at the versions of the lock; its bin folder."""
    for command in (
        [UV, "venv", "-q", "--python", sys.executable, folder],
        [UV, "pip", "install", "-q", "--python", folder / "bin" / "python", "-c", ROOT / "requirements.lock", what],
    ):
        subprocess.run(list(map(str, command)), check=True, cwd=folder.parent)
    return folder / "bin"


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("wheel")
    subprocess.run([str(UV), "build", "-q", "--wheel", "--out-dir", str(folder), str(ROOT)], check=True)
    (made,) = folder.glob("*.whl")
    return made


@pytest.fixture(scope="module")
def alone(wheel: Path) -> Path:
    """The wheel without any extra."""
    return install(wheel.parent / "alone", str(wheel))


def run(folder: Path, *words: str, cwd: Path, **variables: str) -> subprocess.CompletedProcess[str]:
    """A command of an environment, with nothing of ours on its path and no credentials."""
    environment = {
        "PATH": f"{folder}:/usr/bin:/bin",
        "HOME": str(folder),
        "LOCKGATE_LOCAL_STATE": str(folder / "none"),
        "AWS_EC2_METADATA_DISABLED": "true",
        **variables,
    }
    command = [str(folder / words[0]), *words[1:]]
    return subprocess.run(command, cwd=cwd, env=environment, capture_output=True, text=True, check=False, timeout=120)


def test_the_wheel_brings_no_package_of_emulator_cdk_or_models(alone: Path) -> None:
    listed = subprocess.run(
        [str(UV), "pip", "list", "-q", "--python", str(alone / "python"), "--format", "json"],
        capture_output=True,
        text=True,
        check=True,
    ).stdout
    assert not re.search(r'"(ministack|cryptography|aws-cdk-lib|numpy|pyarrow|pytest)"', listed)
    assert '"lockgate"' in listed


def test_every_command_has_its_help_there(alone: Path, tmp_path: Path) -> None:
    done = run(alone, "lockgate", "--help", cwd=tmp_path)
    assert (done.returncode, done.stderr) == (0, "")
    path = "import sys; from lockgate.configuration.shipped import HOME; sys.path.insert(0, str(HOME))"
    done = run(alone, "python", "-I", "-c", f"{path}; from cli.main import parser; parser()", cwd=tmp_path)
    assert (done.returncode, done.stderr) == (0, "")


def test_the_wheel_claims_no_name_that_is_not_ours(wheel: Path) -> None:
    with zipfile.ZipFile(wheel) as held:
        names = {name.partition("/")[0] for name in held.namelist()}
    assert {name for name in names if not name.endswith(".dist-info")} == {
        "lockgate",
        "lockgate_app",
        "lockgate_constructs",
    }


@pytest.mark.parametrize("words", [("status",), ("deliver",), ("doctor", "prod"), ("verify", "--json")])
def test_what_asks_aws_says_that_there_are_no_credentials(alone: Path, words: tuple[str, ...]) -> None:
    done = run(alone, "lockgate", *words, cwd=ROOT)
    assert (done.returncode, done.stdout) == (1, "")
    assert "AWS could not be asked: found no credentials" in done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize(
    ("words", "extra"),
    [(("up",), "local"), (("down",), "local"), (("snapshot",), "model")],
    ids=["up", "down", "snapshot"],
)
def test_what_needs_an_extra_names_it(alone: Path, words: tuple[str, ...], extra: str) -> None:
    done = run(alone, "lockgate", *words, cwd=ROOT)
    assert done.returncode == 1
    assert f"`pip install 'lockgate[{extra}]'`" in done.stderr
    assert "Traceback" not in done.stderr


def jobs() -> dict[str, list[str]]:
    """The commands of each job of each workflow that sets the project up."""
    found = {}
    for file in WORKFLOWS:
        for name, job in yaml.safe_load(file.read_text())["jobs"].items():
            steps = [step["run"] for step in job["steps"] if "run" in step]
            if any(step.startswith("make") for step in steps):
                found[f"{file.stem}/{name}"] = steps
    return found


def test_a_workflow_installs_no_more_than_its_job_needs() -> None:
    """All of it is for the suite; what synthesizes needs the CDK, and what tries models needs what those need; the rest
    needs the command line alone."""
    wrong = []
    for name, steps in jobs().items():
        installed = next((step for step in steps if step.startswith("make setup")), "make setup")
        told = "\n".join(steps)
        wanted = "make setup" if "make test" in told or "make renew" in told else "make setup EXTRAS="
        wanted += "cdk" if re.search(r"make (synth|review)", told) and wanted != "make setup" else ""
        wanted += "model" if "lockgate try" in told else ""
        wrong += [f"{name}: {installed}, expected {wanted}"] if installed != wanted else []
    assert wrong == []
    assert {"deliver/deliver", "infrastructure/prod", "pull-request/review"} <= set(jobs())


APP = """\
from pathlib import Path

from aws_cdk import App, CfnOutput, Stack
from lockgate_app.stacks.app import main
from lockgate_app.stacks.edge import EdgeStack
from lockgate_app.stacks.stages import Kinds


class OurEdge(EdgeStack):
    def __init__(self, *given, **named):
        super().__init__(*given, **named)
        CfnOutput(self, "Ours", value="ours")


def also(app: App) -> None:
    CfnOutput(Stack(app.node.find_child("dev"), "ours", stack_name="lockgate-dev-ours"), "Ours", value="ours")


main(Path(__file__).parent{options})
"""


@pytest.fixture(scope="module")
def cdk(wheel: Path) -> Path:
    """The wheel with what synth needs."""
    return install(wheel.parent / "cdk", f"lockgate[cdk] @ {wheel.as_uri()}")


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """This project's configuration in a folder of its own: no stack, no handler and no rule."""
    root = tmp_path / "project"
    for folder in ("environments", "model"):
        ignored = shutil.ignore_patterns("__pycache__", "pipeline.json")
        shutil.copytree(ROOT / folder, root / folder, ignore=ignored)
    return root


def synth(cdk: Path, project: Path, options: str = "") -> Path:
    (project / "app.py").write_text(APP.format(options=options))
    out = project.parent / "out"
    done = run(cdk, "python", "app.py", cwd=project, CDK_OUTDIR=str(out), CDK_VALIDATION="false")
    assert done.returncode == 0, done.stderr
    return out


def test_a_project_that_depends_on_the_wheel_synthesizes_what_a_checkout_does(
    cdk: Path, project: Path, assembly: Path
) -> None:
    out = synth(cdk, project)
    assert len(list(out.rglob("*.template.json"))) > 5
    done = subprocess.run(["diff", "-r", out, assembly], capture_output=True, text=True, check=False)
    assert done.stdout == ""


def test_a_team_names_a_subclass_of_a_stack_and_adds_stacks_of_its_own(cdk: Path, project: Path) -> None:
    (project / "stacks").mkdir()  # a name of ours, which a team may use as well
    out = synth(cdk, project, ", kinds=Kinds(edge=OurEdge), also=also")
    templates = [json.loads(file.read_text()) for file in out.rglob("*.template.json")]
    ours = [each["Description"] for each in templates if "Ours" in each.get("Outputs", {})]
    assert len(ours) == 4  # three edges and the stack of dev
    assert all("2002" in each for each in ours)  # each says whose it is


def test_a_review_without_the_differ_says_what_installs_it(cdk: Path) -> None:
    done = run(cdk, "lockgate", "review", "nowhere", "nowhere", cwd=ROOT)
    assert done.returncode == 1
    assert "Traceback" not in done.stderr, done.stderr


def test_requirements_txt_names_every_extra() -> None:
    import tomllib

    extras = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["optional-dependencies"]
    assert f"-e .[{','.join(extras)}]" in (ROOT / "requirements.txt").read_text().splitlines()
    assert f"EXTRAS ?= {','.join(extras)}" in (ROOT / "Makefile").read_text().splitlines()
