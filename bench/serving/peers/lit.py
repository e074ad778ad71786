"""LitServe with batches of up to 64 requests."""

from __future__ import annotations

import os
from typing import Any

import joblib
import litserve
import pandas as pd

Rows = list[dict[str, Any]]


class Api(litserve.LitAPI):
    def setup(self, device: str) -> None:
        self.model = joblib.load(os.environ["PEER_MODEL"])

    def decode_request(self, request):  # LitServe would read an annotation as a schema
        return request["instances"]

    def batch(self, inputs: list[Rows]) -> list[Rows]:
        return inputs

    def predict(self, requests: list[Rows]) -> list[list[float]]:
        scores = self.model.predict_proba(pd.DataFrame([row for rows in requests for row in rows]))[:, 1].tolist()
        answers, start = [], 0
        for rows in requests:
            answers.append(scores[start : start + len(rows)])
            start += len(rows)
        return answers

    def unbatch(self, output: list[list[float]]) -> list[list[float]]:
        return output

    def encode_response(self, output: list[float]) -> dict[str, list[float]]:
        return {"predictions": output}


if __name__ == "__main__":
    api = Api(max_batch_size=64, batch_timeout=0.005, api_path="/invocations")
    server = litserve.LitServer(api, accelerator="cpu", workers_per_device=1, timeout=60)
    server.run(
        host="127.0.0.1",
        port=int(os.environ["PORT"]),
        num_api_servers=1,
        generate_client_file=False,
        log_level="warning",
    )
