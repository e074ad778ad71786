"""Try a model on a sample of its training rows, in a process and a folder of its own, beside the champion's recipe."""

from __future__ import annotations

import importlib.metadata
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import lockgate
import runtime
from cli.git import models_of
from cli.trial import recipes
from cli.trial.card import Card, Check, groups_of, numbers_of, opinions_of
from cli.trial.lock import imports_of, missing_from_lock, normal
from lockgate import canonical
from lockgate.configuration.environment import Environment, read_environment
from lockgate.configuration.imported import LIGHTGBM, SKOPS, XGBOOST, imported_format
from lockgate.configuration.model import Model, read_model
from lockgate.configuration.policies import refuse_misfits
from lockgate.configuration.tools import Tools, read_tools
from lockgate.errors import ConfigError, DataContractError, LockgateError, RefusedError
from lockgate.evidence.document import Champion, Data, Evidence, read_evidence
from lockgate.policy.of_model import read_model_policy
from lockgate.policy.rules import Policy

SECONDS = 24.0  # of fitting, of a minute
FITS = 9  # four folds' worth of rows for either recipe, and one for the steps
LOCK = "model/requirements.lock"
NOBODY = "0" * 64
LIBRARIES = {XGBOOST: "xgboost", LIGHTGBM: "lightgbm", SKOPS: "sklearn"}
ELSEWHERE = (
    "imported by {by}: trained elsewhere, perhaps on these very rows, so that only the holdout can say what it is worth"
)


@dataclass(frozen=True)
class Judges:
    """The project's environments in the order of promotion, and what they ask of all models."""

    tools: Tools
    environments: tuple[Environment, ...]

    @classmethod
    def read(cls, root: Path) -> Judges:
        """Of a project of which a model may still be unfinished. Raises ConfigError."""
        tools = read_tools(root / "environments" / "tools.toml")
        return cls(tools, tuple(read_environment(root / "environments" / f"{each}.toml") for each in tools.promotion))

    def policies(self, root: Path, model: str) -> dict[str, Policy]:
        """What each environment asks of a model; nothing where its policy cannot be read, which a check says."""
        try:
            own = read_model_policy(root / "model" / model)
        except ConfigError:
            return {}
        return {each.name: own.in_environment(each.name, each.rules) for each in self.environments}


def tried(root: Path, judges: Judges, name: str, rows: int | None, base: str | None) -> Card:
    """The card of a model of the working tree. base: a commit whose recipe for it is the champion's, None for none."""
    start = time.monotonic()
    with tempfile.TemporaryDirectory(prefix="lockgate-try-") as made:
        folder = Path(made)
        own = folder / "own"
        undecided = recipes.write_models(root, None, name, own / "app")
        model = read_model(own / "app" / "model" / name)
        checks = [*_declaration_checks(root, judges, model, undecided), _lock_check(root, model)]

        def without_numbers(why: str, of_rows: int = 0, error: tuple[str, ...] = ()) -> Card:
            return Card(name, model.target.task, 0, of_rows, why, (), (), (), (), tuple(checks), error)

        if not (root / model.train_data).exists():
            why = f"{model.train_data} is not here: whoever has it tries the model"
            checks.append(Check("identifier, columns, target", "not tried", why))
            return without_numbers(why)
        try:
            table = _training_rows(root, model)
        except DataContractError as error:
            checks.append(Check("identifier, columns, target", "failed", str(error)))
            return without_numbers("nothing was fitted")
        checks.append(Check("identifier, columns, target", "passed", f"{table.num_rows:,} rows keep the data contract"))
        found = _recipe(own, table, name, rows)
        if "error" in found:
            return without_numbers("nothing was measured", table.num_rows, tuple(_said(found["error"], model)))
        if model.imported:
            checks += _step_checks(found, model)
            card = without_numbers(ELSEWHERE.format(by=model.imported.by), table.num_rows)
            return replace(card, rows=found["rows"], facts=_facts(found, None, time.monotonic() - start))
        champion, beside, why = _champion(folder, root, base, table, model)
        evidence = _evidence(own, table, model, champion, found, base or "")
    checks += _step_checks(found, model)
    numbers = tuple(numbers_of(evidence))
    digest = evidence.champion.model_sha256 if evidence.champion else ""
    return Card(
        name,
        model.target.task,
        found["rows"],
        table.num_rows,
        beside,
        numbers,
        tuple(groups_of(evidence, numbers[0].metric)) if numbers else (),
        _facts(found, evidence.threshold, time.monotonic() - start),
        opinions_of(judges.policies(root, name), evidence, digest, why),
        tuple(checks),
    )


