"""Start the embedded AWS on this machine.

It listens on loopback only, with TLS and IAM enforcement, and has one account an environment. Nothing is deployed yet:
`make demo` does that, or the CDK with the environment that --export prints.
"""

from __future__ import annotations

import argparse
import shlex
from pathlib import Path

from cli.context import find_root
from cli.terminal import show, whole
from lockgate.configuration.project import read_configuration

PORTS = range(1024, 65534)

EXAMPLE = "lockgate up --port 5566"


def arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--port",
        type=_port,
        help="gateway port; the next two are used as well (4566, or what is free)",
    )
    parser.add_argument("--export", action="store_true", help="print shell lines that point tools at it")


def run(arguments: argparse.Namespace) -> int:
    from local import embedded  # late: it is an extra
    from local.settings import Settings, default_state

    configuration = read_configuration(find_root(Path.cwd()))
    accounts = {"tools": configuration.tools.account}
    accounts |= {environment.name: environment.account for environment in configuration.environments}
    session = embedded.attach(default_state())
    if session is None:
        port = embedded.free_port(arguments.port)
        settings = Settings(default_state(), port, port + 1, port + 2, configuration.tools.region)
        session = embedded.start(settings, accounts)
    if arguments.export:
        for name, value in session.environment().items():
            show(whole(f"export {name}={shlex.quote(value)}"))
    else:
        show(f"The embedded AWS answers at {session.settings.endpoint}; `lockgate down` ends it.")
    return 0


def _port(text: str) -> int:
    if text.isascii() and text.isdigit() and int(text) in PORTS:
        return int(text)
    raise argparse.ArgumentTypeError(
        f"found {text!r}, expected a number from {PORTS[0]} to {PORTS[-1]}: ports below belong to the system, and the "
        "next two are used as well"
    )
