"""Deploy the stacks of an environment from a workflow run, once those who must have approved exactly these stacks.

What is approved is the digest of what `cdk synth` wrote for the environment: `lockgate infrastructure digest` prints it
for the commit that you check out, on any machine. By hand, `cdk deploy` does the same without asking anybody.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import subprocess
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from cli.context import Context, json_argument, open_context
from cli.git import commit_of, relation_where_known
from cli.terminal import line, outcome, progress, show, show_json, working
from lockgate import canonical, names
from lockgate.aws import github_identity
from lockgate.aws.function_urls import FunctionUrl
from lockgate.aws.ledger import LedgerStore
from lockgate.aws.sessions import variables_of
from lockgate.errors import NotFoundError, RefusedError
from lockgate.ledger.calls import BeginStacks, EndStacks, LookAtStacks
from lockgate.ledger.infrastructure import live

REJECTED, WAITING = 3, 4

EXAMPLE = "lockgate infrastructure digest prod"


def arguments(parser: argparse.ArgumentParser) -> None:
    what = parser.add_subparsers(dest="what", metavar="WHAT", required=True)
    deploy = what.add_parser("deploy", help="deploy, or say who must approve (in a workflow run only)")
    digest = what.add_parser("digest", help="print what an approval names")
    deployed = what.add_parser("deployed", help="print the commit that was deployed last")
    for sub in (deploy, digest, deployed):
        sub.add_argument("environment", help="tools, anchor, or an environment of the promotion")
    for sub in (deploy, digest):
        sub.add_argument("--assembly", type=Path, default=Path("cdk.out"), help="what cdk synth wrote (cdk.out)")
    older_help = "deploy it although its commit is older than what is deployed"
    deploy.add_argument("--older", action="store_true", help=older_help)
    json_argument(deploy)


def run(arguments: argparse.Namespace) -> int:
    context = open_context()
    if arguments.environment not in context.configuration.stages:
        known = ", ".join(context.configuration.stages)
        raise NotFoundError(f"environment: found {arguments.environment!r}, expected one of {known}")
    if arguments.what == "digest":
        show(digest_of(arguments.assembly, arguments.environment))
        return 0
    if arguments.what == "deployed":
        show(_deployed(context, arguments.environment))
        return 0
    return _deploy(context, arguments.environment, arguments.assembly, older=arguments.older, json=arguments.json)


def digest_of(assembly: Path, environment: str) -> str:
    """SHA-256 of the manifest, the templates and every file that an environment's stacks bring along."""
    folder = assembly / f"assembly-{environment}"
    if not (folder / "manifest.json").is_file():
        raise NotFoundError(f"{folder}: found no manifest.json, expected what `make synth` writes")
    files = {path.relative_to(assembly).as_posix(): _sha256(path) for path in _files(folder)}
    return canonical.sha256(canonical.to_bytes(files))


def _files(folder: Path) -> Iterator[Path]:
    yield folder / "manifest.json"
    yield from sorted(folder.glob("*.template.json"))
    found: set[Path] = set()
    for listing in sorted(folder.glob("*.assets.json")):
        yield listing
        for asset in json.loads(listing.read_text())["files"].values():
            source = (folder / asset["source"]["path"]).resolve()
            found |= {source} if source.is_file() else {path for path in source.rglob("*") if path.is_file()}
    root = folder.parent.resolve()
    yield from (folder.parent / path.relative_to(root) for path in sorted(found) if path.parent != folder.resolve())


