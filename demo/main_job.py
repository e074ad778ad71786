"""The main job on the embedded AWS: a commit reaches production, a worse one is refused.

It is shown for the models of any project: this one's, one that `--model` names, or those of another folder. It only
starts and ends the emulator, calls cdk, git and lockgate, and reads what they say.

An error leaves everything as it is, so that one can look. Whoever interrupts it leaves nothing running.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import shlex
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
from local.settings import HOST, Settings, default_state
from lockgate.configuration.model import model_named
from lockgate.configuration.project import Configuration, read_configuration
from lockgate.configuration.tools import read_tools
from lockgate.errors import LockgateError
from lockgate.release.request import example_row

APPROVER = "grace"
LIVE, REFUSED, WAITING = 0, 3, 4  # how `lockgate follow` ends
IDENTITY = ("-c", "user.name=ada", "-c", "user.email=ada@example.com", "-c", "commit.gpgsign=false")
# What makes a model worse where its parameters are not known: it learns from targets of other rows.
SHUFFLED = """

_train_on_the_truth = train


def train(rows, target, model):
    \"\"\"The second commit of the demo: each row gets the target of another.\"\"\"
    shuffled = target.sample(frac=1, random_state=0).set_axis(target.index)
    return _train_on_the_truth(rows, shuffled, model)
"""


class StepError(LockgateError):
    """A command of the demo did not end as it should."""


class Demo:
    """One run: the embedded AWS, the folder for logs and the scratch clone, and each step's time (seconds).

    root: the project that is deployed, with the files that [data] of its models names. models: those that are
    delivered, the project's own where none is named.
    """

    def __init__(
        self, configuration: Configuration, settings: Settings, build: Path, root: Path, models: Sequence[str] = ()
    ) -> None:
        self.root = root
        self.configuration = configuration
        self.models = tuple(dict.fromkeys(each for name in models for each in configuration.named(name)))
        self.models = self.models or configuration.named(None)
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

    @property
    def environments(self) -> tuple[str, ...]:
        return self.configuration.tools.promotion

    @property
    def one_by_one(self) -> list[tuple[str, ...]]:
        """Options of a command that takes all models at once, or one: what to call it with, for those of this run."""
        if self.models == self.configuration.named(None):
            return [()]
        return [("--model", model) for model in self.models]

    @property
    def running(self) -> bool:
        """Whether the embedded AWS was started."""
        return self._session is not None

    def start(self) -> None:
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

    def facts(self, *arguments: str, expect: Sequence[int] = (0,), **options: Any) -> tuple[int, Any]:
        """How a command ended and what it says as JSON."""
        code, output = self.lockgate(*arguments, "--json", expect=expect, **options)
        return code, json.loads(output)

    def stop_commands(self) -> None:
        """End every command that still runs."""
        for process in list(self._running):
            with suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGTERM)

    def end(self) -> None:
        """The same, and the embedded AWS."""
        self.stop_commands()
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
        for of_models in demo.one_by_one:
            demo.lockgate("snapshot", *of_models)


def commit(demo: Demo, message: str) -> str:
    """Commit what changed in the scratch clone; the commit's hash."""
    git(demo.clone, *IDENTITY, "commit", "--quiet", "--all", "--allow-empty", "--message", message)
    return git(demo.clone, "rev-parse", "HEAD").strip()


def git(folder: Path, *arguments: str) -> str:
    done = subprocess.run(["git", *arguments], cwd=folder, capture_output=True, text=True, check=False)
    if done.returncode:
        raise StepError(f"git {' '.join(arguments)} in {folder}: {done.stderr.strip()}")
    return done.stdout


def refuse_without_approver(configuration: Configuration) -> None:
    """Raise StepError where somebody has to approve, and those whom the embedded AWS has are nobody there."""
    known = {user for person in configuration.tools.persons for user in person.users}
    if any(each.approvals for each in configuration.environments) and not {"ada", APPROVER} <= known:
        raise StepError(
            f"environments/tools.toml: persons: found users {', '.join(sorted(known)) or 'none'}, expected ada and "
            f"{APPROVER} among them, who deliver and approve on the embedded AWS: name a folder with other "
            "environments than your real ones: make demo ENVIRONMENTS=..."
        )


