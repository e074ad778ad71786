"""The main job, end to end: two commits delivered, one live everywhere, one refused; and what can be asked of it."""

from __future__ import annotations

import json
import re
import subprocess
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import boto3
import pyarrow
import pyarrow.parquet
import pytest
from botocore.exceptions import ClientError

from local.github import push_to
from lockgate import names, schema
from lockgate.aws import github_identity
from lockgate.aws.function_urls import FunctionUrl
from lockgate.aws.ledger import LedgerStore
from lockgate.configuration.project import read_configuration
from lockgate.errors import RefusedError
from lockgate.ledger import kinds
from lockgate.ledger.calls import Decide
from tests.docs.pages import commands, runs_on_the_demo

ROOT = Path(__file__).parents[2]
TOOLS = read_configuration(ROOT).tools
MODEL = "employment"
ENVIRONMENTS = TOOLS.promotion
SHOWN = {command.said: command for command in commands() if command.whole and runs_on_the_demo(command)}
LEDGER = names.bucket("ledger", TOOLS.account, TOOLS.region)


@pytest.fixture
def aws(demo: Any, monkeypatch: pytest.MonkeyPatch) -> Any:
    """A boto3 client factory as the operator of the tools account."""
    for name, value in demo.session.environment("tools").items():
        monkeypatch.setenv(name, value) if value else monkeypatch.delenv(name, raising=False)
    return boto3.Session(region_name=TOOLS.region).client


@pytest.fixture
def ledger(aws: Any) -> LedgerStore:
    return LedgerStore(aws("s3"), LEDGER)


def git(demo: Any, clone: Path, *arguments: str) -> str:
    identity = ("-c", "user.name=ada", "-c", "user.email=ada@example.com", "-c", "commit.gpgsign=false")
    done = demo.run("git", *identity, *arguments, cwd=clone)
    assert done.returncode == 0, done.stderr
    return str(done.stdout).strip()


def deliver(demo: Any, clone: Path, *options: str) -> Any:
    """Deliver a commit, to be trained on the demo's own snapshot: another test may have published a newer one."""
    snapshot = demo.facts("explain", "1")["records"][0]["snapshot"]
    return demo.facts("deliver", *options, "--snapshot", snapshot, cwd=clone)


def test_the_demo_says_what_is_live_what_was_refused_and_what_was_only_recorded(demo: Any) -> None:
    for expected in ("version 1", "refused", "roc_auc", "only recorded", "make down"):
        assert expected in demo.output


def test_the_request_that_the_demo_ends_with_is_answered(demo: Any) -> None:
    (said,) = re.findall(r"^  (curl .*)$", demo.output, re.MULTILINE)
    done = subprocess.run(["sh", "-c", said], capture_output=True, text=True, check=True, timeout=60)
    answer = json.loads(done.stdout)
    assert len(answer["predictions"]) == 1
    assert answer["release"]["version"] == "1"


def test_the_first_commit_is_live_everywhere_and_the_second_refused(demo: Any, aws: Any) -> None:
    status = demo.facts("status")
    second, first = git(demo, demo.clone, "log", "-2", "--format=%H").split()
    live = [status["environments"][name]["models"][MODEL]["live"] for name in ENVIRONMENTS]
    assert {entry["version"] for entry in live} == {1}
    assert {entry["commit"] for entry in live} == {first}
    tagged = aws("ecr").describe_images(repositoryName=names.MODELS_REPOSITORY, imageIds=[{"imageTag": first}])
    assert {entry["image_digest"] for entry in live} == {tagged["imageDetails"][0]["imageDigest"]}
    assert all(re.fullmatch(r"[0-9a-f]{64}", entry["model_sha256"]) for entry in live)
    assert all(entry["since"] and entry["verdict_id"] for entry in live)
    refused = [(entry["model"], entry["version"], entry["environment"]) for entry in status["refused"]]
    assert (MODEL, 2, ENVIRONMENTS[0]) in refused
    verdict = demo.facts("explain", "2")["records"][0]
    assert (verdict["commit"], verdict["outcome"]) == (second, "failed")
    messages = [reason["message"] for reason in verdict["reasons"]]
    assert any(re.search(r"roc_auc 0\.\d+ on \d+ rows < floor 0\.8", message) for message in messages)


