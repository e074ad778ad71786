"""The main job on the embedded AWS: a commit reaches production, a worse one is refused.

It only starts and ends the emulator, calls cdk, git and lockgate, and reads what they say.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from local import embedded
from local.github import push_to
from local.settings import Settings, default_state
from lockgate.configuration.project import Configuration, read_configuration
from lockgate.configuration.tools import read_tools
from lockgate.errors import LockgateError

ROOT = Path(__file__).parent.parent
MODEL_FILE = Path("model/employment/model.toml")
APPROVER = "grace"


class StepError(LockgateError):
    """A command of the demo did not end as it should."""


class Demo:
    """One run: the embedded AWS, the folder for logs and the scratch clone, and each step's time (seconds).

    root: the project that is deployed.
    """

    def __init__(self, configuration: Configuration, settings: Settings, build: Path, root: Path = ROOT) -> None:
        self.root = root
        self.configuration = configuration
        self.settings = settings
        self.build = build
        self.clone = build / "clone"
        self.accounts = {"tools": configuration.tools.account}
        self.accounts |= {environment.name: environment.account for environment in configuration.environments}
        if configuration.tools.anchored and configuration.tools.anchor_account not in self.accounts.values():
            self.accounts["anchor"] = configuration.tools.anchor_account
        self.seconds: dict[str, float] = {}
        self._running: set[subprocess.Popen[bytes]] = set()
        self._session: embedded.Session | None = None

    @property
    def session(self) -> embedded.Session:
        if self._session is None:
            raise StepError("the embedded AWS is not up yet")
        return self._session

    def start(self) -> None:
        if embedded.stop(self.settings.state):
            print("    the embedded AWS of an earlier run was ended")
        self._session = embedded.start(self.settings, self.accounts)

    @contextmanager
    def step(self, name: str) -> Iterator[None]:
        print(f"\n{len(self.seconds) + 1:2}. {name}", flush=True)
        begin = time.monotonic()
        yield
        self.seconds[name] = time.monotonic() - begin
        print(f"    {self.seconds[name]:.1f} s", flush=True)

    def call(
        self,
        *command: str,
        cwd: Path | None = None,
        environment: Mapping[str, str | None] | None = None,
        expect: Sequence[int] = (0,),
        show: bool = False,
    ) -> tuple[int, str]:
        """Run a command: its output goes to a log, its standard error is shown as it comes when `show`.

        environment: variables to set, or with None to leave out.

        Raises StepError with the log's end when the exit code is none of `expect`.
        """
        log = self.build / f"{Path(command[0]).name}-{command[1]}-{time.monotonic_ns()}.log"
        process = subprocess.Popen(
            command,
            cwd=cwd or self.root,
            env={name: value for name, value in {**os.environ, **(environment or {})}.items() if value is not None},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT if not show else subprocess.PIPE,
            start_new_session=True,
        )
        self._running.add(process)
        try:
            with process:  # which closes its ends of the pipes
                output = self._relay(process, log, show)
        finally:
            self._running.discard(process)
        if process.returncode not in expect:
            tail = "\n  ".join(log.read_text(errors="replace").splitlines()[-15:])
            raise StepError(f"`{' '.join(command)}` ended with {process.returncode}; {log} ends with:\n  {tail}")
        return process.returncode, output

    @staticmethod
    def _relay(process: subprocess.Popen[bytes], log: Path, show: bool) -> str:
        with log.open("w") as written, ThreadPoolExecutor(1) as pool:
            assert process.stdout is not None  # noqa: S101 - a pipe was asked for
            output = pool.submit(process.stdout.read)
            if process.stderr is not None:
                for line in process.stderr:
                    text = line.decode(errors="replace")
                    written.write(text)
                    if show and not text.startswith("lockgate: on the embedded AWS"):
                        print("   " + text.rstrip(), flush=True)
            process.wait()
            said = output.result().decode(errors="replace")
            written.write(said)
        return said

    def lockgate(self, *arguments: str, profile: str = "ada", **options: Any) -> tuple[int, str]:
        environment = {**self.session.environment(profile), **options.pop("environment", {})}
        return self.call("lockgate", *arguments, environment=environment, **options)

    def cdk(self, *arguments: str, profile: str = "ada", cwd: Path | None = None) -> None:
        self.call("cdk", *arguments, "--no-notices", cwd=cwd, environment=self.session.cdk_environment(profile))

    def end(self) -> None:
        """End every command that still runs, and the embedded AWS."""
        for process in list(self._running):
            with suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGTERM)
        embedded.stop(self.settings.state)


def prepare(demo: Demo) -> None:
    """Start the emulator while the templates are synthesized; they do not need each other."""
    with ThreadPoolExecutor(2) as pool:
        started = pool.submit(demo.start)
        output = str(demo.build / "cdk.out")
        command = ("cdk", "synth", "--quiet", "--no-notices", "--output", output)
        # The checks of cdk-nag take as long again and are the tests' business.
        synth = pool.submit(demo.call, *command, environment={"CDK_VALIDATION": "false"})
        started.result()
        synth.result()


def set_up(demo: Demo) -> None:
    """Prepare and deploy each account by its own administrator, since no account trusts another.

    The evaluator is built, and the data snapshot published, as soon as tools are there.
    """
    of_account: dict[str, list[str]] = {}  # environments may share an account
    for stage, account in demo.configuration.stages.items():
        of_account.setdefault(account, []).append(stage)
    with ThreadPoolExecutor(3) as pool:
        done = [pool.submit(_set_up_account, demo, found) for found in of_account.values()]
        for each in done:
            each.result()


def _set_up_account(demo: Demo, stages: Sequence[str]) -> None:
    """`lockgate bootstrap`, so that what CloudFormation may do there is narrow, and `cdk deploy`."""
    assembly = str(demo.build / "cdk.out")
    name = next(stage for stage in stages if stage in demo.accounts)  # the anchor may share an environment's account
    environment = demo.session.cdk_environment(name)
    demo.lockgate("bootstrap", name, "--assembly", assembly, environment=environment)
    options = ("--app", assembly, "--require-approval", "never", "--concurrency", "4", "--progress", "events")
    sharing = {each.name for each in demo.configuration.environments if each.edge != each.name}
    for turn in ([each for each in stages if each not in sharing], [each for each in stages if each in sharing]):
        if turn:  # what is shared comes first
            demo.cdk("deploy", *(f"{stage}/*" for stage in turn), *options, profile=name)
    if "tools" in stages:
        demo.lockgate("bootstrap", "tools", "--evaluator", show=True)
        demo.lockgate("snapshot")


def commit(demo: Demo, message: str) -> str:
    """Commit what changed in the scratch clone; the commit's hash."""
    identity = ["-c", "user.name=ada", "-c", "user.email=ada@example.com", "-c", "commit.gpgsign=false"]
    git(demo.clone, *identity, "commit", "--quiet", "--all", "--allow-empty", "--message", message)
    return git(demo.clone, "rev-parse", "HEAD").strip()


