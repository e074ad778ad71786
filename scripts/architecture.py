"""Draw the architecture from the synthesized templates: docs/architecture.svg and the tables of docs/architecture.md.

`make picture` writes both. A test compares them with the templates, so that neither names what is not there.
The last environment stands for all of them: they have the same stacks and functions.
"""

from __future__ import annotations

import json
import re
import sys
import tomllib
from collections.abc import Iterator
from dataclasses import dataclass
from html import escape
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
PAGE, PICTURE = ROOT / "docs" / "architecture.md", ROOT / "docs" / "architecture.svg"
# The way of a commit, from top to bottom, and what leads from each stack to the next.
WAY = {
    "delivery": "CodeBuild has built the image",
    "attestation": "lockgate deliver starts the pipeline",
    "training": "SageMaker has registered a model package",
    "promotion": "verdicts, approvals, deployments",
    "artifacts": "",
}
SHOWN = {
    "AWS::CodeBuild::Project": "CodeBuild",
    "AWS::SageMaker::Pipeline": "SageMaker pipeline",
    "AWS::SageMaker::ModelPackageGroup": "model packages",
    "AWS::StepFunctions::StateMachine": "Step Functions",
    "AWS::ElasticLoadBalancingV2::LoadBalancer": "load balancer",
    "AWS::ECS::Service": "ECS service",
    "AWS::ECR::Repository": "images",
    "AWS::S3::Bucket": "bucket",
}


@dataclass(frozen=True)
class Function:
    name: str
    what: str
    woken: tuple[str, ...]


@dataclass(frozen=True)
class DrawnStack:
    """One stack: `place` is the stage that it belongs to, `name` what it is called there."""

    place: str
    name: str
    title: str
    functions: tuple[Function, ...]
    things: tuple[str, ...]


def read(assembly: Path) -> list[DrawnStack]:
    """The stacks of tools, of the anchor and of the last environment."""
    templates: dict[tuple[str, str], dict[str, Any]] = {}
    for manifest in sorted(assembly.glob("assembly-*/manifest.json")):
        for artifact in json.loads(manifest.read_text())["artifacts"].values():
            if artifact["type"] == "aws:cloudformation:stack":
                place, _, name = artifact["displayName"].partition("/")
                template = manifest.parent / artifact["properties"]["templateFile"]
                templates[place, name or place] = json.loads(template.read_text())
    last = tomllib.loads((ROOT / "environments" / "tools.toml").read_text())["promotion"][-1]
    kept = {key: template for key, template in templates.items() if key[0] in ("tools", "anchor", last)}
    return [_stack(place, name, template, list(kept.values())) for (place, name), template in kept.items()]


def _stack(place: str, name: str, template: dict[str, Any], everything: list[dict[str, Any]]) -> DrawnStack:
    functions = []
    things: dict[str, list[str]] = {}
    for logical_id, resource in template["Resources"].items():
        kind, properties = resource["Type"], resource.get("Properties", {})
        if kind == "AWS::Lambda::Function":
            word = properties["Handler"].split(".")[1]
            woken = tuple(dict.fromkeys(_woken(logical_id, properties.get("FunctionName"), template, everything)))
            functions.append(Function(word, properties["Description"], woken))
        elif kind in SHOWN:
            called = next((properties[key] for key in properties if key.endswith("Name")), "")
            things.setdefault(SHOWN[kind], []).append(_short(called))
    listed = tuple(f"{kind}: {', '.join(sorted(filter(None, names)))}".rstrip(": ") for kind, names in things.items())
    title = template.get("Description", "").partition(": ")[2].partition(" [")[0]  # behind it, whose stack it is
    return DrawnStack(place, name, title, tuple(sorted(functions, key=lambda function: function.name)), listed)


def _short(name: object) -> str:
    """What is ours in a name: without the account, the region, and the name of the app."""
    return re.sub(r"^lockgate-|-\d{12}.*$", "", name) if isinstance(name, str) else ""


