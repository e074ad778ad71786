"""`lockgate review` on the project's own templates: each planted risk is named, and no harmless change is flagged."""

from __future__ import annotations

import copy
import json
import shutil
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from cli import main
from lockgate.templates.review.assembly import ReviewedAssembly, read_assembly
from lockgate.templates.review.compare import judged, review
from lockgate.templates.review.differ import compare
from lockgate.templates.review.finding import Review, Risk

PROJECT = Path(__file__).parents[2]
GOLDEN = Path(__file__).with_name("review.md")
Template = dict[str, Any]
EDGE, RELEASE = "lockgate-prod-edge", "lockgate-prod-release-alpha"
ARTIFACTS, DELIVERY, PROMOTION = (f"lockgate-tools-{name}" for name in ("artifacts", "delivery", "promotion"))


def one(template: Template, kind: str, has: str = "") -> tuple[str, dict[str, Any]]:
    """The first resource of a type that mentions `has`."""
    return next(
        (name, resource)
        for name, resource in template["Resources"].items()
        if resource["Type"] == kind and has in name + json.dumps(resource)
    )


def remove(kind: str, has: str = "") -> Callable[[Template], None]:
    return lambda template: template["Resources"].pop(one(template, kind, has)[0]) and None


def put(kind: str, path: str, value: Any, has: str = "") -> Callable[[Template], None]:
    """Set a property by its dotted path; None takes it away."""

    def act(template: Template) -> None:
        target = one(template, kind, has)[1]["Properties"]
        *parents, last = path.split(".")
        for key in parents:
            target = target[int(key)] if key.isdigit() else target.setdefault(key, {})
        if value is None:
            del target[int(last) if last.isdigit() else last]
        else:
            target[int(last) if last.isdigit() else last] = value

    return act


def attribute(key: str, value: str) -> Callable[[Template], None]:
    def act(template: Template) -> None:
        attributes = one(template, "AWS::ElasticLoadBalancingV2::LoadBalancer")[1]["Properties"][
            "LoadBalancerAttributes"
        ]
        next(entry for entry in attributes if entry["Key"] == key)["Value"] = value

    return act


def add(kind: str, **properties: Any) -> Callable[[Template], None]:
    return lambda template: template["Resources"].update(Planted={"Type": kind, "Properties": properties})


def statement(kind: str, change: Callable[[list[dict[str, Any]]], None], has: str = "") -> Callable[[Template], None]:
    """Change the statements of a resource's policy; of a role's own rights, not of who may take it."""

    def act(template: Template) -> None:
        properties = one(template, kind, has)[1]["Properties"]
        owned = properties.get("Policies", [properties])[0]
        change(owned["PolicyDocument"]["Statement"])

    return act


def trust(change: Callable[[list[dict[str, Any]]], None], has: str) -> Callable[[Template], None]:
    """Change the statements that say who may take a role."""
    return lambda template: change(one(template, ROLE, has)[1]["Properties"]["AssumeRolePolicyDocument"]["Statement"])


def allow(action: str, resource: str, **more: Any) -> Callable[[list[dict[str, Any]]], None]:
    return lambda listed: listed.append({"Effect": "Allow", "Action": action, "Resource": resource, **more})


def without_condition(listed: list[dict[str, Any]]) -> None:
    next(entry for entry in listed if "Condition" in entry and entry["Effect"] == "Allow").pop("Condition")


def without_denials(listed: list[dict[str, Any]]) -> None:
    listed[:] = [entry for entry in listed if entry["Effect"] != "Deny"]


def unkept(template: Template) -> None:
    one(template, "AWS::S3::Bucket", '"DeletionPolicy": "Retain"')[1]["DeletionPolicy"] = "Delete"


BUCKET, ROLE = "AWS::S3::Bucket", "AWS::IAM::Role"
ALARM, BALANCER = "AWS::CloudWatch::Alarm", "AWS::ElasticLoadBalancingV2::LoadBalancer"
LOCKED = '"ObjectLockEnabled": true'
INGRESS = {"GroupId": "sg-1", "IpProtocol": "tcp", "FromPort": 22, "ToPort": 22}

