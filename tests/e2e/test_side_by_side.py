"""A promotion or a break-glass, and a `cdk deploy` of the same release stack: neither undoes the other.

In dev. Two changed environments are synthesized, which give a task more memory. In both the replay before traffic waits
while a file is there: a deployment is held until it was met.
"""

from __future__ import annotations

import json
import re
import subprocess
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from bench.faults.world import COPIED
from lockgate import names
from lockgate.configuration.project import read_configuration
from lockgate.release.parameters import PARAMETERS
from lockgate.release.stack import READY
from tests.e2e.demos import FinishedDemo, Make, run_first_release

ROOT = Path(__file__).parents[2]
TOOLS = read_configuration(ROOT).tools
DEV = TOOLS.promotion[0]
MODEL = "employment"
STACK = names.release_stack(DEV, MODEL)
SECONDS = 300
SYNTHESIZED, LARGER, LARGEST = "1024", "2048", "3072"  # MiB of a task
HANDLER = "def handler(event: dict[str, Any], context: object) -> dict[str, Any]:\n"
REFUSED = "refused"
# No longer than a call may take; then ECS calls again.
WAITING = """    import pathlib, time
    hold, until = pathlib.Path({hold!r}), time.monotonic() + 20
    while True:
        try:
            said = hold.read_text()
        except FileNotFoundError:
            break
        if said == {REFUSED!r}:
            hold.unlink()
            return {{"hookStatus": "FAILED"}}
        if time.monotonic() > until:
            return {{"hookStatus": "IN_PROGRESS", "callBackDelay": 1}}
        time.sleep(0.05)
"""
# ECS owns how a rule divides requests: whichever target group comes first, and the weight of each.
LISTENER_RULE = "AWS::ElasticLoadBalancingV2::ListenerRule"
OWNED_BY_ECS = re.compile(r"/Actions/0/ForwardConfig/TargetGroups/[01]/(TargetGroupArn|Weight)")


@dataclass(frozen=True)
class Beside:
    """A version that is live in dev and staging, the assemblies by a task's memory, and the file that holds replays."""

    version: int
    assemblies: dict[str, Path]
    hold: Path

    @contextmanager
    def held(self) -> Iterator[None]:
        """What deploys in dev meanwhile does not end."""
        self.hold.touch()
        try:
            yield
        finally:
            self.hold.unlink(missing_ok=True)

    def refuse(self) -> None:
        """Let the replay of what is held fail, and of nothing after it."""
        self.hold.write_text(REFUSED)
        wait_for(lambda: not self.hold.exists())


def trained_again(demo: FinishedDemo) -> Beside:
    """A step: the first commit is trained again, and compared with what prod serves, so that copies of it pass."""
    demo.unschedule()
    folder = demo.build / "beside"
    folder.mkdir()
    first = demo.facts("explain", "1")["records"][0]
    demo.facts("deliver", first["commit"], "--snapshot", first["snapshot"], "--again", cwd=demo.clone)
    with ThreadPoolExecutor(2) as pool:
        made = pool.map(lambda memory: synthesized(demo, folder / memory, memory, folder / "hold"), (LARGER, LARGEST))
    assemblies = {SYNTHESIZED: demo.build / "cdk.out", **dict(zip((LARGER, LARGEST), made, strict=True))}
    followed = demo.lockgate("follow", first["commit"], "--json", cwd=demo.clone)
    assert followed.returncode == 4, followed.stderr
    return Beside(int(json.loads(followed.stdout)["version"]), assemblies, folder / "hold")


pytestmark = pytest.mark.after(steps=(trained_again,))


@pytest.fixture(scope="module")
def make_demo() -> Make:
    """A first release in every environment."""
    return run_first_release


@pytest.fixture
def beside(demo: FinishedDemo) -> Beside:
    made: Beside = demo.taken[trained_again]
    return made