def git(folder: Path, *arguments: str) -> str:
    done = subprocess.run(["git", *arguments], cwd=folder, capture_output=True, text=True, check=False)
    if done.returncode:
        raise StepError(f"git {arguments[0]}: {done.stderr.strip()}")
    return done.stdout


def deliver(demo: Demo, sha: str, *options: str) -> None:
    """As the GitHub workflow does: with nothing but the run's own identity."""
    run = demo.session.github(push_to(demo.configuration.tools.github, sha))
    demo.lockgate("deliver", sha, *options, cwd=demo.clone, environment={**run, "AWS_PROFILE": None}, show=True)


def follow(demo: Demo, sha: str, expect: int) -> int:
    """Follow a commit to the given ending; the version that it became."""
    command = ("follow", sha, "--json", "--timeout", "600")
    _, output = demo.lockgate(*command, cwd=demo.clone, expect=(expect,), show=True)
    return int(json.loads(output)["version"])


def replay(demo: Demo, environments: Sequence[str], version: int) -> None:
    for environment in environments:
        _, output = demo.lockgate("replay", environment, "--json")
        facts = json.loads(output)
        if facts["version"] != str(version):
            raise StepError(f"{environment} serves version {facts['version']}, expected {version}")
        print(f"   {environment:<10} version {version}: {facts['equal']} of {facts['rows']} answers equal evaluation's")


def first_release(demo: Demo) -> int:
    """Everything from nothing to a version that is live everywhere; its number."""
    last = demo.configuration.tools.promotion[-1]
    with demo.step("start the embedded AWS (TLS, IAM enforced), and synthesize the stacks"):
        prepare(demo)
    accounts = f"{len(set(demo.accounts.values()))} account(s) at the same time"
    with demo.step(f"lockgate bootstrap and cdk deploy, {accounts}; then the evaluator and the data snapshot"):
        set_up(demo)
    with demo.step("a first commit: deliver it, and let the system do the rest"):
        git(demo.root, "clone", "--quiet", str(demo.root), str(demo.clone))
        first = commit(demo, "The first model")
        deliver(demo, first)
        version = follow(demo, first, expect=4)
    with demo.step(f"{APPROVER} approves it for {last}"):
        demo.lockgate("approve", str(version), "--env", last, "--reason", "tried in staging", profile=APPROVER)
        follow(demo, first, expect=0)
    return version


def main_job(demo: Demo) -> int:
    """The whole demo; the version that is live everywhere at its end."""
    environments = list(demo.configuration.tools.promotion)
    version = first_release(demo)
    with demo.step("ask every service for the rows that evaluation recorded"):
        replay(demo, environments, version)
    with demo.step("a second commit makes the model worse: it must be refused"):
        file = demo.clone / MODEL_FILE
        file.write_text(worse(file.read_text()))
        second = commit(demo, "Train faster")
        deliver(demo, second)
        follow(demo, second, expect=3)
    with demo.step(f"{environments[-1]} still serves the first"):
        replay(demo, environments[-1:], version)
    return version


