"""ECS, CloudFormation and the ledger say different things: what `lockgate status` says of each pair, and what mends it.

In dev. A stack that was deleted or is stuck is in their tests.
"""

from __future__ import annotations

import json
import time
from typing import Any

import pytest

from lockgate import names
from lockgate.configuration.project import read_configuration
from lockgate.release.parameters import PARAMETERS

MODEL = "employment"
SECONDS = 300

pytestmark = pytest.mark.usefixtures("nothing_scheduled")


@pytest.fixture
def dev(demo: Any) -> str:
    return str(read_configuration(demo.clone).tools.promotion[0])


def live(demo: Any, dev: str) -> tuple[int, list[str]]:
    found = demo.facts("status")["environments"][dev]["models"][MODEL]
    return found["recorded"]["version"], found["differences"]


def operate(demo: Any, dev: str, *option: str) -> Any:
    return demo.facts("rollback", dev, *option, "--reason", "they disagree", profile=f"{dev}-operator")


def stack(demo: Any, dev: str) -> dict[str, Any]:
    found = demo.client("cloudformation", dev).describe_stacks(StackName=names.release_stack(dev, MODEL))
    return dict(found["Stacks"][0])


def settled(demo: Any, dev: str) -> str:
    deadline = time.monotonic() + SECONDS
    while (status := stack(demo, dev)["StackStatus"]).endswith("_IN_PROGRESS"):
        assert time.monotonic() < deadline, status
        time.sleep(0.1)
    return str(status)


def parameters(demo: Any, dev: str) -> dict[str, str]:
    return {entry["ParameterKey"]: entry["ParameterValue"] for entry in stack(demo, dev)["Parameters"]}


def service(demo: Any, dev: str) -> dict[str, Any]:
    (found,) = demo.client("ecs", dev).describe_services(cluster=names.cluster(dev), services=[MODEL])["services"]
    return dict(found)


def test_ecs_that_was_changed_behind_cloudformation_is_said_and_restored(demo: Any, dev: str) -> None:
    version, said = live(demo, dev)
    assert said == []
    ecs, stacks = demo.client("ecs", dev), service(demo, dev)["taskDefinition"]
    now = ecs.describe_task_definition(taskDefinition=stacks)["taskDefinition"]
    now["containerDefinitions"][0]["environment"].append({"name": "SOMEBODYS", "value": "1"})
    kept = ("family", "cpu", "memory", "networkMode", "taskRoleArn", "executionRoleArn", "requiresCompatibilities")
    containers = now["containerDefinitions"]
    made = ecs.register_task_definition(**{key: now[key] for key in kept}, containerDefinitions=containers)
    somebodys = made["taskDefinition"]["taskDefinitionArn"]
    ecs.update_service(cluster=names.cluster(dev), service=MODEL, taskDefinition=somebodys)
    deadline = time.monotonic() + SECONDS
    while (primary := service(demo, dev)["deployments"][0])["rolloutState"] != "COMPLETED":
        assert time.monotonic() < deadline, primary
        time.sleep(0.1)
    assert live(demo, dev) == (
        version,
        [f"the stack made {stacks}, the service runs {somebodys}: `lockgate rollback --restore` puts it back"],
    )
    drifted = demo.run("cdk", "drift", "--app", str(demo.build / "cdk.out"), f"{dev}/*", "--no-notices", profile=dev)
    assert somebodys in drifted.stdout + drifted.stderr
    operate(demo, dev, "--restore")
    assert service(demo, dev)["taskDefinition"] == stacks
    assert live(demo, dev) == (version, [])


def test_a_release_that_somebody_pinned_past_the_ledger_is_said_and_rolled_back(demo: Any, dev: str) -> None:
    version, said = live(demo, dev)
    assert said == []
    wanted = {**parameters(demo, dev), PARAMETERS["version"]: "99", PARAMETERS["verdict_id"]: "somebody/1"}
    demo.client("cloudformation", dev).update_stack(
        StackName=names.release_stack(dev, MODEL),
        UsePreviousTemplate=True,
        Parameters=[{"ParameterKey": name, "ParameterValue": value} for name, value in wanted.items()],
    )
    assert settled(demo, dev) == "UPDATE_COMPLETE"
    assert live(demo, dev) == (version, [f"the ledger says version {version}, the stack pins version 99"])
    back = operate(demo, dev)
    assert (back["from"], back["to"]) == ("99", str(version))
    assert live(demo, dev) == (version, [])