def synthesized(demo: FinishedDemo, project: Path, memory: str, hold: Path) -> Path:
    """The assembly of the project with so much memory for dev's tasks, and a replay that waits for the file to go."""
    subprocess.run(["git", "clone", "--quiet", str(ROOT), str(project)], check=True)
    for file, found, wanted in (
        (f"environments/{DEV}.toml", f"\nmemory = {SYNTHESIZED} ", f"\nmemory = {memory} "),
        ("lambdas/replay.py", HANDLER, HANDLER + WAITING.format(hold=str(hold), REFUSED=REFUSED)),
    ):
        text = (project / file).read_text()
        assert text.count(found) == 1, f"{file}: {found}"
        (project / file).write_text(text.replace(found, wanted))
    synth = ("cdk", "synth", "--quiet", "--no-notices", "--output", str(project / "cdk.out"))
    done = demo.run("env", "CDK_VALIDATION=false", *synth, cwd=project)
    assert done.returncode == 0, done.stderr
    return project / "cdk.out"


def cdk(demo: FinishedDemo, assembly: Path, command: str, *options: str, environment: str = DEV) -> Any:
    words = ("cdk", command, "--app", str(assembly), f"{environment}/*", *options, "--no-notices")
    return demo.run(*words, profile=environment)


def deploy(demo: FinishedDemo, assembly: Path) -> None:
    done = cdk(demo, assembly, "deploy", "--require-approval", "never")
    assert done.returncode == 0, done.stderr


def reject(demo: FinishedDemo, version: int, environment: str) -> None:
    done = demo.lockgate("reject", str(version), "--env", environment, "--reason", "a trial", profile="grace")
    assert done.returncode == 0, done.stderr


def wait_for(reached: Callable[[], Any]) -> None:
    deadline = time.monotonic() + SECONDS
    while not reached():
        assert time.monotonic() < deadline, "waited too long"
        time.sleep(0.1)


def begin_with(demo: FinishedDemo, beside: Beside, mebibytes: str) -> None:
    """Deploy dev with so much memory, unless it has it."""
    if memory(demo) != mebibytes:
        deploy(demo, beside.assemblies[mebibytes])


def stack(demo: FinishedDemo) -> dict[str, Any]:
    return dict(demo.client("cloudformation", DEV).describe_stacks(StackName=STACK)["Stacks"][0])


def updating(demo: FinishedDemo) -> bool:
    return bool(stack(demo)["StackStatus"] == "UPDATE_IN_PROGRESS")


def pinned(demo: FinishedDemo) -> dict[str, str]:
    """The release stack's parameters."""
    return {entry["ParameterKey"]: entry["ParameterValue"] for entry in stack(demo)["Parameters"]}


def template(demo: FinishedDemo) -> Any:
    return demo.client("cloudformation", DEV).get_template(StackName=STACK)["TemplateBody"]


def events(demo: FinishedDemo) -> list[tuple[str, str, str]]:
    """Of the release stack, newest first, each with its resource's type and status: there are more after an update."""
    pages = demo.client("cloudformation", DEV).get_paginator("describe_stack_events").paginate(StackName=STACK)
    found = [event for page in pages for event in page["StackEvents"]]
    return [(event["EventId"], event["ResourceType"], event["ResourceStatus"]) for event in found]


def memory(demo: FinishedDemo) -> str:
    """MiB of each task that serves."""
    ecs = demo.client("ecs", DEV)
    (service,) = ecs.describe_services(cluster=names.cluster(DEV), services=[MODEL])["services"]
    definition = ecs.describe_task_definition(taskDefinition=service["taskDefinition"])["taskDefinition"]
    return str(definition["memory"])


def standing(demo: FinishedDemo) -> tuple[Any, list[str]]:
    """What the ledger says is live in dev, and what `lockgate status` finds to be otherwise."""
    found = demo.facts("status")["environments"][DEV]["models"][MODEL]
    return found["recorded"], found["differences"]


