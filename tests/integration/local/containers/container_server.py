"""The emulator with only the container-shaped extensions, as a process of its own: STATE PORT ROOT_SECRET.

Started by the fixtures in conftest.py. What is patience on a busy machine is shortened here.
"""

from __future__ import annotations

import asyncio
import importlib
import os
import sys
from pathlib import Path

from local import recorded, server
from local.settings import HOST, Settings


async def serve(settings: Settings) -> None:
    from hypercorn.asyncio import serve
    from hypercorn.config import Config
    from ministack import app as gateway

    from local.codebuild import build
    from local.ecs import deployments
    from local.gateway import clock

    deployments.HEALTHY_WITHIN = 600.0
    build.MINUTE = 1.0
    for name in (
        "gateway.clock",
        "ecr.repositories",
        "codebuild.projects",
        "ecs.services",
        "elbv2.load_balancers",
        "gateway.accounts",
    ):
        importlib.import_module(f"local.{name}").install(settings)
    config = Config()
    config.bind = [f"{HOST}:{settings.port}"]
    config.certfile, config.keyfile = str(settings.certificate), str(settings.private_key)
    config.loglevel = "WARNING"
    await serve(clock.counted(gateway.app), config)


if __name__ == "__main__":
    settings = Settings(Path(sys.argv[1]), int(sys.argv[2]))
    settings.scratch.mkdir(parents=True)
    environment = server.emulator_environment(settings, os.environ)
    os.environ.clear()
    os.environ.update(environment, AWS_SECRET_ACCESS_KEY=sys.argv[3])
    recorded.keep_in(settings.recorded_file)
    asyncio.run(serve(settings))
