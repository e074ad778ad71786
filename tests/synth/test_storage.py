"""Buckets, repositories and the ledger, as their templates and policies have them."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

from lockgate import names

TOOLS = "111111111111"
CONTEXT: dict[str, Any] = json.loads((Path(__file__).parents[2] / "cdk.json").read_text())["context"]


def policy_of(synthesized: Any, bucket_id: str, stack: str) -> list[dict[str, Any]]:
    for _, resource in synthesized.resources("AWS::S3::BucketPolicy", stack):
        if resource["Properties"]["Bucket"] == {"Ref": bucket_id}:
            statements: list[dict[str, Any]] = resource["Properties"]["PolicyDocument"]["Statement"]
            return statements
    raise AssertionError(f"{bucket_id} has no policy")


def bucket_of(synthesized: Any, purpose: str) -> tuple[dict[str, Any], dict[str, dict[str, Any]]]:
    """Properties of a bucket of tools, and the named statements of its policy."""
    wanted = names.bucket(purpose, TOOLS, "us-east-1")
    ((name, bucket),) = [
        (name, resource)
        for name, resource in synthesized.resources("AWS::S3::Bucket", "lockgate-tools")
        if resource["Properties"].get("BucketName") == wanted
    ]
    stack, _, bucket_id = name.partition("/")
    return bucket["Properties"], {s["Sid"]: s for s in policy_of(synthesized, bucket_id, stack) if "Sid" in s}


def warnings_with(text: str, assembly: Path) -> list[str]:
    """The warnings of an assembly's stacks that have `text` in them."""
    entries = [
        entry
        for file in assembly.rglob("*.metadata.json")
        for of_construct in json.loads(file.read_text()).values()
        for entry in of_construct
    ]
    return [e["data"] for e in entries if e["type"] == "aws:cdk:warning" and text in e["data"]]


def denied_but_for(*roles: str) -> dict[str, Any]:
    return {"ArnNotEquals": {"aws:PrincipalArn": [names.role_arn(TOOLS, role) for role in roles]}}


def test_every_bucket_is_encrypted_versioned_private_and_kept(synthesized: Any) -> None:
    buckets = [entry for entry in synthesized.resources("AWS::S3::Bucket") if entry[1]["Type"] == "AWS::S3::Bucket"]
    assert len(buckets) > 8
    for name, bucket in buckets:
        properties = bucket["Properties"]
        assert properties["BucketEncryption"], name
        assert properties["VersioningConfiguration"] == {"Status": "Enabled"}, name
        assert set(properties["PublicAccessBlockConfiguration"].values()) == {True}, name
        assert bucket["DeletionPolicy"] == "Retain", name


def test_every_bucket_but_the_logs_and_the_anchor_has_a_key_of_ours_and_access_logs(synthesized: Any) -> None:
    for name, bucket in synthesized.resources("AWS::S3::Bucket"):
        if bucket["Type"] != "AWS::S3::Bucket" or "Logs" in name:
            continue
        (rule,) = bucket["Properties"]["BucketEncryption"]["ServerSideEncryptionConfiguration"]
        algorithm = rule["ServerSideEncryptionByDefault"]["SSEAlgorithm"]
        assert algorithm == ("AES256" if name.startswith("lockgate-anchor/") else "aws:kms"), name
        assert bucket["Properties"]["LoggingConfiguration"], name


def test_every_bucket_refuses_requests_without_tls(synthesized: Any) -> None:
    for name, bucket in synthesized.resources("AWS::S3::Bucket"):
        if bucket["Type"] == "AWS::S3::Bucket":
            stack, _, bucket_id = name.partition("/")
            without_tls = {"Bool": {"aws:SecureTransport": "false"}}
            assert any(
                s["Effect"] == "Deny" and s["Action"] == "s3:*" and s.get("Condition") == without_tls
                for s in policy_of(synthesized, bucket_id, stack)
            ), name


def test_the_ledger_is_locked_for_as_long_as_configured(synthesized: Any) -> None:
    bucket, _ = bucket_of(synthesized, "ledger")
    assert bucket["ObjectLockConfiguration"]["Rule"]["DefaultRetention"] == {"Days": 3, "Mode": "GOVERNANCE"}


