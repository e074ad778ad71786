"""Say what serves where, since when, on which commit; what was refused and why; what waits or failed; stacks too.

SERVES is what each environment says of itself. LEDGER is what let it serve by the ledger, or what the ledger says else.
What a newer version or a newer decision made idle is history, and `lockgate explain` has it.

With the name of a model: its versions side by side, with data, parameters, metrics and verdicts, from the ledger alone.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

from cli.context import Context, json_argument, model_argument, open_context
from cli.git import relation
from cli.terminal import Shown, line, outcome, show, show_json, table, utc_now, whole
from cli.versions import chosen, show_versions, versions_of
from lockgate import names
from lockgate.aws import delivery, training
from lockgate.aws.attestations import Attestations
from lockgate.aws.failures import FAILURES, told
from lockgate.aws.reader import look_at
from lockgate.configuration.environment import Environment
from lockgate.configuration.persons import pushed_by
from lockgate.errors import LockgateError, RefusedError
from lockgate.gate.holdout import tells_numbers
from lockgate.ledger.chain import ReleaseChain
from lockgate.ledger.infrastructure import commit_live, unfinished
from lockgate.ledger.kinds import BreakGlass, Deployment, Restore, Retirement, Rollback, Verdict
from lockgate.ledger.reasons import unreasoned
from lockgate.ledger.records import Entry
from lockgate.ledger.standing import (
    Chains,
    broken_glass,
    commits,
    failed_deployments,
    live_facts,
    refused,
    rollbacks,
    waiting,
)
from lockgate.release.comparison import ServedNow, differences, serving
from lockgate.release.promotable import as_collected, on_its_way, why_not_promoted

EXAMPLE = "lockgate status --model employment"


def arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("name", nargs="?", help="a model whose versions to list")
    parser.add_argument("--diff", nargs=2, type=int, metavar=("A", "B"), help="set two of its versions side by side")
    model_argument(parser)
    form = parser.add_mutually_exclusive_group()
    form.add_argument("--csv", action="store_true", help="print its versions as CSV")
    json_argument(form)


def run(arguments: argparse.Namespace) -> int:
    if arguments.name is None and (arguments.diff or arguments.csv):
        raise RefusedError("status: found --diff or --csv, expected the name of a model before it")
    if arguments.name is not None and arguments.model is not None:
        raise RefusedError("status: found a model's name and --model, expected one of them")
    context = open_context()
    if arguments.name is not None:
        model = context.model_with_history(arguments.name)
        found = chosen(versions_of(context.ledger.look(model)), arguments.diff, model)
        show_versions(model, found, as_json=arguments.json, as_csv=arguments.csv, differ=bool(arguments.diff))
        return 0
    known = context.models(None)
    facts = collect(context, (context.model_with_history(arguments.model),) if arguments.model else known)
    if arguments.json:
        show_json(facts)
    else:
        show(*_text(facts))
    return 0


def collect(context: Context, models: tuple[str, ...]) -> dict[str, Any]:
    """All facts of a status, as --json prints them."""
    chains = {model: context.ledger.look(model) for model in models}
    stacks_chain = context.ledger.look_at_infrastructure()
    sagemaker = context.client("sagemaker")
    runs = [(model, run) for model in models for run in training.executions(sagemaker, model)]
    return {
        "environments": {
            environment.name: {"models": _asked(context, environment, chains)}
            for environment in context.configuration.environments
        },
        "models": [
            {
                "model": model.name,
                "owner": model.owner,
                "intended_use": model.intended_use,
                "tier": model.tier or None,
                "assurance": context.configuration.policies[model.name].assurance.LEVEL,
            }
            for model in context.configuration.models
            if model.name in models
        ],
        "gone": [
            {"model": model, **_retired(context.ledger.look(model))}
            for model in context.ledger.chains()
            if model not in context.configuration.policies and model != names.INFRASTRUCTURE_CHAIN
        ],
        "bad_records": [vars(bad) for chain in (*chains.values(), stacks_chain) for bad in chain.bad],
        "without": [
            {
                "model": chain.model,
                "version": record.entry.version,
                "environment": record.entry.environment,
                "why": why,
            }
            for chain in chains.values()
            for record, why in unreasoned(chain)
            if chain.live(record.entry.environment) is record
        ],
        "break_glass": broken_glass(chains),
        "rollbacks": rollbacks(chains),
        "refused": refused(chains),
        "failed_deployments": [
            {**entry, "why_not": why_not(context, chains[entry["model"]], entry["version"])}
            for entry in failed_deployments(chains)
        ],
        "waiting": [
            {
                **entry,
                **order(context.root, *commits(chains[entry["model"]], entry["version"], entry["environment"])),
                "measured": measured(chains[entry["model"]], entry["version"], entry["environment"]),
            }
            for entry in waiting(chains, utc_now())
        ],
        "infrastructure": [
            {
                **entry,
                "author": pushed_by(entry["actor_id"], context.tools.persons),
                **order(context.root, entry["commit"], commit_live(stacks_chain, entry["environment"])),
            }
            for entry in unfinished(stacks_chain)
        ],
        "training": [
            {"model": model, "run": run.name, "since": run.started.isoformat()}
            for model, run in runs
            if run.status == "Executing"
        ],
        **image_facts(
            context.client("codebuild"),
            context.client("ecr"),
            context.tools.account,
            attestation=context.tools.attestation,
        ),
        "failed": [
            {"model": model, "run": run.name, "execution": run.arn, "reason": _reason(sagemaker, run)}
            for model, run in runs
            if run.status in ("Failed", "Stopped")
        ],
    }


def order(root: Path, commit: str | None, served: str | None) -> dict[str, str | None]:
    """How a commit that waits stands to what is live in its place, by this clone's git; None where nothing is live."""
    stands = str(relation(root, commit, served)) if commit and served else None
    return {"commit": commit, "live_commit": served, "order": stands}