def cloned(root: Path, folder: Path, models: Sequence[str]) -> None:
    """The project as it is committed. Raises StepError where it has no commit, or none with these models."""
    if not (root / ".git").exists():
        raise StepError(f"{root}: found no git repository, expected one: commits are delivered: `git init`, and commit")
    git(root, "clone", "--quiet", str(root), str(folder))
    for model in models:
        if not (folder / "model" / model / "model.toml").is_file():
            raise StepError(f"model/{model}: is in no commit, and commits are delivered: `git add model`, and commit")


def deliver(demo: Demo, sha: str, *options: str) -> None:
    """As the GitHub workflow does: with nothing but the run's own identity."""
    run = demo.session.github(push_to(demo.configuration.tools.github, sha))
    demo.lockgate("deliver", sha, *options, cwd=demo.clone, environment={**run, "AWS_PROFILE": None}, show=True)


def follow(demo: Demo, sha: str, model: str, *expect: int) -> tuple[int, int]:
    """Follow a commit to an ending that is expected; the ending, and the version that it became."""
    command = ("follow", sha, "--model", model, "--timeout", "600")
    ending, facts = demo.facts(*command, cwd=demo.clone, expect=expect, show=True)
    return ending, int(facts["version"])


def approve(demo: Demo, sha: str, model: str, version: int) -> int:
    """Approve a version wherever it waits for somebody, until it waits no longer; how it ended."""
    for _ in demo.environments:
        waiting = demo.facts("status", "--model", model)[1]["waiting"]
        for environment in [entry["environment"] for entry in waiting if int(entry["version"]) == version]:
            of = ("--env", environment, "--model", model, "--reason", f"tried before {environment}")
            demo.lockgate("approve", str(version), *of, profile=APPROVER)
        ending, _ = follow(demo, sha, model, LIVE, REFUSED, WAITING)
        if ending != WAITING:
            return ending
    raise StepError(f"{model} version {version}: still waits for an approval, after {APPROVER} approved everywhere")


def replay(demo: Demo, environments: Sequence[str], versions: Mapping[str, int]) -> None:
    for model, version in versions.items():
        for environment in environments:
            _, facts = demo.facts("replay", environment, "--model", model)
            if facts["version"] != str(version):
                served = f"{environment} serves version {facts['version']} of {model}"
                raise StepError(f"{served}, expected {version}")
            name = f"{environment:<10} {model} " if len(demo.configuration.models) > 1 else f"{environment:<10} "
            print(f"   {name}version {version}: {facts['equal']} of {facts['rows']} answers equal evaluation's")


def first_release(demo: Demo) -> dict[str, int]:
    """Everything from nothing to versions that are live everywhere; their numbers. What was refused is left out."""
    refuse_without_approver(demo.configuration)
    with demo.step("start the embedded AWS (TLS, IAM enforced), and synthesize the stacks"):
        cloned(demo.root, demo.clone, demo.models)
        prepare(demo)
    accounts = f"{len(set(demo.accounts.values()))} account(s) at the same time"
    with demo.step(f"lockgate bootstrap and cdk deploy, {accounts}; then the evaluator and the data snapshot"):
        set_up(demo)
    endings = {}
    with demo.step("a first commit: deliver it, and let the system do the rest"):
        first = commit(demo, "The first model")
        for options in demo.one_by_one:
            deliver(demo, first, *options)
        for model in demo.models:
            endings[model] = follow(demo, first, model, LIVE, REFUSED, WAITING)
    waiting = {model: version for model, (ending, version) in endings.items() if ending == WAITING}
    if waiting:
        with demo.step(f"{APPROVER} approves it for {demo.environments[-1]}"):
            for model, version in waiting.items():
                endings[model] = approve(demo, first, model, version), version
    for model, (ending, version) in endings.items():
        if ending == REFUSED:
            print(f"    {model} version {version} was refused: `{explain(demo, model, version)}` says by what")
    return {model: version for model, (ending, version) in endings.items() if ending == LIVE}


