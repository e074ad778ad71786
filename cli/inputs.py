"""What training a model at a commit starts from, as git and AWS know it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from cli.git import image_files
from lockgate import canonical
from lockgate.aws import delivery, training
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


def unchanged(before: Training, commit: str, version: int | None) -> str:
    """Why nothing is started for a commit, and what to do. version: None while none is registered."""
    since = "this commit" if before.commit == commit else f"commit {before.commit[:12]}"
    if before.running:
        return f"the training of {since} started from the same and still runs"
    registered = f"version {version}" if version else "no version, though it succeeded"
    again = f"`lockgate deliver {commit[:12]} --again` trains it anyway"
    ways = f"`lockgate follow {before.commit[:12]}` says what became of it; {again}"
    return f"the training of {since} started from the same and registered {registered}. {ways}"