def agreed(demo: FinishedDemo) -> int | None:
    """The version that ledger, CloudFormation and ECS say is live in dev; None where they do not agree, or not yet."""
    live, differences = standing(demo)
    parameters, settled = pinned(demo), stack(demo)["StackStatus"] in READY
    same = all(parameters[PARAMETERS[name]] == str(live[name]) for name in ("version", "verdict_id"))
    return int(live["version"]) if same and settled and differences == [] else None


def assert_serves(demo: FinishedDemo, version: int, mebibytes: str) -> None:
    """Nothing of a release is lost, nor of an environment."""
    assert (agreed(demo), memory(demo)) == (version, mebibytes)
    replayed = demo.facts("replay", DEV)
    assert (replayed["version"], replayed["equal"]) == (str(version), 100)


def registered_again(demo: FinishedDemo, version: int) -> int:
    """What a version is as a new one, whose promotion starts by itself."""
    sagemaker = demo.client("sagemaker", "tools")
    package = names.package_arn(TOOLS.account, TOOLS.region, MODEL, version)
    found = sagemaker.describe_model_package(ModelPackageName=package)
    made = sagemaker.create_model_package(
        ModelPackageGroupName=names.package_group(MODEL),
        ModelApprovalStatus="PendingManualApproval",
        **{name: found[name] for name in COPIED if name in found},
    )
    return int(made["ModelPackageArn"].rpartition("/")[2])


def waits(demo: FinishedDemo, version: int) -> bool:
    """For approval: until then its promotion changes other environments."""
    return version in [found["version"] for found in demo.facts("status")["waiting"]]


def told_to_wait(demo: FinishedDemo, execution: str) -> bool:
    """Whether a promotion has heard that another update runs."""
    states = demo.client("stepfunctions", "tools")
    machine = names.state_machine_arn(TOOLS.account, TOOLS.region).replace(":stateMachine:", ":execution:")
    try:
        history = states.get_execution_history(executionArn=f"{machine}:{execution}", maxResults=1000)["events"]
    except states.exceptions.ExecutionDoesNotExist:
        return False
    return any(event.get("taskFailedEventDetails", {}).get("error") == "BusyError" for event in history)


def test_a_cdk_deploy_of_a_changed_environment_keeps_the_release_that_is_live(
    demo: FinishedDemo, beside: Beside
) -> None:
    begin_with(demo, beside, SYNTHESIZED)
    before, version = pinned(demo), agreed(demo)
    assert version is not None
    assert_serves(demo, version, SYNTHESIZED)
    deploy(demo, beside.assemblies[LARGER])
    assert pinned(demo) == before
    assert_serves(demo, version, LARGER)


def test_a_cdk_deploy_that_meets_a_promotion_is_refused_and_keeps_its_release_when_it_is_run_again(
    demo: FinishedDemo, beside: Beside
) -> None:
    begin_with(demo, beside, LARGER)
    deployed = template(demo)
    with beside.held():
        version = registered_again(demo, beside.version)
        wait_for(lambda: updating(demo) and pinned(demo)[PARAMETERS["version"]] == str(version))
        refused = cdk(demo, beside.assemblies[LARGEST], "deploy", "--require-approval", "never")
        assert refused.returncode == 1
        assert "is in UPDATE_IN_PROGRESS state and can not be updated" in refused.stderr + refused.stdout
        assert updating(demo), "the promotion was still under way"
    wait_for(lambda: agreed(demo) == version)
    assert template(demo) == deployed
    assert_serves(demo, version, LARGER)
    released = pinned(demo)
    deploy(demo, beside.assemblies[LARGEST])
    assert pinned(demo) == released
    assert_serves(demo, version, LARGEST)


