"""The gate: what is verified and good passes; whatever is altered, missing or swapped is an error, never a pass."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import pytest
from botocore.exceptions import ClientError

from lambdas import gate, shared
from lambdas.controller import deployment as record
from lockgate import names
from lockgate.aws.delivery import find_champion
from lockgate.errors import RefusedError
from lockgate.gate import decision
from lockgate.gate.scan import PendingError
from tests import records

if TYPE_CHECKING:
    from tests.integration.lambdas.conftest import World


def reasons(world: World) -> dict[str, str]:
    return {reason["rule"]: reason["message"] for reason in world.records()[-1]["body"]["reasons"]}


def test_a_good_package_passes_and_the_answer_pins_the_exact_artifacts(world: World) -> None:
    arn = world.register()
    answer = gate.handler(world.gate_event(), None)
    (recorded,) = world.records()
    assert (answer["outcome"], answer["verdict_id"], answer["approvals"]) == ("passed", "income/1", 0)
    assert answer["release"] == {
        "version": "1",
        "commit": world.lineage(1)["commit"],
        "package_arn": arn,
        "image": world.image,
        "model_sha256": world.lineage(1)["model_sha256"],
        "replay_sha256": "3" * 64,
        "policy_sha256": recorded["body"]["policy_sha256"],
        "verdict_id": "income/1",
    }
    source = answer["source"]
    stored = world.s3.head_object(Bucket=source["bucket"], Key=source["key"])
    assert source["version_id"] == stored["VersionId"]
    assert source["replay"] == {"bucket": "test-evidence", "key": "income/exec1/replay.json"}
    assert recorded["body"]["metrics"]["roc_auc"]["value"] == 0.9
    assert recorded["body"]["actor"] == "amelie"
    assert "roc_auc 0.9 on 100000 rows >= floor 0.8" in reasons(world)["ranking"]


def test_the_first_gate_approves_the_package_in_the_registry(world: World) -> None:
    world.register()
    gate.handler(world.gate_event(), None)
    assert world.status(1) == "Approved"
    assert "income/1" in world.sagemaker.packages[world.arn(1)]["ApprovalDescription"]


def test_a_value_below_the_floor_fails_with_numbers_and_is_rejected_in_the_registry(world: World) -> None:
    world.register(roc_auc=0.79)
    answer = gate.handler(world.gate_event(), None)
    assert (answer["outcome"], answer["release"], answer["source"]) == ("failed", None, None)
    assert "0.79 on 100000 rows < floor 0.8" in reasons(world)["ranking"]
    assert world.status(1) == "Rejected"


def test_a_later_environment_refuses_without_touching_the_registry(world: World) -> None:
    world.register(roc_auc=0.82)
    assert gate.handler(world.gate_event(), None)["outcome"] == "passed"
    assert gate.handler(world.gate_event(environment="prod"), None)["outcome"] == "failed"
    assert world.status(1) == "Approved"


def test_every_environment_applies_its_own_policy_and_approvals(world: World) -> None:
    world.register()
    dev = gate.handler(world.gate_event(), None)
    prod = gate.handler(world.gate_event(environment="prod"), None)
    assert (dev["approvals"], prod["approvals"]) == (0, 1)
    assert dev["release"]["policy_sha256"] != prod["release"]["policy_sha256"]


Defect = Callable[["World"], object]


def put(bucket: str, key: str, body: bytes) -> Defect:
    return lambda world: world.s3.put_object(Bucket=bucket, Key=key, Body=body)


def lineage(**changes: str) -> Defect:
    return lambda world: world.lineage(1).update(changes)


def evidence(**changes: Any) -> Defect:
    metrics = {
        "roc_auc": {"value": 0.9, "rows": 1000, "statistics": {"variance": 1e-4, "positives": 500, "negatives": 500}}
    }
    return lambda world: world.evaluate(1, changes.pop("metrics", metrics), **changes)


def package(**changes: Any) -> Defect:
    return lambda world: world.sagemaker.packages[world.arn(1)].update(changes)


def job(**changes: Any) -> Defect:
    return lambda world: world.sagemaker.jobs["evaluate-1"].update(changes)


def container(**changes: str) -> Defect:
    def plant(world: World) -> None:
        world.sagemaker.packages[world.arn(1)]["InferenceSpecification"]["Containers"][0].update(changes)

    return plant


def unversioned(world: World) -> None:
    """Model data from before versioning: S3 calls its version null."""
    key = "income/exec1/training/job/output/model.tar.gz"
    world.s3.put_bucket_versioning(Bucket="test-models", VersioningConfiguration={"Status": "Suspended"})
    world.s3.put_object(Bucket="test-models", Key=key, Body=b"the model 1")


def another_models_evidence(world: World) -> None:
    """Evidence of another execution, copied where this one's should be, with its true digest in the registry."""
    world.register(2, roc_auc=0.99)
    data = world.s3.get_object(Bucket="test-evidence", Key="income/exec2/evidence.json")["Body"].read()
    world.s3.put_object(Bucket="test-evidence", Key="income/exec1/evidence.json", Body=data)
    world.lineage(1)["evidence_sha256"] = world.lineage(2)["evidence_sha256"]


