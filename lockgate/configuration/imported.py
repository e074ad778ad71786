"""[imported] in model.toml: the model was trained elsewhere, and here it is only judged, released and served."""

from __future__ import annotations

import re
from dataclasses import dataclass

from lockgate.configuration.table import Table
from lockgate.errors import ConfigError

XGBOOST, LIGHTGBM, SKOPS = "XGBoost", "LightGBM", "skops"
# Ending of the committed file -> whose format it is.
ENDINGS = {"ubj": XGBOOST, "json": XGBOOST, "txt": LIGHTGBM, "skops": SKOPS}
FILE = re.compile(rf"imported\.({'|'.join(ENDINGS)})")


@dataclass(frozen=True)
class Imported:
    """file: in the model's folder. sha256: of it. by: who brought it. source: where it was, as that person says."""

    file: str
    sha256: str
    by: str
    source: str

    @property
    def as_parameters(self) -> dict[str, str]:
        """What evidence and verdicts say of it, among the parameters of its training: there was none here."""
        return {"imported": self.sha256, "imported_by": self.by, "imported_from": self.source}


def read_imported(table: Table) -> Imported | None:
    """None of a model that is trained here. Raises ConfigError."""
    if not table.has("imported"):
        return None
    said = table.table("imported")
    found = Imported(
        file=said.text("file", FILE, f"imported. and one of {', '.join(ENDINGS)}"),
        sha256=said.text("sha256", re.compile(r"[0-9a-f]{64}"), "the SHA-256 of the file, 64 hexadecimal digits"),
        by=said.text("by"),
        source=said.text("source"),
    )
    said.finish()
    if set(table.data.get("threshold", ())) & {"fit", "positive_rate"}:
        expected = "a value: a threshold is fitted by models of other rows, and this one is not trained here"
        raise ConfigError(table.file, "threshold", dict(table.data["threshold"]), expected)
    return found


def imported_format(file: str) -> str:
    return ENDINGS[file.rpartition(".")[2]]
