"""What cfn-lint and checkov say of the synthesized templates, as numbers that may only fall."""

from __future__ import annotations

import json
import subprocess
import sys
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

# rule: (how often in the app of these tests, why it stays)
ACCEPTED = {
    "W3005": (29, "CDK names the role a function depends on twice, by its ARN and by DependsOn"),
}


def test_cfn_lint_finds_nothing_but_what_is_accepted_with_a_reason(synthesized: Any) -> None:
    files = sorted(str(file) for file in synthesized.directory.rglob("*.template.json"))
    lint = str(Path(sys.executable).parent / "cfn-lint")
    done = subprocess.run([lint, "--format", "json", *files], capture_output=True, text=True, check=False)
    found = Counter(finding["Rule"]["Id"] for finding in json.loads(done.stdout))
    assert found == {rule: count for rule, (count, _) in ACCEPTED.items()}, "fewer: lower the number here"


CHECKOV = Path(__file__).parents[2] / ".venv-checkov" / "bin" / "checkov"
FUNCTION = "AWS::Lambda::Function"
# rule: (how often at most; or the type of which every resource may; why it stays)
CHECKOV_ACCEPTED: dict[str, tuple[int | str, str]] = {
    "CKV_AWS_18": (5, "the buckets that keep access logs, which cannot log to themselves"),
    "CKV_AWS_65": (3, "container insights cost more than the tasks of dev; alarms read what ECS and the balancer give"),
    "CKV_AWS_111": (3, "the replay's network interfaces, whose calls have no resource to name before there is one"),
    "CKV_AWS_115": (FUNCTION, "a reserved share is taken from the whole account; a throttled call here is retried"),
    "CKV_AWS_116": (FUNCTION, "functions invoked asynchronously have one; the others answer their caller"),
    "CKV_AWS_117": (FUNCTION, "they call AWS only, over TLS and with IAM; a network would need paid endpoints"),
    "CKV_AWS_173": (FUNCTION, "names of buckets and environments, no secret; encrypted at rest by AWS's key"),
}


@pytest.mark.skipif(not CHECKOV.exists(), reason="`make test` installs checkov")
def test_checkov_finds_nothing_but_what_is_accepted_with_a_reason(synthesized: Any) -> None:
    command = [str(CHECKOV), "-d", str(synthesized.directory), "--framework", "cloudformation", "--compact", "--quiet"]
    done = subprocess.run(
        [*command, "--skip-download", "--soft-fail", "-o", "json"], capture_output=True, text=True, check=True
    )
    report = json.loads(done.stdout)
    assert report["summary"]["passed"] > 900
    assert report["summary"]["parsing_errors"] == 0
    found = Counter(finding["check_id"] for finding in report["results"]["failed_checks"])
    assert set(found) == set(CHECKOV_ACCEPTED), "not accepted, or accepted and found no more"
    for rule, count in found.items():
        limit = CHECKOV_ACCEPTED[rule][0]
        most = limit if isinstance(limit, int) else len(synthesized.resources(limit))
        assert count <= most, rule
        assert not isinstance(limit, int) or count == limit, f"{rule}: fewer: lower the number here"