def _woken(
    logical_id: str, called: str | None, template: dict[str, Any], everything: list[dict[str, Any]]
) -> Iterator[str]:
    """What makes a function run, as the templates say it."""
    here = json.dumps({"Fn::GetAtt": [logical_id, "Arn"]})
    names = re.compile(rf"{re.escape(here)}|function:{re.escape(called or '-')}\"")
    handlers = {
        json.dumps(resource["Properties"]["Role"]): resource["Properties"]["Handler"].split(".")[1]
        for resource in template["Resources"].values()
        if resource["Type"] == "AWS::Lambda::Function"
    }
    for other in everything:
        for name, resource in other["Resources"].items():
            kind, properties = resource["Type"], resource.get("Properties", {})
            text = json.dumps(properties).replace("\\", "")
            if not (names.search(text) if other is template else names.search(text) and called):
                continue
            if kind == "AWS::Lambda::Url":
                yield "a signed call of its URL"
            elif kind == "AWS::StepFunctions::StateMachine":
                yield "the workflow"
            elif kind == "AWS::ECS::Service":
                yield "a deployment, as its hook"
            elif kind == "AWS::Events::Rule" and "ScheduleExpression" in properties:
                yield re.sub(r"rate\((.*)\)", r"every \1", properties["ScheduleExpression"])
            elif kind == "AWS::Events::Rule":
                yield "event: " + properties["EventPattern"]["detail-type"][0]
            elif kind == "AWS::IAM::Role" and '"lambda:InvokeFunction"' in text and "ViaFunctionUrl" not in text:
                role = json.dumps({"Fn::GetAtt": [name, "Arn"]})
                if role in handlers:
                    yield f"the function {handlers[role]}"


def tables(stacks: list[DrawnStack]) -> dict[str, str]:
    """The tables of the page by the name that it gives them."""
    last = next(stack.place for stack in stacks if stack.name == "edge")
    places = {"tools": "tools", "anchor": "anchor", last: "each environment"}
    rows = ["| stack | account | what | holds |", "| --- | --- | --- | --- |"]
    rows += [f"| {s.name} | {places[s.place]} | {s.title} | {'; '.join(s.things)} |" for s in stacks]
    functions = ["| function | stack | what it does | what makes it run |", "| --- | --- | --- | --- |"]
    functions += [f"| `{f.name}` | {s.name} | {f.what} | {', '.join(f.woken)} |" for s in stacks for f in s.functions]
    return {"stacks": "\n".join(rows), "functions": "\n".join(functions)}


def page(text: str, stacks: list[DrawnStack]) -> str:
    """The page with its tables written anew, between the comments that name them."""
    for name, table in tables(stacks).items():
        before, mark, after = text.partition(f"<!-- {name} -->\n")
        text = before + mark + table + "\n" + after[after.index("<!-- end -->") :]
    return text


STYLE = """\
text { font-family: system-ui, "DejaVu Sans", sans-serif; font-size: 12px; fill: #1f2328 }
.name { font-size: 13px; font-weight: 600 } .function { font-family: ui-monospace, "DejaVu Sans Mono", monospace }
.small { fill: #57606a } .label, .head { fill: #0969da } .arrow { stroke: #0969da; stroke-width: 1.5; fill: none }
.ground { fill: #ffffff } .account { fill: #f6f8fa; stroke: #8c959f } .stack { fill: #ffffff; stroke: #57606a }
@media (prefers-color-scheme: dark) {
  text { fill: #e6edf3 } .small { fill: #9198a1 } .label, .head { fill: #58a6ff } .arrow { stroke: #58a6ff }
  .ground { fill: #0d1117 } .account { fill: #161b22; stroke: #6e7681 } .stack { fill: #0d1117; stroke: #8b949e }
}"""
LINE, GAP = 19, 34
ROOM = 48  # of letters beside a function's name
WIDTH, TOOLS, OTHERS = 440, 105, 655  # of a column of stacks, and where the two accounts begin


class Drawing:
    """Boxes, texts and arrows of an SVG; what is `behind` is painted first."""

    def __init__(self) -> None:
        self.behind: list[str] = []
        self.parts: list[str] = []
        self.places: dict[str, tuple[float, float]] = {}  # where each stack begins and ends

    def text(self, x: float, y: float, text: str, kind: str = "small", end: bool = False) -> None:
        anchor = ' text-anchor="end"' if end else ""
        self.parts.append(f'<text x="{x:g}" y="{y:g}" class="{kind}"{anchor}>{escape(text)}</text>')

    def arrow(self, x: float, y: float, to_x: float, to_y: float) -> None:
        path = f"M{x:g} {y:g} L{to_x:g} {to_y:g}"
        self.parts.append(f'<path d="{path}" class="arrow" marker-end="url(#head)"/>')

    def account(self, title: str, x: float, y: float, end: float) -> None:
        self.behind.append(_box(x, y, WIDTH + 30, end - y, "account"))
        self.text(x + 15, y + 23, title, "name")

    def stacks(self, stacks: list[DrawnStack], x: float, y: float, labels: dict[str, str]) -> float:
        """Draw stacks from above to below, with arrows between them; where the last ends."""
        for number, stack in enumerate(stacks):
            if number:
                self.arrow(x + 25, y, x + 25, y + GAP - 2)
                self.text(x + 37, y + GAP / 2 + 4, labels.get(stacks[number - 1].name, ""), "label")
                y += GAP
            y = self.stack(stack, x, y)
        return y

    def stack(self, stack: DrawnStack, x: float, y: float) -> float:
        rows = [row for function in stack.functions for row in rows_of(function)]
        height = 34 + LINE * (len(rows) + len(stack.things)) + (6 if rows else 0)
        self.places[stack.name] = (y, y + height)
        self.parts.append(_box(x, y, WIDTH, height, "stack"))
        self.text(x + 12, y + 22, stack.name, "name")
        self.text(x + WIDTH - 12, y + 22, stack.title, end=True)
        line = y + 42
        for name, woken in rows:
            self.text(x + 12, line, name, "function")
            self.text(x + WIDTH - 12, line, woken, end=True)
            line += LINE
        line += 6 if rows else 0
        for thing in stack.things:
            self.text(x + 12, line, thing)
            line += LINE
        return y + height