def _declaration_checks(root: Path, judges: Judges, model: Model, undecided: Sequence[str]) -> list[Check]:
    """What synth would refuse of model.toml and policy.toml."""
    checks = []
    if undecided:
        said = f"model/{model.name}/model.toml: write {', '.join(undecided)}: synth refuses a model without"
        checks.append(Check("decided by a person", "failed", said))
    try:
        policy = read_model_policy(root / "model" / model.name)
        refuse_misfits(policy, model, judges.environments, judges.tools.tiers)
    except ConfigError as error:
        return [*checks, Check("policy", "failed", str(error))]
    return [*checks, Check("policy", "passed", "each rule fits what the model predicts")]


def _training_rows(root: Path, model: Model) -> Any:
    """All training rows, after what `prepare` would refuse was looked for. The holdout's file is not opened."""
    from runtime.columns import read_columns
    from runtime.contract import refuse_broken_columns, refuse_broken_order, refuse_broken_target

    table = read_columns(root / model.train_data, model.train_data)
    refuse_broken_columns(table, model, model.train_data)
    refuse_broken_target(table, model, model.train_data, every=True)
    refuse_broken_order(table, model, model.train_data)
    return table


def _lock_check(root: Path, model: Model) -> Check:
    try:
        lock = (root / LOCK).read_text(encoding="utf-8")
    except OSError:
        return Check("packages", "failed", f"{LOCK}: found no such file, expected it beside the model: `make lock`")
    installed = importlib.metadata.packages_distributions()
    names = {name for found in installed.values() for name in found}
    versions = {normal(name): importlib.metadata.version(name) for name in names}
    wanted = imports_of(root / "model", model.name)
    if model.imported:
        library = LIBRARIES[imported_format(model.imported.file)]
        wanted = {library: f"model/{model.name}/{model.imported.file}", **wanted}
    missing = missing_from_lock(wanted, lock, installed, versions)
    return Check("packages", "failed" if missing else "passed", "; ".join(missing) or f"{LOCK} has what it imports")


def _recipe(folder: Path, table: Any, model: str, rows: int | None) -> dict[str, Any]:
    """What runtime.trial found of the recipe in the folder's app."""
    import pyarrow.parquet

    app, task = folder / "app", folder / "task"
    task.mkdir(exist_ok=True)
    recipes.write_app(app, [Path(each.__file__).parent for each in (lockgate, runtime) if each.__file__])
    pyarrow.parquet.write_table(table, task / "rows.parquet")
    asked = {"model": model, "rows": rows, "seconds": SECONDS, "fits": FITS}
    (task / "task.json").write_text(json.dumps(asked))
    environment = {**os.environ, "PYTHONPATH": str(app)}
    done = subprocess.run(
        [sys.executable, "-m", "runtime.trial", str(task)], cwd=app, env=environment, capture_output=True, text=True
    )
    if not (task / "found.json").is_file():
        said = done.stderr.strip().splitlines() or ["it said nothing"]
        return {
            "error": {"said": f"the process ended with {done.returncode}: {said[-1]}", "lines": [], "missing": None}
        }
    found: dict[str, Any] = json.loads((task / "found.json").read_text())
    return found


def _champion(folder: Path, root: Path, base: str | None, table: Any, model: Model) -> tuple[Model | None, str, str]:
    """(the champion's model whose recipe was fitted in the same folds, what the card says, why comparisons were not
    made: "" where they were, or where nothing is served)."""
    if base is None:
        why = "no commit to compare with: name one with --against"
        return None, f"compared with nothing: {why}", why
    if model.name not in models_of(root, base):
        return None, f"compared with nothing: commit {base[:12]} has no model {model.name}", ""
    known = {*models_of(root, base), *models_of(root, "HEAD"), model.name}
    files = recipes.without_policies(recipes.changed_files(root, base))
    if not recipes.changed_models(files, (model.name,), known):
        why = f"its recipe is the one of commit {base[:12]}"
        return None, f"compared with nothing: {why}", why
    place = folder / "before"
    (place / "task").mkdir(parents=True)
    (place / "task" / "folds.npz").write_bytes((folder / "own" / "task" / "folds.npz").read_bytes())
    try:
        recipes.write_models(root, base, model.name, place / "app")
        if read_model(place / "app" / "model" / model.name).imported:
            raise RefusedError("it was imported, and has no recipe")
        found = _recipe(place, table, model.name, None)
        before = read_model(place / "app" / "model" / model.name)
    except LockgateError as error:
        found, before = {"error": {"said": str(error)}}, model
    if "error" not in found and canonical.to_bytes(before.target.as_dict()) != canonical.to_bytes(
        model.target.as_dict()
    ):
        found = {"error": {"said": "it has another target"}}
    if "error" in found:
        why = f"the recipe of commit {base[:12]} could not be fitted here: {found['error']['said']}"
        return None, f"compared with nothing: {why}", why
    return before, f"beside the recipe of commit {base[:12]}, fitted anew in the same folds", ""


