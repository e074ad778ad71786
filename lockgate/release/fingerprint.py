"""What changes a model: one digest of everything that its training and its measurement start from.

A model is trained for a commit only where this digest is another than that of its newest version. It saves work and
lets nothing through: the gate reads and judges a version without it, so that a wrong one costs a training run or leaves
one out, and can make no version pass.

Nothing is concluded from what code imports. What several models share is a part of each.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass

from lockgate import canonical

SCHEME = 1  # of the digest: another number makes every model a changed one


@dataclass(frozen=True)
class Inputs:
    """What an execution of a model's pipeline starts from, apart from the champion that it is compared with.

    files: path and git's id of what the image is built from: the model's folder and whatever models share.
    build: digest of how the image was built: base image, builder, commands.
    pipeline: digest of the deployed definition, which names the evaluator, the type of machine and the steps.
    snapshot: id of the published rows.
    """

    files: Mapping[str, str]
    build: str
    pipeline: str
    snapshot: str

    @property
    def fingerprint(self) -> str:
        return canonical.sha256(canonical.to_bytes({"scheme": SCHEME, **asdict(self)}))


@dataclass(frozen=True)
class Training:
    """An execution that runs or has registered a version. fingerprint: what it was started with; "" for none."""

    execution: str
    commit: str
    snapshot: str
    fingerprint: str
    running: bool


def same_as(fingerprint: str, newest: Training | None) -> bool:
    """Whether the newest training of a model started from the same, so that another one is needless.

    newest: of those that run or left a version. Only it counts: what goes back to older content changes what is newest.
    """
    return newest is not None and newest.fingerprint == fingerprint


def found_in(inputs: Inputs, trainings: Iterable[Training]) -> Training | None:
    """The newest training that started from the same, whatever came after it; each is compared on its own snapshot."""
    alike = (each for each in trainings if _on(inputs, each.snapshot).fingerprint == each.fingerprint)
    return next(alike, None)


def _on(inputs: Inputs, snapshot: str) -> Inputs:
    return Inputs(inputs.files, inputs.build, inputs.pipeline, snapshot)
