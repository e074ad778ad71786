"""The embedded AWS as a process: the gateway with every extension, the proxy and GitHub's token endpoint.

Started by `local.embedded`; ends on SIGTERM or SIGINT with everything it started.
"""

from __future__ import annotations

import argparse
import asyncio
import importlib
import json
import logging
import os
import signal
import sys
import tempfile
from collections.abc import Mapping
from pathlib import Path

from local import clients, faults, github, recorded, seams
from local.gateway import clock, door, proxy
from local.host import packages, processes
from local.iam import users
from local.settings import HOST, Settings

# What the gateway is extended with. Where order matters, local/seams.toml says so, and a wrong one does not start.
EXTENSIONS: tuple[str, ...] = (
    "local.gateway.door",
    "local.gateway.clock",
    "local.faults",
    "local.awslambda.errors",
    "local.iam.policies",
    "local.iam.web_identity",
    "local.awslambda.function_urls",
    "local.awslambda.updates",
    "local.stepfunctions.task_roles",
    "local.cloudformation.types",
    "local.cloudformation.drift",
    "local.cloudformation.exports",
    "local.sagemaker",
    "local.ecr.repositories",
    "local.codebuild.projects",
    "local.ecs.services",
    "local.elbv2.load_balancers",
    "local.gateway.accounts",
    "local.cloudformation.stack_roles",
)
_WATCH_SECONDS = 0.5
_POLL_SECONDS = 0.02
_GRACE_SECONDS = 0.3


def emulator_environment(settings: Settings, inherited: Mapping[str, str]) -> dict[str, str]:
    """Variables of the server process: the emulator's own switches, and what the code it runs for us will inherit.

    Credentials and proxies of the person who started it are dropped; there is no way from here to real AWS.
    """
    dropped = ("AWS_", "MINISTACK_", "LOCALSTACK_", "PYTHONDONTWRITEBYTECODE")
    kept = {
        name: value
        for name, value in inherited.items()
        if not name.startswith(dropped) and not name.lower().endswith("_proxy")
    }
    return {
        **kept,
        "GATEWAY_PORT": str(settings.port),
        "BIND_HOST": HOST,
        "MINISTACK_REGION": settings.region,
        "AUTH": "true",
        "USE_SSL": "1",
        "MINISTACK_SSL_CERT": str(settings.certificate),
        "MINISTACK_SSL_KEY": str(settings.private_key),
        "IOT_MTLS_ENABLED": "0",
        "SFTP_ENABLED": "0",
        "LAMBDA_EXECUTOR": "local",
        # As on AWS: a call that failed is tried again after a minute, then after two.
        "LAMBDA_ASYNC_RETRY_BASE_SECONDS": "60",
        "LAMBDA_ASYNC_RETRY_MAX_SECONDS": "300",
        # Whether the person has Docker must not change what happens: the emulator finds no daemon here.
        "DOCKER_HOST": f"unix://{settings.scratch / 'no-docker.sock'}",
        "LOG_LEVEL": "WARNING",
        "TMPDIR": str(settings.scratch),
        "STATE_DIR": str(settings.scratch / "emulator"),
        "S3_DATA_DIR": str(settings.scratch / "s3"),
        **clients.environment(settings),
    }


async def run(settings: Settings, accounts: Mapping[str, str]) -> None:
    """Serve until SIGTERM or SIGINT, then end every process that was started on the way."""
    from hypercorn.asyncio import serve
    from hypercorn.config import Config
    from ministack import app as gateway

    seams.check()
    stopping = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stopping.set)
    for name in EXTENSIONS:
        importlib.import_module(name).install(settings)
    await users.create(settings, accounts)
    config = Config()
    config.bind = [f"{HOST}:{settings.port}"]
    config.certfile, config.keyfile = str(settings.certificate), str(settings.private_key)
    config.keep_alive_timeout = 75
    config.loglevel = "WARNING"
    beside = [await proxy.serve(settings), await github.serve(settings)]
    app = clock.counted(faults.at_the_door(door.without_control(gateway.app)))
    serving = asyncio.create_task(serve(app, config, shutdown_trigger=stopping.wait))
    stopped = asyncio.create_task(stopping.wait())
    watching = asyncio.create_task(_announce_and_watch(settings))
    await asyncio.wait({serving, stopped, watching}, return_when=asyncio.FIRST_COMPLETED)
    for task in (serving, watching):
        if task.done():
            task.result()
    for server in beside:
        server.close()
    # A client that keeps its connection open must not keep us: what it would read next is gone anyway.
    await asyncio.wait({serving}, timeout=_GRACE_SECONDS)


async def _announce_and_watch(settings: Settings) -> None:
    """Say that the gateway answers, then keep the list of processes that outlive us if we are killed."""
    while True:
        try:
            _, writer = await asyncio.open_connection(HOST, settings.port)
            break
        except OSError:
            await asyncio.sleep(_POLL_SECONDS)
    writer.close()
    settings.ready_file.write_text("ready\n")
    known: dict[int, str] = {}
    while True:
        running = processes.descendants(os.getpid())
        if running != known:
            known = running
            partial = settings.children_file.with_suffix(".partial")
            partial.write_text(json.dumps(running))
            partial.replace(settings.children_file)  # whoever reads it after we were killed finds it whole
        await asyncio.sleep(_WATCH_SECONDS)


def _pair(text: str) -> tuple[str, str]:
    name, _, account = text.partition("=")
    return name, account


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m local.server", description="One embedded AWS on loopback.")
    parser.add_argument("--state", type=Path, required=True)
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--proxy-port", type=int, required=True)
    parser.add_argument("--github-port", type=int, required=True)
    parser.add_argument("--region", default="us-east-1")
    parser.add_argument("--account", action="append", required=True, type=_pair, metavar="NAME=ID")
    given = parser.parse_args()
    settings = Settings(given.state.resolve(), given.port, given.proxy_port, given.github_port, given.region)
    settings.scratch.mkdir(parents=True, exist_ok=True)
    environment = emulator_environment(settings, os.environ)
    packages.install_with(os.environ)
    os.environ.clear()
    os.environ.update(environment)
    tempfile.tempdir = None
    recorded.keep_in(settings.recorded_file)
    try:
        # Not asyncio.run: it would wait for the emulator's worker threads, and some of them wait for ever.
        asyncio.new_event_loop().run_until_complete(run(settings, dict(given.account)))
    except seams.MovedError as error:
        sys.exit(str(error))
    finally:
        processes.end(processes.descendants(os.getpid()), within=1.0)
    logging.shutdown()
    os._exit(0)


if __name__ == "__main__":
    main()