def metric(**parts: Any) -> Defect:
    return evidence(
        metrics={
            "roc_auc": {
                "value": 0.9,
                "rows": 1000,
                "statistics": {"variance": 1e-4, "positives": 500, "negatives": 500},
                **parts,
            }
        }
    )


DEFECTS: dict[str, tuple[Defect, str, str]] = {
    "evidence is altered": (put("test-evidence", "income/exec1/evidence.json", b"{}"), "evidence", "altered"),
    "evidence is missing": (
        lambda world: world.s3.delete_object(Bucket="test-evidence", Key="income/exec1/evidence.json"),
        "evidence",
        "found nothing",
    ),
    "evidence is of another execution": (another_models_evidence, "evidence", "execution: found"),
    "evidence is of another model": (evidence(model="other"), "evidence", "model: found 'other', expected 'income'"),
    "evidence is of another commit": (evidence(commit="d" * 40), "evidence", "commit: found"),
    "evidence names another actor": (evidence(actor="bob"), "evidence", "actor: found 'bob', expected 'amelie'"),
    "evidence measured another model file": (evidence(model_sha256="9" * 64), "evidence", "model_sha256: found"),
    "evidence has another schema": (evidence(schema="x/1"), "evidence", "schema"),
    "evidence lies in another bucket": (
        lineage(evidence_uri="s3://elsewhere/income/exec1/evidence.json"),
        "lineage",
        "found 's3://elsewhere",
    ),
    "metric is missing": (evidence(metrics={}), "ranking", "roc_auc: not in the evidence"),
    "metric is text": (metric(value="0.9"), "ranking", "found '0.9', expected a finite number"),
    "metric is true": (metric(value=True), "ranking", "found True, expected a finite number"),
    "metric is null": (metric(value=None), "ranking", "found None"),
    "metric was measured on no row": (metric(rows=0), "ranking", "0 rows"),
    "metric is NaN": (metric(value=float("nan")), "evidence", "found the number NaN"),
    "metric is infinite": (metric(value=float("inf")), "evidence", "found the number Infinity"),
    "another evaluator ran": (
        job(AppSpecification={"ImageUri": f"{'1' * 12}.dkr.ecr.us-east-1.amazonaws.com/x@sha256:{'0' * 64}"}),
        "evaluator",
        "image: found",
    ),
    "evaluator is pinned by tag": (
        job(AppSpecification={"ImageUri": "123456789012.dkr.ecr.us-east-1.amazonaws.com/lockgate-evaluator:latest"}),
        "evaluator",
        "lockgate-evaluator:latest",
    ),
    "evaluator did not finish": (job(ProcessingJobStatus="Failed"), "evaluator", "job: found 'Failed'"),
    "evaluator wrote elsewhere": (job(ProcessingOutputConfig={"Outputs": []}), "evaluator", "outputs: found []"),
    "evaluate step is missing": (
        lambda world: world.sagemaker.steps[world.execution(1)].pop(),
        "evaluator",
        "found no job of a step evaluate",
    ),
    "evaluate job is gone": (lambda world: world.sagemaker.jobs.clear(), "evaluator", "found no job"),
    "execution is gone": (lambda world: world.sagemaker.steps.clear(), "evaluator", "found no job"),
    "execution is of another pipeline": (
        lineage(execution="arn:aws:sagemaker:us-east-1:123456789012:pipeline/mine/execution/exec1"),
        "lineage",
        "pipeline/mine",
    ),
    "image is not the commit's": (lineage(image=f"x/lockgate-models@sha256:{'0' * 64}"), "image", "image of commit"),
    "commit has no image": (lineage(commit="d" * 40), "image", "found no image under the commit's tag"),
    "package serves another image": (container(Image="x@sha256:" + "0" * 64), "lineage", "image of the package"),
    "model data is replaced": (
        put("test-models", "income/exec1/training/job/output/model.tar.gz", b"another model"),
        "model data",
        "SHA-256: found",
    ),
    "model data is missing": (
        lambda world: world.s3.delete_object(Bucket="test-models", Key="income/exec1/training/job/output/model.tar.gz"),
        "model data",
        "found nothing",
    ),
    "model data has no S3 version": (unversioned, "model data", "found no S3 version"),
    "model data lies in another bucket": (
        container(ModelDataUrl="s3://elsewhere/income/exec1/model.tar.gz"),
        "lineage",
        "model data: found 's3://elsewhere",
    ),
    "model data is of another execution": (
        container(ModelDataUrl="s3://test-models/income/exec9/training/job/output/model.tar.gz"),
        "lineage",
        "expected s3://test-models/income/exec1/",
    ),
    "lineage is incomplete": (
        lambda world: world.lineage(1).pop("model_sha256"),
        "lineage",
        "metadata model_sha256: found nothing",
    ),
    "package is not complete": (package(ModelPackageStatus="Failed"), "package", "status: found 'Failed'"),
    "package was rejected by a person": (package(ModelApprovalStatus="Rejected"), "package", "found 'Rejected'"),
    "package is of another group": (package(ModelPackageGroupName="lockgate-other"), "package", "group: found"),
    "package is of another version": (package(ModelPackageVersion=7), "package", "version: found 7, expected 1"),
    "package is gone": (lambda world: world.sagemaker.packages.clear(), "package", "found no such package"),
}