def _evidence(
    task: Path, table: Any, model: Model, before: Model | None, found: Mapping[str, Any], base: str
) -> Evidence:
    """What was measured out of fold, in the form that rules judge. No digest in it is one of a real model."""
    import numpy as np
    import pyarrow as pa
    import pyarrow.compute as pc

    from runtime.evaluate import by_value
    from runtime.groups import group_columns
    from runtime.tasks.arrays import arrays_of
    from runtime.trial.cross_validation import OutOfFold

    def predicted(folder: Path) -> OutOfFold:
        given = np.load(folder / "task" / "out-of-fold.npz")
        return OutOfFold(given["places"], given["predictions"])

    target, arrays = model.target, arrays_of(model.target)
    sample = table.take(np.load(task / "task" / "folds.npz")["sample"])
    own = predicted(task)
    rows = sample.take(own.places)
    truth = arrays.truth(rows[target.name], target)
    answers = own.answers(truth, model)
    measured = arrays.measure(truth, answers.predictions, target, answers.threshold)
    champion = None
    if before is not None:
        theirs = predicted(task.parent / "before").answers(truth, before)
        metrics = arrays.measure(truth, theirs.predictions, target, theirs.threshold)
        champion = Champion(base.ljust(64, "0"), metrics, arrays.paired(truth, answers, theirs, target))
    steps = _measured_by_steps(found)
    served = {"serving_difference": steps.metrics["serving_difference"]} if steps else {}
    named = group_columns(rows, model)  # training rows may lack an attribute that is no feature
    columns = {name: named.get(name, rows[name]) for name in model.protected if name in rows.column_names}
    groups = {
        name: by_value(truth, answers, pc.fill_null(column.cast(pa.string()), "null").to_numpy(), target)
        for name, column in columns.items()
    }
    data = Data("", NOBODY, NOBODY, NOBODY, NOBODY, NOBODY, table.num_rows, rows.num_rows)
    return Evidence(
        model=model.name,
        commit=NOBODY[:40],
        image="",
        execution="",
        actor="",
        model_sha256=NOBODY,
        contents_sha256=NOBODY,
        data=data,
        features=tuple(each.name for each in model.features),
        parameters=model.parameters,
        replay_sha256=NOBODY,
        metrics={**measured, **served},
        target=target,
        threshold=answers.threshold,
        groups=groups,
        champion=champion,
    )


def _measured_by_steps(found: Mapping[str, Any]) -> Evidence | None:
    """What the evaluator wrote about the fold that stood for the holdout; None where a step failed."""
    written = found.get("evidence", "").encode()
    return read_evidence(written, canonical.sha256(written)) if written else None


def _step_checks(found: Mapping[str, Any], model: Model) -> list[Check]:
    if "steps" in found:
        said = " ".join(_said(found["steps"], model))
        return [
            Check("prepare, train, predict, evaluate", "failed", said),
            Check("edges of the contract", "not tried", "no model was saved"),
        ]
    edges = found["edges"]
    kept = f"the saved model answers {edges['rows']:,} rows at minima, maxima, each category and null"
    return [
        Check("prepare, train, predict, evaluate", "passed", "each ran, with one fold as its holdout"),
        Check("edges of the contract", "failed" if edges["wrong"] else "passed", "; ".join(edges["wrong"]) or kept),
    ]


def _said(error: Mapping[str, Any], model: Model) -> list[str]:
    """The team's own lines, the error, and what to do."""
    todo = f"mend it and run `lockgate try {model.name}` again; docs/models.md says what train gets and may return"
    if error.get("missing"):
        todo = f"name {error['missing']} in model/requirements.in, run `make lock`, and install it here too"
    return [*error["lines"], *str(error["said"]).splitlines(), todo]


def _facts(found: Mapping[str, Any], threshold: float | None, seconds: float) -> tuple[tuple[str, str], ...]:
    facts, steps = [], _measured_by_steps(found)
    if steps:
        refused = "; ".join(f"{name}: {why}" for name, why in steps.engine["refused"].items())
        facts.append(("engine", f"{steps.engine['name']}{f' ({refused})' if refused else ''}"))
    if "sizes" in found:
        facts.append(("size", f"{sum(found['sizes'].values()):,} bytes"))
    if threshold is not None:
        facts.append(("threshold", f"{threshold:.4g}"))
    if "seconds_of_a_fit" in found:
        facts.append(("a fit", f"{found['seconds_of_a_fit']:.2g} s"))
    return (*facts, ("this", f"{seconds:.0f} s"))
