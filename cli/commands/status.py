"""Say what is live where, since when, on which commit; what was refused and why; what waits or failed; stacks too.

It looks into each environment, and says where what is served is not what the ledger says.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable
from pathlib import Path
from typing import Any

from cli.context import Context, json_argument, model_argument, open_context
from cli.git import relation
from cli.terminal import Shown, line, outcome, show, show_json, table, utc_now, whole
from lockgate import names
from lockgate.aws import delivery, training
from lockgate.aws.attestations import Attestations
from lockgate.aws.deployments import Deployments
from lockgate.aws.failures import FAILURES, told
from lockgate.aws.reader import look_into
from lockgate.configuration.persons import pushed_by
from lockgate.errors import NotFoundError
from lockgate.ledger.infrastructure import commit_live, unfinished
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
from lockgate.release.comparison import Reality, differences

EXAMPLE = "lockgate status --model employment"


def arguments(parser: argparse.ArgumentParser) -> None:
    model_argument(parser)
    json_argument(parser)


def run(arguments: argparse.Namespace) -> int:
    context = open_context()
    facts = collect(context, context.models(arguments.model))
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
            environment: {
                "models": {
                    model: {"live": live_facts(chains[model], environment), "differences": said}
                    for model, said in _differences(context, environment, chains).items()
                }
            }
            for environment in context.tools.promotion
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
        "bad_records": [vars(bad) for chain in (*chains.values(), stacks_chain) for bad in chain.bad],
        "break_glass": broken_glass(chains),
        "rollbacks": rollbacks(chains),
        "refused": refused(chains),
        "failed_deployments": failed_deployments(chains),
        "waiting": [
            {**entry, **order(context.root, *commits(chains[entry["model"]], entry["version"], entry["environment"]))}
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


def _differences(context: Context, name: str, chains: Chains) -> dict[str, list[str]]:
    """For each model, what an environment serves otherwise than the ledger says, or why it could not be asked."""
    environment = next(found for found in context.configuration.environments if found.name == name)
    account, region = environment.account, environment.region
    said: dict[str, list[str]] = {}
    for model, chain in chains.items():
        recorded = chain.live(name)
        try:
            client = look_into(context.client("sts"), account=account, region=region, environment=name)
            said[model] = differences(recorded.entry.body.release if recorded else None, _reality(client, name, model))
        except FAILURES as error:
            said[model] = [f"could not be asked: {told(error)}"]
    return said


def _reality(client: Callable[[str], Any], environment: str, model: str) -> Reality | None:
    """What an environment serves of a model; None where it has no stack for it."""
    deployments = Deployments(client("cloudformation"), client("ecs"), environment, names.cluster(environment), "")
    try:
        return deployments.reality(model)
    except NotFoundError:
        return None


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


def _text(facts: dict[str, Any]) -> list[Shown]:
    heading = ("ENV", "MODEL", "LIVE", "COMMIT", "SINCE", "VERDICT")
    rows: list[tuple[str, ...]] = []
    for environment, found in facts["environments"].items():
        for model, entry in found["models"].items():
            live = entry["live"]
            if live is None:
                rows.append((environment, model, "nothing yet", "", "", ""))
            else:
                since = live["since"][:16] + "Z"
                shown = (f"version {live['version']}", live["commit"][:12], since, live["verdict_id"])
                rows.append((environment, model, *shown))
    lines: list[Shown] = [*table(rows, heading), ""]
    for entry in facts["models"]:
        tier = f"tier {entry['tier']}, " if entry["tier"] else ""
        said = f"owned by {entry['owner']}, {tier}{entry['assurance']} assurance; {entry['intended_use']}"
        lines += [line(f"{entry['model']}: {said}")]
    for environment, found in facts["environments"].items():
        for model, entry in found["models"].items():
            if entry["differences"]:
                lines += ["", line(outcome("differs"), f": {model} in {environment}")]
                lines += [f"  {sentence}" for sentence in entry["differences"]]
    for entry in facts["bad_records"]:
        lines += ["", line(outcome("error"), f": {entry['why']}")]
        lines += ["  `lockgate verify` says more; no gate decides on this chain until it is whole"]
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
        lines += ["", line(outcome("failed"), f": deployment of {where}; `lockgate promote` tries again")]
        lines += [f"  {entry['reason']}"]
    for entry in facts["waiting"]:
        command = f"lockgate approve {entry['version']} --env {entry['environment']} --model {entry['model']}"
        lines += [
            "",
            line(outcome("waiting"), f": {entry['model']} version {entry['version']} for {entry['environment']}"),
        ]
        lines += [f"  since {entry['since'][:19]}Z, until {entry['expires'][:19]}Z", *_stands(entry)]
        lines += [whole(f"  {command}")]
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
