"""Deliver a commit: archive, image, and a training run of each model that it changes.

In a GitHub Actions run it takes the delivery role by the run's own identity; elsewhere it uses your credentials.

A model whose newest version started from the same is unchanged: it is not trained, judged or released again. A training
that failed or was stopped left no version, so it starts again. --again starts one whatever ran before.

Order is git's: a commit that is older than what the last environment serves is refused, as when an old workflow run is
started again. One that is older than what was trained last gets its image and starts nothing. --older delivers both all
the same. A model that cannot be trained stops no other one.
"""

from __future__ import annotations

import argparse
import os
import time
from collections.abc import Mapping, Sequence
from typing import Any

from cli.archive import archive
from cli.context import Context, json_argument, open_context
from cli.git import commit_of, declared_model, models_of, relation_where_known
from cli.inputs import inputs_of, superseded, unchanged
from cli.terminal import progress, show, show_json, working
from lockgate import names
from lockgate.aws import delivery, github_identity, training
from lockgate.aws.attestations import Attestations
from lockgate.aws.sessions import caller_of
from lockgate.aws.write_once import put_once
from lockgate.data.choice import candidates, fitting
from lockgate.errors import NotFoundError, RefusedError
from lockgate.gate.champion import ChampionNote
from lockgate.release.fingerprint import same_as

EXAMPLE = "lockgate deliver HEAD"


def arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("revision", nargs="?", default="HEAD", help="what to deliver (HEAD)")
    parser.add_argument("--again", action="store_true", help="a new training run, also of a model that is unchanged")
    parser.add_argument("--model", help="train this model of the commit only (each that it changes)")
    parser.add_argument(
        "--older", action="store_true", help="deliver it although it is older than what is served or was trained last"
    )
    parser.add_argument(
        "--snapshot", help="train the model of this published snapshot on it (the current one that fits)"
    )
    json_argument(parser)


def run(arguments: argparse.Namespace) -> int:
    context = open_context()
    commit = commit_of(context.root, arguments.revision)
    session = _session(context)
    s3 = session.client("s3")
    models = models_of(context.root, commit)
    if not models:
        raise NotFoundError(f"commit {commit[:12]}: found no model/<name>/model.toml, expected one at least")
    if arguments.model is not None and arguments.model not in models:
        raise NotFoundError(f"--model: found {arguments.model!r}, expected one of {', '.join(models)}")
    models = (arguments.model,) if arguments.model else models
    champions = {model: delivery.find_champion(s3, context.bucket("data"), model) for model in models}
    if not arguments.older:
        _refuse_older(context, session, commit, champions)
    snapshots, without = _snapshots(context, s3, commit, models, arguments.snapshot)
    image = build_image(
        context,
        session,
        commit,
        project=names.IMAGE_PROJECT,
        repository=names.MODELS_REPOSITORY,
        key=names.source_key(commit),
    )
    wait_for_provenance(context, session, image, names.IMAGE_PROJECT, names.MODELS_REPOSITORY)
    actor = os.environ.get("GITHUB_ACTOR") or _name_of_caller(session)
    trained = {}
    for model, snapshot in snapshots.items():
        try:
            trained[model] = _train(
                context,
                session,
                model,
                image,
                snapshot,
                actor,
                champions[model],
                again=arguments.again,
                older=arguments.older,
            )
        except (NotFoundError, RefusedError) as error:
            without[model] = str(error)
    facts = {"commit": commit, "image": image.uri, "actor": actor, "models": trained, "not_started": without}
    for why in without.values():
        progress(why)
    if arguments.json:
        show_json(facts)
    elif any(each["same_as"] is None and each["newer"] is None for each in trained.values()):
        show(f"Delivered {commit[:12]}; see how it goes with `lockgate follow {commit[:12]}`.")
    elif trained:
        about = ", ".join(trained)
        show(f"Delivered {commit[:12]}: it has its image, and nothing is started for {about}: see above why.")
    return 1 if without else 0


def _train(
    context: Context,
    session: Any,
    model: str,
    image: delivery.Image,
    snapshot: str,
    actor: str,
    champion: ChampionNote | None,
    *,
    again: bool,
    older: bool,
) -> dict[str, Any]:
    """Start the training of a model, unless its newest one started from the same or from a newer commit; what is known.

    again, older: what the options of these names allow. Raises NotFoundError for a model without a pipeline, and
    RefusedError where the clone cannot tell which commit is older.
    """
    sagemaker, codebuild = session.client("sagemaker"), session.client("codebuild")
    inputs = inputs_of(context.root, model, image, snapshot, codebuild=codebuild, sagemaker=sagemaker)
    known = training.executions(sagemaker, model)
    facts = {"snapshot": snapshot, "fingerprint": inputs.fingerprint, "same_as": None, "newer": None, "version": None}
    newest = None if again else next(training.trainings(sagemaker, known), None)
    if newest is not None and same_as(inputs.fingerprint, newest):
        version = training.version_of(training.steps(sagemaker, newest.execution))
        progress(f"{model}: nothing is started: {unchanged(newest, image.commit, version)}")
        return {**facts, "execution": newest.execution, "same_as": newest.commit, "version": version}
    if newest is not None and not older:
        stands = relation_where_known(context.root, image.commit, newest.commit)
        if stands.older:
            progress(f"{model}: nothing is started: {superseded(newest, image.commit, stands)}")
            return {**facts, "execution": newest.execution, "newer": newest.commit}
    execution = delivery.start_training(
        sagemaker,
        model,
        image,
        snapshot,
        actor,
        inputs.fingerprint,
        known,
        champion=champion,
        data=context.bucket("data"),
    )
    against = f"version {champion.version}" if champion else "no champion yet"
    progress(f"training of {model} started on snapshot {snapshot}, against {against}")
    return {**facts, "execution": execution}


