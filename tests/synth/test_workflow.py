"""The promotion workflow in Amazon States Language."""

from __future__ import annotations

import json
import re
from dataclasses import MISSING, fields
from typing import Any

from jsonata import Jsonata

from lockgate import schema
from lockgate.release.workflow import (
    ApprovalAsked,
    DecisionAsked,
    DeployRequest,
    EndingRecorded,
    GateAnswer,
    GateRequest,
    Promotion,
)
from lockgate_constructs.promotion_workflow import (
    POLL_SECONDS,
    POLLS_AFTER_DEADLINE,
    POLLS_TO_DEADLINE,
    RETRY,
    Destination,
    definition,
)

DESTINATIONS = [Destination(name, f"deploy-{name}", f"promote-{name}") for name in ("dev", "prod")]
WORKFLOW = definition(DESTINATIONS, gate_arn="gate", controller_arn="controller")
STATES: dict[str, Any] = WORKFLOW["States"]


# Task -> what its function reads the payload as.
MESSAGES = {
    "Gate": GateRequest,
    "Approval": ApprovalAsked,
    "Decision": DecisionAsked,
    "Deploy": DeployRequest,
    "Status": DeployRequest,
    "Stop": DeployRequest,
    "Record": EndingRecorded,
    "RecordFailure": EndingRecorded,
}


def following(state: dict[str, Any]) -> set[str]:
    found = {state[key] for key in ("Next", "Default") if key in state}
    return found | {part["Next"] for key in ("Choices", "Catch") for part in state.get(key, [])}


def test_each_task_passes_what_its_function_reads() -> None:
    tasks = {name: state for name, state in STATES.items() if state["Type"] == "Task"}
    assert {name.partition(" ")[0] for name in tasks} == set(MESSAGES)
    for name, task in tasks.items():
        kind = MESSAGES[name.partition(" ")[0]]
        needed = {field.name for field in fields(kind) if field.default is MISSING}
        passed = task["Arguments"]["Payload"].keys()  # the controller finds its task by the action
        assert needed <= passed <= schema.keys(kind) | {"action"}, name


def test_the_workflow_reads_nothing_of_its_input_that_a_promotion_has_not() -> None:
    read = set(re.findall(r"Execution\.Input\.(\w+)", json.dumps(WORKFLOW)))
    assert read == schema.keys(Promotion)


def test_the_workflow_reads_nothing_of_the_gates_answer_that_it_has_not() -> None:
    assert set(re.findall(r"\$gate\.(\w+)", json.dumps(WORKFLOW))) == schema.keys(GateAnswer)


def test_every_state_is_reached_and_every_way_ends() -> None:
    reached, waiting = set(), {WORKFLOW["StartAt"]}
    while waiting:
        name = waiting.pop()
        reached.add(name)
        waiting |= following(STATES[name]) - reached
    assert reached == set(STATES)
    ends = {name for name, state in STATES.items() if state["Type"] in ("Succeed", "Fail")}
    assert ends == {"Released", "Refused", "ApprovalExpired", "DeploymentFailed"}


def test_environments_follow_in_order() -> None:
    assert WORKFLOW["StartAt"] == "Begin"
    assert STATES["Begin"]["Default"] == "Gate dev"
    assert (STATES["Record dev"]["Next"], STATES["Beyond dev"]["Default"]) == ("Beyond dev", "Gate prod")
    assert STATES["Record prod"]["Next"] == "Released"


def test_only_a_break_glass_begins_elsewhere_and_it_ends_there() -> None:
    glass = "$exists($states.context.Execution.Input.break_glass)"
    begun = {choice["Next"]: choice["Condition"] for choice in STATES["Begin"]["Choices"]}
    assert begun.keys() == {"Gate dev", "Gate prod"}
    assert all(condition.startswith(f"{{% {glass} and ") for condition in begun.values())
    assert STATES["Beyond dev"]["Choices"] == [{"Condition": f"{{% {glass} %}}", "Next": "Released"}]
    for environment in ("dev", "prod"):
        assert glass in STATES[f"Gate {environment}"]["Arguments"]["Payload"]["break_glass"]


def test_nothing_is_deployed_unless_the_gate_passed() -> None:
    ways = {name: state for name, state in STATES.items() if "Deploy dev" in following(state)}
    assert set(ways) == {"Passed dev", "Approved dev"}
    for choice in STATES["Passed dev"]["Choices"]:
        assert "$gate.outcome = 'passed'" in choice["Condition"]
    assert STATES["Passed dev"]["Default"] == STATES["Approved dev"]["Default"] == "Refused"