def test_a_promotion_that_meets_a_cdk_deploy_waits_for_it_and_keeps_its_template(
    demo: FinishedDemo, beside: Beside
) -> None:
    begin_with(demo, beside, LARGEST)
    before = pinned(demo)
    with ThreadPoolExecutor(1) as pool, beside.held():
        deployment = pool.submit(deploy, demo, beside.assemblies[LARGER])
        wait_for(lambda: updating(demo))
        version = registered_again(demo, beside.version)
        wait_for(lambda: told_to_wait(demo, names.promotion_execution(MODEL, version)))
        assert updating(demo), "`cdk deploy` was still under way"
        assert pinned(demo) == before
    deployment.result()
    wait_for(lambda: agreed(demo) == version)
    assert_serves(demo, version, LARGER)


def test_either_side_run_again_finds_nothing_to_update_and_loses_nothing(demo: FinishedDemo, beside: Beside) -> None:
    begin_with(demo, beside, LARGER)
    version = registered_again(demo, beside.version)
    wait_for(lambda: waits(demo, version))
    reject(demo, version, TOOLS.promotion[-1])  # a promotion that runs is not started again
    before = (pinned(demo), template(demo), events(demo))

    def promoted() -> int:
        records = demo.facts("explain", str(version), "--env", DEV)["records"]
        return [record["outcome"] for record in records if record["kind"] == "deployment"].count("succeeded")

    assert promoted() == 1
    wait_for(lambda: demo.lockgate("promote", str(version)).returncode == 0)  # the one that was rejected ends
    wait_for(lambda: promoted() == 2)
    deploy(demo, beside.assemblies[LARGER])
    assert (pinned(demo), template(demo), events(demo)) == before
    assert_serves(demo, version, LARGER)


@pytest.mark.parametrize(("taken_back", "mebibytes"), [(True, LARGER), (False, LARGEST)])
def test_a_break_glass_that_meets_a_cdk_deploy_waits_for_it_however_it_ends(
    demo: FinishedDemo, beside: Beside, taken_back: bool, mebibytes: str
) -> None:
    """Whoever ran `cdk deploy` has gone, as a job that was cut off: CloudFormation goes on, or back."""
    begin_with(demo, beside, LARGER)
    version = agreed(demo)
    words = ("--app", str(beside.assemblies[LARGEST]), f"{DEV}/*", "--require-approval", "never", "--no-notices")
    with beside.held():
        with subprocess.Popen(
            ["cdk", "deploy", *words], env=demo.environment(DEV), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
        ) as deployment:
            try:
                wait_for(lambda: updating(demo))
            finally:
                deployment.kill()
        because = ("--env", DEV, "--reason", "a trial")
        broken = demo.facts("break-glass", str(version), *because, profile="ada-break-glass")
        wait_for(lambda: told_to_wait(demo, broken["execution"]))
        assert updating(demo), "the update was still under way"
        if taken_back:
            beside.refuse()
    wait_for(lambda: pinned(demo)[PARAMETERS["verdict_id"]] == broken["record"] and agreed(demo) == version)
    assert_serves(demo, version, mebibytes)
    (entry,) = [found for found in demo.facts("status")["break_glass"] if found["record"] == broken["record"]]
    assert entry["outcome"] == "succeeded"
    before = (pinned(demo), events(demo))
    deploy(demo, beside.assemblies[mebibytes])
    assert (pinned(demo), events(demo)) == before


