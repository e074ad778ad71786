"""The posture of the synthesized app as numbers: what may do anything, and what cdk-nag, checkov and cfn-lint say.

    python -m bench.posture

Writes build/bench/posture.json. The tests of tests/synth hold the same numbers for an app of two models, rule by rule
and with reasons, and none may rise. `unacknowledged`: what cdk-nag finds and nothing answers beside the resource.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any
from unittest import mock

ROOT = Path(__file__).parent.parent
OUT = ROOT / "build" / "bench" / "posture.json"
CHECKOV = ROOT / ".venv-checkov" / "bin" / "checkov"
Template = Mapping[str, Any]


def listed(value: Any) -> list[Any]:
    return value if isinstance(value, list) else [value]


def allowing(templates: Iterable[Template]) -> Iterator[dict[str, Any]]:
    """Every allow statement of a policy of identities: of roles, inline, managed."""
    for template in templates:
        for resource in template.get("Resources", {}).values():
            if not resource["Type"].startswith("AWS::IAM::"):
                continue
            properties = resource["Properties"]
            documents = [properties.get("PolicyDocument")]
            documents += [policy["PolicyDocument"] for policy in properties.get("Policies", [])]
            for document in filter(None, documents):
                yield from (statement for statement in document["Statement"] if statement["Effect"] == "Allow")


def on_everything(templates: Iterable[Template]) -> tuple[int, int]:
    """How many allow statements are on `*`, and of how many."""
    found = ["*" in listed(statement["Resource"]) for statement in allowing(templates)]
    return sum(found), len(found)


def cfn_lint(files: Iterable[Path]) -> Counter[str]:
    """How often each rule was broken."""
    lint = Path(sys.executable).parent / "cfn-lint"
    command = [str(lint), "--format", "json", *sorted(map(str, files))]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    return Counter(finding["Rule"]["Id"] for finding in json.loads(done.stdout))


def checkov(folder: Path) -> tuple[Counter[str], dict[str, int]]:
    """How often each check failed, and checkov's own summary; it downloads nothing."""
    command = [str(CHECKOV), "-d", str(folder), "--framework", "cloudformation", "--compact", "--quiet"]
    done = subprocess.run(
        [*command, "--skip-download", "--soft-fail", "-o", "json"], capture_output=True, text=True, check=True
    )
    report = json.loads(done.stdout)
    return Counter(finding["check_id"] for finding in report["results"]["failed_checks"]), report["summary"]


def cdk_nag(app: Any) -> Counter[str]:
    """How often each rule of AwsSolutions is broken and nothing answers it."""
    from cdk_nag import AwsSolutionsChecks

    found: Counter[str] = Counter()
    for violation in AwsSolutionsChecks().validate_scope(app).violations or []:
        found[violation.rule_name] += len(violation.violating_resources)
    return found


def unanswered(build: Callable[[], Any]) -> tuple[Any, list[Any]]:
    """The app that `build` makes when no finding is acknowledged, and the acknowledgements that it would have."""
    from lockgate_constructs import acknowledgement

    kept: list[Any] = []

    class Keeper:
        @classmethod
        def of(cls, construct: object) -> type[Keeper]:
            return cls

        @classmethod
        def acknowledge(cls, *given: object) -> None:
            kept.extend(given)

    with mock.patch.object(acknowledgement, "Validations", Keeper):
        return build(), kept


def main() -> int:
    from stacks import app

    os.environ["CDK_CONTEXT_JSON"] = json.dumps(json.loads((ROOT / "cdk.json").read_text())["context"])
    with tempfile.TemporaryDirectory() as folder:
        out = Path(folder) / "out"
        assembly = app.build(ROOT, outdir=str(out)).synth()
        templates = [stack.template for stage in assembly.nested_assemblies for stack in stage.nested_assembly.stacks]
        everything, statements = on_everything(templates)
        failed, summary = checkov(out)
        lint = cfn_lint(out.rglob("*.template.json"))
        bare, answers = unanswered(lambda: app.build(ROOT, outdir=str(Path(folder) / "bare")))
        facts = {
            "resources": sum(len(template["Resources"]) for template in templates),
            "allow_statements": statements,
            "allow_statements_on_everything": everything,
            "cdk_nag": {
                "unacknowledged": sum(cdk_nag(app.build(ROOT, outdir=str(Path(folder) / "nag"))).values()),
                "without_acknowledgements": sum(cdk_nag(bare).values()),
                "acknowledgements": len(answers),
            },
            "checkov": {"failed": sum(failed.values()), "passed": summary["passed"], "rules": dict(failed)},
            "cfn_lint": {"failed": sum(lint.values()), "rules": dict(lint)},
        }
    OUT.parent.mkdir(parents=True, exist_ok=True)
    OUT.write_text(json.dumps(facts, indent=2) + "\n")
    print(json.dumps(facts, indent=2))
    return 0


if __name__ == "__main__":
    sys.exit(main())
