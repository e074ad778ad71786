"""One build: its phases in order, its shell, its log and its end."""

from __future__ import annotations

import io
import logging
import os
import subprocess
import sys
import threading
import time
import zipfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from botocore.exceptions import ClientError
from ministack.services import codebuild

from local import clients, recorded
from local.clock import CLOCK
from local.codebuild import buildspec
from local.host import containers
from local.iam import roles
from local.settings import Settings

_log = logging.getLogger("codebuild")
MINUTE = 60.0
_BIN = Path(__file__).parent / "bin"
_PRINCIPAL = "codebuild.amazonaws.com"
_GRACE = 2.0


class _PhaseError(Exception):
    """A phase failed: status code and message of its context."""

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code = code


class _EndedError(Exception):
    """The build was stopped or ran out of time; the argument is its status."""


class BuildRun:
    """Performs a build and writes what happens into `build`, the record that BatchGetBuilds answers with."""

    def __init__(
        self,
        build: dict[str, Any],
        project: dict[str, Any],
        account: str,
        region: str,
        settings: Settings,
        announce: Callable[[], None],
    ) -> None:
        self.build = build
        self.project = project
        self.account = account
        self.region = region
        self.settings = settings
        self.announce = announce
        self.folder = settings.work / "codebuild" / build["id"].rpartition(":")[2]
        self.source = self.folder / "src"
        self.deadline = time.monotonic() + int(project["timeoutInMinutes"]) * MINUTE
        self.process: subprocess.Popen[bytes] | None = None
        self.succeeding = True
        self.ended = ""
        self.lock = threading.Lock()

    def perform(self) -> None:
        """Run every phase; never raises."""
        self.announce()
        status = "SUCCEEDED"
        timer = threading.Timer(self.deadline - time.monotonic(), self._end, args=("TIMED_OUT",))
        timer.daemon = True
        timer.start()
        try:
            self._finish_phase("SUCCEEDED")
            self._phases()
        except _PhaseError:
            status = "FAILED"
        except _EndedError as error:
            status = str(error)
        except Exception:
            # The end of a thread: a defect of ours must show as a build's end, not as a build that never ends.
            _log.exception("build %s", self.build["id"])
            status = "FAULT"
        finally:
            timer.cancel()
        for phase in ("FINALIZING", "COMPLETED"):
            self._begin_phase(phase)
            self._finish_phase("SUCCEEDED")
        self.build |= {
            "buildStatus": status,
            "buildComplete": True,
            "currentPhase": "COMPLETED",
            "endTime": CLOCK.now(),
        }
        self.announce()

    def stop(self) -> None:
        """StopBuild: end the running command; the build is STOPPED unless it had ended before."""
        if not self.build["buildComplete"]:
            self.build["buildStatus"] = "STOPPED"
            self._end("STOPPED")

    def _end(self, status: str) -> None:
        with self.lock:
            self.ended = self.ended or status
            process = self.process
        if process is not None:
            containers.stop(process, _GRACE)

    def _phases(self) -> None:
        with self._phase("PROVISIONING"):
            try:
                arn = f"arn:aws:codebuild:{self.region}:{self.account}:project/{self.project['name']}"
                credentials = roles.assume(
                    self.project["serviceRole"], _PRINCIPAL, f"AWSCodeBuild-{self.folder.name}", {"aws:SourceArn": arn}
                )
            except roles.RoleRefusedError as error:
                raise _PhaseError("CLIENT_ERROR", f"Unable to assume role: {error}") from error
            log = self._log(credentials)
        with self._phase("DOWNLOAD_SOURCE"):
            try:
                spec = buildspec.parse(self.project["source"].get("buildspec") or "")
            except buildspec.BuildspecError as error:
                raise _PhaseError("YAML_FILE_ERROR", f"buildspec: {error}") from error
            for what in spec.not_performed:
                recorded.note("codebuild", what)
            self._download(credentials)
            environment = self._environment(spec, credentials)
        failed: _PhaseError | None = None
        for name in buildspec.PHASES:
            if failed is not None and name != "post_build":
                continue
            self.succeeding = failed is None
            try:
                with self._phase(name.upper()):
                    self._commands(spec, name, environment, log)
            except _PhaseError as error:
                failed = failed or error
                if name in ("install", "pre_build"):
                    break  # as on AWS, POST_BUILD runs after a failed BUILD only
        self._collect(spec)
        if failed is not None:
            raise failed
        with self._phase("UPLOAD_ARTIFACTS"):
            pass

    def _log(self, credentials: dict[str, str]) -> Callable[[str], None]:
        stream = self.build["logs"]["cloudWatchLogsArn"]
        for action in ("logs:CreateLogStream", "logs:PutLogEvents"):
            if not roles.allowed(credentials["AWS_ACCESS_KEY_ID"], action, stream):
                raise _PhaseError(
                    "ACCESS_DENIED",
                    f"Service role {self.project['serviceRole']} does not allow AWS CodeBuild to create Amazon "
                    f"CloudWatch Logs log streams: {action} on {stream}",
                )
        emit: Callable[[str], None] = codebuild._log_sink(self.build)
        return emit

    def _download(self, credentials: dict[str, str]) -> None:
        source = self.project["source"]
        self.source.mkdir(parents=True)
        if source["type"] == "NO_SOURCE":
            return
        if source["type"] != "S3":
            raise _PhaseError("CLIENT_ERROR", f"source type {source['type']} is not supported here: expected S3")
        bucket, _, key = source["location"].removeprefix("arn:aws:s3:::").partition("/")
        version = {"VersionId": self.build["sourceVersion"]} if self.build.get("sourceVersion") else {}
        client = roles.client("s3", credentials, self.region, self.settings)
        try:
            answer = client.get_object(Bucket=bucket, Key=key, **version)
            content = answer["Body"].read()
        except ClientError as error:
            raise _PhaseError("CLIENT_ERROR", f"error while downloading key {key}, error: {error}") from error
        if "VersionId" in answer:
            self.build["resolvedSourceVersion"] = answer["VersionId"]
        try:
            with zipfile.ZipFile(io.BytesIO(content)) as archive:
                for member in archive.infolist():
                    place = Path(archive.extract(member, self.source))
                    if not member.is_dir() and member.external_attr >> 16 & 0o100:
                        place.chmod(place.stat().st_mode | 0o111)
        except zipfile.BadZipFile as error:
            raise _PhaseError("CLIENT_ERROR", f"{bucket}/{key} is not a zip file") from error

    def _environment(self, spec: buildspec.Buildspec, credentials: dict[str, str]) -> dict[str, str]:
        """Variables of the build. The project's win over the buildspec's, as on AWS."""
        variables = self.project["environment"].get("environmentVariables") or []
        for variable in variables:
            if variable.get("type", "PLAINTEXT") != "PLAINTEXT":
                raise _PhaseError(
                    "CLIENT_ERROR", f"variable {variable['name']}: type {variable['type']} is not supported here"
                )
        home, scratch = self.folder / "home", self.folder / "tmp"
        home.mkdir()
        scratch.mkdir()
        location = self.project["source"].get("location", "")
        return {
            "PATH": f"{_BIN}:{Path(sys.executable).parent}:/usr/local/bin:/usr/bin:/bin",
            "LANG": "C.UTF-8",
            "HOME": str(home),
            "TMPDIR": str(scratch),
            **clients.environment(self.settings),
            **roles.environment(credentials, self.region, self.settings),
            **spec.variables,
            **{variable["name"]: variable["value"] for variable in variables},
            "CODEBUILD_BUILD_ID": self.build["id"],
            "CODEBUILD_BUILD_ARN": self.build["arn"],
            "CODEBUILD_BUILD_NUMBER": str(self.build["buildNumber"]),
            "CODEBUILD_BUILD_IMAGE": self.project["environment"].get("image", ""),
            "CODEBUILD_INITIATOR": self.build["initiator"],
            "CODEBUILD_LOG_PATH": self.build["logs"]["streamName"],
            "CODEBUILD_RESOLVED_SOURCE_VERSION": self.build.get("resolvedSourceVersion", ""),
            "CODEBUILD_SOURCE_REPO_URL": location,
            "CODEBUILD_SOURCE_VERSION": self.build.get("sourceVersion", ""),
            "CODEBUILD_SRC_DIR": str(self.source),
            "CODEBUILD_START_TIME": str(int(self.build["startTime"] * 1000)),
            "LOCKGATE_NOT_PERFORMED": str(self.folder / "not_performed"),
        }

    def _commands(
        self, spec: buildspec.Buildspec, phase: str, environment: dict[str, str], log: Callable[[str], None]
    ) -> None:
        log(f"[Container] Entering phase {phase.upper()}")
        try:
            self._shell(spec.shell, phase, spec.commands[phase], environment, log)
        finally:
            if not self.ended:
                self._shell(spec.shell, f"{phase}-finally", spec.finally_[phase], environment, log)

    def _shell(
        self, shell: str, name: str, commands: Sequence[str], environment: dict[str, str], log: Callable[[str], None]
    ) -> None:
        """Run commands in one shell, which takes over working folder and exported variables of the shell before."""
        if not commands:
            return
        for number, command in enumerate(commands):
            (self.folder / f"{name}.{number}").write_text(command + "\n")
        script = self.folder / f"{name}.sh"
        script.write_text(_script(self.folder, self.source, name, len(commands), self.succeeding))
        recorded.note("codebuild", "builds run as processes of this user, not in the project's build image")
        read, write = os.pipe()
        with self.lock:
            if self.ended:
                raise _EndedError(self.ended)
            self.process = containers.spawn(
                [shell, str(script)], cwd=self.source, environment=environment, output=write
            )
        os.close(write)
        with os.fdopen(read, errors="replace") as lines:
            for line in lines:
                log(line.rstrip("\n"))
        code = self.process.wait()
        self.process = None
        if self.ended:
            raise _EndedError(self.ended)
        if code != 0:
            command = commands[int((self.folder / "command").read_text())]
            reason = f"Error while executing command: {command}. Reason: exit status {code}"
            log(f"[Container] Command did not exit successfully {command} exit status {code}")
            raise _PhaseError("COMMAND_EXECUTION_ERROR", reason)

    def _collect(self, spec: buildspec.Buildspec) -> None:
        """Exported variables as the last shell left them, and what the build's tools said they did not perform."""
        file = self.folder / "environment"
        if file.exists():
            dump = subprocess.run(
                ["sh", "-c", '. "$1"; env -0', "sh", str(file)],
                capture_output=True,
                check=True,
                env={"PATH": "/usr/bin:/bin"},
            ).stdout.decode()
            values = dict(entry.split("=", 1) for entry in dump.split("\0") if "=" in entry)
            self.build["exportedEnvironmentVariables"] = [
                {"name": name, "value": values[name]} for name in spec.exported if name in values
            ]
        notes = self.folder / "not_performed"
        for line in notes.read_text().splitlines() if notes.exists() else ():
            recorded.note("codebuild", line)

    @contextmanager
    def _phase(self, name: str) -> Iterator[None]:
        if self.ended:
            raise _EndedError(self.ended)
        self._begin_phase(name)
        try:
            yield
        except _PhaseError as error:
            self._finish_phase("FAILED", {"statusCode": error.code, "message": str(error)})
            raise
        except _EndedError as error:
            self._finish_phase(str(error))
            raise
        self._finish_phase("SUCCEEDED")

    def _begin_phase(self, name: str) -> None:
        self.build["currentPhase"] = name
        self.build["phases"].append({"phaseType": name, "startTime": CLOCK.now()})

    def _finish_phase(self, status: str, context: dict[str, str] | None = None) -> None:
        phase, now = self.build["phases"][-1], CLOCK.now()
        phase |= {"phaseStatus": status, "endTime": now, "durationInSeconds": round(now - phase["startTime"])}
        phase["contexts"] = [context] if context else []


def _script(folder: Path, source: Path, name: str, commands: int, succeeding: bool) -> str:
    """Each command in a file of its own, run in the same shell; the first that fails ends it."""
    state, place = folder / "environment", folder / "folder"
    lines = [
        f'trap \'export -p > "{state}"; pwd > "{place}"\' EXIT',
        f'[ ! -f "{state}" ] || . "{state}"',
        f"export CODEBUILD_BUILD_SUCCEEDING={int(succeeding)}",
        f'cd "$(cat "{place}" 2>/dev/null || echo "{source}")" || exit 1',
    ]
    for number in range(commands):
        lines.append(f'echo {number} > "{folder / "command"}"')
        lines.append(f'. "{folder / name}.{number}"; __status=$?; [ $__status -eq 0 ] || exit $__status')
    return "\n".join(lines) + "\n"
