"""A model that was trained elsewhere through the real steps: it answers as it did there, and is marked everywhere."""

from __future__ import annotations

import json
import pickle
import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import lightgbm
import numpy as np
import pyarrow.parquet as pq
import pytest
import skops.io
import xgboost
from sklearn.compose import ColumnTransformer
from sklearn.linear_model import LinearRegression
from sklearn.pipeline import Pipeline

from cli import main
from cli.model_file import model_file
from examples.rows import made
from lockgate import canonical
from lockgate.configuration.model import read_model
from lockgate.errors import ConfigError, RefusedError
from lockgate.evidence.document import read_evidence
from runtime import commit
from runtime.artifact import answers, read_artifact
from runtime.columns import canonical_columns
from runtime.frames import frame_of_table
from runtime.trial.steps import run_steps

ROOT = Path(__file__).parents[3]


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    root = tmp_path / "project"
    shutil.copytree(ROOT / "environments", root / "environments")
    for name in ("prices", "refunds"):
        shutil.copytree(ROOT / "examples" / name, root / "model" / name)
    monkeypatch.chdir(root)
    monkeypatch.setattr(commit, "FOLDER", root / "model")
    return root


@dataclass(frozen=True)
class Elsewhere:
    """model: of examples/, whose target it predicts. fit: rows and target -> an estimator. save: writes its file."""

    model: str
    fit: Callable[[Any, Any], Any]
    save: Callable[[Any, Path], None]
    file: str


def xgboost_of_two(rows: Any, target: Any) -> Any:
    return xgboost.XGBClassifier(n_estimators=5, n_jobs=1).fit(rows, (target == "fraud").astype(int))


def linear(rows: Any, target: Any) -> Any:
    numbers = ColumnTransformer([("numbers", "passthrough", ["size", "rooms"])])
    return Pipeline([("numbers", numbers), ("linear", LinearRegression())]).fit(rows, target)


CASES = {
    "XGBoost of two classes": Elsewhere("refunds", xgboost_of_two, lambda e, f: e.save_model(f), "m.ubj"),
    "XGBoost, JSON": Elsewhere("refunds", xgboost_of_two, lambda e, f: e.save_model(f), "m.json"),
    "LightGBM, regression with categories": Elsewhere(
        "prices",
        lambda rows, target: lightgbm.LGBMRegressor(n_estimators=5, n_jobs=1, verbose=-1).fit(rows, target),
        lambda e, f: e.booster_.save_model(f),
        "m.txt",
    ),
    "scikit-learn by skops": Elsewhere("prices", linear, lambda e, f: skops.io.dump(e, f), "m.skops"),
}


@pytest.mark.parametrize("case", CASES.values(), ids=CASES)
def test_it_answers_as_it_did_elsewhere_and_evidence_says_that_it_was_not_trained_here(
    project: Path, tmp_path: Path, case: Elsewhere
) -> None:
    folder = project / "model" / case.model
    if case.model == "refunds":
        text = (folder / "model.toml").read_text()
        (folder / "model.toml").write_text(text.replace('fit = "cost"', "value = 0.3"))
    table = canonical_columns(made(case.model)[0], "train").slice(0, 1000)
    rows = frame_of_table(table, read_model(folder))
    target = table[read_model(folder).target.name].to_pandas()
    estimator, file = case.fit(rows, target), tmp_path / case.file
    case.save(estimator, file)
    said = ["import", case.model, "--model", str(file), "--by", "ana@example.com", "--source", "the old server"]
    assert main.main(said) == 0

    model = read_model(folder)
    (folder / "train.py").write_text("def train(rows, target, model):\n    raise AssertionError('called')\n")
    files, written = run_steps(tmp_path / "steps", table.slice(0, 600), table.slice(600), model)
    found = answers(read_artifact(files, model), rows, model)
    low, high = (model.target.numbers.get(end) for end in ("minimum", "maximum"))
    before = (
        estimator.predict_proba(rows)[:, 1] if model.target.classes else np.clip(estimator.predict(rows), low, high)
    )
    assert np.array_equal(found, before.astype(np.float64))
    evidence = read_evidence(written, canonical.sha256(written))
    digest = canonical.sha256(file.read_bytes())
    marked = {key: evidence.parameters[key] for key in evidence.parameters if key.startswith("imported")}
    assert marked == {"imported": digest, "imported_by": "ana@example.com", "imported_from": "the old server"}


