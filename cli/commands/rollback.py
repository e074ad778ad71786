"""Take an environment back to its previous release, all traffic at once; needs only that environment's account.

Sign as the environment's operator: a session of the role lockgate-<environment>-operator that bears your own name. The
version that is rolled back from stays away until it has a new verdict.

With --restore: put back the release that the environment served last, when its stack was lost and made anew. It
refuses where the stack pins a release: that was changed, not lost.
"""

from __future__ import annotations

import argparse
import time
import uuid
from typing import Literal

from cli.context import json_argument, model_argument, open_context
from cli.terminal import progress, show, show_json, working
from lockgate import names
from lockgate.aws.failures import FAILURES, told
from lockgate.aws.function_urls import FunctionUrl
from lockgate.aws.sessions import open_session
from lockgate.clock import pause
from lockgate.errors import LockgateError, NotFoundError
from lockgate.ledger.calls import AskStatus, Operate

POLL_SECONDS = 1.0

EXAMPLE = 'lockgate rollback prod --reason "answers too slowly"'


def arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("environment", help="the environment")
    parser.add_argument("--reason", required=True, help="why, for the record")
    parser.add_argument("--restore", action="store_true", help="put back what it served last, after its stack was lost")
    model_argument(parser)
    json_argument(parser)


def run(arguments: argparse.Namespace) -> int:
    """Ask the environment's operators' door for an action, and follow it to its end. Raises when it failed."""
    action: Literal["rollback", "restore"] = "restore" if arguments.restore else "rollback"
    context = open_context()
    name, model = context.environment(arguments.environment), context.model(arguments.model)
    environment = next(found for found in context.configuration.environments if found.name == name)
    try:
        door = FunctionUrl(open_session(environment.region), names.deploy_function(name))
    except FAILURES as error:
        operator = f"an operator of {name}, in its account {environment.account}"
        raise NotFoundError(f"{told(error)}; {action} wants the credentials of {operator}: AWS_PROFILE=...") from error
    token = f"{action}-{uuid.uuid4().hex}"
    begin = time.monotonic()
    asked = door.post(Operate(action=action, model=model, reason=arguments.reason, token=token))
    progress(f"{name}: {model} goes from version {asked['from'] or 'none'} to version {asked['to']}")
    answer, said = {"status": "IN_PROGRESS"}, ""
    with working(f"{action} of {name}"):
        while answer["status"] == "IN_PROGRESS":
            pause(POLL_SECONDS)
            answer = door.post(AskStatus(action="status", model=model, token=token))
            if answer["reason"] != said:
                said = str(answer["reason"])
                progress(f"  {time.monotonic() - begin:5.1f} s  {said}")
    if answer["status"] != "SUCCEEDED":
        raise LockgateError(f"{action} of {name}: {said}")
    seconds = round(time.monotonic() - begin, 1)
    if arguments.json:
        facts = {"environment": name, "model": model, "from": asked["from"], "to": asked["to"], "seconds": seconds}
        show_json({**facts, "url": answer["url"]})
    else:
        show(f"{name} serves {model} version {asked['to']}, all traffic, after {seconds} s")
    return 0
