"""BentoML with adaptive batching."""

from __future__ import annotations

import os

import bentoml
import joblib
import pandas as pd


@bentoml.service(workers=1, traffic={"timeout": 60, "max_concurrency": 512}, logging={"access": {"enabled": False}})
class Service:
    def __init__(self) -> None:
        self.model = joblib.load(os.environ["PEER_MODEL"])

    @bentoml.api(route="/invocations", batchable=True, batch_dim=0, max_batch_size=2000, max_latency_ms=10_000)
    def invocations(self, instances: list[dict]) -> list[float]:
        return self.model.predict_proba(pd.DataFrame(instances))[:, 1].tolist()
