"""What is said to somebody whose commit has to be judged once more would really start something."""

from __future__ import annotations

import re
from pathlib import Path

from cli.main import parser
from lockgate.release.advice import deliver_again

ROOT = Path(__file__).parents[3]
SAID = re.compile(r"deliver(?:s|ing)?\b[^.|`]{0,40}(?<!--)\bagain\b", re.IGNORECASE)
# No training was started, so that the plain command starts one.
NOTHING_STARTED = {
    "lockgate/aws/training.py": "deploy the tools (`cdk deploy 'tools/*'`), then deliver again",
    "lockgate/aws/delivery.py": "deliver the commit again to go on",
    "docs/image.md": "no image is under the tag. Deliver again",
}
# Of what it does, and no advice.
FACTS = {
    "lockgate/gate/verdict.py": "delivering again would meet the same",
    "docs/policy.md": "Delivering again changes nothing then",
    "docs/decisions/0007-the-gate.md": "Delivering a commit again after the champion changed",
}


def test_the_advice_is_a_command_that_the_command_line_takes() -> None:
    for said in (deliver_again(), deliver_again("c" * 40), deliver_again("c" * 40, "5" * 16)):
        asked = parser("deliver").parse_args(said.strip("`").split()[1:])
        assert asked.again


def test_nobody_is_told_to_deliver_again_what_would_start_nothing() -> None:
    found = {}
    for folder, ending in (("lockgate", "py"), ("cli", "py"), ("lambdas", "py"), ("runtime", "py"), ("docs", "md")):
        for file in (ROOT / folder).rglob(f"*.{ending}"):
            text = re.sub(r'"\s+f?"', "", " ".join(file.read_text().split()))
            known = NOTHING_STARTED.get(file.relative_to(ROOT).as_posix(), "\0")
            known = FACTS.get(file.relative_to(ROOT).as_posix(), known)
            said = [each.group() for each in SAID.finditer(text.replace(known, ""))]
            if said:
                found[file.relative_to(ROOT).as_posix()] = said
    assert found == {}
