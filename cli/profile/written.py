"""The files of a model's folder: model.toml and train.py, as a person would write and keep them."""

from __future__ import annotations

import json
import textwrap
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from cli.profile.columns import ColumnProfile
from lockgate.configuration.model import Feature
from lockgate.configuration.moments import KINDS, moment_as_text
from lockgate.tasks.target import Target

LINE = 110
UNDECIDED = {
    "owner": 'TODO: write who answers for the model, a team or a person: owner = "team@example.com"',
    "intended_use": 'TODO: write what its predictions are for, and what they are not for: intended_use = "..."',
    "protected": "TODO: write which features must not divide people; where there are none: protected = []",
}


@dataclass(frozen=True)
class Decided:
    """What nobody can infer. None where it is not decided: the key is then absent, and synth asks for it."""

    owner: str | None = None
    intended_use: str | None = None
    protected: tuple[str, ...] | None = None

    @property
    def undecided(self) -> tuple[str, ...]:
        return tuple(key for key in UNDECIDED if getattr(self, key) is None)


@dataclass(frozen=True)
class Declaration:
    """All that model.toml says. entity, time: columns of the data, "" where there is none."""

    name: str
    source: str
    identifier: str
    target: Target
    columns: Sequence[ColumnProfile]
    decided: Decided
    parameters: Mapping[str, int | float]
    entity: str = ""
    time: str = ""

    @property
    def features(self) -> list[ColumnProfile]:
        return [column for column in self.columns if column.feature is not None]


def text(value: str) -> str:
    """A text of TOML. JSON's escapes are TOML's too, but for DEL, which TOML does not take as it is."""
    return json.dumps(value, ensure_ascii=False).replace("\x7f", "\\u007f")


def _list(values: Sequence[object]) -> str:
    return "[" + ", ".join(plain(value) for value in values) + "]"


def plain(value: object) -> str:
    """A value of TOML."""
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, str):
        return text(value)
    if isinstance(value, float):
        return str(int(value)) if value == int(value) and abs(value) < 1e15 else repr(value)
    return str(value)


def model_toml(said: Declaration) -> str:
    lines = [
        f"description = {text(f'What is {said.target.name}? From {said.source}.')}",
        *(_decided(key, getattr(said.decided, key)) for key in UNDECIDED),
        f"identifier = {text(said.identifier)}",
    ]
    if said.entity:
        lines.append(f"entity = {text(said.entity)} # rows of one never lie on both sides of a split")
    if said.time:
        lines.append(f"time = {text(said.time)} # earlier rows train, later ones judge")
    lines += ["", "[target]", f"name = {text(said.target.name)}", f"task = {text(said.target.task)}"]
    if said.target.classes:
        note = " # the negative one, then the positive" if said.target.outputs == 1 else ""
        lines.append(_folded("classes", said.target.classes) + note)
    lines += [f"{key} = {plain(value)}" for key, value in said.target.numbers.items()]
    data = [f"{part} = {text(f'data/{said.name}/{part}.parquet')}" for part in ("train", "holdout")]
    lines += ["", "[data]", *data, "", "[parameters]"]
    lines += [f"{key} = {plain(value)}" for key, value in said.parameters.items()]
    for column in said.features:
        lines += ["", *_feature(column)]
    left = [f"{column.name!r}: {column.out}" for column in said.columns if column.out]
    if left:
        lines += ["", "# Columns of the file that are no features:"]
        lines += [line for each in left for line in _comment(each)]
    return "\n".join(lines) + "\n"


def _decided(key: str, value: object) -> str:
    if value is None:
        return f"# {UNDECIDED[key]}"
    return f"{key} = {_list(value) if isinstance(value, tuple) else plain(value)}"


def _comment(said: str) -> list[str]:
    clean = " ".join(said.split())
    return textwrap.wrap(clean, LINE, initial_indent="# - ", subsequent_indent="#   ")


def _folded(key: str, values: Sequence[object]) -> str:
    """A list, over several lines where it is long."""
    line = f"{key} = {_list(values)}"
    if len(line) <= LINE:
        return line
    lines, current = [f"{key} = ["], "   "
    for value in map(plain, values):
        if len(current) + len(value) > LINE:
            lines.append(current)
            current = "   "
        current += f" {value},"
    return "\n".join([*lines, current, "]"])


def _feature(column: ColumnProfile) -> list[str]:
    feature = column.feature
    if feature is None:
        raise ValueError(f"{column.name} is no feature")
    lines = ["[[feature]]", f"name = {text(feature.name)}", f"type = {text(feature.type)}"]
    if feature.type == "category":
        lines.append(_folded("values", feature.values))
    elif feature.type != "boolean":
        ends = (("minimum", feature.minimum or 0.0), ("maximum", feature.maximum or 0.0))
        seen = f" # seen: {column.seen}"
        said = [
            f"{key} = {moment_as_text(feature.type, end) if feature.type in KINDS else plain(end)}" for key, end in ends
        ]
        lines += [said[0] + seen, said[1]]
    if feature.bins:
        whole = feature.type == "integer"
        lines.append(f"bins = {_list([int(edge) if whole else edge for edge in feature.bins])} # where a group begins")
    if feature.null_share:
        lines.append(f"null_share = {feature.null_share:g} # seen: {column.nulls} of {column.rows} rows")
    return lines