def test_the_ledger_is_locked_for_good_only_by_choice_and_with_a_warning(
    project: Path, tmp_path: Path, new_app: Callable[[Path, Path], Any]
) -> None:
    file = project / "environments" / "tools.toml"
    file.write_text(file.read_text() + 'lock_mode = "COMPLIANCE"\n')
    stages = new_app(project, tmp_path / "out").synth().nested_assemblies
    locks = [
        resource["Properties"]["ObjectLockConfiguration"]["Rule"]["DefaultRetention"]
        for stage in stages
        for stack in stage.nested_assembly.stacks
        for resource in stack.template["Resources"].values()
        if "ObjectLockConfiguration" in resource["Properties"]
    ]
    assert locks == [{"Days": 3, "Mode": "COMPLIANCE"}] * 2
    warned = warnings_with("locked in COMPLIANCE mode for 3 days", tmp_path / "out")
    assert len(warned) == 2, "the ledger's and its anchor's"


def test_the_anchor_is_in_another_account_takes_heads_once_and_undoes_nothing(synthesized: Any) -> None:
    stack = "lockgate-anchor"
    bucket = synthesized.only("AWS::S3::Bucket", stack, BucketName="lockgate-anchor-555555555555-us-east-1")
    assert bucket["ObjectLockConfiguration"]["Rule"]["DefaultRetention"] == {"Days": 3, "Mode": "GOVERNANCE"}
    (policy,) = [
        each["Properties"]["PolicyDocument"]["Statement"]
        for _, each in synthesized.resources("AWS::S3::BucketPolicy", stack)
        if any(s.get("Sid") == "OnlyWritersPut" for s in each["Properties"]["PolicyDocument"]["Statement"])
    ]
    denied = {s["Sid"]: s for s in policy if s["Effect"] == "Deny" and "Sid" in s}
    assert denied["OnlyWhereNothingIsYet"]["Condition"] == {"Null": {"s3:if-none-match": "true"}}
    assert "Condition" not in denied["NothingIsUndone"]
    assert denied["OnlyWritersPut"]["Condition"] == denied_but_for(names.ANCHOR_ROLE)
    allowed = {s["Action"]: s for s in policy if s["Effect"] == "Allow"}
    assert set(allowed) == {"s3:ListBucket", "s3:GetObject", "s3:PutObject"}
    assert {json.dumps(s["Principal"]) for s in allowed.values()} == {json.dumps({"AWS": f"arn:aws:iam::{TOOLS}:root"})}
    writer = {"ArnEquals": {"aws:PrincipalArn": names.role_arn(TOOLS, names.ANCHOR_ROLE)}}
    assert allowed["s3:PutObject"]["Condition"] == writer


def test_every_record_is_told_to_the_function_that_keeps_its_head(synthesized: Any) -> None:
    bucket, _ = bucket_of(synthesized, "ledger")
    assert bucket["NotificationConfiguration"] == {"EventBridgeConfiguration": {"EventBridgeEnabled": True}}
    (rule,) = [
        rule["Properties"]
        for _, rule in synthesized.resources("AWS::Events::Rule", "lockgate-tools-promotion")
        if rule["Properties"].get("EventPattern", {}).get("source") == ["aws.s3"]
    ]
    assert rule["EventPattern"]["detail"] == {"bucket": {"name": [names.bucket("ledger", TOOLS, "us-east-1")]}}
    assert names.ANCHOR_ROLE not in names.LEDGER_WRITER_ROLES


def test_an_anchor_in_the_ledgers_own_account_is_none_and_that_is_warned_of(
    project: Path, tmp_path: Path, new_app: Callable[[Path, Path], Any]
) -> None:
    file = project / "environments" / "tools.toml"
    file.write_text(file.read_text().replace("555555555555", TOOLS))
    stages = new_app(project, tmp_path / "out").synth().nested_assemblies
    assert "lockgate-anchor" not in {stack.stack_name for stage in stages for stack in stage.nested_assembly.stacks}
    assert len(warnings_with("the ledger has no anchor", tmp_path / "out")) == 1


def test_the_ledger_takes_a_record_only_where_nothing_is(synthesized: Any) -> None:
    _, policy = bucket_of(synthesized, "ledger")
    once = policy["OnlyWhereNothingIsYet"]
    assert (once["Effect"], once["Action"], once["Principal"]) == ("Deny", "s3:PutObject", {"AWS": "*"})
    assert once["Condition"] == {"Null": {"s3:if-none-match": "true"}}