def test_a_promotion_that_cannot_be_taken_back_either_is_continued_once_and_left_to_a_person(
    demo: FinishedDemo, beside: Beside
) -> None:
    begin_with(demo, beside, LARGEST)
    before = agreed(demo)
    iam, cloudformation = demo.client("iam", DEV), demo.client("cloudformation", DEV)
    role = names.release_cloudformation_role(DEV)
    deny = {"Effect": "Deny", "Action": "cloudwatch:PutMetricAlarm", "Resource": "*"}
    with beside.held():
        version = registered_again(demo, beside.version)
        wait_for(lambda: updating(demo) and events(demo)[0][1:] == ("AWS::ECS::Service", "UPDATE_IN_PROGRESS"))
        document = json.dumps({"Version": "2012-10-17", "Statement": [deny]})
        iam.put_role_policy(RoleName=role, PolicyName="stuck", PolicyDocument=document)
        seen = len(events(demo))
        beside.refuse()
    wait_for(lambda: version in [failed["version"] for failed in demo.facts("status")["failed_deployments"]])
    since = [said for _, *said in events(demo)[:-seen]]
    assert since.count(["AWS::CloudFormation::Stack", "UPDATE_ROLLBACK_FAILED"]) == 2, "it was continued once"
    live, differences = standing(demo)
    assert live["version"] == before
    assert differences == [
        "the stack is UPDATE_ROLLBACK_FAILED: it needs a person: docs/runbook.md, When they disagree"
    ]
    iam.delete_role_policy(RoleName=role, PolicyName="stuck")
    arn = names.role_arn(stack(demo)["StackId"].split(":")[4], role)
    cloudformation.continue_update_rollback(StackName=STACK, RoleARN=arn)
    wait_for(lambda: agreed(demo) == before)
    wait_for(lambda: demo.lockgate("promote", str(version)).returncode == 0)  # the one that failed ends
    wait_for(lambda: agreed(demo) == version)
    assert_serves(demo, version, LARGEST)


@pytest.mark.parametrize(
    ("environment", "mebibytes"), [(DEV, LARGEST), *((name, SYNTHESIZED) for name in TOOLS.promotion[1:])]
)
def test_after_promotions_cdk_diff_is_clean_and_so_is_drift_but_for_what_ecs_owns(
    demo: FinishedDemo, beside: Beside, environment: str, mebibytes: str
) -> None:
    begin_with(demo, beside, LARGEST)
    newest = agreed(demo)
    assert newest is not None
    wait_for(lambda: waits(demo, newest))
    assembly = beside.assemblies[mebibytes]
    diff = cdk(demo, assembly, "diff", "--fail", environment=environment)
    assert diff.returncode == 0, diff.stdout + diff.stderr
    assert cdk(demo, assembly, "drift", environment=environment).returncode == 0
    cloudformation = demo.client("cloudformation", environment)
    in_sync, drifted, exchanged = set(), [], set()
    for name in (names.edge_stack(environment), names.release_stack(environment, MODEL)):
        for found in cloudformation.describe_stack_resource_drifts(StackName=name)["StackResourceDrifts"]:
            kind, status = found["ResourceType"], found["StackResourceDriftStatus"]
            if status == "IN_SYNC":
                in_sync.add(kind)
            elif status != "NOT_CHECKED":
                paths = [difference["PropertyPath"] for difference in found.get("PropertyDifferences", [])]
                if (kind, status) == (LISTENER_RULE, "MODIFIED") and paths and all(map(OWNED_BY_ECS.fullmatch, paths)):
                    exchanged.add(found["PhysicalResourceId"])
                else:
                    drifted.append((kind, status, paths))
    assert {"AWS::ECS::Service", "AWS::ECS::TaskDefinition"} <= in_sync
    assert drifted == []
    assert rules_to_green(demo, environment) <= exchanged, "drift is looked for where ECS has exchanged the groups"


def rules_to_green(demo: FinishedDemo, environment: str) -> set[str]:
    """The rules that ECS has led away from the target group with which their template starts."""
    stack = names.edge_stack(environment)
    resources = demo.client("cloudformation", environment).describe_stack_resources(StackName=stack)["StackResources"]
    balancer = demo.client("elbv2", environment)
    found = set()
    for rule in [each["PhysicalResourceId"] for each in resources if each["ResourceType"] == LISTENER_RULE]:
        (described,) = balancer.describe_rules(RuleArns=[rule])["Rules"]
        groups = described["Actions"][0].get("ForwardConfig", {}).get("TargetGroups", [])
        serving = {group["TargetGroupArn"] for group in groups if group["Weight"]}
        green = {each["PhysicalResourceId"] for each in resources if "Green" in each["LogicalResourceId"]}
        found |= {rule} if serving & green else set()
    return found
