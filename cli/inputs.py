"""What training a model at a commit starts from, as git and AWS know it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from cli.git import Relation, image_files
from lockgate import canonical
from lockgate.aws import delivery, training
from lockgate.release.advice import deliver_again
from lockgate.release.fingerprint import Inputs, Training


def inputs_of(
    root: Path, model: str, image: delivery.Image, snapshot: str, *, codebuild: Any, sagemaker: Any
) -> Inputs:
    """The inputs of a training with the image of a commit. Raises NotFoundError for a model without a pipeline."""
    definition = training.pipeline_definition(sagemaker, model)
    return Inputs(
        files=image_files(root, image.commit, model),
        build=delivery.how_built(codebuild, image),
        pipeline=canonical.sha256(definition.encode()),
        snapshot=snapshot,
    )


def superseded(newest: Training, commit: str, stands: Relation) -> str:
    """Why nothing is started for a commit that is older than what was trained last, and what to do."""
    return (
        f"commit {newest.commit[:12]} was trained last, and this commit is {stands} of it: an old run may have been "
        f"started again. `lockgate deliver {commit[:12]} --older` trains it all the same"
    )


def unchanged(before: Training, commit: str, version: int | None = None) -> str:
    """Why nothing is started for a commit, and what to do. version: None where none is known."""
    since = "this commit" if before.commit == commit else f"commit {before.commit[:12]}"
    if before.running:
        return f"the training of {since} started from the same and still runs"
    again = f"{deliver_again(commit[:12])} trains it anyway"
    ways = f"`lockgate follow {before.commit[:12]}` says what became of it; {again}"
    registered = f" and registered version {version}" if version else ""
    return f"the training of {since} started from the same{registered}. {ways}"
