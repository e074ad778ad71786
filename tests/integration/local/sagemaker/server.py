"""The emulator with the embedded SageMaker, as a process of its own. Usage: server.py STATE PORT.

Its images are folders: `<repository>/main.py` below the state's images folder is what a container runs.
"""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

from local.host.containers import ImageNotFound, stop
from local.settings import HOST, Settings


class Folders:
    """Images without a registry: what `local.host.containers` does, for scripts in folders."""

    def pull(self, image_uri: str, settings: Settings) -> Path:
        script = settings.images / image_uri.partition("/")[2].partition("@")[0] / "main.py"
        if not script.is_file():
            raise ImageNotFound(f"{image_uri}: no {script}")
        return script

    def start(
        self,
        image: Path,
        *,
        entrypoint: Sequence[str] | None,
        arguments: Sequence[str],
        environment: Mapping[str, str],
        ml_root: Path | None,
        log: Path,
        settings: Settings,
    ) -> subprocess.Popen[bytes]:
        words = [*(entrypoint or [sys.executable, "-S", str(image)]), *arguments]
        with log.open("ab") as output:
            return subprocess.Popen(
                words,
                env={**environment, "ML_ROOT": str(ml_root)},
                stdout=output,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )

    def stop(self, process: subprocess.Popen[bytes]) -> int:
        return stop(process)


def main() -> None:
    settings = Settings(Path(sys.argv[1]), port=int(sys.argv[2]))
    os.environ.update(GATEWAY_PORT=sys.argv[2], BIND_HOST=HOST, AUTH="true", USE_SSL="1", IOT_MTLS_ENABLED="0")
    os.environ.update(AWS_ACCESS_KEY_ID="test", AWS_SECRET_ACCESS_KEY="test", LOG_LEVEL="WARNING")
    from hypercorn.asyncio import serve
    from hypercorn.config import Config
    from ministack.app import app

    from local import sagemaker

    sagemaker.install(settings, Folders())
    config = Config()
    config.bind = [f"{HOST}:{settings.port}"]
    config.certfile, config.keyfile = str(settings.certificate), str(settings.private_key)
    config.loglevel = "WARNING"
    asyncio.run(serve(app, config))


if __name__ == "__main__":
    main()
