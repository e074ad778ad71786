"""Which published snapshot a delivery trains on: the newest, or the one that is asked for."""

from __future__ import annotations

from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import pytest

from cli import deliver
from lockgate import names
from lockgate.aws import delivery
from lockgate.errors import NotFoundError

if TYPE_CHECKING:
    from tests.integration.handlers.conftest import World

CONTEXT: Any = SimpleNamespace(models=lambda chosen: ("income", "churn"), bucket=lambda purpose: f"test-{purpose}")


@pytest.fixture
def published(world: World) -> World:
    for model, snapshot in (("income", "b" * 16), ("churn", "c" * 16), ("income", "a" * 16)):
        key = f"{names.snapshot_prefix(model, snapshot)}/manifest.json"
        world.s3.put_object(Bucket="test-data", Key=key, Body=b"{}")
    return world


def test_without_one_every_model_is_trained_on_its_newest(published: World) -> None:
    found = deliver._snapshots(CONTEXT, published.s3, None)
    assert found == {model: delivery.newest_snapshot(published.s3, "test-data", model) for model in ("income", "churn")}
    assert found["churn"] == "c" * 16


def test_an_older_snapshot_is_trained_on_by_the_model_that_has_it(published: World) -> None:
    assert deliver._snapshots(CONTEXT, published.s3, "a" * 16) == {"income": "a" * 16}
    assert deliver._snapshots(CONTEXT, published.s3, "b" * 16) == {"income": "b" * 16}


def test_a_snapshot_that_nobody_published_is_refused(published: World) -> None:
    with pytest.raises(
        NotFoundError, match="--snapshot: found 'dddd', expected one that is published, of income, churn"
    ):
        deliver._snapshots(CONTEXT, published.s3, "dddd")
