"""What cfn-lint, checkov and cdk-nag say of the synthesized templates, and what may do anything: numbers that may
only fall. `make posture` prints those of the project's own app."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from bench import posture

# rule: (how often in the app of these tests, why it stays)
ACCEPTED = {
    "W3005": (17, "CDK names the role a function depends on twice, by its ARN and by DependsOn"),
}
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
# Allow statements on every resource; which actions they may name, and that AWS knows no narrower one, is in test_iam.
ON_EVERYTHING = 23
ACKNOWLEDGED = 164
BuildApp = Callable[[Path, Path], Any]


def test_cfn_lint_finds_nothing_but_what_is_accepted_with_a_reason(synthesized: Any) -> None:
    found = posture.cfn_lint(synthesized.directory.rglob("*.template.json"))
    assert found == {rule: count for rule, (count, _) in ACCEPTED.items()}, "fewer: lower the number here"


def test_cfn_lint_would_find_a_property_that_does_not_exist(tmp_path: Path) -> None:
    file = tmp_path / "a.template.json"
    file.write_text('{"Resources": {"Queue": {"Type": "AWS::SQS::Queue", "Properties": {"Encrypted": true}}}}')
    assert posture.cfn_lint([file]) == {"E3002": 1}


@pytest.mark.skipif(not posture.CHECKOV.exists(), reason="`make test` installs checkov")
def test_checkov_finds_nothing_but_what_is_accepted_with_a_reason(synthesized: Any) -> None:
    found, summary = posture.checkov(synthesized.directory)
    assert summary["passed"] > 800
    assert summary["parsing_errors"] == 0
    assert set(found) == set(CHECKOV_ACCEPTED), "not accepted, or accepted and found no more"
    for rule, count in found.items():
        limit = CHECKOV_ACCEPTED[rule][0]
        most = limit if isinstance(limit, int) else len(synthesized.resources(limit))
        assert count <= most, rule
        assert not isinstance(limit, int) or count == limit, f"{rule}: fewer: lower the number here"


def test_no_more_statements_allow_something_on_everything(synthesized: Any) -> None:
    found, statements = posture.on_everything(synthesized.stacks.values())
    assert statements > 200
    assert found == ON_EVERYTHING, "fewer: lower the number here"


def test_cdk_nag_finds_nothing_that_is_not_answered(project: Path, tmp_path: Path, new_app: BuildApp) -> None:
    assert posture.cdk_nag(new_app(project, tmp_path / "out")) == {}


def test_every_answer_to_cdk_nag_has_a_reason_and_there_are_no_more_of_them(
    project: Path, tmp_path: Path, new_app: BuildApp
) -> None:
    bare, answers = posture.unanswered(lambda: new_app(project, tmp_path / "out"))
    found = posture.cdk_nag(bare)
    rules = {answer.id.partition("[")[0] for answer in answers if answer.id.startswith("AwsSolutions-")}
    assert rules >= {rule.partition("[")[0] for rule in found}  # and rules that only warn
    assert [answer.id for answer in answers if len(answer.reason.split()) < 4] == []
    assert sum(found.values()) == ACKNOWLEDGED, "fewer: lower the number here"


def test_cdk_nag_would_find_a_bucket_without_a_thought(project: Path, tmp_path: Path, new_app: BuildApp) -> None:
    app = new_app(project, tmp_path / "out")
    from aws_cdk import aws_s3

    aws_s3.Bucket(app.node.find_child("dev").node.find_child("edge"), "Thoughtless")
    assert "AwsSolutions-S1" in posture.cdk_nag(app)
