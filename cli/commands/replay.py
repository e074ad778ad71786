"""Send the recorded rows of the live version to its service and compare the answers with evaluation's.

A service that asks for tokens ([service] jwt) wants one of its issuer for its audience, from a file: an argument would
be in the list of processes.
"""

from __future__ import annotations

import argparse
import json
import urllib.error
import urllib.request
from pathlib import Path
from typing import Any

from cli.context import Context, json_argument, model_argument, open_context
from cli.terminal import line, outcome, show, show_json
from lockgate import canonical, names
from lockgate.aws.evidence import kept
from lockgate.errors import EvidenceError, LockgateError, NotFoundError
from lockgate.ledger.break_glass import judged
from lockgate.ledger.kinds import Verdict
from lockgate.release.replay import difference

EXAMPLE = "lockgate replay prod"


def arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("environment", help="the environment whose service is asked")
    parser.add_argument("--token-file", type=Path, help="a token of the service's issuer, where it asks for one")
    model_argument(parser)
    json_argument(parser)


def run(arguments: argparse.Namespace) -> int:
    token, context = _token(arguments.token_file), open_context()
    environment, model = context.environment(arguments.environment), context.model(arguments.model)
    chain = context.ledger.chain(model)
    deployment = chain.live(environment)
    if deployment is None:
        raise NotFoundError(f"{environment}: nothing of {model} is live there yet")
    version = deployment.entry.version
    verdict = judged(chain, deployment)
    if verdict is None:
        raise EvidenceError(f"{model} version {version}: live in {environment} without a verdict in the ledger")
    recorded = _recorded(context, verdict.entry.body)
    answered = _ask(deployment.entry.body.url or "", recorded["instances"], token)
    pairs = list(zip(recorded["predictions"], answered["predictions"], strict=True))
    facts = {
        "environment": environment,
        "model": model,
        "version": answered["release"]["version"],
        "rows": len(pairs),
        "equal": sum(expected == found for expected, found in pairs),
        "largest_difference": max(difference(expected, found) for expected, found in pairs),
    }
    same = facts["equal"] == facts["rows"] and facts["version"] == str(version)
    if arguments.json:
        show_json(facts)
    else:
        said = f"{environment}: version {facts['version']}: {facts['equal']} of {facts['rows']} answers equal: "
        show(line(said, outcome("passed" if same else "failed")))
    return 0 if same else 3


def _recorded(context: Context, verdict: Verdict) -> dict[str, Any]:
    """The rows and predictions that evaluation kept, verified against the evidence that the verdict names."""
    s3 = context.client("s3")
    evidence_uri = verdict.evidence_uri or ""
    evidence = kept(s3, evidence_uri)
    if canonical.sha256(evidence) != verdict.evidence_sha256:
        raise EvidenceError(f"{evidence_uri}: is not what the verdict was based on: it was altered")
    replay = kept(s3, names.replay_uri(evidence_uri))
    if canonical.sha256(replay) != canonical.from_bytes(evidence, "evidence")["replay_sha256"]:
        raise EvidenceError(f"{evidence_uri}: the recorded rows beside it were altered")
    return canonical.from_bytes(replay, "recorded rows")


def _token(file: Path | None) -> str | None:
    if file is None:
        return None
    try:
        token = file.read_text().strip()
    except (OSError, ValueError) as error:
        raise LockgateError(f"--token-file {file}: found {error}, expected a readable file with one token") from error
    if not token or not token.isascii() or len(token.split()) != 1:
        raise LockgateError(f"--token-file {file}: expected one token and nothing else")
    return token


def _ask(url: str, instances: list[dict[str, Any]], token: str | None) -> dict[str, Any]:
    if not url.startswith("https://"):
        raise LockgateError(f"service: found {url!r}, expected https")
    body = json.dumps({"instances": instances}).encode()
    request = urllib.request.Request(  # noqa: S310 - https, checked above
        f"{url}/invocations", data=body, headers={"Content-Type": "application/json"}
    )
    if token:
        request.add_unredirected_header("Authorization", f"Bearer {token}")
    try:
        with urllib.request.urlopen(request, timeout=60) as answer:  # noqa: S310
            found: dict[str, Any] = json.load(answer)
            return found
    except urllib.error.HTTPError as error:
        if error.code == 401:
            given = "that token" if token else "no token"
            raise LockgateError(
                f"{url}: HTTP 401: the service refuses {given}: give one of its issuer ([service] jwt in "
                "environments/*.toml) with --token-file"
            ) from error
        raise LockgateError(f"{url}: HTTP {error.code}: {error.read().decode(errors='replace')[:300]}") from error
    except urllib.error.URLError as error:
        raise LockgateError(
            f"asked {url}: found no answer ({error.reason}), expected one: the service is inside the environment's "
            "network: ask from there, or through a tunnel"
        ) from error