def test_nobody_undoes_the_ledger(synthesized: Any) -> None:
    _, policy = bucket_of(synthesized, "ledger")
    undoing = policy["NothingIsUndone"]
    assert (undoing["Effect"], undoing["Principal"], "Condition" in undoing) == ("Deny", {"AWS": "*"}, False)
    assert {
        "s3:BypassGovernanceRetention",
        "s3:DeleteObject",
        "s3:DeleteObjectVersion",
        "s3:PutBucketVersioning",
        "s3:PutBucketObjectLockConfiguration",
    } <= set(undoing["Action"])


def test_only_the_functions_that_decide_and_record_write_the_ledger(synthesized: Any) -> None:
    _, policy = bucket_of(synthesized, "ledger")
    assert policy["OnlyWritersPut"]["Condition"] == denied_but_for(*names.LEDGER_WRITER_ROLES)
    made = {
        role["Properties"].get("RoleName")
        for _, role in synthesized.resources("AWS::IAM::Role", "lockgate-tools-promotion")
    }
    assert set(names.LEDGER_WRITER_ROLES) <= made


def test_only_the_evaluation_reads_labels(synthesized: Any) -> None:
    _, policy = bucket_of(synthesized, "labels")
    reading = policy["OnlyEvaluationReads"]
    assert (reading["Effect"], reading["Principal"]) == ("Deny", {"AWS": "*"})
    assert set(reading["Action"]) == {"s3:GetObject", "s3:GetObjectVersion"}
    assert reading["Condition"] == denied_but_for(names.EVALUATION_ROLE)


def test_no_role_of_ours_publishes_labels(synthesized: Any) -> None:
    _, policy = bucket_of(synthesized, "labels")
    assert policy["OnlyOperatorsPublish"]["Action"] == "s3:PutObject"
    assert policy["OnlyOperatorsPublish"]["Condition"] == {
        "ArnLike": {"aws:PrincipalArn": names.role_arn(TOOLS, "lockgate-*")}
    }


def key_of(synthesized: Any, purpose: str) -> str:
    """The logical id of the key that a bucket of tools is encrypted with."""
    (rule,) = bucket_of(synthesized, purpose)[0]["BucketEncryption"]["ServerSideEncryptionConfiguration"]
    return str(rule["ServerSideEncryptionByDefault"]["KMSMasterKeyID"]["Fn::GetAtt"][0])


def test_the_key_of_labels_decrypts_them_for_the_evaluation_only(synthesized: Any) -> None:
    (key,) = (
        key["Properties"]["KeyPolicy"]["Statement"]
        for name, key in synthesized.resources("AWS::KMS::Key", "lockgate-tools-artifacts")
        if name.endswith(key_of(synthesized, "labels"))
    )
    (denied,) = (s for s in key if s["Effect"] == "Deny")
    assert (denied["Sid"], denied["Action"], denied["Principal"]) == (
        "OnlyEvaluationReadsLabels",
        "kms:Decrypt",
        {"AWS": "*"},
    )
    labels = f"arn:aws:s3:::{names.bucket('labels', TOOLS, 'us-east-1')}"
    assert denied["Condition"] == {
        "StringLike": {"kms:EncryptionContext:aws:s3:arn": [labels, f"{labels}/*"]},
        "ArnNotEquals": {"aws:PrincipalArn": names.role_arn(TOOLS, names.EVALUATION_ROLE)},
    }


def test_no_job_may_use_the_key_of_the_ledger(synthesized: Any) -> None:
    ledger = key_of(synthesized, "ledger")
    assert {key_of(synthesized, each) for each in ("source", "data", "labels", "models", "evidence")}.isdisjoint(
        {ledger}
    )
    for stack in ("training", "delivery", "attestation"):
        for name, statement in synthesized.statements(f"lockgate-tools-{stack}"):
            if ledger in json.dumps(statement["Resource"]):
                assert "GitHubReview" in name or "kms:ViaService" in json.dumps(statement), name


def test_only_the_evaluation_writes_evidence(synthesized: Any) -> None:
    _, policy = bucket_of(synthesized, "evidence")
    assert policy["OnlyEvaluationPuts"]["Action"] == "s3:PutObject"
    assert policy["OnlyEvaluationPuts"]["Condition"] == denied_but_for(names.EVALUATION_ROLE)


