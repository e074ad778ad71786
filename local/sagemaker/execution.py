"""One pipeline execution: which step may start, what runs at the same time, how it ends."""

from __future__ import annotations

import logging
import threading
from collections.abc import Mapping
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from typing import Any

from ministack.core.responses import get_account_id, get_region, request_scope

from local.clock import Thread
from local.sagemaker import events, state, steps
from local.sagemaker.definition import Definition, PipelineStep
from local.sagemaker.jobs import INTERNAL_ERROR
from local.sagemaker.steps import ExecutionContext, ExecutionFailed, StepFailed, StepStopped

_log = logging.getLogger("sagemaker")
_REASON_LIMIT = 1024
_SUCCEEDED, _FAILED, _STOPPED, _SKIPPED = "Succeeded", "Failed", "Stopped", "Skipped"


class PipelineExecution:
    """Runs in threads of its own. `record` and `steps` are what the Describe and List operations answer."""

    def __init__(
        self, record: dict[str, Any], text: str, plan: Definition, context: ExecutionContext, parallel: int | None
    ) -> None:
        self.record = record
        self.text = text  # the definition as it was when the execution started
        self.context = context
        self.steps: list[dict[str, Any]] = []
        self._plan = plan
        self._parallel = parallel or len(plan.steps)
        self._scope = (get_account_id(), get_region())
        self._outcomes: dict[str, str] = {}  # step name -> how it ended; a step of a branch not taken is Skipped
        self._changing = threading.Lock()

    def start(self) -> None:
        events.execution_changed(self.record, None)
        Thread(target=self._run, name=self.record["PipelineExecutionArn"], daemon=True).start()

    def stop(self) -> None:
        """Stop what runs and start nothing more; returns at once, the execution is Stopped when all ended."""
        if self._enter("Stopping", only_from="Executing"):
            self.context.running.stopped = True
            threading.Thread(target=self.context.running.stop, daemon=True).start()

    def _run(self) -> None:
        with request_scope(*self._scope):
            try:
                self._run_steps()
                self._finish()
            except Exception:  # a defect here must not leave an execution that never ends
                _log.exception("pipeline execution %s", self.record["PipelineExecutionArn"])
                self._enter(_FAILED, reason=INTERNAL_ERROR)

    def _run_steps(self) -> None:
        running: dict[Future[str], PipelineStep] = {}
        with ThreadPoolExecutor(max_workers=self._parallel) as pool:
            while True:
                started = {step.name for step in running.values()} | self._outcomes.keys()
                for step in self._startable(started):
                    running[pool.submit(self._run_step, step)] = step
                if not running:
                    return
                for future in wait(running, return_when=FIRST_COMPLETED).done:
                    self._outcomes[running.pop(future).name] = future.result()

    def _startable(self, started: set[str]) -> list[PipelineStep]:
        """The steps whose turn it is. Nothing starts after a failure or a stop; what runs may end."""
        if self.context.running.stopped or _FAILED in self._outcomes.values():
            return []
        found = []
        for step in self._plan.steps.values():  # a definition may list a step before what it depends on
            if step.name in started:
                continue
            before = {self._outcomes.get(name) for name in step.depends_on}
            if _SKIPPED in before or (before <= {_SUCCEEDED} and not self._taken(step)):
                self._outcomes[step.name] = _SKIPPED
                return self._startable(started | {step.name})
            if before <= {_SUCCEEDED}:
                found.append(step)
        return found

    def _taken(self, step: PipelineStep) -> bool:
        if step.branch is None:
            return True
        condition, side = step.branch
        taken = "IfSteps" if self.context.properties[condition]["Outcome"] == "True" else "ElseSteps"
        return side == taken

    def _run_step(self, step: PipelineStep) -> str:
        with request_scope(*self._scope):
            record: dict[str, Any] = {"StepName": step.name, "StartTime": state.now(), "AttemptCount": 1}
            record.update({name: step.body[key] for name, key in _DESCRIBED if key in step.body})
            self._step_enters(step, record, "Executing")
            self.steps.append(record)
            try:
                self.context.properties[step.name] = steps.run(
                    step, self.context, lambda metadata: record.update(Metadata=dict(metadata))
                )
                outcome = _SUCCEEDED
            except StepStopped:
                outcome = _STOPPED
            except StepFailed as error:
                record["FailureReason"] = str(error)[:_REASON_LIMIT]
                outcome = _FAILED
                if isinstance(error, ExecutionFailed):
                    self.context.running.stop()
            except Exception:  # a defect of ours fails the step and is in the server's log
                _log.exception("step %s of %s", step.name, self.record["PipelineExecutionArn"])
                record["FailureReason"] = INTERNAL_ERROR
                outcome = _FAILED
            record["EndTime"] = state.now()
            self._step_enters(step, record, outcome)
            return outcome

    def _step_enters(self, step: PipelineStep, record: dict[str, Any], status: str) -> None:
        previous = record.get("StepStatus")
        record["StepStatus"] = status
        events.step_changed(self.record, record, step.type, previous)

    def _finish(self) -> None:
        failed = [name for name, outcome in self._outcomes.items() if outcome == _FAILED]
        if self.record["PipelineExecutionStatus"] == "Stopping":
            self._enter(_STOPPED)
        elif failed:
            self._enter(_FAILED, reason=f"Step failure: One or multiple steps failed: {', '.join(failed)}")
        else:
            self._enter(_SUCCEEDED)

    def _enter(self, status: str, *, reason: str | None = None, only_from: str | None = None) -> bool:
        with self._changing:
            previous = self.record["PipelineExecutionStatus"]
            if only_from is not None and previous != only_from:
                return False
            self.record.update(LastModifiedTime=state.now(), FailureReason=reason)
            self.record["PipelineExecutionStatus"] = status
        events.execution_changed(self.record, previous)
        return True


_DESCRIBED = (("StepDisplayName", "DisplayName"), ("StepDescription", "Description"))


def is_over(record: Mapping[str, Any]) -> bool:
    return record["PipelineExecutionStatus"] in (_SUCCEEDED, _FAILED, _STOPPED)