def worse(model: str) -> str:
    """The model's parameters with one tree of two leaves instead of a hundred: faster, and better than chance still."""
    for parameter, value in (("max_iter = 100", "max_iter = 1"), ("max_leaf_nodes = 31", "max_leaf_nodes = 2")):
        if parameter not in model:
            raise StepError(f"{MODEL_FILE}: expected the line `{parameter}`, which the second commit changes")
        model = model.replace(parameter, value)
    return model


def to_traffic(demo: Demo, version: int) -> list[str]:
    """How long each environment took from the decision to all traffic, by the ledger's own times."""
    records = json.loads(demo.lockgate("explain", str(version), "--json")[1])["records"]
    took = [(record["environment"], record["to_traffic"]) for record in records if "to_traffic" in record]
    return [f"{found['seconds']:6.1f} s  {environment}, from its {found['after']}" for environment, found in took]


def summary(demo: Demo, version: int) -> None:
    print("\n" + "=" * 78)
    print(demo.lockgate("status")[1])
    print("How long it took")
    for name, seconds in demo.seconds.items():
        print(f"  {seconds:6.1f} s  {name}")
    print(f"  {sum(demo.seconds.values()):6.1f} s  in all")
    print("\nFrom a passing verdict, or the approval, to all traffic, by the embedded AWS's clock, which skips waits")
    for line in to_traffic(demo, version):
        print(f"  {line}")
    recorded = json.loads(demo.session.settings.recorded_file.read_text())
    print("\nWhat the embedded AWS only recorded, and real AWS would do")
    for service, notes in recorded.items():
        for note in notes:
            print(f"  {service}: {note}")
    print("\nThe embedded AWS is running. Try:")
    for command in ("lockgate status", "lockgate explain 2", "lockgate replay prod"):
        print(f"  .venv/bin/{command}")
    print("  make down")
    (demo.build / "steps.json").write_text(json.dumps(demo.seconds, indent=2) + "\n")


def project_with(environments: Path, build: Path) -> Path:
    """This project, as it is committed, with other files in environments/ and its own evaluator.

    Callers' names become such as the certificate of the embedded AWS is for.
    """
    root = build / "project"
    git(ROOT, "clone", "--quiet", str(ROOT), str(root))
    pinned = read_tools(root / "environments" / "tools.toml").evaluator_image_digest
    for file in (root / "environments").glob("*.toml"):
        file.unlink()
    for file in environments.glob("*.toml"):
        text = re.sub(r"sha256:0{64}", pinned, file.read_text())
        text = re.sub(r'host = "([a-z.]+)\.example\.com"', lambda found: f'host = "{_certified(found[1])}"', text)
        (root / "environments" / file.name).write_text(text)
    git(root, "add", "environments")
    identity = ["-c", "user.name=ada", "-c", "user.email=ada@example.com", "-c", "commit.gpgsign=false"]
    git(root, *identity, "commit", "--quiet", "--message", "Other environments")
    return root


def _certified(name: str) -> str:
    return f"{name.replace('.', '-')}.us-east-1.elb.amazonaws.com"


def clear(build: Path) -> None:
    """An empty folder for this run; a folder that no demo made is left alone."""
    mark = build / "made-by-the-demo"
    if build.exists() and not mark.exists():
        raise StepError(f"--build {build}: is there and was not made by the demo; name a new folder")
    shutil.rmtree(build, ignore_errors=True)
    build.mkdir(parents=True)
    mark.touch()


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m demo", description=__doc__)
    parser.add_argument("--port", type=int, default=4566, help="gateway port; the next two are used as well (4566)")
    parser.add_argument("--build", type=Path, default=ROOT / "build" / "demo", help="folder for logs and the clone")
    parser.add_argument("--environments", type=Path, help="folder with other files than those of environments/")
    arguments = parser.parse_args()
    arguments.build = arguments.build.resolve()  # commands run in other folders
    for ending in (signal.SIGINT, signal.SIGTERM):  # a shell starts what it puts in the background deaf to SIGINT
        signal.signal(ending, signal.default_int_handler)
    demo: Demo | None = None
    try:
        clear(arguments.build)
        root = project_with(arguments.environments, arguments.build) if arguments.environments else ROOT
        configuration = read_configuration(root)
        port, region = arguments.port, configuration.tools.region
        demo = Demo(configuration, Settings(default_state(), port, port + 1, port + 2, region), arguments.build, root)
        summary(demo, main_job(demo))
    except (KeyboardInterrupt, LockgateError, OSError) as error:
        if demo is not None:
            demo.end()
        interrupted = isinstance(error, KeyboardInterrupt)
        print(f"\ndemo: {'interrupted; nothing is left running' if interrupted else error}", file=sys.stderr)
        return 130 if interrupted else 1
    return 0