def test_environments_read_the_recorded_rows_of_evaluation_and_no_other_evidence(synthesized: Any) -> None:
    policies = synthesized.resources("AWS::S3::BucketPolicy", "lockgate-tools-artifacts")
    evidence = [policy["Properties"] for name, policy in policies if "/Evidence" in name]
    statements = [s for s in evidence[0]["PolicyDocument"]["Statement"] if s["Effect"] == "Allow"]
    assert {s["Condition"]["ArnEquals"]["aws:PrincipalArn"] for s in statements} == {
        f"arn:aws:iam::{account}:role/lockgate-{environment}-deploy"
        for account, environment in (("222222222222", "dev"), ("333333333333", "staging"), ("444444444444", "prod"))
    }
    assert all(s["Resource"]["Fn::Join"][1][-1] == "/*/replay.json" for s in statements)


def test_sources_data_and_labels_are_published_once(synthesized: Any) -> None:
    for purpose in ("source", "data", "labels"):
        _, policy = bucket_of(synthesized, purpose)
        assert policy["OnlyWhereNothingIsYet"]["Condition"] == {"Null": {"s3:if-none-match": "true"}}, purpose


def test_repositories_keep_tags_scan_and_encrypt(synthesized: Any) -> None:
    repositories = synthesized.resources("AWS::ECR::Repository")
    assert len(repositories) == 2 + 3
    for name, repository in repositories:
        properties = repository["Properties"]
        assert properties["ImageTagMutability"] == "IMMUTABLE", name
        assert properties["ImageScanningConfiguration"] == {"ScanOnPush": True}, name
        assert properties["EncryptionConfiguration"]["EncryptionType"] == "KMS", name
        assert "LifecyclePolicy" not in properties, name


def test_images_are_copied_by_the_deploy_function_of_each_environment_and_by_nobody_else(synthesized: Any) -> None:
    repository = synthesized.only("AWS::ECR::Repository", RepositoryName=names.MODELS_REPOSITORY)
    reading = {action for s in repository["RepositoryPolicyText"]["Statement"] for action in s["Action"]}
    assert reading == {"ecr:BatchGetImage", "ecr:GetDownloadUrlForLayer"}
    copying = {s["Condition"]["ArnEquals"]["aws:PrincipalArn"] for s in repository["RepositoryPolicyText"]["Statement"]}
    assert copying == {
        f"arn:aws:iam::{account}:role/lockgate-{environment}-deploy"
        for account, environment in (("222222222222", "dev"), ("333333333333", "staging"), ("444444444444", "prod"))
    }
    evaluator = synthesized.only("AWS::ECR::Repository", RepositoryName=names.EVALUATOR_REPOSITORY)
    assert "RepositoryPolicyText" not in evaluator


def test_what_an_environment_keeps_for_a_rollback_is_deleted_by_no_rule_and_no_deploy(synthesized: Any) -> None:
    kept = ("AWS::ECR::Repository", "LifecyclePolicy"), ("AWS::S3::Bucket", "LifecycleConfiguration")
    for environment in ("dev", "staging", "prod"):
        for kind, rule in kept:
            found = [
                resource
                for _, resource in synthesized.resources(kind, f"lockgate-{environment}-edge")
                if f"lockgate-{environment}-releases" in json.dumps(resource)
            ]
            (resource,) = found
            assert resource["DeletionPolicy"] == resource["UpdateReplacePolicy"] == "Retain"
            assert rule not in resource["Properties"]


def test_the_first_deployment_over_0_1_keeps_what_its_stacks_import(project: Path, tmp_path: Path) -> None:
    from stacks import app

    context = {**CONTEXT, "lockgate:upgrading-from-0.1": "1"}
    stages = app.build(project, context=context, outdir=str(tmp_path / "out")).synth().nested_assemblies
    stacks = {stack.stack_name: stack.template for stage in stages for stack in stage.nested_assembly.stacks}
    exported = {output["Export"]["Name"] for output in stacks["lockgate-tools-artifacts"]["Outputs"].values()}
    groups = [name for name in stacks["lockgate-dev-edge"]["Outputs"] if "TargetGroupFullName" in name]
    assert len(groups) == 2, "both that a release stack of one model imports"
    for name in ("OperationsKey2329F47AArn169EDADE", "LabelsKey9AFCA0D2ArnB9D32F73"):
        assert f"lockgate-tools-artifacts:ExportsOutputFnGetAtt{name}" in exported