def rows_of(function: Function) -> list[tuple[str, str]]:
    """(name, what makes it run) of each line that a function takes; the name stands in the first."""
    rows = [(function.name, "")]
    for cause in function.woken:
        name, said = rows[-1]
        if said and len(said) + len(cause) > ROOM:
            rows[-1] = (name, f"{said},")
            rows.append(("", cause))
        else:
            rows[-1] = (name, f"{said}, {cause}" if said else cause)
    return rows


def _box(x: float, y: float, width: float, height: float, kind: str) -> str:
    return f'<rect x="{x:g}" y="{y:g}" width="{width:g}" height="{height:g}" rx="6" class="{kind}"/>'


def draw(stacks: list[DrawnStack]) -> str:
    """The picture: the tools account with the way of a commit, and beside it an environment and the anchor."""
    rank = {name: number for number, name in enumerate(WAY)}
    way = sorted((s for s in stacks if s.place == "tools"), key=lambda s: rank.get(s.name, len(rank)))
    ours = [s for s in stacks if s.place not in ("tools", "anchor")]
    drawing = Drawing()
    places = drawing.places

    end = drawing.stacks(way, TOOLS + 15, 62, WAY)
    begin = places["promotion"][0] - 38
    below = drawing.stacks(ours, OTHERS + 15, begin + 38, {"edge": "UpdateStack, by the function deploy"})
    drawing.account("accounts: one for each environment", OTHERS, begin, below + 15)
    begin = max(below + 15 + GAP / 2, places["artifacts"][0] - 38)
    below = drawing.stacks([s for s in stacks if s.place == "anchor"], OTHERS + 15, begin + 38, {})
    drawing.account("account: anchor", OTHERS, begin, below + 15)
    end = max(end, below) + 15
    drawing.account("account: tools", TOOLS, 24, end)

    for name, said in (("delivery", "a push"), ("promotion", "a person")):
        drawing.arrow(20, places[name][0] + 22, TOOLS + 13, places[name][0] + 22)
        drawing.text(20, places[name][0] + 14, said, "label")
    for name, said in (("edge", "deploys"), ("anchor", "heads")):
        drawing.arrow(TOOLS + WIDTH + 30, places[name][0] + 22, OTHERS + 13, places[name][0] + 22)
        drawing.text(TOOLS + WIDTH + 35, places[name][0] + 14, said, "label")
    right = OTHERS + WIDTH + 15
    drawing.arrow(right + 90, places["edge"][0] + 22, right + 2, places["edge"][0] + 22)
    drawing.text(right + 22, places["edge"][0] + 14, "callers,", "label")
    drawing.text(right + 22, places["edge"][0] + 38, "operators", "label")
    return "\n".join(
        [
            f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {right + 100} {end + 20:g}"'
            ' role="img" aria-label="Accounts, stacks and functions">',
            f"<style>\n{STYLE}\n</style>",
            '<defs><marker id="head" viewBox="0 0 8 8" refX="7" refY="4" markerWidth="7" markerHeight="7"'
            ' orient="auto"><path d="M0 0 L8 4 L0 8 z" class="head"/></marker></defs>',
            '<rect width="100%" height="100%" class="ground"/>',
            *drawing.behind,
            *drawing.parts,
            "</svg>\n",
        ]
    )


def main() -> None:
    stacks = read(Path(sys.argv[1]))
    PICTURE.write_text(draw(stacks))
    PAGE.write_text(page(PAGE.read_text(), stacks))


if __name__ == "__main__":
    main()
