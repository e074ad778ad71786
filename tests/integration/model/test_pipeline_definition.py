"""The checked-in pipeline definition: what the SDK would build today, valid to AWS's own models, and safe."""

from __future__ import annotations

import copy
import json
import os
import re
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import fields
from pathlib import Path
from typing import Any

import botocore.session
import pytest
from botocore.model import OperationModel, ServiceModel
from botocore.validate import ParamValidator

from lockgate.evidence.package import Lineage

ROOT = Path(__file__).parents[3]
FILE = ROOT / "model" / "pipeline.json"
SDK = ROOT / ".venv-pipeline" / "bin" / "python"
OPERATIONS = {
    "Processing": "CreateProcessingJob",
    "Training": "CreateTrainingJob",
    "RegisterModel": "CreateModelPackage",
}
GIVEN_BY_THE_SERVICE = {
    "CreateProcessingJob": {"ProcessingJobName": "pipelines-abc-prepare-def"},
    "CreateTrainingJob": {"TrainingJobName": "pipelines-abc-train-def"},
    "CreateModelPackage": {},
}
PLACEHOLDERS = {
    "Model": "employment",
    "PackageGroup": "lockgate-employment",
    "EvaluatorImage": "111111111111.dkr.ecr.us-east-1.amazonaws.com/lockgate-evaluator@sha256:" + "0" * 64,
    "DataBucket": "lockgate-data",
    "LabelsBucket": "lockgate-labels",
    "ModelsBucket": "lockgate-models",
    "EvidenceBucket": "lockgate-evidence",
    "TrainingRole": "arn:aws:iam::111111111111:role/training",
    "EvaluationRole": "arn:aws:iam::111111111111:role/evaluation",
    "InstanceType": "ml.m5.large",
    "KmsKey": "arn:aws:kms:us-east-1:111111111111:key/00000000-0000-4000-8000-000000000000",
}
VALUES = {
    "Parameters.Commit": "c" * 40,
    "Parameters.Image": "111111111111.dkr.ecr.us-east-1.amazonaws.com/lockgate-models@sha256:" + "1" * 64,
    "Parameters.Snapshot": "0123456789abcdef",
    "Parameters.Actor": "ana",
    "Parameters.Fingerprint": "f" * 64,
    "Parameters.ChampionImage": "111111111111.dkr.ecr.us-east-1.amazonaws.com/lockgate-models@sha256:" + "2" * 64,
    "Parameters.ChampionModel": "s3://lockgate-models/employment/b/training/t/output/model.tar.gz",
    "Execution.PipelineExecutionId": "abcdefghijkl",
    "Execution.PipelineExecutionArn": "arn:aws:sagemaker:us-east-1:111111111111:pipeline/lockgate-toy/execution/a",
    "Steps.train.ModelArtifacts.S3ModelArtifacts": "s3://lockgate-models/employment/a/training/t/output/model.tar.gz",
}


@pytest.fixture(scope="module")
def definition() -> dict[str, Any]:
    found: dict[str, Any] = json.loads(FILE.read_bytes())
    return found


@pytest.fixture(scope="module")
def service() -> ServiceModel:
    return botocore.session.get_session().get_service_model("sagemaker")


def step(definition: dict[str, Any], name: str) -> dict[str, Any]:
    return next(step for step in definition["Steps"] if step["Name"] == name)


def strings(value: Any) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict):
        yield from value
        yield from (text for item in value.values() for text in strings(item))
    elif isinstance(value, list):
        yield from (text for item in value for text in strings(item))


def resolved(value: Any) -> Any:
    """With placeholders filled in and pipeline variables replaced by sample values. KeyError for an unknown one."""
    if isinstance(value, str):
        return re.sub(r"\{\{(\w+)\}\}", lambda found: PLACEHOLDERS[found[1]], value)
    if isinstance(value, list):
        return [resolved(item) for item in value]
    if not isinstance(value, dict):
        return value
    if set(value) == {"Get"}:
        return VALUES[value["Get"]]
    if set(value) == {"Std:JsonGet"}:
        assert value["Std:JsonGet"]["PropertyFile"] == {"Get": "Steps.evaluate.PropertyFiles.Digests"}
        return "e" * 64
    if set(value) == {"Std:Join"}:
        return value["Std:Join"]["On"].join(resolved(value["Std:Join"]["Values"]))
    return {key: resolved(item) for key, item in value.items()}


