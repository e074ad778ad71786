"""What a model declares: model/<name>/model.toml, with its data contract."""

from __future__ import annotations

import ast
import itertools
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from lockgate import names
from lockgate.configuration.forms import DASHED, DASHED_EXPECTED
from lockgate.configuration.groups import MOST_BINS, refuse_ungrouped
from lockgate.configuration.imported import Imported, read_imported
from lockgate.configuration.moments import KINDS, moment_as_text
from lockgate.configuration.table import Table
from lockgate.errors import ConfigError
from lockgate.tasks.target import BINARY, Target, binary
from lockgate.tasks.task import module_named
from lockgate.tasks.task import names as tasks
from lockgate.tasks.threshold import Threshold, read_threshold

LONGEST_NAME = 31
NAME = re.compile(DASHED.format(most=LONGEST_NAME))
OWNER = re.compile(r"[\w .:/=+@-]{1,128}")  # what a tag of AWS may hold
OWNER_EXPECTED = "who answers for the model: a team or a person, 128 letters, digits, spaces and _.:/=+-@ at most"


@dataclass(frozen=True)
class Feature:
    """One column of the data contract: a category, an integer, a number, a boolean, a date or a datetime.

    values: of a category, as texts. minimum, maximum: of a number, or of a day or moment as its number (moments.py).
    bins: where a group of a number ends and the next one begins, for rules by group.
    """

    name: str
    type: str
    values: tuple[str, ...] = ()
    minimum: float | None = None
    maximum: float | None = None
    null_share: float = 0.0
    bins: tuple[float, ...] = ()


@dataclass(frozen=True)
class Model:
    """What model.toml declares: the data contract, the target, and what training may vary.

    owner: who answers for the model. intended_use: what its predictions are for. tier: of risk, one of those of
    environments/tools.toml, or "". threshold: None of a model that does not predict one of two classes. entity, time:
    the columns that say whom a row is about and when it was, or "": rows of one entity, and what is later than what is
    predicted, never help to measure a model. attributes: columns of the holdout that are there for groups only; neither
    `train` nor the server gets them. protected: names of features or attributes. imported: where it was trained
    elsewhere; then `train` is not called.
    """

    name: str
    description: str
    identifier: str
    target: Target
    protected: tuple[str, ...]
    features: tuple[Feature, ...]
    parameters: Mapping[str, int | float | str | bool]
    train_data: str
    holdout_data: str
    owner: str = ""
    intended_use: str = ""
    tier: str = ""
    threshold: Threshold | None = None
    entity: str = ""
    time: str = ""
    attributes: tuple[Feature, ...] = ()
    imported: Imported | None = None

    @property
    def grouped(self) -> tuple[Feature, ...]:
        """The columns of the protected attributes."""
        return tuple(column for column in (*self.features, *self.attributes) if column.name in self.protected)

    @property
    def training_columns(self) -> tuple[str, ...]:
        """What training rows have. `train` gets the features and the target of it."""
        features = (feature.name for feature in self.features)
        named = (self.identifier, *features, self.entity, self.time, self.target.name)
        return tuple(dict.fromkeys(name for name in named if name))


def read_models(folder: Path) -> tuple[Model, ...]:
    """Every folder model/<name>/ is a model; one without model.toml or train.py is a mistake, not a skip.

    Git leaves a folder with nothing but compiled Python where a model was removed. Such a folder is no model.
    """
    if not folder.is_dir():
        raise ConfigError(folder.name, "folder", "nothing", "a folder with one folder a model")
    folders = sorted(
        path
        for path in folder.iterdir()
        if path.is_dir() and path.name[0] not in "._" and any(each.name != "__pycache__" for each in path.iterdir())
    )
    models = tuple(read_model(path) for path in folders)
    if not models:
        raise ConfigError("model", "folder", "no model", "at least one folder model/<name>/ with a model.toml")
    return models


def read_model(folder: Path) -> Model:
    where = f"model/{folder.name}"
    if not (folder / "train.py").is_file():
        raise ConfigError(where, "train.py", "no such file", "a module train.py with a function train")
    _refuse_without_train(folder / "train.py", f"{where}/train.py")
    table = Table.read(folder / "model.toml", f"{where}/model.toml")
    data = table.table("data")
    features = tuple(_read_feature(entry) for entry in table.tables("feature"))
    attributes = tuple(_read_feature(entry) for entry in table.tables("attribute")) if table.has("attribute") else ()
    parameters = table.values("parameters")
    target = _read_target(table)
    model = Model(
        name=_name_of(folder.name, where),
        description=table.text("description"),
        identifier=table.text("identifier"),
        target=target,
        protected=_protected(table),
        features=features,
        parameters=parameters,
        train_data=data.text("train"),
        holdout_data=data.text("holdout"),
        owner=_said(table, "owner", OWNER, OWNER_EXPECTED),
        intended_use=_said(table, "intended_use", None, "what its predictions are for, and what they are not for"),
        tier=table.optional_text("tier") or "",
        threshold=read_threshold(table, target),
        entity=table.optional_text("entity") or "",
        time=table.optional_text("time") or "",
        attributes=attributes,
        imported=read_imported(table),
    )
    data.finish()
    table.finish()
    _refuse_contradictions(model, table.file)
    return model


