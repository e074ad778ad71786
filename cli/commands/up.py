"""Start the embedded AWS on this machine.

It listens on loopback only, with TLS and IAM enforcement, and has one account an environment. Nothing is deployed yet:
`make demo` does that, or the CDK with the environment that --export prints.
"""

from __future__ import annotations

import argparse
import shlex
from pathlib import Path

from cli.context import find_root
from local import embedded
from local.settings import Settings, default_state
from lockgate.configuration.project import read_configuration


def arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--port",
        type=int,
        default=4566,
        choices=range(1024, 65534),
        metavar="PORT",
        help="gateway port; the next two are used as well (4566)",
    )
    parser.add_argument("--export", action="store_true", help="print shell lines that point tools at it")


def run(arguments: argparse.Namespace) -> int:
    configuration = read_configuration(find_root(Path.cwd()))
    accounts = {"tools": configuration.tools.account}
    accounts |= {environment.name: environment.account for environment in configuration.environments}
    port = arguments.port
    settings = Settings(default_state(), port, port + 1, port + 2, configuration.tools.region)
    session = embedded.attach(settings.state) or embedded.start(settings, accounts)
    if arguments.export:
        for name, value in session.environment().items():
            print(f"export {name}={shlex.quote(value)}")
    else:
        print(f"The embedded AWS answers at {session.settings.endpoint}; `lockgate down` ends it.")
    return 0