@pytest.mark.parametrize("name", DEFECTS)
def test_what_cannot_be_verified_is_an_error_with_found_and_expected(world: World, name: str) -> None:
    plant, rule, message = DEFECTS[name]
    world.register()
    plant(world)
    answer = gate.handler(world.gate_event(), None)
    assert (answer["outcome"], answer["release"], answer["source"]) == ("error", None, None)
    (recorded,) = world.records()
    assert recorded["body"]["outcome"] == "error"
    assert any(
        reason["rule"] == rule and reason["outcome"] == "error" and message in reason["message"]
        for reason in recorded["body"]["reasons"]
    ), recorded["body"]["reasons"]


def test_an_error_rejects_the_package_and_keeps_unverified_numbers_out_of_the_record(world: World) -> None:
    world.register()
    put("test-models", "income/exec1/training/job/output/model.tar.gz", b"another")(world)
    gate.handler(world.gate_event(), None)
    assert world.status(1) == "Rejected"
    assert world.records()[0]["body"]["metrics"] == {}


def test_all_defects_are_reported_at_once(world: World) -> None:
    world.register()
    job(ProcessingJobStatus="Failed")(world)
    lineage(commit="d" * 40)(world)
    gate.handler(world.gate_event(), None)
    assert {"evaluator", "image", "evidence"} <= set(reasons(world))


def test_the_same_event_twice_is_one_record_and_the_same_answer(world: World) -> None:
    world.register()
    first = gate.handler(world.gate_event(), None)
    world.s3.put_object(Bucket="test-evidence", Key="income/exec1/evidence.json", Body=b"changed later")
    assert gate.handler(world.gate_event(), None) == first
    assert len(world.records()) == 1


def test_a_refusal_repeated_stays_a_refusal(world: World) -> None:
    world.register(roc_auc=0.5)
    first = gate.handler(world.gate_event(), None)
    assert gate.handler(world.gate_event(), None) == first
    assert (first["outcome"], len(world.records()), world.status(1)) == ("failed", 1, "Rejected")


def test_a_changed_policy_is_asked_anew_and_spends_again(world: World) -> None:
    world.register(roc_auc=0.5)
    gate.handler(world.gate_event(), None)
    world.change_policy("floor = 0.8", "floor = 0.1")
    assert gate.handler(world.gate_event(), None)["outcome"] == "passed"
    bodies = [found["body"] for found in world.records()]
    assert [body["spent_before"] for body in bodies] == [0, 1]
    assert bodies[0]["policy_sha256"] != bodies[1]["policy_sha256"]
    assert world.status(1) == "Approved"


def test_a_person_who_rejected_a_version_in_the_registry_is_heard_whatever_the_policy(world: World) -> None:
    world.register()
    package(ModelApprovalStatus="Rejected")(world)
    assert gate.handler(world.gate_event(), None)["outcome"] == "error"


def test_a_rejection_by_a_person_is_not_undone_by_a_repeated_event(world: World) -> None:
    world.register()
    gate.handler(world.gate_event(), None)
    package(ModelApprovalStatus="Rejected")(world)
    gate.handler(world.gate_event(), None)
    assert world.status(1) == "Rejected"


def test_a_gate_killed_between_record_and_registry_converges_when_run_again(world: World) -> None:
    world.register()
    gate.handler(world.gate_event(), None)
    package(ModelApprovalStatus="PendingManualApproval")(world)
    gate.handler(world.gate_event(), None)
    assert (world.status(1), len(world.records())) == ("Approved", 1)