def problems(service: ServiceModel, step: dict[str, Any]) -> list[str]:
    """What AWS's own model has against the request that this step becomes: types, unknown and missing fields, enums,
    patterns, lengths and ranges."""
    operation = OPERATIONS[step["Type"]]
    request = {**GIVEN_BY_THE_SERVICE[operation], **resolved(step["Arguments"])}
    model: OperationModel = service.operation_model(operation)
    report = ParamValidator().validate(request, model.input_shape).generate_report()
    return [*report.splitlines(), *constraints(request, model.input_shape, operation)]


def constraints(value: Any, shape: Any, where: str) -> Iterator[str]:
    """What botocore's validator leaves to the service: enums, patterns and the upper bounds."""
    if shape.type_name == "structure" and isinstance(value, dict):
        for key, item in value.items():
            if key in shape.members:
                yield from constraints(item, shape.members[key], f"{where}.{key}")
    elif shape.type_name == "map" and isinstance(value, dict):
        for key, item in value.items():
            yield from constraints(key, shape.key, f"{where} key")
            yield from constraints(item, shape.value, f"{where}.{key}")
    elif shape.type_name == "list" and isinstance(value, list):
        for index, item in enumerate(value):
            yield from constraints(item, shape.member, f"{where}[{index}]")
    if isinstance(value, str) and shape.enum and value not in shape.enum:
        yield f"{where}: {value!r} is none of {shape.enum}"
    pattern = shape.metadata.get("pattern", "")
    for java, python in ((r"\p{L}", r"\w"), (r"\p{Z}", r"\s"), (r"\p{N}", r"\d")):
        pattern = pattern.replace(java, python)
    pattern = re.sub(r"\$\{1,\d+\}$", "", pattern)  # Java repeats the end of a text; Python does not
    if isinstance(value, str) and pattern and not re.fullmatch(pattern, value):
        yield f"{where}: {value!r} does not match {pattern}"
    size = len(value) if isinstance(value, str | list | dict) else value
    if isinstance(size, int) and size > shape.metadata.get("max", size):
        yield f"{where}: {size} is more than {shape.metadata['max']}"


def test_the_checked_in_definition_is_what_the_sdk_builds(tmp_path: Path) -> None:
    if not SDK.exists():
        if os.environ.get("CI"):
            pytest.fail(f"{SDK.relative_to(ROOT)} is missing: `make pipeline` creates it")
        pytest.skip("the SageMaker SDK is not installed: `make pipeline` creates .venv-pipeline")
    target = tmp_path / "pipeline.json"
    environment = {"PATH": os.environ["PATH"], "HOME": str(tmp_path), "AWS_DEFAULT_REGION": "eu-west-3"}
    command = [SDK, "-W", "ignore", ROOT / "model" / "_pipeline" / "build.py", target]
    ended = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    assert ended.returncode == 0, ended.stderr
    assert target.read_bytes() == FILE.read_bytes(), "model/pipeline.json is stale: run `make pipeline`"


@pytest.mark.parametrize("name", ["prepare", "train", "predict", "evaluate", "register"])
def test_every_step_is_a_request_that_aws_would_accept(
    definition: dict[str, Any], service: ServiceModel, name: str
) -> None:
    assert problems(service, step(definition, name)) == []


def at(path: str, value: object) -> Callable[[dict[str, Any]], None]:
    """Set what is at a dotted path of a step's arguments."""

    def change(arguments: dict[str, Any]) -> None:
        *way, last = path.split(".")
        place: Any = arguments
        for part in way:
            place = place[int(part) if part.isdigit() else part]
        place[last] = value

    return change


@pytest.mark.parametrize(
    ("name", "change", "message"),
    [
        ("prepare", at("Surprise", "x"), 'Unknown parameter in input: "Surprise"'),
        ("prepare", at("RoleArn", 5), "Invalid type for parameter RoleArn"),
        ("prepare", at("Environment.SNAPSHOT", 7), "Invalid type for parameter Environment.SNAPSHOT"),
        ("prepare", at("ProcessingInputs.0.S3Input.S3DataType", "Prefix"), "'Prefix' is none of"),
        ("prepare", at("ProcessingResources.ClusterConfig.InstanceCount", 101), "101 is more than 100"),
        ("prepare", lambda arguments: arguments.pop("RoleArn"), 'Missing required parameter in input: "RoleArn"'),
        ("train", at("HyperParameters", {"max_iter": 100}), "Invalid type for parameter HyperParameters.max_iter"),
        ("train", at("ResourceConfig.InstanceType", "ml.tiny"), "'ml.tiny' is none of"),
        ("train", at("RoleArn", "training"), "does not match"),
        ("register", at("ModelApprovalStatus", "Pending"), "'Pending' is none of"),
        ("register", at("ModelMetrics.ModelQuality.Statistics.ContentDigest", "sha256 e"), "does not match"),
        ("register", at("CustomerMetadataProperties.actor", "a" * 257), "257 is more than 256"),
    ],
)
def test_a_planted_error_is_found(
    definition: dict[str, Any],
    service: ServiceModel,
    name: str,
    change: Callable[[dict[str, Any]], None],
    message: str,
) -> None:
    broken = copy.deepcopy(step(definition, name))
    change(broken["Arguments"])
    assert message in "\n".join(problems(service, broken))