def _stands(entry: dict[str, Any]) -> list[Shown]:
    if entry["order"] is None:
        return []
    return [f"  commit {entry['commit'][:12]} to {entry['live_commit'][:12]}, which is live there: {entry['order']}"]


def why_not(context: Context, chain: ReleaseChain, version: int) -> str:
    """Why a promotion of a version would move nothing; "" where it may.

    The deployed gate's policies decide, and this checkout's where they are not known.
    """
    environments = context.configuration.environments
    if chain.model not in context.configuration.policies:
        return f"model/{chain.model} is gone"
    policies = {each.name: context.configuration.policy(each, chain.model).sha256 for each in environments}
    deployed = context.deployed_policies
    policies = {name: deployed.get(name, {}).get(chain.model, digest) for name, digest in policies.items()}
    return why_not_promoted(chain, version, tuple(policies), policies, utc_now())


def _retired(chain: ReleaseChain) -> dict[str, str | None]:
    """Who retired a model whose folder is gone, and why; None where nobody said."""
    said = chain.newest(Retirement)
    if said is None:
        return {"person": None, "reason": None, "time": None, "record": None}
    body = said.entry.body
    return {"person": body.person, "reason": body.reason, "time": said.time, "record": said.reference}


def measured(chain: ReleaseChain, version: int, environment: str) -> list[str]:
    """What whoever is to approve should know: the verdict's numbers, or where they are if authors may not see them."""
    verdict = chain.newest(Verdict, version, environment)
    if verdict is None or not tells_numbers(verdict.entry.body):
        return [f"its numbers: lockgate explain {version} --env {environment} --model {chain.model}"]
    return [f"{each.rule} {each.outcome}: {each.message}" for each in verdict.entry.body.reasons]


def image_facts(codebuild: Any, ecr: Any, account: str, *, attestation: bool = True) -> dict[str, Any]:
    """Builds of images and of their provenance that ended badly, and images that nobody has vouched for."""
    projects = [(names.IMAGE_PROJECT, "COMMIT")]
    if attestation:
        projects.append((names.ATTESTATION_PROJECT, "BUILD"))
    return {
        "builds": [
            entry for project, variable in projects for entry in delivery.ended_badly(codebuild, project, variable)
        ],
        "images": Attestations(ecr, account, names.MODELS_REPOSITORY).missing() if attestation else [],
    }


def _asked(context: Context, environment: Environment, chains: Chains) -> dict[str, dict[str, Any]]:
    """For each model, what an environment serves by its own account beside what the ledger says.

    live: what serves; None where nothing does, or where the environment could not be asked, which `asked` says.
    pinned: in the place of live, what its stack pins while no service runs.
    recorded: what the ledger says. on_its_way: what the environment remembers and the ledger does not know yet.
    differences: what is otherwise than the ledger says, when that has come.
    """
    return {model: _asked_of(context, environment, model, chain) for model, chain in chains.items()}


def _asked_of(context: Context, environment: Environment, model: str, chain: ReleaseChain) -> dict[str, Any]:
    name = environment.name
    found: dict[str, Any] = {
        "live": None,
        "pinned": None,
        "recorded": live_facts(chain, name),
        "on_its_way": [],
        "differences": [],
        "asked": False,
    }
    try:
        look = look_at(context.client("sts"), environment)
    except FAILURES as error:
        return {**found, "differences": [f"could not be asked: {told(error)}"]}
    unread = found["differences"]  # what cannot be read of one hides nothing of the others
    journal = _read("its journal", unread, lambda: look.journal(model)) or ()
    reality = _read("its stack", unread, lambda: look.reality(model))
    found["on_its_way"] = [_coming(entry) for entry in on_its_way(chain, journal, name)]
    if unread and reality is None:
        return found
    collected = as_collected(chain, journal, name, utc_now())
    last, serves = collected.live(name), serving(reality, journal)
    found["live" if serves is None or serves.runs else "pinned"] = _live(serves, collected)
    unread += differences(last.entry.body.release if last else None, reality)
    return {**found, "asked": True}