# name: (stack, the change, topic, risk, words of the finding)
PLANTED: dict[str, tuple[str, Callable[[Template], None], str, Risk, str]] = {
    "a bucket replaced": (ARTIFACTS, put(BUCKET, "BucketName", "another"), "replacement", Risk.HIGH, "BucketName"),
    "a log group replaced": (
        EDGE,
        put("AWS::Logs::LogGroup", "LogGroupName", "another"),
        "replacement",
        Risk.HIGH,
        "an empty one because of LogGroupName",
    ),
    "a queue deleted": (EDGE, remove("AWS::SQS::Queue"), "replacement", Risk.HIGH, "deleted with what it holds"),
    "a balancer replaced": (EDGE, put(BALANCER, "Name", "another"), "replacement", Risk.MEDIUM, "Name"),
    "a service deleted": (RELEASE, remove("AWS::ECS::Service"), "replacement", Risk.MEDIUM, "hang on it"),
    "a role replaced": (DELIVERY, put(ROLE, "RoleName", "x", "lockgate-delivery"), "replacement", Risk.MEDIUM, "Name"),
    "a new action": (
        DELIVERY,
        statement(ROLE, allow("s3:DeleteObject", "arn:aws:s3:::b/*"), "GitHub"),
        "access",
        Risk.MEDIUM,
        "may now s3:DeleteObject on arn:aws:s3:::b/*",
    ),
    "everything allowed": (
        DELIVERY,
        statement(ROLE, allow("*", "*"), "GitHub"),
        "access",
        Risk.HIGH,
        "may now anything on every resource",
    ),
    "a role to pass": (
        PROMOTION,
        statement(ROLE, allow("iam:PassRole", "arn:aws:iam::111111111111:role/x")),
        "access",
        Risk.HIGH,
        "iam:PassRole",
    ),
    "a token to send": (
        PROMOTION,
        statement(ROLE, allow("states:SendTaskSuccess", "arn:aws:states:::x")),
        "access",
        Risk.HIGH,
        "states:SendTaskSuccess",
    ),
    "a resource widened": (
        DELIVERY,
        statement(ROLE, lambda listed: listed[0].update(Resource="*"), "GitHub"),
        "access",
        Risk.HIGH,
        "on every resource",
    ),
    "trust without a condition": (
        DELIVERY,
        trust(without_condition, "lockgate-delivery"),
        "access",
        Risk.HIGH,
        "without the condition it had",
    ),
    "a stranger's account": (
        PROMOTION,
        statement(
            ROLE,
            lambda listed: listed.append(
                {"Effect": "Allow", "Action": "sts:AssumeRole", "Principal": {"AWS": "arn:aws:iam::999999999999:root"}}
            ),
        ),
        "access",
        Risk.HIGH,
        "may now sts:AssumeRole",
    ),
    "a public bucket": (
        ARTIFACTS,
        statement("AWS::S3::BucketPolicy", allow("s3:GetObject", "arn:aws:s3:::b/*", Principal="*")),
        "access",
        Risk.HIGH,
        "may now s3:GetObject",
    ),
    "denials removed": (
        ARTIFACTS,
        statement("AWS::S3::BucketPolicy", without_denials),
        "access",
        Risk.HIGH,
        "is no longer denied",
    ),
    "an administrator": (
        EDGE,
        put(ROLE, "ManagedPolicyArns", ["arn:aws:iam::aws:policy/AdministratorAccess"]),
        "access",
        Risk.HIGH,
        "AdministratorAccess",
    ),
    "a function for all": (PROMOTION, put("AWS::Lambda::Url", "AuthType", "NONE"), "network", Risk.HIGH, "nobody"),
    "a port for all": (
        EDGE,
        add("AWS::EC2::SecurityGroupIngress", CidrIp="0.0.0.0/0", **INGRESS),
        "network",
        Risk.HIGH,
        "can be reached from anywhere on tcp 22",
    ),
    "a port for a neighbour": (
        EDGE,
        add("AWS::EC2::SecurityGroupIngress", CidrIp="10.0.0.0/8", **INGRESS),
        "network",
        Risk.MEDIUM,
        "10.0.0.0/8",
    ),
    "a listener without TLS": (
        EDGE,
        put("AWS::ElasticLoadBalancingV2::Listener", "Protocol", "HTTP", '"HTTPS"'),
        "network",
        Risk.HIGH,
        "without TLS",
    ),
    "encryption removed": (ARTIFACTS, put(BUCKET, "BucketEncryption", None), "protection", Risk.HIGH, "encryption"),
    "public access": (
        ARTIFACTS,
        put(BUCKET, "PublicAccessBlockConfiguration.BlockPublicPolicy", False),
        "protection",
        Risk.HIGH,
        "public policies are blocked: true becomes false",
    ),
    "versions suspended": (
        ARTIFACTS,
        put(BUCKET, "VersioningConfiguration.Status", "Suspended", '"VersioningConfiguration"'),
        "protection",
        Risk.HIGH,
        "versioning",
    ),
    "Object Lock for a shorter time": (
        ARTIFACTS,
        put(BUCKET, "ObjectLockConfiguration.Rule.DefaultRetention.Days", 1, LOCKED),
        "protection",
        Risk.HIGH,
        "days of Object Lock: 3 becomes 1",
    ),
    "tags that move": (
        ARTIFACTS,
        put("AWS::ECR::Repository", "ImageTagMutability", "MUTABLE"),
        "protection",
        Risk.HIGH,
        "IMMUTABLE becomes MUTABLE",
    ),
    "keys that do not rotate": (
        ARTIFACTS,
        put("AWS::KMS::Key", "EnableKeyRotation", False),
        "protection",
        Risk.MEDIUM,
        "key rotation",
    ),
    "logs kept for a day": (
        EDGE,
        put("AWS::Logs::LogGroup", "RetentionInDays", 1),
        "protection",
        Risk.MEDIUM,
        "becomes 1",
    ),
    "logs in the clear": (
        PROMOTION,
        put("AWS::Logs::LogGroup", "KmsKeyId", None, "KmsKeyId"),
        "protection",
        Risk.HIGH,
        "becomes nothing",
    ),
    "access log off": (
        EDGE,
        attribute("access_logs.s3.enabled", "false"),
        "protection",
        Risk.MEDIUM,
        "access log: true becomes false",
    ),
    "invalid headers let in": (
        EDGE,
        attribute("routing.http.drop_invalid_header_fields.enabled", "false"),
        "protection",
        Risk.MEDIUM,
        "refusal of invalid headers",
    ),
    "a balancer on the internet": (EDGE, put(BALANCER, "Scheme", "internet-facing"), "network", Risk.HIGH, "internet"),
    "not kept on deletion": (ARTIFACTS, unkept, "protection", Risk.HIGH, "DeletionPolicy Retain becomes Delete"),
    "flow log removed": (EDGE, remove("AWS::EC2::FlowLog"), "protection", Risk.HIGH, "flow log is removed"),
    "an alarm removed": (RELEASE, remove(ALARM), "alarm", Risk.HIGH, "nobody is told"),
    "an alarm raised later": (RELEASE, put(ALARM, "Threshold", 500), "alarm", Risk.HIGH, "threshold 5 becomes 500"),
    "an alarm that tells nobody": (RELEASE, put(ALARM, "AlarmActions", []), "alarm", Risk.HIGH, "somebody told"),
    "a deployment without alarms": (
        RELEASE,
        put("AWS::ECS::Service", "DeploymentConfiguration.Alarms.Enable", False),
        "alarm",
        Risk.HIGH,
        "alarms that stop a deployment",
    ),
    "the release's parameter renamed": (
        RELEASE,
        lambda template: template["Parameters"].update(Image=template["Parameters"].pop("ReleaseImage")),
        "release",
        Risk.HIGH,
        "the parameter goes away",
    ),
}


