"""Promotions under faults, on embedded AWSes of their own: `make faults`.

Each run promotes a registered version through every environment; its faults follow from its seed. Prints what was
injected and how the runs ended; the exit code is 1 when anything was lost. The same seeds meet the same faults, as far
as the order of things on a machine allows.
"""

from __future__ import annotations

import argparse
import json
import shutil
import signal
import subprocess
import sys
import time
from collections import Counter
from pathlib import Path
from typing import Any

from bench.faults import plan
from bench.faults.check import BREACHES, LOST, breaches
from bench.faults.runs import Run, run
from bench.faults.shorter import with_short_canaries
from bench.faults.world import Administrators
from demo import main_job as demonstration
from local.settings import Settings
from lockgate import clock
from lockgate.configuration.project import read_configuration

ROOT = Path(__file__).resolve().parents[2]
PORTS = 3  # of an embedded AWS
DECISIONS = 5000  # that the holdout of a run's project serves: each run takes one an environment


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m bench.faults", description=__doc__)
    parser.add_argument("--runs", type=int, default=200)
    parser.add_argument("--seed", type=int, default=1, help="of the first run; the next ones follow")
    parser.add_argument("--workers", type=int, default=3, help="embedded AWSes at once")
    parser.add_argument("--minutes", type=float, default=60, help="after which no further run begins")
    parser.add_argument("--port", type=int, default=4610, help="first port; each worker takes three")
    parser.add_argument("--build", type=Path, default=ROOT / "build" / "faults")
    parser.add_argument("--json", type=Path, default=ROOT / "build" / "bench" / "faults.json", help="where facts go")
    given = parser.parse_args()
    given.build = given.build.resolve()  # other processes, in other folders, are told of it
    for ending in (signal.SIGINT, signal.SIGTERM):  # its embedded AWS is not left running
        signal.signal(ending, signal.default_int_handler)
    begin = time.monotonic()
    facts = work(given) if given.workers == 1 else share(given)
    facts["minutes"] = round((time.monotonic() - begin) / 60, 1)
    given.json.parent.mkdir(parents=True, exist_ok=True)
    given.json.write_text(json.dumps(facts, indent=2) + "\n")
    print("\n".join(report(facts)))
    return 1 if any(facts["breaches"].values()) or len(facts["runs"]) < given.runs else 0


def share(given: argparse.Namespace) -> dict[str, Any]:
    """The runs, split among workers that each have an embedded AWS."""
    started = []
    for number in range(given.workers):
        first, last = (given.runs * part // given.workers for part in (number, number + 1))
        options = {
            "runs": last - first,
            "seed": given.seed + first,
            "minutes": given.minutes,
            "port": given.port + PORTS * number,
            "build": given.build / str(number),
            "json": given.build / f"{number}.json",
        }
        words = [word for name, value in options.items() for word in (f"--{name}", str(value))]
        command = [sys.executable, "-m", "bench.faults", "--workers", "1", *words]
        given.build.mkdir(parents=True, exist_ok=True)
        log = (given.build / f"{number}.log").open("w")
        started.append((subprocess.Popen(command, cwd=ROOT, stdout=log, stderr=log), options["json"], log))
    runs: list[Any] = []
    found: dict[str, list[str]] = {kind: [] for kind in BREACHES}
    for process, file, log in started:
        process.wait()
        log.close()
        if not Path(str(file)).exists():
            found[LOST].append(f"a worker died: see {log.name}")
            continue
        facts = json.loads(Path(str(file)).read_text())
        runs += facts["runs"]
        for kind, said in facts["breaches"].items():
            found[kind] += said
    return {"runs": runs, "breaches": found}


def work(given: argparse.Namespace) -> dict[str, Any]:
    """The runs, one after another, on one embedded AWS."""
    given.json.unlink(missing_ok=True)
    demo = deployed(given)
    try:
        return promote_all(Administrators(demo.session, demo.configuration), given, second_version(demo))
    finally:
        demo.end()


def promote_all(world: Administrators, given: argparse.Namespace, template: int) -> dict[str, Any]:
    since, begin = clock.now(), time.monotonic()
    runs: list[Run] = []
    for seed in range(given.seed, given.seed + given.runs):
        if time.monotonic() - begin > given.minutes * 60:
            break
        runs.append(run(world, seed, template))
        last = runs[-1]
        injected = ", ".join(f"{fault['kind']} {fault.get('who', '')}".strip() for fault in last.injected) or "nothing"
        print(f"seed {seed}: {last.outcome}{', resumed' if last.resumed else ''} in {last.seconds} s; {injected}")
        sys.stdout.flush()
    return {"runs": [each.as_dict() for each in runs], "breaches": breaches(world, runs, since)}


def deployed(given: argparse.Namespace) -> Any:
    """An embedded AWS with everything deployed and a first version live, from a clone made for many runs."""
    shutil.rmtree(given.build, ignore_errors=True)
    given.build.mkdir(parents=True)
    project = with_short_canaries(ROOT, given.build / "project", decisions=DECISIONS)
    configuration = read_configuration(project)
    settings = Settings(given.build / "state", given.port, given.port + 1, given.port + 2, configuration.tools.region)
    (given.build / "logs").mkdir()
    made = demonstration.Demo(configuration, settings, given.build / "logs", project)
    try:
        demonstration.first_release(made)
    except BaseException:
        made.end()
        raise
    return made


def second_version(demo: Any) -> int:
    """The same commit again: what is registered now was compared with what is live, so that its copies pass."""
    sha = demonstration.git(demo.clone, "rev-parse", "HEAD").strip()
    demonstration.deliver(demo, sha, "--again")
    (model,) = demo.models
    _, version = demonstration.follow(demo, sha, model, demonstration.WAITING)
    if demonstration.approve(demo, sha, model, version) != demonstration.LIVE:
        raise demonstration.StepError(f"{model} version {version}: was refused, expected to be as good as the first")
    return version


def report(facts: dict[str, Any]) -> list[str]:
    runs = facts["runs"]
    faults = [fault for each in runs for fault in each["injected"]]
    injected = Counter((fault["kind"], plan.place_of(fault)) for fault in faults)
    died = {(fault["who"], fault["call"]) for fault in faults if fault["kind"] == "dies-before"}
    lines = ["", f"{len(runs)} runs in {facts['minutes']} minutes, {len(faults)} faults", "", "injected"]
    for kind in plan.KINDS:
        where = {place: count for (found, place), count in sorted(injected.items()) if found == kind}
        said = ", ".join(f"{place} {count}" for place, count in where.items())
        lines.append(f"  {sum(where.values()):4d}  {kind:12}  {said}")
    lines += [
        f"        functions died before {len(died & set(plan.DEATHS))} of the {len(plan.DEATHS)} calls that they make"
    ]
    lines += ["", "outcomes"]
    ends = Counter(_end(each) for each in runs)
    lines += [f"  {count:4d}  {end}" for end, count in sorted(ends.items())]
    for kind, said in facts["breaches"].items():
        lines += ["", f"{kind}: {len(said) or 'none'}", *(f"  {each}" for each in said)]
    return lines


def _end(run: dict[str, Any]) -> str:
    """How a run ended, and what it took to get there."""
    helped = ["resumed by the reconciler"] * run["resumed"] + ["woken by the schedule"] * run["woken"]
    why = [run["why"].partition("\n")[0][:80]] * (run["outcome"] != "released")
    return ", ".join([run["outcome"], *helped, *why])


if __name__ == "__main__":
    sys.exit(main())