def test_who_starts_an_execution_chooses_seven_texts_and_nothing_else(definition: dict[str, Any]) -> None:
    names = ("Commit", "Image", "Snapshot", "Actor", "ChampionImage", "ChampionModel", "Fingerprint")
    assert definition["Parameters"] == [{"Name": name, "Type": "String"} for name in names]


def test_the_champion_predicts_beside_the_commits_own_steps_which_run_one_after_another(
    definition: dict[str, Any],
) -> None:
    assert {step["Name"]: step.get("DependsOn") for step in definition["Steps"]} == {
        "prepare": None,
        "train": ["prepare"],
        "predict": ["train"],
        "champion": ["prepare"],
        "evaluate": ["predict", "champion"],
        "register": ["evaluate"],
    }


def test_the_champion_reads_the_published_features_and_nothing_that_the_commit_made(definition: dict[str, Any]) -> None:
    arguments = step(definition, "champion")["Arguments"]
    sources = {entry["InputName"]: resolved(entry["S3Input"]["S3Uri"]) for entry in arguments["ProcessingInputs"]}
    assert arguments["AppSpecification"]["ImageUri"] == {"Get": "Parameters.ChampionImage"}
    assert sources == {
        "model": VALUES["Parameters.ChampionModel"],
        "snapshot": "s3://lockgate-data/snapshots/employment/0123456789abcdef/",
    }


def test_the_evaluator_hashes_the_model_that_the_champion_predicted_with(definition: dict[str, Any]) -> None:
    arguments = step(definition, "evaluate")["Arguments"]
    sources = {entry["InputName"]: entry["S3Input"]["S3Uri"] for entry in arguments["ProcessingInputs"]}
    assert sources["champion-model"] == {"Get": "Parameters.ChampionModel"}


def test_every_placeholder_is_used_and_no_other(definition: dict[str, Any]) -> None:
    found = {name for text in strings(definition) for name in re.findall(r"\{\{(.*?)\}\}", text)}
    assert found == set(PLACEHOLDERS)


def test_no_account_no_region_no_clock_and_nothing_of_the_sdk_is_in_it(definition: dict[str, Any]) -> None:
    text = FILE.read_text()
    assert not re.search(r"[0-9]{12}|[a-z]{2}-[a-z]+-[0-9]\b|20[0-9]{2}-(?!12-01)|sagemaker|none\b(?!\.txt)|null", text)
    assert "Tags" not in strings(definition)


def test_all_jobs_are_isolated_from_the_network_and_encrypted(definition: dict[str, Any]) -> None:
    for name in ("prepare", "predict", "champion", "evaluate"):
        arguments = step(definition, name)["Arguments"]
        assert arguments["NetworkConfig"] == {"EnableNetworkIsolation": True}
        assert arguments["ProcessingOutputConfig"]["KmsKeyId"] == "{{KmsKey}}"
        assert arguments["ProcessingResources"]["ClusterConfig"]["VolumeKmsKeyId"] == "{{KmsKey}}"
    arguments = step(definition, "train")["Arguments"]
    assert arguments["EnableNetworkIsolation"] is True
    assert arguments["OutputDataConfig"]["KmsKeyId"] == "{{KmsKey}}"
    assert arguments["ResourceConfig"]["VolumeKmsKeyId"] == "{{KmsKey}}"


def test_only_the_pinned_evaluator_gets_the_role_the_labels_and_the_evidence(definition: dict[str, Any]) -> None:
    for name in ("prepare", "train", "predict", "champion"):
        text = json.dumps(step(definition, name))
        assert re.findall(r"\{\{\w+Role\}\}", text) == ["{{TrainingRole}}"]
        assert not re.search(r"Labels|Evidence|Evaluator", text)
    evaluate = step(definition, "evaluate")["Arguments"]
    assert evaluate["RoleArn"] == "{{EvaluationRole}}"
    assert evaluate["AppSpecification"]["ImageUri"] == "{{EvaluatorImage}}"


