"""What a delivery trains: on which published snapshot, and whether anew."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from types import SimpleNamespace
from typing import Any

import pytest

from cli.commands import deliver
from cli.main import parser
from lockgate import names
from lockgate.aws import delivery
from lockgate.errors import NotFoundError

CONTEXT: Any = SimpleNamespace(bucket=lambda purpose: f"test-{purpose}")
MODELS = ("income", "churn")
OLDER, NEWER, OTHER = "b" * 16, "a" * 16, "c" * 16
# Manifests with the second at which each was published; the keys' order is another one.
PUBLISHED = {("income", OLDER): 1, ("income", NEWER): 2, ("churn", OTHER): 0}


@pytest.fixture
def published(scripted: Any, sdk: Callable[[str], Any]) -> Iterator[Any]:
    class Objects(scripted):  # type: ignore[misc]
        """S3 that lists these objects in the order of their keys, as AWS does."""

        service = "s3"

        def ListObjectsV2(self, Prefix: str, **_: Any) -> dict[str, Any]:  # noqa: N802, N803
            found = [
                {
                    "Key": f"{names.snapshot_prefix(model, snapshot)}/{file}",
                    "LastModified": datetime(2026, 11, 22, 0, 0, second, tzinfo=UTC),
                }
                for (model, snapshot), second in PUBLISHED.items()
                for file in ("manifest.json", "train/train.parquet")
            ]
            return {
                "Contents": sorted((each for each in found if each["Key"].startswith(Prefix)), key=lambda o: o["Key"])
            }

    made = Objects(sdk)
    yield made.client
    made.close()


def test_without_one_every_model_is_trained_on_the_snapshot_published_last(published: Any) -> None:
    assert deliver._snapshots(CONTEXT, published, MODELS, None) == ({"income": NEWER, "churn": OTHER}, {})


def test_the_order_of_their_names_does_not_matter(published: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(PUBLISHED, ("income", OLDER), 3)
    assert deliver._snapshots(CONTEXT, published, MODELS, None)[0]["income"] == OLDER


def test_an_older_snapshot_is_trained_on_by_the_model_that_has_it(published: Any) -> None:
    for snapshot in (OLDER, NEWER):
        assert deliver._snapshots(CONTEXT, published, MODELS, snapshot) == ({"income": snapshot}, {})


def test_a_snapshot_that_nobody_published_is_refused(published: Any) -> None:
    with pytest.raises(
        NotFoundError, match="--snapshot: found 'dddd', expected one that is published, of income, churn"
    ):
        deliver._snapshots(CONTEXT, published, MODELS, "dddd")


def test_a_model_without_a_snapshot_stops_no_other_one(published: Any) -> None:
    found, without = deliver._snapshots(CONTEXT, published, (*MODELS, "new"), None)
    assert found == {"income": NEWER, "churn": OTHER}
    assert without == {"new": "model new: no data snapshot is published; run `lockgate snapshot --model new`"}
    with pytest.raises(NotFoundError, match="model new: no data snapshot is published"):
        deliver._snapshots(CONTEXT, published, ("new",), None)


@pytest.mark.parametrize("refusal", ["ResourceNotFound", "AccessDeniedException"])
def test_a_model_whose_stack_is_not_deployed_is_told_so_and_not_in_words_of_iam(
    scripted: Any, aws_error: Any, sdk: Callable[[str], Any], refusal: str
) -> None:
    class NoPipeline(scripted):  # type: ignore[misc]
        service = "sagemaker"

        def StartPipelineExecution(self, **_: Any) -> dict[str, Any]:  # noqa: N802
            raise aws_error(refusal, "User: arn:aws:sts::1:assumed-role/x is not authorized")

    made = NoPipeline(sdk)
    image = delivery.Image("c" * 40, f"models@sha256:{'a' * 64}")
    try:
        with pytest.raises(NotFoundError) as caught:
            delivery.start_training(made.client, "new", image, OLDER, "ada", 1, champion=None, data="test-data")
    finally:
        made.close()
    assert "model new: no training was started: found no pipeline lockgate-new" in str(caught.value)
    assert "cdk deploy 'tools/*'" in str(caught.value)


@pytest.fixture
def train(scripted: Any, sdk: Callable[[str], Any]) -> Iterator[Callable[[int], str]]:
    """Start the training of one image on one snapshot as an attempt; the execution that SageMaker runs for it."""

    class Pipelines(scripted):  # type: ignore[misc]
        service = "sagemaker"

        def StartPipelineExecution(self, ClientRequestToken: str, **_: Any) -> dict[str, Any]:  # noqa: N802, N803
            return {"PipelineExecutionArn": f"arn:aws:sagemaker:us-east-1:1:pipeline/p/execution/{ClientRequestToken}"}

    made = Pipelines(sdk)
    image = delivery.Image("c" * 40, f"models@sha256:{'a' * 64}")

    def start(attempt: int) -> str:
        return delivery.start_training(
            made.client, "income", image, OLDER, "ada", attempt, champion=None, data="test-data"
        )

    yield start
    made.close()


def test_delivered_again_a_commit_is_trained_anew_whatever_failed_before(
    train: Callable[[int], str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A failed attempt leaves no verdict, so nobody could tell from the ledger which numbers are taken."""
    monkeypatch.delenv("GITHUB_RUN_ATTEMPT", raising=False)
    numbers = [deliver.attempt_of(parser("deliver").parse_args(["deliver"]))]
    for second in (1_780_000_000.1, 1_780_000_001.2):
        monkeypatch.setattr(deliver.time, "time", lambda second=second: second)
        numbers.append(deliver.attempt_of(parser("deliver").parse_args(["deliver", "--again"])))
    assert numbers[0] == 1
    assert len({train(number) for number in numbers}) == 3
    assert train(1) == train(1), "the same attempt is the same training"