@pytest.mark.parametrize(
    "arn",
    [
        "arn:aws:sagemaker:us-east-1:123456789012:model-package/lockgate-income/2",
        "arn:aws:sagemaker:us-east-1:123456789012:model-package/lockgate-income/9",
        "arn:aws:sagemaker:us-east-1:999999999999:model-package/lockgate-income/1",
        "None",
    ],
    ids=["another version", "no such package", "another account", "no ARN"],
)
@pytest.mark.parametrize("judged_before", [True, False])
def test_an_event_that_names_another_package_is_an_error_for_good_and_touches_no_package(
    world: World, arn: str, judged_before: bool
) -> None:
    world.register()
    world.register(2)
    if judged_before:
        gate.handler(world.gate_event(), None)
    answer = gate.handler({**world.gate_event(), "package_arn": arn}, None)
    assert (answer["outcome"], answer["release"], answer["source"]) == ("error", None, None)
    assert "package" in reasons(world)
    assert gate.handler({**world.gate_event(), "package_arn": arn}, None) == answer
    assert world.status(2) == "PendingManualApproval"
    assert gate.handler(world.gate_event(), None)["release"]["package_arn"] == world.arn(1)
    assert len(world.records()) == 2
    assert world.status(1) == "Approved"


def test_a_failure_of_aws_is_raised_for_a_retry_and_records_nothing(world: World) -> None:
    world.register()
    world.sagemaker.fail("ThrottlingException")
    with pytest.raises(ClientError, match="ThrottlingException"):
        gate.handler(world.gate_event(), None)
    assert world.records() == []


@pytest.mark.parametrize(
    "change",
    [{"environment": "nowhere"}, {"environment": "tools"}, {"model": "../x"}, {"version": "0"}, {"version": "1.5"}],
    ids=json.dumps,
)
def test_an_event_that_makes_no_sense_is_refused_and_recorded_nowhere(world: World, change: dict[str, str]) -> None:
    world.register()
    with pytest.raises(RefusedError):
        gate.handler({**world.gate_event(), **change}, None)
    assert world.records() == []


def accuracy(correct: int) -> dict[str, Any]:
    """A model that is right on so many of 1000 rows."""
    return {"accuracy": {"value": correct / 1000, "rows": 1000, "statistics": {"correct": float(correct)}}}


COMPARE = '\n[[rule]]\nname = "better"\nkind = "compare"\nmetric = "accuracy"\ngain = 0\n'


def serve(world: World, version: int) -> dict[str, str]:
    """Let prod serve a version, as the ledger has it; the release."""
    answer = gate.handler(world.gate_event(version, "prod"), None)
    release = {**answer["release"], "model_version_id": "v1"}
    record.handler(
        {
            "model": "income",
            "version": str(version),
            "environment": "prod",
            "execution": f"income-{version}",
            "outcome": "succeeded",
            "release": answer["release"],
            "deployment": {"reason": "", "release": release, "url": "https://x", "place": world.remember(release)},
        },
        None,
    )
    return dict(release)


def challenge(world: World, release: dict[str, str], **changes: Any) -> None:
    """Register version 2, evaluated against the release; `changes` replace parts of its champion."""
    world.register(2)
    paired = {"accuracy": {"only_challenger": 60.0, "only_champion": 10.0}}
    champion = {"model_sha256": release["model_sha256"], "metrics": accuracy(850), "paired": paired, **changes}
    roc_auc = {
        "roc_auc": {"value": 0.9, "rows": 1000, "statistics": {"variance": 1e-4, "positives": 500, "negatives": 500}}
    }
    world.evaluate(2, {**accuracy(900), **roc_auc}, champion=champion)
    world.predict_as_champion(2, release["image"])


def compare_in(world: World, environment: str) -> None:
    file = world.root / "environments" / f"{environment}.toml"
    file.write_text(file.read_text() + COMPARE)


def test_a_challenger_is_compared_with_what_the_last_environment_serves(world: World) -> None:
    world.register()
    release = serve(world, 1)
    compare_in(world, "dev")
    challenge(world, release)
    assert gate.handler(world.gate_event(2), None)["outcome"] == "passed"
    assert "accuracy better than the champion's by 0.05 on 1000 rows" in reasons(world)["better"]
    assert world.records()[-1]["body"]["champion"]["version"] == 1


def test_evidence_that_names_another_champion_than_the_ledger_is_inconclusive(world: World) -> None:
    world.register()
    release = serve(world, 1)
    compare_in(world, "dev")
    challenge(world, release, model_sha256="8" * 64)
    assert gate.handler(world.gate_event(2), None)["outcome"] == "inconclusive"
    assert "deliver COMMIT --again" in reasons(world)["better"]


