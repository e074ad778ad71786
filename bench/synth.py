"""CPU of `cdk synth` of all environments beside an empty CDK app with the same validation, in one run.

    python -m bench.synth

Writes build/bench/synth.json. CPU is of the synth's process and its children (jsii's Node): the median of RUNS, the two
apps in turn, after one to warm jsii's cache. The empty one has a resource that does nothing, since none is not valid.
Whose code it is: one more run under cProfile, own time of functions in this project's files, against all other Python.
Ends with 1 when a resource costs more than MOST_MS beyond the empty app, or our own code more than the library's.
"""

from __future__ import annotations

import json
import os
import pstats
import resource
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parent.parent
OUT = ROOT / "build" / "bench" / "synth.json"
RUNS = 3
MOST_MS = 60.0
EMPTY = """\
from stacks import app
import aws_cdk as cdk
from aws_cdk import Validations
from cdk_nag import AwsSolutionsChecks
empty = cdk.App(analytics_reporting=False, tree_metadata=False)
stack = cdk.Stack(cdk.Stage(empty, "one", env=cdk.Environment(account="111111111111", region="us-east-1")), "stack")
cdk.CfnWaitConditionHandle(stack, "Nothing")
Validations.of(empty).add_plugins(AwsSolutionsChecks(empty))
empty.synth()
"""


def cpu_seconds(command: list[str], out: Path) -> float:
    """User and system time of a synth and all its children, whatever the machine did besides."""
    context = json.dumps(json.loads((ROOT / "cdk.json").read_text())["context"])
    variables = {name: value for name, value in os.environ.items() if name != "CDK_VALIDATION"}
    path = os.pathsep.join((str(ROOT), str(ROOT / "constructs")))
    variables |= {"CDK_OUTDIR": str(out), "CDK_CONTEXT_JSON": context, "PYTHONPATH": path}
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    subprocess.run([sys.executable, *command], cwd=ROOT, env=variables, check=True, stdout=subprocess.DEVNULL)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


def own_share(profile: Path) -> tuple[float, float]:
    """Seconds in functions of this project, and in those of everything else that is Python."""
    ours = theirs = 0.0
    timings: Any = pstats.Stats(str(profile))
    for (file, _, name), (_, _, seconds, _, _) in timings.stats.items():
        if file.startswith(str(ROOT)) and "site-packages" not in file:
            ours += seconds
        elif not any(waiting in name for waiting in ("readline", "poll", "waitpid", "acquire")):  # for Node
            theirs += seconds
    return ours, theirs


def resources(out: Path) -> int:
    return sum(len(json.loads(file.read_text())["Resources"]) for file in out.rglob("*.template.json"))


def main() -> int:
    with tempfile.TemporaryDirectory() as folder:
        out, profile = Path(folder) / "out", Path(folder) / "profile"
        cpu_seconds(["-c", EMPTY], Path(folder) / "warm")
        pairs = [
            (cpu_seconds(["-c", EMPTY], Path(folder) / "empty"), cpu_seconds(["app.py"], out)) for _ in range(RUNS)
        ]
        cpu_seconds(["-m", "cProfile", "-o", str(profile), "app.py"], Path(folder) / "profiled")
        ours, theirs = own_share(profile)
        count = resources(out)
    empty, whole = (statistics.median(times) for times in zip(*pairs, strict=True))
    facts = {
        "resources": count,
        "empty_app_cpu_seconds": round(empty, 2),
        "all_environments_cpu_seconds": round(whole, 2),
        "milliseconds_per_resource_beyond_empty": round((whole - empty) / count * 1000, 1),
        "most_milliseconds_per_resource": MOST_MS,
        "own_code_seconds": round(ours, 2),
        "library_seconds": round(theirs, 2),
    }
    OUT.parent.mkdir(parents=True, exist_ok=True)
    OUT.write_text(json.dumps(facts, indent=2) + "\n")
    print(json.dumps(facts, indent=2))
    return 0 if facts["milliseconds_per_resource_beyond_empty"] <= MOST_MS and ours <= theirs else 1


if __name__ == "__main__":
    sys.exit(main())
