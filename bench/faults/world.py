"""An embedded AWS on which versions are promoted again and again: what the team, its people and the clock do."""

from __future__ import annotations

import json
import os
import random
import signal
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import boto3
from botocore.exceptions import BotoCoreError, ClientError

from local import embedded
from local.host import processes
from lockgate import names
from lockgate.aws import promotions
from lockgate.aws.function_urls import FunctionUrl
from lockgate.aws.ledger import LedgerStore
from lockgate.configuration.project import Configuration
from lockgate.errors import RefusedError
from lockgate.ledger.calls import Decide
from lockgate.ledger.chain import ReleaseChain
from lockgate.ledger.kinds import Deployment, Verdict

COPIED = ("InferenceSpecification", "ModelMetrics", "CustomerMetadataProperties", "ModelPackageDescription")
APPROVER = "grace"
ENDED = {"NOTHING", "FAILED"}  # what the deploy function says where nothing runs and no end is yet to be remembered


@dataclass(frozen=True)
class Round:
    """What the schedules found once. settled: each answered, nothing is under way, and there was nothing to do."""

    settled: bool
    resumed: tuple[str, ...]
    stuck: tuple[str, ...]
    woken: tuple[str, ...]


class Administrators:
    """Acts as the administrator of each account, and as the approver."""

    def __init__(self, session: embedded.Session, configuration: Configuration) -> None:
        self.session = session
        self.configuration = configuration
        self.tools = configuration.tools
        self.model = configuration.models[0].name
        self.environments = self.tools.promotion
        self.machine = names.state_machine_arn(self.tools.account, self.tools.region)
        os.environ.update({name: value for name, value in session.environment("tools").items() if value})
        self._clients: dict[tuple[str, str], Any] = {}
        ledger = names.bucket("ledger", self.tools.account, self.tools.region)
        self.ledger = LedgerStore(self.client("s3"), ledger)
        for profile in self.environments:
            self.client("lambda", profile)  # before threads ask for it

    def client(self, service: str, profile: str = "tools") -> Any:
        key = (service, profile)
        if key not in self._clients:
            self._clients[key] = boto3.Session(profile_name=profile, region_name=self.tools.region).client(service)
        return self._clients[key]

    def chain(self) -> ReleaseChain:
        return self.ledger.chain(self.model)

    def register_again(self, version: int) -> int:
        """Register what a version is as a new one: the same artifacts, evidence and lineage. No training."""
        sagemaker = self.client("sagemaker")
        package = names.package_arn(self.tools.account, self.tools.region, self.model, version)
        found = sagemaker.describe_model_package(ModelPackageName=package)
        made = sagemaker.create_model_package(
            ModelPackageGroupName=names.package_group(self.model),
            ModelApprovalStatus="PendingManualApproval",
            **{name: found[name] for name in COPIED if name in found},
        )
        return int(made["ModelPackageArn"].rpartition("/")[2])

    def ask_for(self, rules: list[Any]) -> None:
        """Let these faults happen from now on, and no others."""
        file = self.session.settings.faults_file
        partial = file.with_suffix(".partial")
        partial.write_text(json.dumps(rules))
        partial.replace(file)

    def injected(self) -> list[dict[str, Any]]:
        """What the embedded AWS has injected so far."""
        log = self.session.settings.faults_log
        return [json.loads(line) for line in log.read_text().splitlines()] if log.exists() else []

    def attempt(self, version: int) -> promotions.LastRun | None:
        return promotions.last_attempt(self.client("stepfunctions"), self.machine, self.model, version)

    def approve(self, version: int, environment: str) -> bool:
        """As a person would: who gets no answer asks again, later."""
        call = Decide(
            model=self.model,
            version=str(version),
            environment=environment,
            decision="approve",
            reason="a run with faults",
        )
        approver = boto3.Session(profile_name=APPROVER, region_name=self.tools.region)
        try:
            FunctionUrl(approver, names.DECIDE_FUNCTION).post(call, "approval")
        except (RefusedError, OSError, ClientError, BotoCoreError):
            return False
        return True

    def schedule(self) -> Round:
        """What the schedules call every few minutes."""
        look, wake = {"action": "look", "model": self.model}, {"action": "wake"}
        calls = [
            *((names.deploy_function(environment), environment, look) for environment in self.environments),
            (names.DECIDE_FUNCTION, "tools", wake),
            (names.CONTROLLER_FUNCTION, "tools", {"action": "collect"}),
        ]
        with ThreadPoolExecutor(len(calls)) as pool:
            answers = list(pool.map(lambda call: self._invoke(*call), calls))
        looked = {answer.get("status") for answer in answers[: len(self.environments)]}
        woken, recorded = answers[-2].get("woken", ()), answers[-1].get("recorded", ())
        said = self._invoke(names.CONTROLLER_FUNCTION, "tools", {"action": "resume"})
        resumed, stuck = (tuple(said.get(name, ())) for name in ("resumed", "stuck"))
        settled = all(answers) and bool(said) and looked <= ENDED and not (woken or recorded or resumed)
        return Round(settled, resumed, stuck, tuple(woken))

    def progress(self, version: int) -> tuple[Any, ...]:
        """Something that changes as long as a version gets on: the newest event of its attempt, and the ledger."""
        attempt = self.attempt(version)
        events: tuple[Any, ...] = ()
        if attempt is not None:
            arn = f"{self.machine.replace(':stateMachine:', ':execution:')}:{attempt.name}"
            stepfunctions = self.client("stepfunctions")
            newest = stepfunctions.get_execution_history(executionArn=arn, maxResults=1, reverseOrder=True)["events"]
            events = (attempt.name, attempt.status, newest[0]["id"] if newest else 0)
        return (len(self.chain()), *events)

    def deploys(self, chain: ReleaseChain, version: int, environment: str) -> bool:
        """Whether the environment has let a version in, and nobody has recorded yet how its deployment ended."""
        verdicts = chain.of(Verdict, version, environment)
        passed = any(each.entry.body.outcome == "passed" for each in verdicts)
        return passed and not chain.of(Deployment, version, environment)

    def kill_task(self, environment: str, seed: str) -> bool:
        """Kill a process that serves in an environment; False where none does."""
        log = f"lockgate-{environment}-release"
        serving = [pid for pid in processes.descendants(self._server()) if log in _environment_of(pid)]
        if not serving:
            return False
        with suppress(ProcessLookupError):
            os.kill(random.Random(seed).choice(sorted(serving)), signal.SIGKILL)  # noqa: S311
        return True

    def _server(self) -> int:
        instance: dict[str, Any] = json.loads((self.session.settings.state / "instance.json").read_text())
        return int(instance["pid"])

    def _invoke(self, function: str, profile: str, event: dict[str, Any]) -> dict[str, Any]:
        try:
            answer = self.client("lambda", profile).invoke(FunctionName=function, Payload=json.dumps(event))
            said = json.load(answer["Payload"])
        except (ClientError, BotoCoreError, ValueError):
            return {}
        return said if isinstance(said, dict) and "FunctionError" not in answer else {}


def _environment_of(pid: int) -> str:
    """The variables of a serving process; "" for any other."""
    try:
        text = Path(f"/proc/{pid}/environ").read_text(errors="replace")
    except OSError:
        return ""
    return text if "MODEL_DATA_BUCKET=" in text else ""
