"""The view of `lockgate explain --dry-run ENV`: what the gate of an environment would say about a version now."""

from __future__ import annotations

from cli.commands.explain.records import reason_line
from cli.context import Context
from cli.terminal import line, outcome, show, show_json
from lockgate import names, schema
from lockgate.aws.functions import invoke
from lockgate.errors import LockgateError
from lockgate.ledger.kinds import Verdict


def run(context: Context, model: str, version: int, environment: str, *, json_wanted: bool) -> int:
    """Nothing is recorded, and nothing of the holdout is spent."""
    tools = context.tools
    event = {
        "model": model,
        "version": str(version),
        "package_arn": names.package_arn(tools.account, tools.region, model, version),
        "environment": context.environment(environment),
        "dry_run": True,
    }
    answer = invoke(context.client("lambda"), names.GATE_FUNCTION, event)
    body = {name: value for name, value in answer.items() if name != "dry_run"}
    verdict = schema.read(Verdict, body, "answer of the gate", LockgateError)
    if json_wanted:
        show_json(answer)
    else:
        show(line(f"{model} version {version} for {environment} would be ", outcome(verdict.outcome)))
        show(*(reason_line(reason) for reason in verdict.reasons))
    return 0 if verdict.outcome == "passed" else 3