Seen = TypeVar("Seen")


def _read(what: str, unread: list[str], read: Callable[[], Seen]) -> Seen | None:
    """What is read; None where it cannot be, with why at the end of `unread`."""
    try:
        return read()
    except (LockgateError, *FAILURES) as error:
        unread.append(f"{what} could not be read: {error if isinstance(error, LockgateError) else told(error)}")
        return None


def _live(found: ServedNow | None, chain: ReleaseChain) -> dict[str, Any] | None:
    """What serves, with the names that the ledger's facts have."""
    if found is None:
        return None
    release = found.release
    return {
        "version": int(release.version),
        "commit": release.commit,
        "image_digest": release.image.rpartition("@")[2],
        "model_sha256": release.model_sha256,
        "since": found.since,
        "verdict_id": release.verdict_id,
        "break_glass": any(glass.reference == release.verdict_id for glass in chain.of(BreakGlass)),
        "url": found.url,
    }


def _coming(entry: Entry[Any]) -> str:
    """A fact of an environment that the ledger does not know yet, in words."""
    match entry.body:
        case Rollback() as asked:
            what = f"rolled back from version {asked.from_} to {asked.to} by {asked.person}: {asked.reason}"
        case Restore() as asked:
            what = f"version {asked.to} restored by {asked.person}: {asked.reason}"
        case Deployment() as ended:
            what = f"deployment of version {entry.version} {ended.outcome}"
        case _:
            what = f"{entry.kind} of version {entry.version}"
    return f"{what}; on its way to the ledger"


def _reason(sagemaker: Any, run: training.Execution) -> str:
    """Why a training run ended early: its failed steps' own words before SageMaker's summary."""
    reasons = [f"{step.name}: {step.failure}" for step in training.steps(sagemaker, run.arn) if step.failure]
    return "; ".join(reasons) or run.failure or run.status


def stacks(entry: dict[str, Any]) -> list[Shown]:
    """What became of the stacks that somebody wants in an environment, and what to do."""
    environment, assembly = entry["environment"], entry["assembly"]
    author = entry["author"] or f"GitHub account {entry['actor_id']}, whom [persons] does not name"
    lines: list[Shown] = [
        line(outcome(entry["state"]), f": stacks of {environment}: assembly {assembly}"),
        f"  of commit {entry['commit']}, pushed by {author}; run {entry['run']}, since {entry['since'][:19]}Z",
    ]
    approved = ", ".join(entry["approved_by"]) or "nobody yet"
    if entry["state"] in ("waiting", "approved"):
        lines += [*_stands(entry), f"  approved by {approved}: {len(entry['approved_by'])} of {entry['approvals']}"]
    if entry["state"] == "waiting":
        check = f"git checkout {entry['commit'][:12]} && make synth && lockgate infrastructure digest {environment}"
        approve = f'  lockgate approve {assembly} --env {environment} --reason "..."'
        lines += [whole(f"  check: {check}"), whole(approve)]
    elif entry["state"] == "approved":
        lines += ["  not deployed yet: run the job of the workflow `infrastructure` again"]
    else:
        lines += [f"  {said}" for said in str(entry["reason"]).splitlines()]
    return lines


def images(facts: dict[str, Any]) -> list[Shown]:
    """What `image_facts` found, a state each."""
    lines: list[Shown] = []
    for entry in facts["builds"]:
        image = entry["project"] == names.IMAGE_PROJECT
        what = f"image of {entry['of'][:12]}" if image else f"provenance of {entry['of']}"
        lines += [
            "",
            line(outcome("failed"), f": {what}: build {entry['build']} {entry['status']}"),
            f"  {entry['reason']}",
        ]
    for entry in facts["images"]:
        what = f"image {entry['tag'][:12]}: nobody has vouched for it, so no gate passes it"
        lines += ["", line(outcome("waiting"), f": {what}"), f"  {entry['digest']}, since {entry['since'][:19]}"]
    return lines


def _row(environment: str, model: str, entry: dict[str, Any]) -> tuple[str, ...]:
    """One line of the table; what the ledger says never stands where what serves does."""
    live, recorded = entry["live"], entry["recorded"]
    ledger = "nothing yet"
    if recorded:
        ledger = f"version {recorded['version']}"
    if live and recorded and live["verdict_id"] == recorded["verdict_id"]:
        ledger = f"break-glass {live['verdict_id']}" if live["break_glass"] else live["verdict_id"]
    pinned = entry["pinned"]
    if pinned:
        what = f"nothing: version {pinned['version']} is pinned, no service runs"
        return environment, model, what, pinned["commit"][:12], "", ledger
    if live is None:
        return environment, model, "nothing yet" if entry["asked"] else "not known", "", "", ledger
    since = live["since"][:16] + "Z" if live["since"] else "not known"
    return environment, model, f"version {live['version']}", live["commit"][:12], since, ledger