def main_job(demo: Demo) -> dict[str, int]:
    """The whole demo; the versions that are live everywhere at its end."""
    versions = first_release(demo)
    if not versions:
        return versions
    with demo.step("ask every service for the rows that evaluation recorded"):
        replay(demo, demo.environments, versions)
    model = next(iter(versions))
    worse = "the model" if len(demo.models) == 1 else model
    with demo.step(f"a second commit makes {worse} worse: it must be refused"):
        print(f"    {worsen(demo.clone / 'model' / model)}")
        second = commit(demo, "Train faster")
        for options in demo.one_by_one:
            deliver(demo, second, *options)
        # Not every policy finds what is wrong with it, which is worth saying and no fault of the demo's.
        ending, found = follow(demo, second, model, LIVE, REFUSED, WAITING)
    if ending != REFUSED:
        print(f"    it was let through: no rule of model/{model}/policy.toml finds that version {found} learned less")
        return versions
    with demo.step(f"{demo.environments[-1]} still serves the first"):
        replay(demo, demo.environments[-1:], versions)
    return versions


def worsen(folder: Path) -> str:
    """Change a model so that it learns less, or nothing; what was done.

    The example gets one tree of two leaves instead of a hundred: it is faster, and better than chance still.
    """
    file, changes = (
        folder / "model.toml",
        {"max_iter = 100": "max_iter = 1", "max_leaf_nodes = 31": "max_leaf_nodes = 2"},
    )
    text = file.read_text(encoding="utf-8")
    if all(found in text for found in changes):
        for found, wanted in changes.items():
            text = text.replace(found, wanted)
        file.write_text(text, encoding="utf-8")
        return f"in {folder.name}/model.toml, one tree of two leaves instead of a hundred"
    code = folder / "train.py"
    code.write_text(code.read_text(encoding="utf-8") + SHUFFLED, encoding="utf-8")
    return f"in {folder.name}/train.py, it trains on shuffled targets, of which nothing can be learned"


def to_traffic(demo: Demo, model: str, version: int) -> list[str]:
    """How long each environment took from the decision to all traffic, by the ledger's own times."""
    records = demo.facts("explain", str(version), "--model", model)[1]["records"]
    took = [(record["environment"], record["to_traffic"]) for record in records if "to_traffic" in record]
    of = f" of {model}" if len(demo.models) > 1 else ""
    return [f"{found['seconds']:6.1f} s  {environment}{of}, from its {found['after']}" for environment, found in took]


def summary(demo: Demo, versions: Mapping[str, int]) -> None:
    print("\n" + "=" * 78)
    print(demo.lockgate("status")[1])
    print("How long it took")
    for name, seconds in demo.seconds.items():
        print(f"  {seconds:6.1f} s  {name}")
    print(f"  {sum(demo.seconds.values()):6.1f} s  in all")
    print("\nFrom a passing verdict, or the approval, to all traffic, by the embedded AWS's clock, which skips waits")
    for model, version in versions.items():
        for line in to_traffic(demo, model, version):
            print(f"  {line}")
    print(f"\nWhat the embedded AWS only recorded, and real AWS would do: {demo.settings.recorded_file}")
    print("\nThe embedded AWS is running, until `make down`. Try:")
    model = next(iter(versions), demo.models[0])
    if versions:
        print(f"  {request(demo, model)}")
    for command in ("lockgate status", explain(demo, model, 2 if versions else 1)):
        print(f"  .venv/bin/{command}")
    (demo.build / "steps.json").write_text(json.dumps(demo.seconds, indent=2) + "\n")


def explain(demo: Demo, model: str, version: int) -> str:
    return f"lockgate explain {version}{f' --model {model}' if len(demo.configuration.models) > 1 else ''}"