def test_a_champion_that_another_image_played_is_no_champion(world: World) -> None:
    world.register()
    release = serve(world, 1)
    compare_in(world, "dev")
    challenge(world, release)
    world.predict_as_champion(2, f"x/lockgate-models@sha256:{'0' * 64}")
    assert gate.handler(world.gate_event(2), None)["outcome"] == "inconclusive"


def test_a_deployment_to_the_last_environment_notes_the_champion_for_the_next_delivery(world: World) -> None:
    world.register()
    release = serve(world, 1)
    champion = find_champion(world.s3, "test-data", "income")
    assert champion is not None
    assert (champion.version, champion.image, champion.model_sha256) == (1, release["image"], release["model_sha256"])
    assert champion.model_data_uri == "s3://test-models/income/exec1/training/job/output/model.tar.gz"
    assert find_champion(world.s3, "test-data", "churn") is None


def test_a_used_up_holdout_is_inconclusive_and_names_the_rows_needed(world: World) -> None:
    world.change_policy("decisions = 32", "decisions = 1")
    world.register(1, roc_auc=0.5)
    world.register(2)
    gate.handler(world.gate_event(1), None)
    assert gate.handler(world.gate_event(2), None)["outcome"] == "inconclusive"
    assert "publish 1000 fresh labelled rows as a new snapshot" in reasons(world)["holdout"]


def one_decision_a_holdout(world: World) -> None:
    world.change_policy("decisions = 32", "decisions = 1")


def on_fresh_rows(world: World, version: int, **changes: str) -> None:
    """Register a version that was evaluated on another holdout."""
    world.register(version)
    roc_auc = {
        "roc_auc": {"value": 0.9, "rows": 1000, "statistics": {"variance": 1e-4, "positives": 500, "negatives": 500}}
    }
    data = {f"{part}_sha256": "2" * 64 for part in ("train", "features")}
    data |= {"labels_sha256": "7" * 64, "train_identities_sha256": "6" * 64, "holdout_identities_sha256": "8" * 64}
    data |= {"snapshot": "5" * 16, **changes}
    world.evaluate(version, roc_auc, data={**data, "train_rows": 2000, "holdout_rows": 1000})


def prove_fresh(labels_sha256: str = "7" * 64) -> None:
    entry = records.entry(records.holdout(labels_sha256, holdout_identities_sha256="8" * 64), 0, "")
    shared.ledger("test-ledger").append("income", entry, "2026-11-22T00:00:00.000Z")


def test_fresh_rows_that_were_recorded_have_a_budget_of_their_own(world: World) -> None:
    one_decision_a_holdout(world)
    world.register(1, roc_auc=0.5)
    gate.handler(world.gate_event(1), None)
    prove_fresh()
    on_fresh_rows(world, 2)
    assert gate.handler(world.gate_event(2), None)["outcome"] == "passed"
    body = world.records()[-1]["body"]
    assert (body["holdout"], body["spent_before"]) == (2, 0)


def test_fresh_rows_that_nobody_recorded_decide_nothing_and_spend_nothing(world: World) -> None:
    world.register(1, roc_auc=0.5)
    gate.handler(world.gate_event(1), None)
    on_fresh_rows(world, 2)
    assert gate.handler(world.gate_event(2), None)["outcome"] == "inconclusive"
    assert f"`lockgate snapshot --record-holdout {'5' * 16}` proves and records it" in reasons(world)["holdout"]
    assert world.records()[-1]["body"]["holdout_sha256"] is None


def test_rows_other_than_those_that_were_recorded_as_fresh_decide_nothing(world: World) -> None:
    world.register(1, roc_auc=0.5)
    gate.handler(world.gate_event(1), None)
    prove_fresh()
    on_fresh_rows(world, 2, holdout_identities_sha256="9" * 64)
    assert gate.handler(world.gate_event(2), None)["outcome"] == "inconclusive"
    assert "found rows 999999999999 by the evaluator, expected 888888888888" in reasons(world)["holdout"]


def test_a_budget_that_was_raised_on_a_used_holdout_decides_nothing(world: World) -> None:
    one_decision_a_holdout(world)
    world.register(1, roc_auc=0.5)
    gate.handler(world.gate_event(1), None)
    world.change_policy("decisions = 1", "decisions = 32")
    world.register(2)
    assert gate.handler(world.gate_event(2), None)["outcome"] == "inconclusive"
    assert "put the budget back in every environment, or record fresh rows" in reasons(world)["holdout"]


