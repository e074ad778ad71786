"""What a release brings beside its libraries: the command line, stacks, handlers, runtime, embedded AWS and demo.

In the repository these are folders at the top. A wheel holds them in this package, as they lie there
(docs/decisions/0023-a-dependency.md): a project imports `lockgate_app.stacks`, and none of their names is another
package's. Only the programs below put that folder on their own path.
"""

import sys

from lockgate.configuration.shipped import HOME


def main() -> int:
    """The program `lockgate`."""
    sys.path.insert(0, str(HOME))
    from cli.main import main

    return main()


def demo() -> int:
    """The program `lockgate-demo`."""
    sys.path.insert(0, str(HOME))
    from demo.main_job import main

    return main()