@pytest.mark.parametrize("environment", ENVIRONMENTS)
def test_every_service_answers_what_evaluation_recorded(demo: Any, environment: str) -> None:
    facts = demo.facts("replay", environment)
    assert (facts["version"], facts["rows"], facts["equal"]) == ("1", 100, 100)


def test_production_was_approved_by_somebody_else_than_the_author(demo: Any) -> None:
    records = demo.facts("explain", "1", "--env", ENVIRONMENTS[-1])["records"]
    kinds = [record["kind"] for record in records]
    assert kinds == ["verdict", "approval-request", "approval", "deployment"]
    assert records[0]["actor"] == "ada"
    assert records[2]["person"] == "grace"
    assert "task_token" not in json.dumps(records)


def test_the_ledger_verifies_and_nobody_can_overwrite_or_delete_a_record(aws: Any, ledger: LedgerStore) -> None:
    chain = ledger.chain(MODEL)
    assert [record.sequence for record in chain] == list(range(1, len(chain) + 1))
    s3, key = aws("s3"), names.ledger_key(MODEL, 1)
    with pytest.raises(s3.exceptions.ClientError, match=r"AccessDenied|Access Denied|PreconditionFailed"):
        s3.put_object(Bucket=LEDGER, Key=key, Body=b"{}", IfNoneMatch="*")
    with pytest.raises(s3.exceptions.ClientError, match=r"AccessDenied|Access Denied"):
        s3.delete_object(Bucket=LEDGER, Key=key)


def call(aws: Any, handler: str, event: dict[str, Any]) -> Any:
    """Invoke the function of a handler, as a duplicated event would."""
    functions = aws("lambda").list_functions()["Functions"]
    function = next(found for found in functions if found["Handler"] == f"lambdas.{handler}.handler")
    return json.load(aws("lambda").invoke(FunctionName=function["FunctionName"], Payload=json.dumps(event))["Payload"])


def package_event(group: str, version: int) -> dict[str, Any]:
    package = f"arn:aws:sagemaker:{TOOLS.region}:{TOOLS.account}:model-package/{group}/{version}"
    return {
        "source": "aws.sagemaker",
        "detail-type": "SageMaker Model Package State Change",
        "account": TOOLS.account,
        "region": TOOLS.region,
        "detail": {
            "ModelPackageGroupName": group,
            "ModelPackageVersion": version,
            "ModelPackageArn": package,
            "ModelApprovalStatus": "PendingManualApproval",
        },
    }


def test_the_same_event_again_changes_nothing(aws: Any, ledger: LedgerStore) -> None:
    before = ledger.chain(MODEL)
    event = package_event(names.package_group(MODEL), 1)
    call(aws, "controller", event)
    package = event["detail"]["ModelPackageArn"]
    gate = {"model": MODEL, "version": "1", "package_arn": package, "environment": ENVIRONMENTS[0]}
    assert call(aws, "gate", gate)["outcome"] == "passed"
    assert ledger.chain(MODEL) == before


@pytest.mark.parametrize(("group", "version"), [("lockgate-unknown", 1), (names.package_group(MODEL), 99)])
def test_an_event_for_an_unknown_package_starts_nothing(
    aws: Any, ledger: LedgerStore, group: str, version: int
) -> None:
    machine = f"arn:aws:states:{TOOLS.region}:{TOOLS.account}:stateMachine:{names.PROMOTION_STATE_MACHINE}"
    before = len(aws("stepfunctions").list_executions(stateMachineArn=machine)["executions"])
    call(aws, "controller", package_event(group, version))
    assert len(aws("stepfunctions").list_executions(stateMachineArn=machine)["executions"]) == before