def reordered(template: Template) -> None:
    template["Resources"] = dict(reversed(template["Resources"].items()))


def split(listed: list[dict[str, Any]]) -> None:
    """One statement of two actions becomes two of one."""
    whole = next(entry for entry in listed if isinstance(entry["Action"], list) and entry["Effect"] == "Allow")
    listed.remove(whole)
    listed += [{**whole, "Action": action} for action in whole["Action"]]


def narrowed(listed: list[dict[str, Any]]) -> None:
    listed[0]["Condition"] = {"StringEquals": {"aws:PrincipalAccount": "111111111111"}}


HARMLESS: dict[str, tuple[str, Callable[[Template], None]]] = {
    "nothing": (EDGE, lambda template: None),
    "another description": (EDGE, lambda template: template.update(Description="Lockgate, described anew")),
    "another order": (PROMOTION, reordered),
    "new code": (PROMOTION, put("AWS::Lambda::Function", "Code.S3Key", "0" * 64 + ".zip")),
    "more memory": (PROMOTION, put("AWS::Lambda::Function", "MemorySize", 512)),
    "a statement split": (DELIVERY, statement(ROLE, split, "GitHub")),
    "a right narrowed by a condition": (DELIVERY, statement(ROLE, narrowed, "GitHub")),
    "a right removed": (DELIVERY, statement(ROLE, lambda listed: listed.pop(0) and None, "GitHub")),
    "logs kept longer": (EDGE, put("AWS::Logs::LogGroup", "RetentionInDays", 3653)),
    "one more alarm": (EDGE, add(ALARM, MetricName="m", Namespace="n", Threshold=1)),
    "one more tag": (ARTIFACTS, put(BUCKET, "Tags", [{"Key": "team", "Value": "models"}])),
    "an output": (EDGE, lambda template: template.setdefault("Outputs", {}).update(New={"Value": "x"})),
    "an alarm raised earlier": (RELEASE, put(ALARM, "Threshold", 0.5)),
}


