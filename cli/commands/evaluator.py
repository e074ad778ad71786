"""Build the evaluator's image and compare it with the one that the policy pins.

The evaluator judges every commit, so it is built from what an operator has checked out, never by a delivery. When
its digest differs from [evaluator] image_digest in environments/tools.toml, change that line in a reviewed commit and
deploy.
"""

from __future__ import annotations

import argparse

from cli.commands.deliver import deliver_image
from cli.context import json_argument, open_context
from cli.git import commit_of
from cli.terminal import show_json
from lockgate import names


def arguments(parser: argparse.ArgumentParser) -> None:
    json_argument(parser)


def run(arguments: argparse.Namespace) -> int:
    context = open_context()
    commit = commit_of(context.root, "HEAD")
    image = deliver_image(
        context,
        context.session,
        commit,
        project=names.EVALUATOR_PROJECT,
        repository=names.EVALUATOR_REPOSITORY,
        key=names.evaluator_source_key(commit),
    )
    pinned = context.tools.evaluator_image_digest
    if arguments.json:
        show_json({"commit": commit, "image_digest": image.digest, "pinned": pinned})
    elif image.digest == pinned:
        print(f"The evaluator of {commit[:12]} is the one that the policy pins: {pinned}")
    else:
        print(f"The evaluator of {commit[:12]} is {image.digest}\nenvironments/tools.toml pins   {pinned}")
    return 0 if image.digest == pinned else 3