def request(demo: Demo, model: str) -> str:
    """What a caller types for a prediction in the first environment, with a row that keeps to the data contract."""
    status = demo.facts("status", "--model", model)[1]
    url = status["environments"][demo.environments[0]]["models"][model]["live"]["url"]
    row = example_row(model_named(demo.configuration.models, model))
    settings = demo.settings
    way = ("--proxy", f"http://{HOST}:{settings.proxy_port}", "--cacert", str(settings.ca_bundle))
    body = ("--header", "content-type: application/json", "--data", json.dumps({"instances": [row]}))
    return shlex.join(("curl", "--silent", *way, *body, f"{url}/invocations"))


def project_with(environments: Path, root: Path, build: Path) -> Path:
    """A project, as it is committed, with other files in environments/ and its own evaluator.

    Callers' names become such as the certificate of the embedded AWS is for. Data need not be in a commit.
    """
    of, root = root, build / "project"
    cloned(of, root, ())
    for model in read_configuration(of).models:
        for name in (model.train_data, model.holdout_data):
            if not (root / name).exists() and (of / name).is_file():
                (root / name).parent.mkdir(parents=True, exist_ok=True)
                shutil.copy(of / name, root / name)
    pinned = read_tools(root / "environments" / "tools.toml").evaluator_image_digest
    for file in (root / "environments").glob("*.toml"):
        file.unlink()
    for file in environments.glob("*.toml"):
        text = re.sub(r"sha256:0{64}", pinned, file.read_text())
        text = re.sub(r'host = "([a-z.]+)\.example\.com"', lambda found: f'host = "{_certified(found[1])}"', text)
        (root / "environments" / file.name).write_text(text)
    git(root, "add", "environments")
    git(root, *IDENTITY, "commit", "--quiet", "--message", "Other environments")
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
    parser.add_argument("--root", type=Path, default=Path.cwd(), help="the project (this folder)")
    parser.add_argument("--model", nargs="*", default=[], help="deliver these models only (all of the project)")
    parser.add_argument("--port", type=int, help="gateway port; the next two are used as well (4566, or what is free)")
    parser.add_argument("--build", type=Path, help="folder for logs and the clone (build/demo of the project)")
    parser.add_argument("--environments", type=Path, help="folder with other files than those of environments/")
    arguments = parser.parse_args()
    root = arguments.root.resolve()  # commands run in other folders
    build = (arguments.build or root / "build" / "demo").resolve()
    for ending in (signal.SIGINT, signal.SIGTERM):  # a shell starts what it puts in the background deaf to SIGINT
        signal.signal(ending, signal.default_int_handler)
    demo: Demo | None = None
    state = default_state()
    try:
        configuration = read_configuration(root)  # first: in a folder that is no project nothing is made
        clear(build)
        if arguments.environments:
            root = project_with(arguments.environments, root, build)
            configuration = read_configuration(root)
        if embedded.stop(state):
            print("the embedded AWS of an earlier run was ended")
        port, region = embedded.free_port(arguments.port), configuration.tools.region
        demo = Demo(configuration, Settings(state, port, port + 1, port + 2, region), build, root, arguments.model)
        versions = main_job(demo)
        summary(demo, versions)
    except KeyboardInterrupt:
        if demo is not None:
            demo.end()
        print("\ndemo: interrupted; nothing is left running", file=sys.stderr)
        return 130
    except (LockgateError, OSError) as error:
        print(f"\ndemo: {error}", file=sys.stderr)
        if demo is not None:
            demo.stop_commands()
            if demo.running:
                print(how_to_look(demo), file=sys.stderr)
        return 1
    return 0 if set(versions) == set(demo.models) else REFUSED


def how_to_look(demo: Demo) -> str:
    """What to do after an error, which leaves everything as it was."""
    return (
        "The embedded AWS is running as the error left it. `.venv/bin/lockgate status` says what is there; the logs of "
        f"the demo's commands are in {demo.build}, and those of the embedded AWS in {demo.settings.logs}; `make down` "
        "ends it, and `make demo` begins anew."
    )
