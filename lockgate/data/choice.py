"""Which published snapshot a training uses: the one that a person chose, or what fits the commit better.

Publishing chooses nothing, so that no snapshot that somebody publishes changes what everybody's next commit trains on.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from lockgate import canonical
from lockgate.configuration.model import Model
from lockgate.errors import NotFoundError


def current(published: Sequence[str], chosen: Sequence[str]) -> str | None:
    """What training uses; None where nothing is published.

    published: ids, oldest first. chosen: by persons, oldest first. Before anybody chose it is the first published.
    """
    return next(iter(candidates(published, chosen)), None)


def candidates(published: Sequence[str], chosen: Sequence[str]) -> list[str]:
    """What a training may use, in the order of preference.

    First what was chosen, newest first; then what nobody ever chose, newest first, for a commit that nothing else fits.
    """
    order = [*reversed(chosen), *([] if chosen else published[:1]), *reversed(published)]
    return [snapshot for snapshot in dict.fromkeys(order) if snapshot in published]


def columns_of(model: Model) -> str:
    """Digest of the columns that a model declares: which there are, of which type, what is predicted, whose
    groups are judged, and which rows belong together.

    A snapshot keeps that of the model.toml it was published with, so that a delivery need not read a row to compare.
    """
    declared = {
        "identifier": model.identifier,
        "target": model.target.as_dict(),
        "features": sorted([feature.name, feature.type] for feature in model.features),
        "protected": sorted([column.name, [*column.bins]] for column in model.grouped),
        "order": [model.entity, model.time],
    }
    return canonical.sha256(canonical.to_bytes(declared))[:16]


def fitting(order: Sequence[str], model: Model, columns: Mapping[str, Sequence[str]]) -> str:
    """The first of the candidates that fits a commit's model.

    columns: of each snapshot, the digests that it was published with; none for one that 0.1 published, which may fit.
    Raises NotFoundError where none fits.
    """
    wanted = columns_of(model)
    for snapshot in order:
        if wanted in (columns.get(snapshot) or (wanted,)):
            return snapshot
    raise NotFoundError(
        f"model {model.name}: found {len(order)} published snapshots, the current one {order[0]}, and none that was "
        "published with the columns and types that this commit's model.toml declares, expected one: publish it "
        f"(`lockgate snapshot --model {model.name}` in a checkout of the commit) or correct model.toml"
    )