def test_a_budget_that_was_changed_on_the_way_up_does_not_share_the_holdout(world: World) -> None:
    one_decision_a_holdout(world)
    world.register(1)
    assert gate.handler(world.gate_event(1), None)["outcome"] == "passed"
    world.change_policy("decisions = 1", "decisions = 32")
    assert gate.handler(world.gate_event(1, "prod"), None)["outcome"] == "inconclusive"
    assert "1 decisions spent 0.05, where now 0.00" in reasons(world)["holdout"]


REQUIRE = '\n[[rule]]\nname = "{what}"\nkind = "require"\nwhat = "{what}"\n{bound}\n'


def require_in(world: World, environment: str, what: str, bound: str) -> None:
    file = world.root / "environments" / f"{environment}.toml"
    file.write_text(file.read_text() + REQUIRE.format(what=what, bound=bound))


@pytest.mark.parametrize(
    ("what", "kept", "broken", "message"),
    [
        ("drift", "ceiling = 0.1", "ceiling = 0.005", "drift 0.01 {} ceiling {}; the largest of 1 features, of AGEP"),
        ("effect_size", "ceiling = 0.1", "ceiling = 0.005", "effect_size 0.02 {} ceiling {}; the largest of 1"),
        ("parity", "ceiling = 1e-6", "ceiling = 1e-12", "parity 1e-09 {} ceiling {}; largest difference from scikit"),
        ("approvals", "floor = 0", "floor = 1", "approvals 0 {} floor {}; by nobody so far"),
        ("lineage", "", None, "lineage 0 {} ceiling 0; complete"),
        ("data_contract", "", None, "data_contract 0 {} ceiling 0; kept"),
    ],
)
def test_what_is_required_was_measured_and_keeps_its_bound(
    world: World, what: str, kept: str, broken: str | None, message: str
) -> None:
    world.register()
    parity = {"value": 1e-9, "rows": 1000, "statistics": {}}
    roc_auc = {"value": 0.9, "rows": 1000, "statistics": {"variance": 1e-4, "positives": 500, "negatives": 500}}
    world.evaluate(1, {"roc_auc": roc_auc, "serving_difference": parity})
    require_in(world, "dev", what, kept)
    assert gate.handler(world.gate_event(), None)["outcome"] == "passed"
    sign = ">=" if "floor" in kept else "<="
    expected = message.format(sign, f"{float(kept.split()[-1]):g}" if kept else "")
    assert expected in reasons(world)[what]
    if broken:
        world.configure("dev")
        require_in(world, "dev", what, broken)
        assert gate.handler(world.gate_event(), None)["outcome"] == "failed"


def test_evidence_grows_old(world: World) -> None:
    world.register()
    require_in(world, "dev", "evidence_age", "ceiling = 30")
    ended = shared.now() - timedelta(days=31)
    job(ProcessingEndTime=ended)(world)
    assert gate.handler(world.gate_event(), None)["outcome"] == "failed"
    assert "evidence_age 31" in reasons(world)["evidence_age"]
    assert f"days since the evaluation ended at {ended:%Y-%m-%dT%H:%M:%S}Z" in reasons(world)["evidence_age"]


@pytest.mark.parametrize("what", ["evidence_age", "parity", "drift"])
def test_what_nobody_measured_is_an_error(world: World, what: str) -> None:
    world.register()
    roc_auc = {"value": 0.9, "rows": 1000, "statistics": {"variance": 1e-4, "positives": 500, "negatives": 500}}
    world.evaluate(1, {"roc_auc": roc_auc}, drift={})
    require_in(world, "dev", what, "ceiling = 100")
    assert gate.handler(world.gate_event(), None)["outcome"] == "error"
    assert reasons(world)[what] == f"{what}: found no evidence of it, expected a number"


def test_the_same_model_delivered_again_spends_nothing_and_is_refused_again(world: World) -> None:
    for version in (1, 2, 3):
        world.register(version, roc_auc=0.5)
        assert gate.handler(world.gate_event(version), None)["outcome"] == "failed"
    bodies = [found["body"] for found in world.records()]
    assert [body.get("same_as") for body in bodies] == [None, "income/1", "income/1"]
    assert [body["holdout_sha256"] is None for body in bodies] == [False, True, True]


def test_each_decision_spends_and_has_less_than_the_rate(world: World) -> None:
    for version in (1, 2, 3):
        world.register(version, roc_auc=0.5 + version / 100)
        gate.handler(world.gate_event(version), None)
    bodies = [found["body"] for found in world.records()]
    assert [body["spent_before"] for body in bodies] == [0, 1, 2]
    assert sum(body["alpha"] for body in bodies) < 0.05


