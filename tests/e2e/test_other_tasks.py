"""Three models of other tasks in one app, carried to its last environment; then a commit makes one of them worse.

They are those of examples/: ten classes, a number with a long tail by LightGBM, and rules with a fitted threshold. The
project has one environment and one account, since more of them are the same again. Their rows are in no commit.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from demo.main_job import IDENTITY, git
from examples.rows import EXAMPLES
from lockgate import names
from lockgate.configuration.model import read_model
from lockgate.release.request import example_row
from tests.e2e.demos import TIMEOUT, FinishedDemo, Make, paths
from tests.ports import free_ports

ROOT = Path(__file__).parents[2]
ACCOUNT = "111111111111"
ENVIRONMENT = "dev"
MODELS = sorted(EXAMPLES)
CHANGED, *OTHERS = MODELS  # by the demo's second commit
GONE = MODELS[-1]  # in the end
LOCK = ("uv", "pip", "compile", "-q", "--universal", "--python-version", "3.11", "--no-header", "--no-annotate")
LOCK += ("--no-emit-index-url", "--generate-hashes", "--constraint", "requirements.lock")


def project_of_examples(project: Path) -> None:
    """A clone of this one with the three models instead of its own, and LightGBM in the lock of its images."""
    git(ROOT, "clone", "--quiet", str(ROOT), str(project))
    shutil.rmtree(project / "model" / "employment")
    for model in MODELS:
        shutil.copytree(ROOT / "examples" / model, project / "model" / model)
        rows = [sys.executable, "-m", "examples.rows", model, str(project / "data")]
        subprocess.run(rows, cwd=ROOT, check=True)
        (project / "data" / model / ".gitignore").write_text("*.parquet\n")
    wanted = project / "model" / "requirements.in"
    (lightgbm,) = re.findall(r'^    "(lightgbm==.*)",$', (ROOT / "pyproject.toml").read_text(), re.MULTILINE)
    wanted.write_text(wanted.read_text() + f"{lightgbm}\n")
    subprocess.run([*LOCK, "model/requirements.in", "-o", "model/requirements.lock"], cwd=project, check=True)
    for file in (project / "environments").glob("*.toml"):
        if file.stem in (ENVIRONMENT, "tools"):
            text = re.sub(r"[0-9]{12}(?=[\":])", ACCOUNT, file.read_text())
            text = re.sub(r"^anchor_account.*\n", "", text, flags=re.MULTILINE)
            file.write_text(re.sub(r"^promotion = .*$", f'promotion = ["{ENVIRONMENT}"]', text, flags=re.MULTILINE))
        else:
            file.unlink()
    git(project, "add", ".")
    git(project, *IDENTITY, "commit", "--quiet", "--message", "Three models of other tasks")


@pytest.fixture(scope="module")
def make_demo() -> Make:
    def make(folder: Path) -> FinishedDemo:
        project, build = folder / "project", folder / "build"
        project_of_examples(project)
        demo = FinishedDemo(folder / "state", build, "", project)
        command = [sys.executable, "-m", "demo", "--root", str(project), "--port", str(free_ports(3))]
        done = subprocess.run(
            [*command, "--build", str(build)],
            cwd=ROOT,
            env={**os.environ, **paths(demo.state)},
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            check=False,
            timeout=TIMEOUT,
        )
        assert done.returncode == 0, done.stdout
        demo.output = done.stdout
        return demo

    return make


def runs(demo: FinishedDemo, model: str) -> list[str]:
    """The commits for which a model was trained, newest first."""
    found = demo.client("sagemaker", "tools").list_pipeline_executions(PipelineName=names.pipeline(model))
    return [entry["PipelineExecutionDisplayName"] for entry in found["PipelineExecutionSummaries"]]


@pytest.mark.parametrize("model", MODELS)
def test_a_model_of_another_task_is_live_after_the_first_commit(demo: FinishedDemo, model: str) -> None:
    live = demo.facts("status", "--model", model)["environments"][ENVIRONMENT]["models"][model]
    first = git(demo.clone, "rev-list", "HEAD").split()[1]
    assert (live["live"]["version"], live["live"]["commit"], live["differences"]) == (1, first, [])
    records = demo.facts("explain", "1", "--model", model)["records"]
    assert [record["kind"] for record in records] == ["verdict", "deployment"]
    assert records[0]["outcome"] == "passed"
    facts = demo.facts("replay", ENVIRONMENT, "--model", model)
    assert (facts["version"], facts["rows"], facts["equal"]) == ("1", 100, 100)


@pytest.mark.parametrize("model", MODELS)
def test_it_answers_a_row_over_http_in_the_words_of_its_task(demo: FinishedDemo, model: str) -> None:
    declared = read_model(demo.root / "model" / model)
    url = demo.facts("status", "--model", model)["environments"][ENVIRONMENT]["models"][model]["live"]["url"]
    body = json.dumps({"instances": [example_row(declared)]})
    asked = ("--data", body, "--header", "content-type: application/json", f"{url}/invocations")
    done = demo.run("curl", "--silent", "--cacert", str(demo.session.settings.ca_bundle), *asked)
    answer = json.loads(done.stdout)
    (prediction,) = answer["predictions"]
    if declared.target.task == "regression":
        assert 10_000 <= prediction <= 5_000_000
    elif declared.target.task == "multiclass":
        assert answer["classes"] == list(declared.target.classes)
        assert sum(prediction) == pytest.approx(1)
    else:
        assert 0 < prediction < 1
        assert 0 < answer["threshold"] < 0.5, "a fraud costs twenty looks"


def test_a_commit_that_makes_one_model_worse_trains_judges_and_refuses_that_one_and_touches_no_other(
    demo: FinishedDemo,
) -> None:
    status, first = demo.facts("status"), git(demo.clone, "rev-list", "HEAD").split()[1]
    assert [(each["model"], each["version"], each["environment"]) for each in status["refused"]] == [
        (CHANGED, 2, ENVIRONMENT)
    ]
    assert {model: len(runs(demo, model)) for model in MODELS} == {
        model: 2 if model == CHANGED else 1 for model in MODELS
    }
    for model in OTHERS:
        assert f"{model}: nothing is started" in demo.output
        followed = demo.facts("follow", "--model", model, cwd=demo.clone)
        assert (followed["version"], followed["ending"], followed["same_as"]) == (1, "live", first)
    every = demo.lockgate("follow", "--json", cwd=demo.clone)
    assert (every.returncode, len(json.loads(every.stdout)["models"])) == (3, len(MODELS)), every.stderr
    served = status["environments"][ENVIRONMENT]["models"]
    assert {model: served[model]["live"]["version"] for model in MODELS} == dict.fromkeys(MODELS, 1)


def retired(demo: FinishedDemo) -> str:
    """A step: a model is retired, its release stack deleted, its folder removed but for what Python left, and deployed.

    Gives what the first attempt said, which did not say that callers may be cut off.
    """
    words = ("retire", GONE, "--reason", "nobody asks for it")
    refused = demo.lockgate(*words, profile="grace")
    assert refused.returncode == 1, refused.stdout
    said = demo.lockgate(*words, "--cut-off", profile="grace")
    assert said.returncode == 0, said.stderr
    stack = names.release_stack(ENVIRONMENT, GONE)
    assert f"aws cloudformation delete-stack --stack-name {stack}" in said.stdout
    cloudformation = demo.client("cloudformation", ENVIRONMENT)
    cloudformation.delete_stack(StackName=stack)
    cloudformation.get_waiter("stack_delete_complete").wait(StackName=stack, WaiterConfig={"Delay": 1})
    git(demo.root, "rm", "--quiet", "-r", f"model/{GONE}")
    left = demo.root / "model" / GONE / "__pycache__" / "train.cpython-311.pyc"
    left.parent.mkdir(parents=True, exist_ok=True)
    left.touch()
    git(demo.root, *IDENTITY, "commit", "--quiet", "--message", "Nobody asks for it")
    deploy = ("cdk", "deploy", "tools/*", f"{ENVIRONMENT}/*", "--require-approval", "never", "--no-notices")
    done = demo.run("env", "CDK_VALIDATION=false", *deploy, "--concurrency", "4", profile=ENVIRONMENT)
    assert done.returncode == 0, done.stderr
    return refused.stderr


@pytest.mark.after(steps=(retired,))
def test_a_retired_model_is_gone_with_its_folder_and_its_history_is_read_as_before(demo: FinishedDemo) -> None:
    assert f"{GONE}: found live: version 1 in {ENVIRONMENT}, https://" in demo.taken[retired]
    status = demo.facts("status")
    (gone,) = status["gone"]
    assert (gone["model"], gone["person"], gone["reason"]) == (GONE, "grace", "nobody asks for it")
    assert GONE not in status["environments"][ENVIRONMENT]["models"]
    records = demo.facts("explain", "1", "--model", GONE)["records"]
    assert [record["kind"] for record in records] == ["verdict", "deployment", "retirement"]
    past = demo.facts("status", "--model", GONE)["environments"][ENVIRONMENT]["models"][GONE]
    assert (past["live"], past["recorded"]["version"]) == (None, 1)
    assert demo.lockgate("verify").returncode == 0
    registry = demo.client("sagemaker", "tools")
    packages = registry.list_model_packages(ModelPackageGroupName=names.package_group(GONE))
    assert len(packages["ModelPackageSummaryList"]) == 1


@pytest.mark.after(steps=(retired,))
def test_the_other_models_serve_on_and_are_delivered_without_it(demo: FinishedDemo) -> None:
    delivered = demo.facts("deliver", "HEAD", cwd=demo.root)
    assert set(delivered["models"]) == set(MODELS) - {GONE}
    for model in delivered["models"]:
        assert demo.facts("replay", ENVIRONMENT, "--model", model)["version"] == "1"