def _protected(table: Table) -> tuple[str, ...]:
    if not table.has("protected"):
        expected = "a list of features that must not divide people, [] where there are none"
        raise ConfigError(table.file, "protected", "nothing", expected)
    return table.texts("protected")


def _said(table: Table, key: str, pattern: re.Pattern[str] | None, expected: str) -> str:
    """A text that somebody has to think about, so that its absence says what it is for."""
    if not table.has(key):
        raise ConfigError(table.file, key, "nothing", expected)
    return table.text(key, pattern, expected)


def _read_target(table: Table) -> Target:
    """The text `target = "name"` is short for two classes 0 and 1."""
    if isinstance(table.data.get("target"), str):
        return binary(table.text("target"))
    said = table.table("target")
    task = said.choice("task", tasks(), BINARY)
    target = module_named(task).read(said, said.text("name"))
    said.finish()
    return target


def _refuse_without_train(file: Path, where: str) -> None:
    try:
        module = ast.parse(file.read_text(encoding="utf-8"))
    except (SyntaxError, UnicodeDecodeError) as error:
        raise ConfigError(where, "file", str(error), "Python in UTF-8") from error
    if not any(isinstance(found, ast.FunctionDef) and found.name == "train" for found in module.body):
        raise ConfigError(where, "train", "no such function", "a function train(rows, target, model)")


def _read_feature(table: Table) -> Feature:
    kind = table.choice("type", ("category", "integer", "number", "boolean", *KINDS))
    minimum, maximum = (_read_limit(table, kind, name) for name in ("minimum", "maximum"))
    feature = Feature(
        name=table.text("name"),
        type=kind,
        values=table.codes("values") if kind == "category" else (),
        minimum=minimum,
        maximum=maximum,
        null_share=table.number("null_share", 0.0),
        bins=_read_bins(table, kind, minimum, maximum),
    )
    table.finish()
    if minimum is not None and maximum is not None and minimum > maximum:
        shown = [moment_as_text(kind, each) if kind in KINDS else each for each in (minimum, maximum)]
        raise ConfigError(table.file, table.key("minimum"), shown[0], f"at most {shown[1]}")
    if not 0 <= feature.null_share <= 1:
        raise ConfigError(table.file, table.key("null_share"), feature.null_share, "a share from 0 to 1")
    return feature


def _read_bins(table: Table, kind: str, minimum: float | None, maximum: float | None) -> tuple[float, ...]:
    if not table.has("bins"):
        return ()
    found, wanted = table.plain("bins"), int if kind == "integer" else int | float
    if kind not in ("integer", "number") or minimum is None or maximum is None:
        raise ConfigError(table.file, table.key("bins"), found, "no bins: only integers and numbers have them")
    expected = f"1 to {MOST_BINS - 1} {kind}s in order, each above {minimum:g} and at most {maximum:g}"
    if not isinstance(found, list) or not all(isinstance(each, wanted) and type(each) is not bool for each in found):
        raise ConfigError(table.file, table.key("bins"), found, expected)
    in_order = all(low < high for low, high in itertools.pairwise([minimum, *found]))
    if not in_order or not 0 < len(found) < MOST_BINS or found[-1] > maximum:
        raise ConfigError(table.file, table.key("bins"), found, expected)
    return tuple(map(float, found))


def _read_limit(table: Table, kind: str, name: str) -> float | None:
    if kind in ("category", "boolean"):
        return None
    return table.moment(name, kind) if kind in KINDS else table.number(name)


def _refuse_contradictions(model: Model, file: str) -> None:
    names = [column.name for column in (*model.features, *model.attributes)]
    twice = sorted({name for name in names if names.count(name) > 1})
    if twice or not model.features:
        raise ConfigError(file, "feature", twice or "none", "at least one feature, each name once")
    for key, column in (("target", model.target.name), ("identifier", model.identifier)):
        if column in names:
            raise ConfigError(file, key, column, "a column that is not a feature")
    if model.target.name == model.identifier:
        raise ConfigError(file, "target", model.target.name, "another column than the identifier")
    for key, column in (("entity", model.entity), ("time", model.time)):
        if column and column in (model.target.name, model.identifier):
            raise ConfigError(file, key, column, "a column that is neither the target nor the identifier")
    unknown = sorted(set(model.protected) - set(names))
    if unknown:
        raise ConfigError(file, "protected", unknown, f"names of declared features and attributes: {names}")
    if idle := sorted({each.name for each in model.attributes} - set(model.protected)):
        raise ConfigError(file, "attribute", idle, "protected attributes: nothing else asks for these columns")
    for each in model.grouped:
        refuse_ungrouped(each, file)


def _name_of(name: str, file: str) -> str:
    if name == names.INFRASTRUCTURE_CHAIN:
        raise ConfigError(file, "name", name, "another name: the ledger's chain of infrastructure has this one")
    if not NAME.fullmatch(name):
        raise ConfigError(file, "name", name, DASHED_EXPECTED.format(most=LONGEST_NAME))
    return name


def model_named(models: Sequence[Model], name: str) -> Model:
    for model in models:
        if model.name == name:
            return model
    raise ConfigError("model", "name", name, f"one of {[model.name for model in models]}")
