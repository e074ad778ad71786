"""What cfn-lint says of the synthesized templates, as numbers that may only fall."""

from __future__ import annotations

import json
import subprocess
import sys
from collections import Counter
from pathlib import Path
from typing import Any

# rule: (how often in the app of these tests, why it stays)
ACCEPTED = {
    "W3005": (28, "CDK names the role a function depends on twice, by its ARN and by DependsOn"),
}


def test_cfn_lint_finds_nothing_but_what_is_accepted_with_a_reason(synthesized: Any) -> None:
    files = sorted(str(file) for file in synthesized.directory.rglob("*.template.json"))
    lint = str(Path(sys.executable).parent / "cfn-lint")
    done = subprocess.run([lint, "--format", "json", *files], capture_output=True, text=True, check=False)
    found = Counter(finding["Rule"]["Id"] for finding in json.loads(done.stdout))
    assert found == {rule: count for rule, (count, _) in ACCEPTED.items()}, "fewer: lower the number here"
