"""The models that are served: the census model of this repository, and other kinds made from the same rows."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

from lockgate.configuration.model import Model
from lockgate.tasks.target import Target, binary
from runtime import commit
from runtime.job import Job

ROOT = Path(__file__).parents[2]
CENSUS = "employment"


@dataclass(frozen=True)
class Kind:
    """What a team's model folder holds: a declaration and `train`."""

    target: Target
    estimator: Callable[[Any, Model], Any]
    encoding: str = "ordinal"


def _trees(rows: Any, model: Model, **more: Any) -> Any:
    from sklearn.ensemble import HistGradientBoostingClassifier

    parameters = dict(model.parameters)
    return HistGradientBoostingClassifier(
        random_state=parameters.pop("seed"), early_stopping=False, **{**parameters, **more}
    )


def _categorical(rows: Any, model: Model) -> Any:
    """Splits on sets of categories: the kind that a known converter gets wrong without an error."""
    count = sum(feature.type == "category" for feature in model.features)
    return _trees(rows, model, categorical_features=list(range(count)))


def _logistic(rows: Any, model: Model) -> Any:
    from sklearn.linear_model import LogisticRegression

    return LogisticRegression(max_iter=1000)


def _mixed(rows: Any, model: Model) -> Any:
    """Trees and naive Bayes voting: no faster engine takes it."""
    from sklearn.ensemble import VotingClassifier
    from sklearn.naive_bayes import GaussianNB

    return VotingClassifier([("trees", _trees(rows, model)), ("bayes", GaussianNB())], voting="soft")


def _regression(rows: Any, model: Model) -> Any:
    from sklearn.ensemble import HistGradientBoostingRegressor

    parameters = dict(model.parameters)
    return HistGradientBoostingRegressor(random_state=parameters.pop("seed"), early_stopping=False, **parameters)


KINDS = {
    "categorical": Kind(binary("employed"), _categorical),
    "logistic": Kind(binary("employed"), _logistic, "onehot"),
    "multiclass": Kind(Target("MAR", "multiclass", ("1", "2", "3", "4", "5")), _trees),
    "regression": Kind(Target("AGEP", "regression", (), {"minimum": 0.0, "maximum": 99.0}), _regression),
    "fallback": Kind(binary("employed"), _mixed),
}


def declared(name: str) -> Model:
    """The declaration of the census model, or what a kind makes of it."""
    if name == CENSUS:
        return _declared_model(name)
    census, target = _declared_model(CENSUS), KINDS[name].target
    features = tuple(feature for feature in census.features if feature.name != target.name)
    return replace(census, name=name, target=target, features=features, protected=())


def declare(name: str) -> None:
    """Make this process find the kind `name` as if its folder were in model/."""
    if name == CENSUS:
        return
    team = SimpleNamespace(train=_train)
    commit.declared_model = declared
    commit.training_module = lambda model: cast(Any, team)


def train(name: str, folder: Path) -> Path:
    """model.tar.gz of the kind, trained on all rows of 2015 by the step that trains in the pipeline."""
    from runtime.train import train as step

    archive = folder / f"{name}.tar.gz"
    declare(name)
    root = folder / f"{name}.training"
    shutil.rmtree(root, ignore_errors=True)
    channel = root / "input" / "data" / "train"
    channel.mkdir(parents=True)
    (channel / "train.parquet").symlink_to(ROOT / declared(name).train_data)
    (channel / "holdout.parquet").symlink_to(ROOT / declared(name).holdout_data)
    step(Job(root, {"MODEL": name}))
    made = shutil.make_archive(str(folder / f"{name}.new"), "gztar", root / "model", ".")
    Path(made).replace(archive)
    return archive


_declared_model = commit.declared_model


def _train(rows: Any, target: Any, model: Model) -> Any:
    from sklearn.compose import ColumnTransformer
    from sklearn.pipeline import Pipeline
    from sklearn.preprocessing import OneHotEncoder, OrdinalEncoder

    kind = KINDS[model.name]
    categories = list(rows.select_dtypes("category").columns)
    values = [list(rows[name].cat.categories) for name in categories]
    codes = OneHotEncoder(categories=values) if kind.encoding == "onehot" else OrdinalEncoder(categories=values)
    encode = ColumnTransformer([("codes", codes, categories)], remainder="passthrough")
    return Pipeline([("encode", encode), ("last", kind.estimator(rows, model))]).fit(rows, target)


if __name__ == "__main__":
    import sys

    train(sys.argv[1], Path(sys.argv[2]))