@pytest.fixture(scope="module")
def assembly(synthesized: Any) -> ReviewedAssembly:
    return read_assembly(synthesized.directory)


def changed(
    assembly: ReviewedAssembly, stack: str, change: Callable[[Template], None]
) -> tuple[ReviewedAssembly, ReviewedAssembly]:
    """The assembly with this stack only, before and after a change."""
    base = replace(assembly, templates={stack: assembly.templates[stack]}, environments={})
    head = replace(base, templates=copy.deepcopy(base.templates))
    change(head.templates[stack])
    return base, head


@pytest.fixture(scope="module")
def reviewed(assembly: ReviewedAssembly) -> Mapping[str, Review]:
    """The review of each change by itself; the differ is asked once about all of them."""
    changes = {**{name: (stack, change) for name, (stack, change, *_) in PLANTED.items()}, **HARMLESS}
    sides = {name: changed(assembly, *each) for name, each in changes.items()}
    before, after = ({name: each[side].templates[changes[name][0]] for name, each in sides.items()} for side in (0, 1))
    differences = {each.stack: each for each in compare(PROJECT, before, after)}
    return {name: judged(*sides[name], [replace(differences[name], stack=changes[name][0])]) for name in changes}


@pytest.mark.parametrize("name", PLANTED)
def test_a_planted_risk_is_named(reviewed: Mapping[str, Review], name: str) -> None:
    _, _, topic, risk, words = PLANTED[name]
    found = reviewed[name].findings
    named = [finding for finding in found if finding.topic == topic and words in finding.text]
    assert [finding.risk for finding in named] == [risk] * len(named) != [], found


@pytest.mark.parametrize("name", HARMLESS)
def test_a_harmless_change_is_not_flagged(reviewed: Mapping[str, Review], name: str) -> None:
    assert reviewed[name].findings == ()


