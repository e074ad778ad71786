"""How a step of a pipeline meets its container: folders, environment, and the message it leaves when it fails."""

from __future__ import annotations

import contextlib
import os
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from lockgate.errors import ConfigError, LockgateError, NotFoundError

# What the step of the served version leaves where it predicted nothing, and what it says where nothing is served.
NOTE, NOTHING_SERVED = "none.txt", "nothing is served yet"
MESSAGE_BYTES = 1024  # SageMaker keeps no more of the file


@dataclass(frozen=True)
class Job:
    """`root` is /opt/ml or what stands for it; `environment` is what the pipeline gave this step."""

    root: Path
    environment: Mapping[str, str]

    @property
    def inputs(self) -> Path:
        return self.root / "processing" / "input"

    @property
    def outputs(self) -> Path:
        return self.root / "processing" / "output"

    def setting(self, name: str) -> str:
        """Raises ConfigError when the variable is absent or empty."""
        value = self.environment.get(name, "")
        if not value:
            raise ConfigError("environment", name, value, "text; the pipeline or the task definition sets it")
        return value

    def read(self, part: str) -> bytes:
        """A file of a processing job's inputs. Raises NotFoundError."""
        file = self.inputs / part
        if not file.is_file():
            raise NotFoundError(f"input {part}: found no such file, expected what the step before published")
        return file.read_bytes()


def this_job() -> Job:
    return Job(Path(os.environ.get("ML_ROOT", "/opt/ml")), dict(os.environ))


def run(work: Callable[[Job], None], job: Job, failure: str = "message") -> int:
    """Exit code of `work`: 0, or 1 with the reason on stderr and in <root>/output/<failure>.

    SageMaker shows that file as the exit message of a processing job (`message`) or the failure reason of a training
    job (`failure`). An error that Lockgate raises on purpose is told in its own words; any other is a defect and also
    leaves its stack trace in the log.
    """
    try:
        work(job)
    except LockgateError as error:
        _leave(job, failure, str(error))
        return 1
    except Exception as error:
        _leave(job, failure, f"{type(error).__name__}: {error}")
        raise
    return 0


def _leave(job: Job, failure: str, message: str) -> None:
    sys.stderr.write(message + "\n")
    file = job.root / "output" / failure
    with contextlib.suppress(OSError):  # a task that serves may write nowhere, and nobody reads the file
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(message.encode()[:MESSAGE_BYTES].decode(errors="ignore").encode())
