"""What the app weighs, beside the last version and its ceilings: `make weight`.

It counts lines, commands and packages in this tree, and what the templates of two forms hold: the one of environments/,
with four accounts, and the smallest, of tests/smallest. weight.toml has the figures of the last version, the ceilings,
and the prices of what costs money while nobody uses it.
"""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import sys
import tempfile
import tomllib
from collections import Counter
from collections.abc import Iterable, Mapping
from importlib import metadata
from pathlib import Path
from typing import Any

from packaging.requirements import Requirement

ROOT = Path(__file__).parent.parent
FILE = ROOT / "weight.toml"
SMALLEST = ROOT / "tests" / "smallest" / "environments"
SUITE = ROOT / "build" / "suite.json"  # the last run of every test in this checkout: tests/conftest.py
CODE = (".py", ".c", ".cjs", ".toml", ".json", ".md", ".yml")
FOLDERS = (
    "lockgate",
    "cli",
    "lambdas",
    "stacks",
    "constructs",
    "runtime",
    "model",
    "local",
    "demo",
    "scripts",
    "bench",
)
# job: the extras of pyproject.toml that it installs
JOBS = {"deliver": "", "synth": "cdk", "development": "cdk,model,local,test"}
COUNTED = {
    "functions": "AWS::Lambda::Function",
    "roles": "AWS::IAM::Role",
    "alarms": "AWS::CloudWatch::Alarm",
    "keys": "AWS::KMS::Key",
}
Template = Mapping[str, Any]
Figures = dict[str, float]