def test_a_release_that_needs_persons_waits_for_them() -> None:
    asking = STATES["Approval prod"]
    assert asking["Resource"].endswith("lambda:invoke.waitForTaskToken")
    assert asking["Arguments"]["Payload"]["task_token"] == "{% $states.context.Task.Token %}"
    assert asking["Arguments"]["Payload"]["execution"] == "{% $states.context.Execution.Name %}"
    assert asking["TimeoutSeconds"] < WORKFLOW["TimeoutSeconds"]


def test_a_token_lets_nothing_on_what_was_decided_stands_in_the_ledger() -> None:
    assert STATES["Approval prod"]["Next"] == "Decision prod"
    assert "Assign" not in STATES["Approval prod"], "what whoever woke the workflow says is not heard"
    said = STATES["Decision prod"]
    assert (said["Arguments"]["FunctionName"], said["Next"]) == ("controller", "Approved prod")
    assert said["Arguments"]["Payload"]["action"] == "decision"


def test_an_environment_is_changed_with_its_own_promote_role() -> None:
    for name in ("dev", "prod"):
        for step in ("Deploy", "Status"):
            assert STATES[f"{step} {name}"]["Credentials"] == {"RoleArn": f"promote-{name}"}
            assert STATES[f"{step} {name}"]["Arguments"]["FunctionName"] == f"deploy-{name}"


def test_a_deployment_is_not_watched_for_ever_and_every_end_is_recorded() -> None:
    ended = STATES["Deployed dev"]["Choices"]
    assert "$polls >=" in ended[1]["Condition"]
    assert [way["Next"] for way in ended] == ["Record dev", "RecordFailure dev", "Stop dev"]
    assert STATES["RecordFailure dev"]["Next"] == "DeploymentFailed"
    for step in ("Deploy", "Status"):
        assert STATES[f"{step} dev"]["Catch"][0]["Next"] == "RecordFailure dev"


def test_what_a_handler_refuses_is_not_tried_again() -> None:
    assert "RefusedError" in RETRY[0]["ErrorEquals"]
    assert RETRY[0]["MaxAttempts"] == 0
    assert all(state["Retry"] == RETRY for state in STATES.values() if state["Type"] == "Task")


def test_the_workflow_logs_everything_and_is_traced(synthesized: Any) -> None:
    machine = synthesized.only("AWS::StepFunctions::StateMachine", StateMachineName="lockgate-promotion")
    assert machine["LoggingConfiguration"]["Level"] == "ALL"
    assert machine["TracingConfiguration"] == {"Enabled": True}


def test_a_deployment_is_stopped_at_the_deadline_of_its_attempt_and_then_watched_to_its_end() -> None:
    ended = STATES["Deployed dev"]["Choices"]
    assert [way["Condition"] for way in ended[1:]] == [
        "{% $deployment.status = 'FAILED' or $polls >= $polls_to_deadline + 60 %}",
        "{% $polls = $polls_to_deadline %}",
    ]
    assert STATES["Deploy dev"]["Assign"] == {"polls_to_deadline": POLLS_TO_DEADLINE}
    stop = STATES["Stop dev"]
    assert (stop["Arguments"]["Payload"]["action"], stop["Next"]) == ("stop", "Wait dev")
    assert stop["Credentials"] == {"RoleArn": "promote-dev"}


def test_a_deadline_in_minutes_is_counted_in_waits_that_become_longer() -> None:
    answers = [{"deadline_minutes": minutes} for minutes in (1, 2, 3, 59, 60, 65, 2160)]
    found = [polls_to_deadline(answer) for answer in (*answers, {"status": "of an older function"})]
    assert found == [4, 8, 10, 122, 124, 125, 544, 544]  # 8 of 15 s, then of 30 s, then of 5 minutes


def test_between_deadline_and_last_status_is_half_an_hour_however_long_the_deployment_took() -> None:
    seconds = Jsonata(POLL_SECONDS[2:-2])
    for minutes in (15, 60, 90, 2160):
        deadline = polls_to_deadline({"deadline_minutes": minutes})
        seconds.assign("polls_to_deadline", deadline)
        waited = []
        for polls in range(deadline + POLLS_AFTER_DEADLINE):
            seconds.assign("polls", polls)
            waited.append(seconds.evaluate(None))
        assert (sum(waited[:deadline]), sum(waited[deadline:])) == (60 * minutes, 1800)


def test_the_longest_deployments_of_three_environments_fit_the_history_of_an_execution() -> None:
    events = 9 * (polls_to_deadline({"deadline_minutes": 2160}) + POLLS_AFTER_DEADLINE)
    assert 3 * events < 25_000  # AWS ends an execution there


def polls_to_deadline(answer: dict[str, Any]) -> int:
    expression = Jsonata(POLLS_TO_DEADLINE[2:-2])
    expression.assign("states", {"result": {"Payload": answer}})
    return int(expression.evaluate(None))
