"""Builders of domain objects: good unless a test changes something."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import settings

from lockgate.evidence.document import Data, Evidence, Metric

settings.register_profile("lockgate", deadline=None, database=None)  # a busy machine is no finding
settings.register_profile("few", settings.get_profile("lockgate"), max_examples=20)  # `make mutation`
settings.load_profile("lockgate")


@pytest.fixture(scope="session")
def make_evidence() -> Callable[..., Evidence]:
    """Evidence with roc_auc 0.9 on 1000 rows; keyword arguments replace fields."""

    def make(**changes: Any) -> Evidence:
        parts: dict[str, Any] = {
            "model": "income",
            "commit": "c" * 40,
            "image": "1.dkr.ecr.us-east-1.amazonaws.com/lockgate-models@sha256:" + "a" * 64,
            "execution": "arn:aws:sagemaker:us-east-1:111111111111:pipeline/lockgate-income/execution/e1",
            "actor": "amelie",
            "model_sha256": "b" * 64,
            "contents_sha256": "d" * 64,
            "data": Data("5" * 16, "1" * 64, "2" * 64, "3" * 64, "6" * 64, "7" * 64, 2000, 1000),
            "features": ("AGEP", "SCHL"),
            "parameters": {"learning_rate": 0.1},
            "engine": {"name": "walker", "rows": 20000, "largest_difference": 0.0, "refused": {}},
            "replay_sha256": "e" * 64,
            "metrics": {"roc_auc": Metric(0.9, 1000, {"pairs": 250000.0})},
        }
        return Evidence(**{**parts, **changes})

    return make