def project(environments: Path, folder: Path) -> Path:
    """What synth needs of this project, with the files of another folder for environments/."""
    for part in ("stacks", "lambdas", "lockgate", "model"):
        shutil.copytree(ROOT / part, folder / part, ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copytree(environments, folder / "environments")
    return folder


def templates(root: Path, out: Path) -> dict[str, Template]:
    """The templates of a project's app by stack name."""
    from stacks import app

    context = json.loads((ROOT / "cdk.json").read_text())["context"]
    stages = app.build(root, context=context, outdir=str(out)).synth().nested_assemblies
    return {stack.stack_name: stack.template for stage in stages for stack in stage.nested_assembly.stacks}


def of_form(stacks: Mapping[str, Template], prices: Mapping[str, float]) -> Figures:
    """Figures of a form: how much of what it has, and the dollars of a month in which nobody calls it."""
    resources = [each for template in stacks.values() for each in template.get("Resources", {}).values()]
    kinds = Counter(each["Type"] for each in resources)
    figures: Figures = {"resources": len(resources), **{name: kinds[kind] for name, kind in COUNTED.items()}}
    figures["dollars a month, idle"] = round(_dollars(stacks.values(), kinds, prices), 2)
    return figures


def _dollars(stacks: Iterable[Template], kinds: Mapping[str, int], prices: Mapping[str, float]) -> float:
    dollars = kinds["AWS::KMS::Key"] * prices["key"] + kinds["AWS::CloudWatch::Alarm"] * prices["alarm"]
    dollars += kinds["AWS::ElasticLoadBalancingV2::LoadBalancer"] * prices["load_balancer"]
    for template in stacks:
        of = {each["Type"]: each["Properties"] for each in template.get("Resources", {}).values()}
        tasks = of.get("AWS::ECS::TaskDefinition")
        if tasks:
            one = int(tasks["Cpu"]) / 1024 * prices["vcpu"] + int(tasks["Memory"]) / 1024 * prices["gigabyte"]
            least = of["AWS::ApplicationAutoScaling::ScalableTarget"]["MinCapacity"]
            dollars += least * (one + prices["public_address"])
    return dollars


def of_tree() -> Figures:
    """Lines of each folder, commands, and packages that each job installs."""
    listed = subprocess.run(["git", "ls-files"], cwd=ROOT, capture_output=True, text=True, check=True).stdout.split()
    lines: Counter[str] = Counter()
    for name in listed:
        if name.endswith(CODE) and (ROOT / name).is_file() and not name.endswith(("package-lock.json", "uv.lock")):
            lines[name.partition("/")[0]] += len((ROOT / name).read_bytes().splitlines())
    commands = [each for each in (ROOT / "cli" / "commands").iterdir() if not each.name.startswith("_")]
    return {
        **{f"lines of {folder}": lines[folder] for folder in FOLDERS},
        "lines besides tests": sum(lines[folder] for folder in FOLDERS),
        "lines of tests": lines["tests"],
        "commands": len(commands),
        **{f"packages for {job}": len(installed(extras)) for job, extras in JOBS.items()},
        **read()["measured"],
    }


def installed(extras: str) -> set[str]:
    """The packages that the project needs with these extras, and what they need, as this environment has them."""
    found: set[str] = set()
    waiting = [("lockgate", frozenset(filter(None, extras.split(","))))]
    while waiting:
        name, wanted = waiting.pop()
        for text in metadata.requires(name) or ():
            need = Requirement(text)
            applies = need.marker is None or any(need.marker.evaluate({"extra": extra}) for extra in (*wanted, ""))
            key = re.sub(r"[-_.]+", "-", need.name).lower()
            if applies and key not in found:
                found.add(key)
                waiting.append((key, frozenset(need.extras)))
    return found


def weigh() -> tuple[Figures, dict[str, dict[str, int]]]:
    """All figures, and the resources by stack of each form."""
    prices = read()["prices"]
    figures, by_stack = of_tree(), {}
    with tempfile.TemporaryDirectory() as folder:
        forms = {"four accounts": ROOT, "smallest": project(SMALLEST, Path(folder) / "project")}
        for form, root in forms.items():
            stacks = templates(root, Path(folder) / form)
            figures |= {f"{form}: {name}": value for name, value in of_form(stacks, prices).items()}
            by_stack[form] = {name: len(template.get("Resources", {})) for name, template in stacks.items()}
    return figures, by_stack


def read() -> dict[str, Any]:
    return tomllib.loads(FILE.read_text(encoding="utf-8"))


def ceilings() -> Figures:
    """The highest that each figure may be: as agreed, or as raised since."""
    return {**read()["agreed"], **read()["raised"]}


def passed(figures: Mapping[str, float]) -> list[str]:
    """Which figures are above their ceilings, and what to do."""
    return [
        f"{name}: found {figures[name]:g}, expected at most {most:g}: make it lighter, or raise it in weight.toml and "
        "say in docs/decisions/0015-what-is-one-thing.md what that buys"
        for name, most in ceilings().items()
        if figures.get(name, 0) > most
    ]


def main() -> int:
    figures, by_stack = weigh()
    before, most = read()["before"], ceilings()
    print(f"{'':34} {'now':>9} {read()['version']['name']:>9} {'ceiling':>9}")
    for name, value in figures.items():
        cells = [f"{value:g}", *(f"{known[name]:g}" if name in known else "" for known in (before, most))]
        print(f"{name:34} {cells[0]:>9} {cells[1]:>9} {cells[2]:>9}")
    for form, stacks in by_stack.items():
        print(
            f"\nresources by stack, {form}: " + ", ".join(f"{name} {count}" for name, count in sorted(stacks.items()))
        )
    if SUITE.is_file():
        run = json.loads(SUITE.read_text())
        parts = ", ".join(f"{folder} {minutes:.1f}" for folder, minutes in sorted(run["by folder"].items()))
        print(f"\nthe suite here took {run['minutes']:.1f} minutes; minutes of its tests, several at once: {parts}")
    above = passed(figures)
    print("\n" + "\n".join(above) if above else "\nNothing is above its ceiling.")
    return 1 if above else 0


if __name__ == "__main__":
    sys.exit(main())