APPROVE = Decide(model=MODEL, version="1", environment=ENVIRONMENTS[-1], decision="approve", reason="")


def decide(session: boto3.Session) -> str:
    """What the approval function answers to who signs as this session."""
    with pytest.raises(RefusedError) as refused:
        FunctionUrl(session, names.DECIDE_FUNCTION).post(APPROVE, "approval")
    return str(refused.value)


def test_who_may_invoke_the_functions_and_nothing_else_is_nobody_whatever_the_event_says(
    demo: Any, aws: Any, ledger: LedgerStore
) -> None:
    """As PowerUserAccess may: the event names grace, and a proof of somebody's other call is none of this one."""
    before, grace = ledger.chain(MODEL), f"arn:aws:sts::{TOOLS.account}:assumed-role/{names.APPROVER_ROLE}/grace"
    document = {"Effect": "Allow", "Action": "lambda:InvokeFunction", "Resource": "*"}
    aws("iam").create_user(UserName="mallory")
    policy = json.dumps({"Version": "2012-10-17", "Statement": [document]})
    aws("iam").put_user_policy(UserName="mallory", PolicyName="invoke", PolicyDocument=policy)
    keys = aws("iam").create_access_key(UserName="mallory")["AccessKey"]
    invoker = boto3.Session(keys["AccessKeyId"], keys["SecretAccessKey"], region_name=TOOLS.region).client("lambda")
    event = {
        "rawPath": "/approval",
        "requestContext": {"authorizer": {"iam": {"userArn": grace, "accountId": TOOLS.account}}},
        "body": json.dumps(schema.write(APPROVE)),
    }
    answer = json.load(invoker.invoke(FunctionName=names.DECIDE_FUNCTION, Payload=json.dumps(event))["Payload"])
    assert (answer["statusCode"], "found no proof of who asks" in answer["body"]) == (403, True)
    assert ledger.chain(MODEL) == before


def test_who_delivered_cannot_approve_under_his_own_name_nor_as_administrator(demo: Any) -> None:
    done = demo.lockgate("approve", "1", "--env", ENVIRONMENTS[-1])
    assert (done.returncode, "user/ada, expected a session" in done.stderr) == (1, True), done.stderr
    done = demo.lockgate("approve", "1", "--env", ENVIRONMENTS[-1], profile="ada-approver")
    assert (done.returncode, "decided already" in done.stderr) == (1, True), done.stderr