def test_the_evaluator_learns_about_the_run_from_the_definition(definition: dict[str, Any]) -> None:
    found = step(definition, "evaluate")["Arguments"]["Environment"]
    assert resolved(found) == {
        "MODEL": "employment",
        "COMMIT": VALUES["Parameters.Commit"],
        "IMAGE": VALUES["Parameters.Image"],
        "SNAPSHOT": VALUES["Parameters.Snapshot"],
        "ACTOR": VALUES["Parameters.Actor"],
        "EXECUTION": VALUES["Execution.PipelineExecutionArn"],
    }


def test_the_package_waits_for_the_gate_and_carries_its_lineage(definition: dict[str, Any]) -> None:
    arguments = step(definition, "register")["Arguments"]
    assert arguments["ModelApprovalStatus"] == "PendingManualApproval"
    lineage = {field.name for field in fields(Lineage)}
    assert set(arguments["CustomerMetadataProperties"]) == lineage | {"fingerprint"}, "which no gate reads"
    statistics = resolved(arguments["ModelMetrics"]["ModelQuality"]["Statistics"])
    assert statistics == {
        "ContentType": "application/json",
        "ContentDigest": "sha256:" + "e" * 64,
        "S3Uri": "s3://lockgate-evidence/employment/abcdefghijkl/evidence.json",
    }
    assert resolved(arguments["CustomerMetadataProperties"])["evidence_uri"] == statistics["S3Uri"]


def test_what_the_evaluator_writes_is_what_the_package_reads(definition: dict[str, Any]) -> None:
    evaluate = step(definition, "evaluate")
    assert evaluate["PropertyFiles"] == [
        {"PropertyFileName": "Digests", "OutputName": "evidence", "FilePath": "digests.json"}
    ]
    outputs = evaluate["Arguments"]["ProcessingOutputConfig"]["Outputs"]
    assert [output["OutputName"] for output in outputs] == ["evidence"]
    assert resolved(outputs[0]["S3Output"]["S3Uri"]) == "s3://lockgate-evidence/employment/abcdefghijkl/"


def champion_step(folder: Path, body: str, within: str = "3000") -> tuple[int, str]:
    """Run the champion's step as SageMaker would, with a `runtime` whose champion does this; its exit code and note."""
    steps = {step["Name"]: step for step in json.loads(FILE.read_text())["Steps"]}
    words = steps["champion"]["Arguments"]["AppSpecification"]["ContainerEntrypoint"]
    assert all(len(word) <= 256 for word in words), "SageMaker takes no longer word"
    (folder / "image" / "runtime").mkdir(parents=True)
    (folder / "image" / "runtime" / "__init__.py").touch()
    (folder / "image" / "runtime" / "__main__.py").write_text(body)
    root = folder / "a root"
    (root / "output").mkdir(parents=True)
    (root / "output" / "message").write_text("KeyError: NATIVITY")
    done = subprocess.run(
        [words[0], words[1], words[2].replace("3000", within)],
        cwd=folder / "image",
        env={"PATH": f"{Path(sys.executable).parent}:/usr/bin:/bin", "ML_ROOT": str(root)},
        capture_output=True,
        check=False,
    )
    note = root / "processing" / "output" / "champion" / "none.txt"
    return done.returncode, note.read_text() if note.is_file() else ""


WRITES = """
import os, pathlib, signal, sys, time
folder = pathlib.Path(os.environ["ML_ROOT"], "processing", "output", "champion")
folder.joinpath("predictions.parquet").write_bytes(b"half")
"""


@pytest.mark.parametrize(
    ("does", "within", "code"),
    [
        ("raise KeyError('NATIVITY')", "3000", 1),
        ("sys.exit(7)", "3000", 7),
        ("os.kill(os.getpid(), signal.SIGKILL)", "3000", 137),
        ("time.sleep(60)", "0.2", 124),
    ],
)
def test_a_champion_that_raises_exits_hangs_or_is_killed_leaves_a_note_and_its_step_succeeds(
    tmp_path: Path, does: str, within: str, code: int
) -> None:
    ended, note = champion_step(tmp_path, WRITES + does, within)
    assert (ended, note) == (0, f"its step ended with exit code {code}\nKeyError: NATIVITY")
    folder = tmp_path / "a root" / "processing" / "output" / "champion"
    assert [file.name for file in folder.iterdir()] == ["none.txt"], "half of its predictions would be left"


def test_a_champion_that_predicts_leaves_its_predictions_alone(tmp_path: Path) -> None:
    assert champion_step(tmp_path, WRITES) == (0, "")
    assert (tmp_path / "a root" / "processing" / "output" / "champion" / "predictions.parquet").read_bytes() == b"half"