def test_a_file_that_was_changed_since_is_not_the_one_that_was_imported(project: Path, tmp_path: Path) -> None:
    rows = canonical_columns(made("prices")[0], "train").slice(0, 200)
    model = read_model(project / "model" / "prices")
    file = tmp_path / "m.skops"
    skops.io.dump(linear(frame_of_table(rows, model), rows["price"].to_pandas()), file)
    assert main.main(["import", "prices", "--model", str(file), "--by", "ana"]) == 0
    kept = project / "model" / "prices" / "imported.skops"
    kept.write_bytes(kept.read_bytes() + b"\0")
    with pytest.raises(ConfigError, match=r"imported.file: SHA-256 of imported.skops: found"):
        run_steps(tmp_path / "steps", rows.slice(0, 100), rows.slice(100), read_model(project / "model" / "prices"))
    assert main.main(["import", "prices", "--model", str(file), "--by", "ana"]) == 1, "there is one already"


def test_a_pickle_is_refused_unread_with_how_it_is_converted(tmp_path: Path) -> None:
    class Opened:
        def __reduce__(self) -> Any:
            return (Path.touch, (tmp_path / "pwned",))

    for name in ("model.pkl", "model.bin", "model.ubj"):
        (tmp_path / name).write_bytes(pickle.dumps(Opened()))
        with pytest.raises(RefusedError, match=rf"found a pickle.*skops.io.dump\(joblib.load\('{name}'\)"):
            model_file(tmp_path / name)
    with pytest.raises(RefusedError, match="found a pickle"):
        model_file(tmp_path)  # as MLflow keeps it
    assert not (tmp_path / "pwned").exists()


def test_a_folder_of_mlflow_gives_the_one_model_in_it(tmp_path: Path) -> None:
    (tmp_path / "MLmodel").write_text("flavors:\n  lightgbm:\n    data: model.lgb\n")
    (tmp_path / "input_example.json").write_text('{"columns": ["a"]}')
    with pytest.raises(RefusedError, match="found no model, expected one of"):
        model_file(tmp_path)
    (tmp_path / "model.lgb").write_text("tree\nversion=v4\n")
    assert model_file(tmp_path) == (tmp_path / "model.lgb", "txt")
    (tmp_path / "model.json").write_text('{"learner":{}}')
    with pytest.raises(RefusedError, match=r"found model.json, model.lgb"):
        model_file(tmp_path)


def test_a_threshold_that_would_have_to_be_fitted_is_refused(project: Path) -> None:
    file = project / "model" / "refunds" / "model.toml"
    file.write_text(
        f'{file.read_text()}\n[imported]\nfile = "imported.ubj"\nsha256 = "{"0" * 64}"\nby = "ana"\nsource = "x"\n'
    )
    with pytest.raises(ConfigError, match=r"threshold: found.*expected a value"):
        read_model(project / "model" / "refunds")


def test_no_number_is_shown_of_a_model_that_may_have_seen_the_rows(
    project: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    model = read_model(project / "model" / "prices")
    train = made("prices")[0].slice(0, 1000)
    (project / model.train_data).parent.mkdir(parents=True)
    pq.write_table(train, project / model.train_data)
    rows = frame_of_table(canonical_columns(train, "train"), model)
    skops.io.dump(linear(rows, train["price"].to_pandas()), tmp_path / "m.skops")
    assert main.main(["import", "prices", "--model", str(tmp_path / "m.skops"), "--by", "ana"]) == 0
    shutil.copy(ROOT / "model" / "requirements.lock", project / "model")
    capsys.readouterr()
    main.main(["try", "prices", "--json"])
    (card,) = json.loads(capsys.readouterr().out)["cards"]
    assert (card["metrics"], card["groups"], card["would"], card["error"]) == ([], [], [], [])
    assert card["beside"].startswith("imported by ana: trained elsewhere")
    steps = {check["name"]: check["outcome"] for check in card["checks"]}
    assert steps["prepare, train, predict, evaluate"] == steps["edges of the contract"] == "passed"