def test_two_decisions_at_once_cannot_spend_the_same_share(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """The other decision is recorded while this one is being made: this one is made anew."""
    world.register(1, roc_auc=0.5)
    world.register(2, roc_auc=0.5)
    judge, decided = decision.judge, []

    def overtaken(*arguments: Any) -> Any:
        decided.append(arguments)
        if len(decided) == 1:
            gate.handler(world.gate_event(2), None)
        return judge(*arguments)

    monkeypatch.setattr(decision, "judge", overtaken)
    gate.handler(world.gate_event(1), None)
    bodies = [found["body"] for found in world.records()]
    assert len(decided) == 3
    assert [body["spent_before"] for body in bodies] == [0, 1]
    assert bodies[0]["alpha"] != bodies[1]["alpha"] or bodies[0]["holdout"] == 1


def test_evidence_that_cannot_be_trusted_spends_nothing(world: World) -> None:
    world.register()
    put("test-evidence", "income/exec1/evidence.json", b"{}")(world)
    gate.handler(world.gate_event(), None)
    assert world.records()[-1]["body"]["holdout_sha256"] is None


def test_a_dry_run_says_what_the_gate_would_say_and_records_marks_and_spends_nothing(world: World) -> None:
    world.register(roc_auc=0.5)
    answer = gate.handler({**world.gate_event(), "dry_run": True}, None)
    assert (answer["outcome"], answer["dry_run"]) == ("failed", True)
    assert answer["reasons"][0]["message"].startswith("roc_auc 0.5 on 100000 rows < floor 0.8")
    assert (world.records(), world.status(1)) == ([], "PendingManualApproval")


def test_a_dry_run_judges_a_version_again_that_a_gate_refused(world: World) -> None:
    world.register(roc_auc=0.5)
    gate.handler(world.gate_event(), None)
    assert world.status(1) == "Rejected"
    assert gate.handler({**world.gate_event(), "dry_run": True}, None)["outcome"] == "failed"


def test_authors_see_one_bit_and_no_number_in_the_registry(world: World) -> None:
    world.register(roc_auc=0.5)
    gate.handler(world.gate_event(), None)
    assert world.sagemaker.packages[world.arn(1)]["ApprovalDescription"] == "verdict income/1: not passed"


def test_authors_see_the_numbers_in_the_registry_under_simple_assurance(world: World) -> None:
    simple(world)
    world.register(roc_auc=0.5)
    gate.handler(world.gate_event(), None)
    said = world.sagemaker.packages[world.arn(1)]["ApprovalDescription"]
    assert said.startswith("verdict income/1: not passed; ranking failed: roc_auc 0.5 on 100000 rows < floor 0.8")


def simple(world: World) -> None:
    file = world.root / "model" / "income" / "policy.toml"
    file.write_text("error = 0.05\n" + file.read_text().partition('feedback = "every-verdict"')[2])


def test_simple_assurance_decides_as_often_as_it_is_asked_and_then_serves_no_budget(world: World) -> None:
    text = (world.root / "model" / "income" / "policy.toml").read_text()
    simple(world)
    for version in (1, 2):
        world.register(version, roc_auc=0.5 + version / 100)
        assert gate.handler(world.gate_event(version), None)["outcome"] == "failed"
    bodies = [record["body"] for record in world.records()]
    said = [(body["assurance"], body["alpha"], body["budget"], body["feedback"]) for body in bodies]
    assert said == [("simple", 0.05, None, "numbers")] * 2
    (world.root / "model" / "income" / "policy.toml").write_text(text)
    world.register(3)
    assert gate.handler(world.gate_event(3), None)["outcome"] == "inconclusive"
    assert "judged under simple assurance (income/2), where authors saw its numbers" in reasons(world)["holdout"]


@pytest.mark.parametrize("model", ["gone", "../environments", "..", ""])
def test_a_model_whose_policy_was_not_deployed_is_refused(world: World, model: str) -> None:
    world.register()
    with pytest.raises(RefusedError, match="model"):
        gate.handler({**world.gate_event(), "model": model}, None)
    assert world.records() == []


@pytest.mark.parametrize("feedback", ["none", "first-pass"])
def test_a_refusal_stays_hidden_from_authors_where_the_policy_says_so(world: World, feedback: str) -> None:
    world.change_policy("every-verdict", feedback)
    world.register(roc_auc=0.5)
    gate.handler(world.gate_event(), None)
    assert world.status(1) == "PendingManualApproval"


def test_the_verdict_says_what_built_the_image_and_what_is_in_it(world: World) -> None:
    world.register()
    assert gate.handler(world.gate_event(), None)["outcome"] == "passed"
    origin = world.records()[-1]["body"]["origin"]
    assert origin["builder"].endswith(":project/lockgate-image")
    assert origin["source"].endswith(f"commits/{world.lineage(1)['commit']}.zip")
    assert origin["components"] == 1
    assert len(origin["sbom_sha256"]) == 64


def unsigned(world: World) -> None:
    world.attestations = tuple(replace(one, signed=False) for one in world.attestations)


def nothing_beside_it(world: World) -> None:
    world.attestations = ()


@pytest.mark.parametrize("planted", [unsigned, nothing_beside_it])
@pytest.mark.parametrize("environment", ["dev", "prod"])
def test_an_image_built_elsewhere_passes_no_gate(world: World, planted: Defect, environment: str) -> None:
    world.register()
    planted(world)
    answer = gate.handler(world.gate_event(environment=environment), None)
    assert (answer["outcome"], answer["release"]) == ("error", None)
    assert "found no SLSA provenance" in json.dumps(world.records()[-1]["body"]["reasons"])
    assert world.records()[-1]["body"]["origin"] is None


SCAN_RULE = """
[[rule]]
name = "known weaknesses"
kind = "require"
what = "scan_findings"
severity = "high"
ceiling = 1
"""


@pytest.fixture
def scan(
    world: World, scripted: Any, aws_error: Any, sdk: Any, use: Any, monkeypatch: pytest.MonkeyPatch
) -> Iterator[dict[str, Any]]:
    """The answer to DescribeImageScanFindings, for a policy that allows one finding of severity high.

    Beside it `age`, the minutes since the image was pushed, counted when the gate asks.
    """
    answer: dict[str, Any] = {"imageScanStatus": {"status": "COMPLETE", "description": "done"}}
    policy = world.root / "environments" / "dev.toml"
    policy.write_text(policy.read_text() + SCAN_RULE)
    pushed = world.image.rpartition("@")[2]

    class Ecr(scripted):  # type: ignore[misc]
        service = "ecr"

        def DescribeImages(self, **request: Any) -> dict[str, Any]:  # noqa: N802
            came = shared.now() - timedelta(minutes=answer.get("age", 0))
            detail = {"imageDigest": pushed, "imageTags": [COMMIT], "imagePushedAt": came}
            return {"imageDetails": [detail]}

        def DescribeImageScanFindings(self, **request: Any) -> dict[str, Any]:  # noqa: N802
            assert request["imageId"] == {"imageDigest": pushed}
            if answer["imageScanStatus"]["status"] == "NONE":
                raise aws_error("ScanNotFoundException")
            return {key: value for key, value in answer.items() if key != "age"}

    ecr = Ecr(sdk)
    use("ecr", ecr.client)
    yield answer
    ecr.close()


COMMIT = "c" * 40


@pytest.mark.parametrize(
    ("counts", "outcome"),
    [({}, "passed"), ({"HIGH": 1, "MEDIUM": 9}, "passed"), ({"HIGH": 1, "CRITICAL": 1}, "failed")],
)
def test_findings_of_a_severity_decide(
    world: World, scan: dict[str, Any], counts: dict[str, int], outcome: str
) -> None:
    world.register()
    scan["imageScanFindings"] = {"findingSeverityCounts": counts}
    assert gate.handler(world.gate_event(), None)["outcome"] == outcome
    assert world.records()[-1]["body"]["scan"] == {
        "status": "COMPLETE",
        "counts": {severity.lower(): count for severity, count in counts.items()},
    }


@pytest.mark.parametrize("status", ["IN_PROGRESS", "NONE"])
def test_a_running_scan_is_waited_for_and_nothing_is_decided(world: World, scan: dict[str, Any], status: str) -> None:
    world.register()
    scan["imageScanStatus"] = {"status": status}
    with pytest.raises(PendingError, match="it is waited for until 0:30:00 after the push"):
        gate.handler(world.gate_event(), None)
    assert world.records() == []


@pytest.mark.parametrize(
    ("status", "age"), [("IN_PROGRESS", 31), ("NONE", 31), ("FAILED", 0), ("UNSUPPORTED_IMAGE", 0)]
)
def test_a_scan_that_never_ends_is_inconclusive_and_counted(
    world: World, scan: dict[str, Any], sdk: Any, status: str, age: int
) -> None:
    world.register()
    scan |= {"imageScanStatus": {"status": status}, "age": age}
    assert gate.handler(world.gate_event(), None)["outcome"] == "inconclusive"
    assert f"scan_findings:high: not known: scan {status}" in reasons(world)["known weaknesses"]
    counted = {"Namespace": names.METRIC_NAMESPACE, "MetricName": names.SCAN_UNFINISHED}
    assert sdk("cloudwatch").list_metrics(**counted)["Metrics"]