def _refuse_older(context: Context, session: Any, commit: str, champions: Mapping[str, ChampionNote | None]) -> None:
    """Raise RefusedError where the commit is an ancestor of what some model serves, or nobody here can tell."""
    last = context.tools.promotion[-1]
    for model, champion in champions.items():
        if champion is None:
            continue
        live = delivery.commit_of_image(session.client("ecr"), names.MODELS_REPOSITORY, champion.image)
        stands = relation_where_known(context.root, commit, live or champion.image)
        if stands.older:
            raise RefusedError(
                f"commit {commit[:12]}: {model} serves {live[:12]} in {last} (version {champion.version}), and this "
                f"commit is {stands} of it: an old run may have been started again. `lockgate rollback {last}` goes "
                "back at once; --older delivers it all the same"
            )
        progress(f"{model}: the commit is {stands} of what {last} serves ({live[:12] or 'unknown'})")


def build_image(
    context: Context, session: Any, commit: str, *, project: str, repository: str, key: str
) -> delivery.Image:
    """The image of a commit in a repository, built from its archive unless it is there."""
    uri = names.repository_uri(context.tools.account, context.tools.region, repository)
    ecr = session.client("ecr")
    image = delivery.find_image(ecr, repository, uri, commit)
    if image is None:
        bucket = context.bucket("source")
        put_once(session.client("s3"), bucket, key, archive(context.root, commit))
        begin = time.monotonic()
        try:
            with working(f"building {repository}:{commit[:12]}"):
                delivery.build_image(
                    session.client("codebuild"),
                    project,
                    f"{bucket}/{key}",
                    commit,
                    said=lambda phase: progress(f"  {time.monotonic() - begin:5.1f} s  build: {phase.lower()}"),
                )
        except delivery.BuildError:
            # Another delivery of this commit may have pushed first; its tag cannot be pushed twice.
            image = delivery.find_image(ecr, repository, uri, commit)
            if image is None:
                raise
        image = image or delivery.find_image(ecr, repository, uri, commit)
        if image is None:
            raise delivery.BuildError(f"the build of {commit[:12]} succeeded, yet {repository} has no image of it")
    progress(f"image {image.uri}")
    return image


def wait_for_provenance(context: Context, session: Any, image: delivery.Image, project: str, repository: str) -> None:
    """Wait until somebody vouched for the image, where the configuration wants it."""
    if not context.tools.attestation:
        progress("nobody vouches for images here: [images] attestation is false")
        return
    images = Attestations(session.client("ecr"), context.tools.account, repository)
    if not images.attested(image.digest):
        delivery.refuse_foreign(session.client("codebuild"), project, image)
        with working("waiting for its provenance and bill of materials"):
            delivery.wait_attested(images, image)
    progress("provenance and bill of materials stand beside it")


def _snapshots(
    context: Context, s3: Any, commit: str, models: Sequence[str], wanted: str | None
) -> tuple[dict[str, str], dict[str, str]]:
    """The models to train, each with its snapshot, and those that have none, each with what to do.

    Raises NotFoundError for a snapshot that no model has, and where no model has any.
    """
    bucket, found, without = context.bucket("data"), {}, {}
    for model in models:
        known = delivery.snapshots(s3, bucket, model)
        if wanted is not None:
            found.update({model: wanted} if wanted in known.published else {})
            continue
        try:
            found[model] = _snapshot(context, s3, commit, model, known)
        except NotFoundError as error:
            without[model] = str(error)
    if wanted is not None and not found:
        raise NotFoundError(f"--snapshot: found {wanted!r}, expected one that is published, of {', '.join(models)}")
    if not found:
        raise NotFoundError("; ".join(without.values()))
    return found, without


def _snapshot(context: Context, s3: Any, commit: str, model: str, known: delivery.Snapshots) -> str:
    """The snapshot that a commit trains a model on: the current one, or the newest that fits the commit.

    Raises NotFoundError where there is none.
    """
    order = candidates(known.published, delivery.chosen_snapshots(s3, context.bucket("data"), model))
    if not order:
        raise NotFoundError(f"model {model}: no data snapshot is published; run `lockgate snapshot --model {model}`")
    declared = declared_model(context.root, commit, model)
    if declared is None:
        return order[0]
    chosen = fitting(order, declared, known.columns)
    if chosen != order[0]:
        progress(
            f"{model}: the current snapshot {order[0]} was published with other columns or types than this commit's "
            f"model.toml declares; it trains on {chosen}, the newest that fits"
        )
    return chosen


def _session(context: Context) -> Any:
    """The delivery role's session in a GitHub run, else the caller's own."""
    if "ACTIONS_ID_TOKEN_REQUEST_URL" not in os.environ:
        return context.session
    role = names.role_arn(context.tools.account, names.DELIVERY_ROLE)
    progress(f"acting as {role}")
    github = context.tools.github
    return github_identity.session(os.environ, role, context.tools.region, github.claims(github.subject))


def _name_of_caller(session: Any) -> str:
    _, arn = caller_of(session)
    return arn.rpartition("/")[2]