def _text(facts: dict[str, Any]) -> list[Shown]:
    heading = ("ENV", "MODEL", "SERVES", "COMMIT", "SINCE", "LEDGER")
    rows = [
        _row(environment, model, entry)
        for environment, found in facts["environments"].items()
        for model, entry in found["models"].items()
    ]
    lines: list[Shown] = [*table(rows, heading), ""]
    for entry in facts["models"]:
        tier = f"tier {entry['tier']}, " if entry["tier"] else ""
        said = f"owned by {entry['owner']}, {tier}{entry['assurance']} assurance; {entry['intended_use']}"
        lines += [line(f"{entry['model']}: {said}")]
    for environment, found in facts["environments"].items():
        for model, entry in found["models"].items():
            lines += [
                shown
                for said in entry["on_its_way"]
                for shown in ("", line(outcome("on its way"), f": {model} in {environment}"), f"  {said}")
            ]
            if entry["differences"]:
                lines += ["", line(outcome("differs"), f": {model} in {environment}")]
                lines += [f"  {sentence}" for sentence in entry["differences"]]
    for entry in facts["gone"]:
        model, by = entry["model"], f"retired by {entry['person']}: {entry['reason']}"
        said = by if entry["person"] else f"nobody said why: `lockgate retire {model}`"
        lines += ["", line(outcome("gone"), f": {model}, {said}"), whole(f"  lockgate status --model {model}")]
    for entry in facts["bad_records"]:
        lines += ["", line(outcome("error"), f": {entry['why']}")]
        lines += ["  `lockgate verify` says more; no gate decides on this chain until it is whole"]
    for entry in facts["without"]:
        where = f"{entry['model']} version {entry['version']} in {entry['environment']}"
        lines += ["", line(outcome("error"), f": {where} serves without a verdict and its approvals")]
        lines += [f"  {entry['why']}; `lockgate rollback {entry['environment']}` takes it back"]
    for entry in facts["break_glass"]:
        where = f"{entry['model']} version {entry['version']} in {entry['environment']}"
        ended = entry["outcome"] or "not ended"
        lines += ["", line(outcome("break-glass"), f": {where}: {ended}; open until somebody else acknowledges it")]
        lines += [f"  {entry['time'][:19]}Z by {entry['person']}: {entry['reason']}"]
        lines += [whole(f"  lockgate approve {entry['record']} --reason ...")]
    for entry in facts["rollbacks"]:
        where = f"{entry['model']} in {entry['environment']}, from version {entry['from']} to {entry['to']}"
        lines += ["", line(outcome("rolled back"), f": {where}")]
        lines += [f"  {entry['at'][:19]}Z by {entry['person']}: {entry['reason']}"]
    for entry in facts["refused"]:
        where = f"{entry['model']} version {entry['version']} at {entry['environment']}"
        lines += ["", line(outcome("refused"), f": {where}"), *(f"  {reason}" for reason in entry["reasons"])]
    for entry in facts["failed_deployments"]:
        where = f"{entry['model']} version {entry['version']} at {entry['environment']}"
        lines += ["", line(outcome("failed"), f": deployment of {where}"), f"  {entry['reason']}"]
        again = f"  lockgate promote {entry['version']} --model {entry['model']}"
        lines += [f"  {entry['why_not']}"] if entry["why_not"] else [whole(again)]
    for entry in facts["waiting"]:
        command = f"lockgate approve {entry['version']} --env {entry['environment']} --model {entry['model']}"
        lines += [
            "",
            line(outcome("waiting"), f": {entry['model']} version {entry['version']} for {entry['environment']}"),
        ]
        given = f"{len(entry['approved_by'])} of {entry['approvals']} approvals"
        given += f" ({', '.join(entry['approved_by'])})" if entry["approved_by"] else ""
        lines += [f"  {given}; since {entry['since'][:19]}Z, until {entry['expires'][:19]}Z", *_stands(entry)]
        lines += [f"  {said}" for said in entry["measured"]] + [whole(f"  {command}")]
    for entry in facts["infrastructure"]:
        lines += ["", *stacks(entry)]
    for entry in facts["training"]:
        lines += ["", line(outcome("training"), f": {entry['model']} {entry['run']} since {entry['since'][:19]}")]
    lines += images(facts)
    for entry in facts["failed"]:
        lines += [
            "",
            line(outcome("failed"), f": training of {entry['model']}, {entry['run']}"),
            f"  {entry['reason']}",
        ]
    return lines