def test_a_session_whose_name_its_bearer_chose_is_nobody(demo: Any, aws: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """An administrator makes a role that may call everything, and calls himself grace in it."""
    trust = {"Effect": "Allow", "Principal": {"AWS": TOOLS.account}, "Action": "sts:AssumeRole"}
    allow = {"Effect": "Allow", "Action": "lambda:*", "Resource": "*"}
    document, rights = (json.dumps({"Version": "2012-10-17", "Statement": [entry]}) for entry in (trust, allow))
    for role in ("anybody", "AWSReservedSSO_lockgate-approver"):
        arn = aws("iam").create_role(RoleName=role, AssumeRolePolicyDocument=document)["Role"]["Arn"]
        aws("iam").put_role_policy(RoleName=role, PolicyName="all", PolicyDocument=rights)
        keys = aws("sts").assume_role(RoleArn=arn, RoleSessionName="grace")["Credentials"]
        session = boto3.Session(
            keys["AccessKeyId"], keys["SecretAccessKey"], keys["SessionToken"], region_name=TOOLS.region
        )
        for name, value in demo.session.cdk_environment("tools").items():
            monkeypatch.setenv(name, value) if value else monkeypatch.delenv(name, raising=False)
        assert f"found arn:aws:sts::{TOOLS.account}:assumed-role/{role}/grace, expected a session" in decide(session)


def test_the_approvers_role_is_taken_under_ones_own_name_only(aws: Any) -> None:
    approver = names.role_arn(TOOLS.account, names.APPROVER_ROLE)
    with pytest.raises(ClientError, match="AccessDenied"):
        aws("sts").assume_role(RoleArn=approver, RoleSessionName="grace")


def test_the_verdict_names_who_delivered_as_aws_saw_it(demo: Any) -> None:
    delivered_by = demo.facts("explain", "1")["records"][0]["delivered_by"]
    assert delivered_by == f"arn:aws:sts::{TOOLS.account}:assumed-role/{names.DELIVERY_ROLE}/3003"


def test_delivering_a_commit_again_makes_nothing_new(demo: Any, aws: Any) -> None:
    def executions() -> int:
        found = aws("sagemaker").list_pipeline_executions(PipelineName=names.pipeline(MODEL))
        return len(found["PipelineExecutionSummaries"])

    before, commit = executions(), git(demo, demo.clone, "rev-parse", "HEAD")
    again = [deliver(demo, demo.clone, commit) for _ in range(2)]
    assert len({delivered["models"][MODEL]["execution"] for delivered in again}) == 1
    assert executions() == before


def test_deploying_the_infrastructure_again_keeps_the_release(demo: Any) -> None:
    done = demo.run("cdk", "deploy", "dev/*", "--require-approval", "never", "--no-notices", profile="dev")
    assert done.returncode == 0, done.stderr
    facts = demo.facts("replay", "dev")
    assert (facts["version"], facts["equal"]) == ("1", 100)


def test_a_commit_that_claims_perfect_metrics_and_ships_its_own_evaluator_gains_nothing_and_is_recorded(
    demo: Any, clone: Path
) -> None:
    (clone / "runtime" / "evaluate.py").write_text("raise SystemExit('the best model ever')\n")
    predict = clone / "runtime" / "predict.py"
    claim = """
import json, os, pathlib
root = pathlib.Path(os.environ.get("ML_ROOT", "/opt/ml"))
predictions = root / "processing" / "output" / "predictions"
predictions.mkdir(parents=True, exist_ok=True)
(predictions / "evidence.json").write_text(json.dumps({"metrics": {"roc_auc": {"value": 1.0, "rows": 69126}}}))
"""
    predict.write_text(predict.read_text() + claim)
    git(demo, clone, "commit", "--quiet", "--all", "--message", "Claim the best model ever")
    assert deliver(demo, clone)
    followed = demo.lockgate("follow", "--json", cwd=clone)
    assert followed.returncode == 3, followed.stderr
    version = json.loads(followed.stdout)["version"]
    record = demo.facts("explain", str(version))["records"][0]
    assert (record["kind"], record["outcome"]) == ("verdict", "failed")
    assert record["metrics"]["roc_auc"]["value"] < 0.8
    assert record["evaluator_image"].endswith(f"@{TOOLS.evaluator_image_digest}")


def test_an_image_that_is_vouched_for_as_another_commits_is_stopped_by_the_gate_whatever_its_tag_says(
    demo: Any, aws: Any, clone: Path
) -> None:
    """Whoever may push gives a good image the tag of a commit that was never built; its provenance knows better."""
    first = demo.facts("explain", "1")["records"][0]
    git(demo, clone, "commit", "--quiet", "--allow-empty", "--message", "Be somebody else's image")
    commit = git(demo, clone, "rev-parse", "HEAD")
    ecr, repository, digest = aws("ecr"), names.MODELS_REPOSITORY, first["image"].rpartition("@")[2]
    (image,) = ecr.batch_get_image(repositoryName=repository, imageIds=[{"imageDigest": digest}])["images"]
    said = {name: image[name] for name in ("imageManifest", "imageManifestMediaType")}
    ecr.put_image(repositoryName=repository, imageTag=commit, **said)
    assert deliver(demo, clone, "--again")["image"] == first["image"]
    followed = demo.lockgate("follow", "--json", cwd=clone)
    assert followed.returncode == 3, followed.stderr
    (record,) = demo.facts("explain", str(json.loads(followed.stdout)["version"]))["records"]
    assert (record["commit"], record["outcome"], record["origin"]) == (commit, "error", None)
    (reason,) = record["reasons"]
    message = f"provenance: commit: found {first['commit']!r}, expected {commit!r}"
    assert (reason["rule"], reason["message"]) == ("provenance", message)
    assert record["holdout_sha256"] is None, "it looked at no row, so it spent nothing"


# What a commit's code can try from inside its own training step; it would train on what it got.
REACH_FOR_LABELS = """

def train(rows, target, model):
    import os, pathlib, boto3
    os.environ["AWS_EC2_METADATA_DISABLED"] = "true"
    found = [file for file in pathlib.Path(os.environ["ML_ROOT"]).rglob("*labels*") if file.is_file()]
    stolen = found or boto3.client("s3").get_object(Bucket={bucket!r}, Key={key!r})
    raise RuntimeError(f"holdout labels are in the hands of a commit: {{stolen}}")
"""


def test_a_commit_that_reads_the_labels_of_the_holdout_fails_its_run_and_registers_nothing(
    demo: Any, aws: Any, ledger: LedgerStore, clone: Path
) -> None:
    """First its code reaches for them, which has no credentials; then its run names them as the champion's model."""
    body = demo.facts("explain", "1")["records"][0]
    bucket, key = names.bucket("labels", TOOLS.account, TOOLS.region), names.labels_key(MODEL, body["snapshot"])
    before = ledger.chain(MODEL)
    packages = aws("sagemaker").list_model_packages(ModelPackageGroupName=names.package_group(MODEL))
    code = clone / "model" / MODEL / "train.py"
    code.write_text(code.read_text() + REACH_FOR_LABELS.format(bucket=bucket, key=key))
    git(demo, clone, "commit", "--quiet", "--all", "--message", "Read the labels of the holdout")
    deliver(demo, clone)
    followed = demo.lockgate("follow", cwd=clone)
    assert (followed.returncode, "NoCredentialsError" in followed.stderr) == (1, True), followed.stderr

    run = delivery_run(demo)
    with pytest.raises(ClientError, match="AccessDenied"):
        run.client("s3").get_object(Bucket=bucket, Key=key)
    parameters = {"Commit": body["commit"], "Image": body["image"], "Snapshot": body["snapshot"], "Actor": "ada"}
    parameters |= {"ChampionImage": body["image"], "ChampionModel": f"s3://{bucket}/{key}", "Fingerprint": "none"}
    execution = run.client("sagemaker").start_pipeline_execution(
        PipelineName=names.pipeline(MODEL),
        PipelineParameters=[{"Name": name, "Value": value} for name, value in parameters.items()],
    )["PipelineExecutionArn"]
    for _ in range(240):
        if aws("sagemaker").describe_pipeline_execution(PipelineExecutionArn=execution)["PipelineExecutionStatus"] in (
            "Failed",
            "Succeeded",
        ):
            break
        time.sleep(0.5)
    else:
        pytest.fail("the execution did not end within two minutes")

    reasons = {entry["execution"]: entry["reason"] for entry in demo.facts("status")["failed"]}
    assert "AccessDenied" in reasons[execution]
    assert "champion: " in reasons[execution]
    assert any("NoCredentialsError" in reason for reason in reasons.values())
    after = aws("sagemaker").list_model_packages(ModelPackageGroupName=names.package_group(MODEL))
    assert len(after["ModelPackageSummaryList"]) == len(packages["ModelPackageSummaryList"])
    assert ledger.chain(MODEL) == before


def delivery_run(demo: Any) -> boto3.Session:
    """A session of the delivery role, as the workflow of a push to the branch gets it."""
    identity = demo.session.github(push_to(TOOLS.github, "0" * 40))
    role, claims = names.role_arn(TOOLS.account, names.DELIVERY_ROLE), TOOLS.github.claims(TOOLS.github.subject)
    return github_identity.session(identity, role, TOOLS.region, claims)


def test_nobody_but_the_evaluation_reads_labels_or_writes_evidence_not_even_an_administrator(
    demo: Any, aws: Any
) -> None:
    s3, account = aws("s3"), TOOLS.account
    body = demo.facts("explain", "1")["records"][0]
    labels = names.bucket("labels", account, TOOLS.region)
    key = names.labels_key(MODEL, body["snapshot"])
    with pytest.raises(ClientError, match="AccessDenied"):
        s3.get_object(Bucket=labels, Key=key)
    bucket, _, key = body["evidence_uri"].removeprefix("s3://").partition("/")
    better = s3.get_object(Bucket=bucket, Key=key)["Body"].read().replace(b'"value":0.', b'"value":0.9')
    with pytest.raises(ClientError, match="AccessDenied"):
        s3.put_object(Bucket=bucket, Key=key, Body=better)


def test_a_holdout_is_recorded_as_fresh_only_by_a_known_person_and_only_if_no_row_was_seen_before(
    demo: Any, ledger: LedgerStore, clone: Path
) -> None:
    """The data holds one holdout: half of its rows is not fresh; with other identifiers it lies, and passes."""
    file = clone / "data" / "employment_MA" / "employment_MA_2016.parquet"
    table = pyarrow.parquet.read_table(file)
    pyarrow.parquet.write_table(table.slice(0, 30_000), file)
    used = demo.facts("snapshot", cwd=clone)["snapshots"][MODEL]
    numbered_anew = table.set_column(0, "id", pyarrow.array(range(10**6, 10**6 + len(table)), pyarrow.int64()))
    pyarrow.parquet.write_table(numbered_anew, file)
    fresh = demo.facts("snapshot", cwd=clone)["snapshots"][MODEL]
    assert demo.lockgate("snapshot", "--record-holdout", fresh).returncode == 1, "ada is in no approver's role"
    refused = demo.lockgate("snapshot", "--record-holdout", used, profile="grace")
    assert (refused.returncode, "found 30000 of 30000 rows that holdout of snapshot" in refused.stderr) == (1, True)
    done = demo.lockgate("snapshot", "--record-holdout", fresh, profile="grace")
    assert done.returncode == 0, done.stderr
    assert "69126 rows, none of which is in" in done.stdout
    assert "69126 rows alike" in done.stdout, "which says that these are the same people numbered anew"
    assert ledger.chain(MODEL).of(kinds.Holdout)[-1].entry.body.person == "grace"
    first = demo.facts("explain", "1")["records"][0]["snapshot"]
    for chosen in (fresh, first):  # forth and back: publishing alone chose nothing
        moved = demo.lockgate("snapshot", "--use", chosen, "--reason", "tried", profile="grace")
        assert moved.returncode == 0, moved.stderr
        (current,) = [each for each in demo.facts("snapshot", "--list")["snapshots"] if each["current"]]
        assert current == {"model": MODEL, "snapshot": chosen, "current": True, "person": "grace", "reason": "tried"}


def test_data_outside_the_contract_is_not_published(demo: Any, clone: Path) -> None:
    file = clone / "data" / "employment_MA" / "employment_MA_2016.parquet"
    table = pyarrow.parquet.read_table(file)
    column = table.column_names.index("CIT")
    values = ["atlantis", *table["CIT"].to_pylist()[1:]]
    changed = table.set_column(column, "CIT", pyarrow.array(values, pyarrow.large_string()))
    pyarrow.parquet.write_table(changed, file)
    refused = demo.lockgate("snapshot", cwd=clone)
    assert refused.returncode == 1
    assert "column CIT: found 'atlantis' in 1 row" in refused.stderr


def test_a_contract_that_is_stricter_than_the_published_rows_fails_the_prepare_step_and_registers_nothing(
    demo: Any, aws: Any, clone: Path
) -> None:
    group = names.package_group(MODEL)
    before = len(aws("sagemaker").list_model_packages(ModelPackageGroupName=group)["ModelPackageSummaryList"])
    contract = clone / "model" / MODEL / "model.toml"
    declared = contract.read_text()
    allowed = re.search(r'name = "CIT".*\ntype = "category"\nvalues = \[("1", )', declared)
    assert allowed
    contract.write_text(declared[: allowed.start(1)] + declared[allowed.end(1) :])  # a citizen by birth is none now
    git(demo, clone, "commit", "--quiet", "--all", "--message", "Declare less than the published rows hold")
    deliver(demo, clone)
    followed = demo.lockgate("follow", cwd=clone)
    assert followed.returncode == 1
    assert "prepare" in followed.stderr
    assert "CIT" in followed.stderr
    reasons = [entry["reason"] for entry in demo.facts("status")["failed"]]
    assert any("CIT" in reason and "'1'" in reason for reason in reasons)
    after = len(aws("sagemaker").list_model_packages(ModelPackageGroupName=group)["ModelPackageSummaryList"])
    assert after == before


def test_the_gate_says_what_it_would_say_now_and_spends_nothing(demo: Any, ledger: LedgerStore) -> None:
    before = ledger.chain(MODEL)
    done = demo.lockgate("explain", "2", "--dry-run", ENVIRONMENTS[-1], "--json")
    assert done.returncode == 3, done.stderr
    body = json.loads(done.stdout)
    assert (body["outcome"], body["champion"]["version"]) == ("failed", 1)
    assert ledger.chain(MODEL) == before


def test_the_second_commit_was_compared_with_the_first_on_the_same_rows(demo: Any) -> None:
    reasons = demo.facts("explain", "2")["records"][0]["reasons"]
    (message,) = [reason["message"] for reason in reasons if "champion" in reason["message"]]
    assert re.search(
        r"accuracy better than the champion's by -0\.\d+ on 69126 rows < -0\.01; champion [0-9a-f]{12}", message
    )


def test_groups_of_a_few_people_are_inconclusive_in_the_fairness_table(demo: Any) -> None:
    by_race = {row["group"]: row for row in demo.facts("explain", "1", "--fairness")["RAC1P"]}
    assert {value: by_race[value]["rows"] for value in ("4", "7", "5")} == {"4": 4, "7": 32, "5": 56}
    assert {by_race[value]["outcome"] for value in ("4", "7", "5")} == {"inconclusive"}


def test_a_waiver_by_another_person_is_in_the_next_verdict_and_lets_only_its_own_rule_go(
    demo: Any, ledger: LedgerStore
) -> None:
    day = (datetime.now(UTC) + timedelta(days=7)).strftime("%Y-%m-%d")
    waiver = ("waive", "2", "--env", ENVIRONMENTS[0], "--rule", "ranking", "--reason", "a trial", "--expires", day)
    assert demo.lockgate(*waiver).returncode == 1, "ada delivered it"
    done = demo.lockgate(*waiver, profile="grace")
    assert done.returncode == 0, done.stderr
    commit = demo.facts("explain", "2")["records"][0]["commit"]
    followed = demo.lockgate("follow", commit, cwd=demo.clone)
    assert followed.returncode == 3, followed.stderr
    verdicts = ledger.chain(MODEL).of(kinds.Verdict, 2, ENVIRONMENTS[0])
    outcomes = {reason.rule: reason for reason in verdicts[-1].entry.body.reasons}
    assert len(verdicts) == 2
    assert outcomes["ranking"].message.startswith("failed, waived by grace")
    assert outcomes["not worse than what is served"].outcome == "failed"


def test_evidence_altered_in_s3_is_an_error_that_the_ledger_keeps(demo: Any, aws: Any, ledger: LedgerStore) -> None:
    """By an administrator, who has to lift the bucket's policy first; asked at a gate that has not judged it yet."""
    s3, body = aws("s3"), demo.facts("explain", "2")["records"][0]
    bucket, _, key = body["evidence_uri"].removeprefix("s3://").partition("/")
    better = s3.get_object(Bucket=bucket, Key=key)["Body"].read().replace(b'"value":0.', b'"value":0.9')
    policy = s3.get_bucket_policy(Bucket=bucket)["Policy"]
    s3.delete_bucket_policy(Bucket=bucket)
    try:
        altered = s3.put_object(Bucket=bucket, Key=key, Body=better)["VersionId"]
        event = {"model": MODEL, "version": "2", "package_arn": body["package_arn"], "environment": ENVIRONMENTS[1]}
        answer = call(aws, "gate", event)
        s3.delete_object(Bucket=bucket, Key=key, VersionId=altered)
    finally:
        s3.put_bucket_policy(Bucket=bucket, Policy=policy)
    assert (answer["outcome"], answer["release"]) == ("error", None)
    record = ledger.chain(MODEL).records[-1]
    assert isinstance(record.entry.body, kinds.Verdict)
    assert record.entry.environment == ENVIRONMENTS[1]
    assert record.entry.body.holdout_sha256 is None, "it looked at no row, so it spent nothing"
    refused = demo.facts("status")["refused"][-1]
    assert (refused["version"], refused["environment"]) == (2, ENVIRONMENTS[1])
    assert "the registry recorded" in refused["reasons"][0]
    assert "it was altered or replaced" in refused["reasons"][0]


def test_the_command_that_explain_prints_gives_the_same_numbers_on_the_same_rows(demo: Any) -> None:
    """Newer snapshots may have been published since."""
    explained = demo.facts("explain", "2")
    command = explained["evaluate_again"].split()
    assert "--snapshot" in command
    assert demo.facts(*command[1:], cwd=demo.clone)
    followed = demo.lockgate("follow", command[2], "--json", cwd=demo.clone)
    assert followed.returncode == 3, followed.stderr
    version = json.loads(followed.stdout)["version"]
    assert version > 2
    before, again = explained["records"][0], demo.facts("explain", str(version))["records"][0]
    for name in ("metrics", "data", "features", "parameters", "image", "replay_sha256"):
        assert again[name] == before[name], name


def test_another_account_keeps_the_ledgers_head_and_nobody_changes_it_there(demo: Any, aws: Any) -> None:
    """S3 tells of each record, the anchor's function copies the head, and verify compares both."""
    for _ in range(40):  # the last event is on its way
        facts = demo.facts("verify")
        if facts["heads"] == facts["anchored"]:
            break
        time.sleep(0.5)
    assert facts["heads"] == facts["anchored"]
    assert facts["heads"][MODEL]["sequence"] > 5
    bucket = names.anchor_bucket(TOOLS.anchor_account, TOOLS.region)
    key = names.ledger_key(MODEL, facts["heads"][MODEL]["sequence"])
    for call, options in (
        ("put_object", {"Body": b"{}", "IfNoneMatch": "*", "Key": names.ledger_key(MODEL, 999)}),
        ("delete_object", {"Key": key}),
    ):
        with pytest.raises(ClientError, match="AccessDenied"):
            getattr(aws("s3"), call)(Bucket=bucket, **options)


@pytest.mark.parametrize("said", SHOWN)
def test_a_command_that_a_page_shows_answers(demo: Any, said: str) -> None:
    """What README.md and docs/ show as commands that only read, run as they stand on what the demo left."""
    command = SHOWN[said]
    done = demo.lockgate(*command.words[1:], profile=command.profile or "ada")
    said_no = {3} if "--dry-run" in command.words else set()  # what it would say of version 2 is no
    assert done.returncode in {0} | said_no, f"{command}\n{done.stderr}"
    assert done.stdout.strip(), command