RULE = {"name": "ranking", "kind": "limit", "metric": "roc_auc"}
POLICIES: dict[str, tuple[dict[str, Any], dict[str, Any], Risk, str]] = {
    "a floor lowered": ({"rule": [{**RULE, "floor": 0.8}]}, {"rule": [{**RULE, "floor": 0.7}]}, Risk.HIGH, "loosened"),
    "a floor raised": ({"rule": [{**RULE, "floor": 0.8}]}, {"rule": [{**RULE, "floor": 0.9}]}, Risk.LOW, "tightened"),
    "a ceiling raised": ({"rule": [{**RULE, "ceiling": 1}]}, {"rule": [{**RULE, "ceiling": 2}]}, Risk.HIGH, "loosened"),
    "a rule removed": ({"rule": [{**RULE, "floor": 0.8}]}, {"rule": []}, Risk.HIGH, "the rule is removed"),
    "a rule added": ({"rule": []}, {"rule": [{**RULE, "floor": 0.8}]}, Risk.LOW, "the rule is new"),
    "another metric": ({"rule": [RULE]}, {"rule": [{**RULE, "metric": "f1"}]}, Risk.HIGH, "compare them yourself"),
    "fewer approvals": ({"approvals": 1}, {"approvals": 0}, Risk.HIGH, "loosened: 1 becomes 0"),
    "another repository": ({"github": {"owner_id": "1"}}, {"github": {"owner_id": "2"}}, Risk.HIGH, "1 becomes 2"),
    "another judge": (
        {"evaluator": {"image_digest": "a"}},
        {"evaluator": {"image_digest": "b"}},
        Risk.HIGH,
        "a becomes",
    ),
}


@pytest.mark.parametrize("name", POLICIES)
def test_a_change_of_policy_is_named_with_its_direction(name: str) -> None:
    base, head, risk, words = POLICIES[name]
    found = review(
        PROJECT, ReviewedAssembly(environments={"prod": base}), ReviewedAssembly(environments={"prod": head})
    ).findings
    ((finding),) = found
    assert (finding.topic, finding.where, finding.risk) == ("policy", "environments/prod.toml", risk)
    assert words in finding.text


PROMISE = {"assurance": "budget", "budget": {"false_promotion_rate": 0.05}}
PLACED = {**RULE, "floor": 0.8, "environments": ["prod"]}
OF_MODELS: dict[str, tuple[dict[str, Any], dict[str, Any], Risk, str]] = {
    "a floor lowered": ({"rule": [PLACED]}, {"rule": [{**PLACED, "floor": 0.7}]}, Risk.HIGH, "loosened"),
    "less assurance": (PROMISE, {**PROMISE, "assurance": "simple"}, Risk.HIGH, "budget becomes simple"),
    "another rate": (PROMISE, {**PROMISE, "budget": {"false_promotion_rate": 0.1}}, Risk.HIGH, "0.05 becomes 0.1"),
    "another error": ({"error": 0.05}, {"error": 0.4}, Risk.HIGH, "another promise"),
    "no fairness rule": ({}, {"no_fairness_rule": "trust us"}, Risk.HIGH, "nothing becomes trust us"),
}


@pytest.mark.parametrize("name", OF_MODELS)
def test_a_change_of_a_models_policy_is_a_risk_of_its_own(name: str) -> None:
    base, head, risk, words = OF_MODELS[name]
    before, after = (ReviewedAssembly(policies={"income": side}) for side in (base, head))
    (finding,) = review(PROJECT, before, after).findings
    assert (finding.topic, finding.where, finding.risk) == ("model", "model/income/policy.toml", risk)
    assert words in finding.text


def test_another_tier_or_owner_of_a_model_is_named() -> None:
    def assembly(**tags: str) -> ReviewedAssembly:
        said = [{"Key": f"lockgate:{key}", "Value": value} for key, value in tags.items()]
        group = {
            "Type": "AWS::SageMaker::ModelPackageGroup",
            "Properties": {"ModelPackageGroupName": "m", "Tags": said},
        }
        return ReviewedAssembly(templates={"lockgate-tools-training": {"Resources": {"Group": group}}})

    found = review(PROJECT, assembly(owner="ana", tier="high"), assembly(owner="olga")).findings
    assert {(finding.risk, finding.what, finding.text) for finding in found if finding.topic == "model"} == {
        (Risk.HIGH, "Group", "tier high becomes nothing"),
        (Risk.MEDIUM, "Group", "owner ana becomes olga"),
    }