def test_a_deployment_that_the_ledger_could_not_take_is_said_and_collected(demo: Any, dev: str) -> None:
    """The workflow dies of it; what the environment remembers is recorded as soon as the ledger can be written."""
    version, said = live(demo, dev)
    assert said == []
    iam = demo.client("iam", "tools")
    recorder = names.CONTROLLER_ROLE
    deny = {"Effect": "Deny", "Action": "s3:PutObject", "Resource": "*"}
    document = json.dumps({"Version": "2012-10-17", "Statement": [deny]})
    iam.put_role_policy(RoleName=recorder, PolicyName="lost", PolicyDocument=document)
    broken = demo.facts("break-glass", str(version), "--env", dev, "--reason", "a trial", profile="ada-break-glass")
    tools = read_configuration(demo.clone).tools
    execution = names.state_machine_arn(tools.account, tools.region).replace(":stateMachine:", ":execution:")
    execution += f":{broken['execution']}"
    deadline = time.monotonic() + SECONDS
    states = demo.client("stepfunctions", "tools")
    while (status := states.describe_execution(executionArn=execution)["status"]) == "RUNNING":
        assert time.monotonic() < deadline
        time.sleep(0.5)
    assert status == "FAILED"
    iam.delete_role_policy(RoleName=recorder, PolicyName="lost")
    pinned = parameters(demo, dev)[PARAMETERS["verdict_id"]]
    assert pinned == broken["record"]
    assert live(demo, dev) == (version, []), "what the environment remembers is known, so nothing disagrees"
    coming = demo.facts("status")["environments"][dev]["models"][MODEL]["on_its_way"]
    assert coming[-1] == f"deployment of version {version} succeeded; on its way to the ledger"
    demo.collect()
    assert live(demo, dev) == (version, [])
    (entry,) = [found for found in demo.facts("status")["break_glass"] if found["record"] == broken["record"]]
    assert entry["outcome"] == "succeeded"


def test_a_service_that_was_deleted_is_said_ends_in_a_stuck_stack_and_is_made_anew(demo: Any, dev: str) -> None:
    version, said = live(demo, dev)
    assert said == []
    made = service(demo, dev)["taskDefinition"]
    demo.client("ecs", dev).delete_service(cluster=names.cluster(dev), service=MODEL, force=True)
    nothing = f"the stack made {made}, and its service was deleted: docs/runbook.md, When they disagree"
    assert live(demo, dev) == (version, [nothing])
    done = demo.lockgate("rollback", dev, "--restore", "--reason", "it was deleted", profile=f"{dev}-operator")
    assert (done.returncode, "UPDATE_ROLLBACK_FAILED" in done.stderr) == (1, True), done.stderr
    assert "Service was not ACTIVE" in done.stderr
    stuck = "the stack is UPDATE_ROLLBACK_FAILED: it needs a person: docs/runbook.md, When they disagree"
    assert live(demo, dev) == (version, [nothing, stuck])
    cloudformation, name = demo.client("cloudformation", dev), names.release_stack(dev, MODEL)
    cloudformation.delete_stack(StackName=name)
    cloudformation.get_waiter("stack_delete_complete").wait(StackName=name, WaiterConfig={"Delay": 1})
    gone = f"the ledger says version {version}, and there is no release stack: `cdk deploy`, then "
    gone += "`lockgate rollback --restore`"
    assert live(demo, dev) == (version, [gone])
    deploy = ("cdk", "deploy", "--app", str(demo.build / "cdk.out"), f"{dev}/*", "--require-approval", "never")
    done = demo.run(*deploy, "--no-notices", profile=dev)
    assert done.returncode == 0, done.stderr
    operate(demo, dev, "--restore")
    assert live(demo, dev) == (version, [])
    assert demo.facts("replay", dev)["equal"] == 100
