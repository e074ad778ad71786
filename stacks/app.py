"""The CDK app of a project: reads environments/ and model/, composes one stage an environment.

A mistake in the configuration ends it with one line. aws_cdk is imported late: that starts Node, which is not needed to
find a mistake.
"""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from lockgate.configuration.project import read_configuration
from lockgate.errors import ConfigError

if TYPE_CHECKING:
    import aws_cdk as cdk

    from .stages import Kinds

# Behind the words of jsii, on which the CDK runs.
REFUSED = (
    "synth: asked the CDK for the templates of environments/ and model/: found the refusal above, expected none. Its "
    "lines of stacks/ and constructs/ say where: change what the configuration says there, or report it"
)


def main(root: Path, *, kinds: Kinds | None = None, also: Callable[[cdk.App], None] | None = None) -> None:
    """Synthesize the project in `root`, as `cdk synth` and `cdk deploy` ask for it.

    kinds: subclasses of stacks that are used in their place. also: adds stacks of the project's own to the app.
    """
    try:
        _synthesize(root, kinds, also)
    except ConfigError as error:
        sys.exit(str(error))
    except Exception as error:
        if type(error).__module__.startswith("jsii"):
            error.add_note(REFUSED)
        raise


def build(
    root: Path,
    *,
    kinds: Kinds | None = None,
    also: Callable[[cdk.App], None] | None = None,
    context: dict[str, Any] | None = None,
    outdir: str | None = None,
) -> cdk.App:
    """The app of the project in `root`. Raises ConfigError.

    context: over the CDK's feature flags, which come with the stacks that were written for them.
    """
    configuration = read_configuration(root)

    import aws_cdk as cdk

    from .stages import Kinds, compose

    beside = Path(__file__).resolve().parents[1] / "cdk.json"
    flags = json.loads(beside.read_text(encoding="utf-8"))["context"]
    app = cdk.App(analytics_reporting=False, tree_metadata=False, context={**flags, **(context or {})}, outdir=outdir)
    # Stack traces in metadata name folders of the machine; the CLI warns when cdk.json says this.
    app.node.set_context("aws:cdk:disable-creation-stack-traces", True)
    compose(app, configuration, root, kinds or Kinds(), also)
    return app


def _synthesize(root: Path, kinds: Kinds | None, also: Callable[[cdk.App], None] | None) -> None:
    app = build(root, kinds=kinds, also=also)
    if os.environ.get("CDK_VALIDATION") != "false":
        from aws_cdk import Validations
        from cdk_nag import AwsSolutionsChecks

        Validations.of(app).add_plugins(AwsSolutionsChecks(app))
    app.synth()