def _sha256(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


def _deployed(context: Context, environment: str) -> str:
    """The commit deployed last; what is checked out, and a word about it, when there is none to compare with."""
    store = LedgerStore(
        _session(context, names.REVIEW_ROLE, context.tools.github.subject).client("s3"), context.bucket("ledger")
    )
    found = live(store.infrastructure(), environment)
    if found is None:
        progress(f"no deployment of {environment} is recorded: there is nothing to compare with")
        return commit_of(context.root, "HEAD")
    return found.entry.body.commit


def _deploy(context: Context, environment: str, assembly: Path, *, older: bool, json: bool) -> int:
    subject = context.tools.github.subject_in(environment)
    session = _session(context, names.infrastructure_role(environment), subject)
    run = {
        "environment": environment,
        "assembly": digest_of(assembly, environment),
        "commit": commit_of(context.root, "HEAD"),
        "run": f"{os.environ['GITHUB_RUN_ID']}.{os.environ['GITHUB_RUN_ATTEMPT']}",
    }
    door = FunctionUrl(session, names.DECIDE_FUNCTION)
    if not older:
        _refuse_older(context, door, LookAtStacks(ask="look", **run))
    facts = {**run, **door.post(BeginStacks(ask="begin", **run), "stacks")}
    code = 0
    if facts["state"] == "approved":
        error = _cdk_deploy(session, environment, assembly)
        ended = EndStacks(ask="end", **run, outcome="failed" if error else "succeeded", reason=error)
        facts |= {"outcome": ended.outcome, "reason": error, **door.post(ended, "stacks")}
        facts["state"] = "failed" if error else "live"
        code = 1 if error else 0
    elif facts["state"] != "live":
        code = WAITING if facts["state"] == "waiting" else REJECTED
    _tell(facts)
    if json:
        show_json(facts)
    else:
        said = f": assembly {facts['assembly']} of commit {facts['commit'][:12]}"
        show(line(f"{environment}: ", outcome(facts["state"]), said))
    return code


def _refuse_older(context: Context, door: FunctionUrl, call: LookAtStacks) -> None:
    """Raise RefusedError where the commit is an ancestor of what is deployed; nobody has been asked yet."""
    environment, commit = call.environment, call.commit
    try:
        standing = door.post(call, "stacks")
    except RefusedError as error:
        if not str(error).startswith("ask: found 'look'"):
            raise
        progress("the deployed function is of an older Lockgate, which does not say first what is deployed")
        return
    deployed = standing["deployed"]
    if deployed is None or standing["state"] == "live":
        return
    stands = relation_where_known(context.root, commit, deployed)
    if stands.older:
        raise RefusedError(
            f"commit {commit[:12]}: the stacks of {environment} are those of {deployed[:12]}, and this commit is "
            f"{stands} of it: an old run may have been started again. Revert by a new commit; --older deploys it all "
            "the same"
        )
    progress(f"{environment}: the commit is {stands} of what is deployed ({deployed[:12]})")


def _cdk_deploy(session: Any, environment: str, assembly: Path) -> str:
    """Deploy with the session's rights only; why it failed, or an empty text."""
    variables = {name: value for name, value in os.environ.items() if not name.startswith("ACTIONS_")}
    variables |= variables_of(session)
    variables.pop("AWS_PROFILE", None)
    command = ["cdk", "deploy", f"{environment}/*", "--app", str(assembly), "--require-approval", "never"]
    command += ["--concurrency", "4", "--progress", "events", "--ci", "--no-notices"]
    with working(f"cdk deploy of {environment}"):
        done = subprocess.run(command, env=variables, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    for said in done.stdout.splitlines():
        progress(f"  {said}")
    if done.returncode == 0:
        return ""
    return f"cdk deploy ended with {done.returncode}: " + " / ".join(done.stdout.strip().splitlines()[-5:])


def _tell(facts: Mapping[str, Any]) -> None:
    """What the run's page shows: where the stacks stand, and what to do."""
    file = os.environ.get("GITHUB_STEP_SUMMARY")
    if not file:
        return
    environment, assembly = facts["environment"], facts["assembly"]
    lines = [f"## Stacks of {environment}: {facts['state']}", "", f"Commit `{facts['commit']}`, assembly `{assembly}`."]
    if facts["state"] == "waiting":
        given = len(facts["approved_by"])
        lines += [
            "",
            f"{given} of {facts['approvals']} approvals. Read the review, check the digest with "
            f"`make synth && lockgate infrastructure digest {environment}`, then",
            "",
            f'    lockgate approve {assembly} --env {environment} --reason "..."',
            "",
            "and run this job again.",
        ]
    elif facts.get("reason"):
        lines += ["", *(f"    {line}" for line in str(facts["reason"]).splitlines())]
    with Path(file).open("a") as summary:
        summary.write("\n".join(lines) + "\n")


def _session(context: Context, role: str, subject: str) -> Any:
    """The session of a role that only workflow runs with this `sub` can take."""
    if "ACTIONS_ID_TOKEN_REQUEST_URL" not in os.environ:
        raise RefusedError(f"found no workflow run, expected one that may take {role}; by hand, use `cdk deploy`")
    progress(f"acting as {role}")
    arn, tools = names.role_arn(context.tools.account, role), context.tools
    return github_identity.session(os.environ, arn, tools.region, tools.github.claims(subject))