LINEAR = '''"""A linear model over the declared columns. `lockgate new` wrote it, and it is yours to change."""

from __future__ import annotations

{numpy}import pandas as pd
from sklearn.compose import ColumnTransformer, {transformed}make_column_selector
{imports}from sklearn.linear_model import {estimator}
from sklearn.pipeline import {pipeline}make_pipeline
from sklearn.preprocessing import {encoders}

from lockgate.configuration.model import Model

{moments}
def train(rows: pd.DataFrame, target: pd.Series, model: Model) -> {returns}:
    """Columns are taken by their declared type; the same rows give the same model."""
{numbers}    encode = ColumnTransformer(
        [
{steps}
        ]
    )
{fit}
'''
BOOSTING = '''"""Gradient boosting over the declared columns. `lockgate new` wrote it, and it is yours to change."""

from __future__ import annotations

import pandas as pd
{imports}
from lockgate.configuration.model import Model

{moments}
def train(rows: pd.DataFrame, target: pd.Series, model: Model) -> {returns}:
    """Columns are taken by their declared type; the seed makes the same rows give the same model."""
    boosting = {estimator}({loss}early_stopping=False, random_state=7, **model.parameters)
{fit}
'''
LOGARITHM = """    line = make_pipeline(encode, Ridge(**model.parameters))  # of the logarithm: a few values are large
    return TransformedTargetRegressor(line, func=np.log1p, inverse_func=np.expm1).fit(rows, target)"""
MOMENTS = '''
def days(rows: pd.DataFrame) -> pd.DataFrame:
    """Days since 1970, NaN where there is none."""
    return (rows - pd.Timestamp(0)) / pd.Timedelta(days=1)

'''


def kinds_of(features: Sequence[Feature]) -> dict[str, bool]:
    """Which kinds of columns there are, and whether any may be null."""
    found: dict[str, bool] = {}
    for feature in features:
        kind = {"category": "category", "date": "moment", "datetime": "moment"}.get(feature.type, "number")
        found[kind] = found.get(kind, False) or feature.null_share > 0
    return found


def linear(target: Target, features: Sequence[Feature], tail: bool = False) -> str:
    """tail: whether most values of the target are small and a few are many times as large: their logarithms are not."""
    kinds = kinds_of(features)
    estimator = "LogisticRegression" if target.classes else "Ridge"
    nulls = kinds.get("number", False) or kinds.get("moment", False)
    fill = "SimpleImputer(), " if nulls else ""
    scale = f"make_pipeline({fill}StandardScaler())" if fill else "StandardScaler()"
    numbers = f"    scale = {scale}\n" if "number" in kinds else ""
    encoders = {"StandardScaler"} if {"number", "moment"} & set(kinds) else set()
    steps = []
    if "number" in kinds:
        selected = 'make_column_selector(dtype_include=["number", "bool"])'
        steps.append(f'            ("numbers", scale, {selected}),')
    if "moment" in kinds:
        encoders.add("FunctionTransformer")
        made = f"make_pipeline(FunctionTransformer(days), {fill}StandardScaler())"
        steps.append(f'            ("days", {made}, make_column_selector(dtype_include="datetime")),')
    if "category" in kinds:
        encoders.add("OneHotEncoder")
        made = 'OneHotEncoder(handle_unknown="ignore")'
        steps.append(f'            ("codes", {made}, make_column_selector(dtype_include="category")),')
    return LINEAR.format(
        imports="from sklearn.impute import SimpleImputer\n" if fill else "",
        numbers=numbers,
        numpy="import numpy as np\n" if tail else "",
        transformed="TransformedTargetRegressor, " if tail else "",
        fit=LOGARITHM
        if tail
        else f"    return make_pipeline(encode, {estimator}(**model.parameters)).fit(rows, target)",
        estimator=estimator,
        returns="TransformedTargetRegressor" if tail else "Pipeline",
        pipeline="" if tail else "Pipeline, ",
        encoders=", ".join(sorted(encoders)),
        moments=MOMENTS if "moment" in kinds else "",
        steps="\n".join(steps),
    )


def boosting(target: Target, features: Sequence[Feature], tail: bool = False) -> str:
    """tail: as in `linear`: the mean of what is left is drawn by a few rows, the median is not."""
    kinds = kinds_of(features)
    loss = 'loss="absolute_error", ' if tail else ""
    estimator = f"HistGradientBoosting{'Classifier' if target.classes else 'Regressor'}"
    steps, lines = [], []
    if "category" in kinds:
        lines = [
            '    names = list(rows.select_dtypes("category").columns)',
            "    values = [list(rows[name].cat.categories) for name in names]",
        ]
        lines += ['    unknown = {"handle_unknown": "use_encoded_value", "unknown_value": float("nan")}']
        steps.append('("codes", OrdinalEncoder(categories=values, **unknown), names)')
    if "moment" in kinds:
        steps.append('("days", FunctionTransformer(days), make_column_selector(dtype_include="datetime"))')
    if not steps:
        imports = [f"from sklearn.ensemble import {estimator}", ""]
        return BOOSTING.format(
            imports="\n".join(imports), moments="", returns=estimator, estimator=estimator, loss=loss,
            fit="    return boosting.fit(rows, target)",
        )  # fmt: skip
    encoders = ["FunctionTransformer"] * ("moment" in kinds) + ["OrdinalEncoder"] * ("category" in kinds)
    imports = [
        f"from sklearn.compose import ColumnTransformer{', make_column_selector' if 'moment' in kinds else ''}",
        f"from sklearn.ensemble import {estimator}",
        "from sklearn.pipeline import Pipeline, make_pipeline",
        f"from sklearn.preprocessing import {', '.join(encoders)}",
        "",
    ]
    lines += [
        "    encode = ColumnTransformer(",
        "        [",
        *(f"            {step}," for step in steps),
        "        ],",
        '        remainder="passthrough",',
        "    )",
        "    return make_pipeline(encode, boosting).fit(rows, target)",
    ]
    return BOOSTING.format(
        imports="\n".join(imports), moments=MOMENTS if "moment" in kinds else "", returns="Pipeline",
        estimator=estimator, loss=loss, fit="\n".join(lines),
    )  # fmt: skip