def test_a_rule_that_holds_in_fewer_environments_is_loosened() -> None:
    before, after = (
        ReviewedAssembly(policies={"income": {"rule": [{**PLACED, "environments": where}]}})
        for where in (["dev", "prod"], ["dev"])
    )
    found = {(finding.risk, finding.what) for finding in review(PROJECT, before, after).findings}
    assert found == {(Risk.HIGH, "rule ranking of dev, prod"), (Risk.LOW, "rule ranking of dev")}


def test_the_policy_of_a_new_model_wants_a_look_and_that_of_a_removed_one_is_high() -> None:
    nothing, some = ReviewedAssembly(), ReviewedAssembly(policies={"income": PROMISE})
    assert [finding.risk for finding in review(PROJECT, nothing, some).findings] == [Risk.MEDIUM]
    assert [finding.risk for finding in review(PROJECT, some, nothing).findings] == [Risk.HIGH]


def test_a_stack_that_left_the_app_is_named_once(assembly: ReviewedAssembly) -> None:
    base, head = changed(assembly, RELEASE, lambda template: None)
    (finding,) = review(PROJECT, base, replace(head, templates={})).findings
    assert (finding.risk, finding.where) == (Risk.HIGH, RELEASE)
    assert "leaves it running" in finding.text


@pytest.fixture
def folders(synthesized: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[tuple[Path, Path]]:
    """Two cloud assemblies on disk; the second is that of the change that the golden file reviews."""
    monkeypatch.chdir(PROJECT)
    head = tmp_path / "head"
    shutil.copytree(synthesized.directory, head)
    assert review(PROJECT, read_assembly(synthesized.directory), read_assembly(head)).risk is None
    changes = ((EDGE, PLANTED["flow log removed"][1]), (DELIVERY, PLANTED["a new action"][1]))
    for stack, change in (*changes, (RELEASE, PLANTED["a deployment without alarms"][1])):
        for manifest in head.rglob("manifest.json"):
            for artifact in json.loads(manifest.read_text())["artifacts"].values():
                if artifact.get("properties", {}).get("stackName") == stack:
                    file = manifest.parent / artifact["properties"]["templateFile"]
                    template = json.loads(file.read_text())
                    change(template)
                    file.write_text(json.dumps(template))
    for asset in head.glob("asset.*"):
        file = asset / "model" / "alpha" / "policy.toml"
        file.write_text(file.read_text().replace("floor = 0.80", "floor = 0.70"))
    return synthesized.directory, head


def test_the_markdown_of_one_change_is_the_golden_file(
    folders: tuple[Path, Path], capsys: pytest.CaptureFixture[str]
) -> None:
    code = main.main(["review", *map(str, folders), "--markdown"])
    shown = capsys.readouterr().out
    assert code == 5
    assert shown == GOLDEN.read_text(), "write the new text to tests/synth/review.md if it is right"


def test_the_threshold_decides_the_exit_code(folders: tuple[Path, Path], capsys: pytest.CaptureFixture[str]) -> None:
    assert main.main(["review", *map(str, folders), "--threshold", "none", "--json"]) == 0
    facts = json.loads(capsys.readouterr().out)
    assert facts["risk"] == "high"
    assert main.main(["review", str(folders[0]), str(folders[0]), "--threshold", "low"]) == 0
    assert capsys.readouterr().out == "nothing changes\n"


def test_a_folder_without_an_assembly_is_one_clear_error(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(PROJECT)
    assert main.main(["review", str(tmp_path), str(tmp_path)]) == 1
    assert "expected a cloud assembly" in capsys.readouterr().err


def test_what_a_template_says_cannot_leave_its_cell(assembly: ReviewedAssembly) -> None:
    from lockgate.templates.review.render import as_markdown

    base, head = changed(assembly, EDGE, lambda template: None)
    name = "A` | <script> @everyone"
    base = replace(base, templates=copy.deepcopy(base.templates))
    base.templates[EDGE]["Resources"][name] = {"Type": ALARM, "Properties": {}}
    rows = [line for line in as_markdown(review(PROJECT, base, head)).splitlines() if "everyone" in line]
    assert rows
    assert all(row.count("`") % 2 == 0 and "A'" in row for row in rows)
