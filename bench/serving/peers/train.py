"""Train the peers' model as a tutorial would: a pipeline on a DataFrame, saved with joblib.

    python train.py model.toml rows.csv target KIND model.joblib

The same estimator, parameters and rows as ours, so the same predictions; the benchmark checks that they are.
"""

from __future__ import annotations

import sys
import tomllib
from pathlib import Path

import joblib
import pandas as pd
from sklearn.compose import ColumnTransformer
from sklearn.ensemble import HistGradientBoostingClassifier, VotingClassifier
from sklearn.naive_bayes import GaussianNB
from sklearn.pipeline import Pipeline
from sklearn.preprocessing import OrdinalEncoder


def main(declaration: str, rows: str, target: str, kind: str, saved: str) -> None:
    declared = tomllib.loads(Path(declaration).read_text())
    names = [feature["name"] for feature in declared["feature"]]
    values = {feature["name"]: feature["values"] for feature in declared["feature"] if feature["type"] == "category"}
    table = pd.read_csv(rows, dtype=dict.fromkeys(values, str))
    parameters = dict(declared["parameters"])
    boosting = HistGradientBoostingClassifier(random_state=parameters.pop("seed"), early_stopping=False, **parameters)
    last = (
        boosting if kind == "trees" else VotingClassifier([("trees", boosting), ("bayes", GaussianNB())], voting="soft")
    )
    encode = ColumnTransformer(
        [("codes", OrdinalEncoder(categories=list(values.values())), list(values))], remainder="passthrough"
    )
    joblib.dump(Pipeline([("encode", encode), ("last", last)]).fit(table[names], table[target]), saved)


if __name__ == "__main__":
    main(*sys.argv[1:])
