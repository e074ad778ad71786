"""FastAPI + pandas, as tutorials do: a pydantic row, a DataFrame, the pipeline."""

from __future__ import annotations

import os
import tomllib
from pathlib import Path

import joblib
import pandas as pd
import uvicorn
from fastapi import FastAPI
from pydantic import BaseModel, create_model

TYPES = {"category": str, "integer": int, "number": float}
DECLARED = tomllib.loads(Path(os.environ["DECLARATION"]).read_text())["feature"]
Row = create_model("Row", **{feature["name"]: (TYPES[feature["type"]], ...) for feature in DECLARED})


class Rows(BaseModel):
    instances: list[Row]


app = FastAPI()
model = joblib.load(os.environ["PEER_MODEL"])


@app.post("/invocations")
def invocations(rows: Rows) -> dict[str, list[float]]:
    table = pd.DataFrame([row.model_dump() for row in rows.instances])
    return {"predictions": model.predict_proba(table)[:, 1].tolist()}


if __name__ == "__main__":
    uvicorn.run(app, host="127.0.0.1", port=int(os.environ["PORT"]), access_log=False, log_level="warning")
