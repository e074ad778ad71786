"""Tools and every environment in one account: nothing that bears a name bears another's."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

NAMES = ("BucketName", "RoleName", "FunctionName", "ClusterName", "StateMachineName", "RepositoryName", "LogGroupName")


def test_no_two_resources_of_one_account_have_the_same_name(
    project: Path, tmp_path: Path, new_app: Callable[[Path, Path], Any]
) -> None:
    for file in (project / "environments").glob("*.toml"):
        file.write_text(re.sub(r"[0-9]{12}(?=[\":])", "111111111111", file.read_text()))
    stages = new_app(project, tmp_path / "out").synth().nested_assemblies
    stacks = [stack for stage in stages for stack in stage.nested_assembly.stacks]
    assert {stack.environment.account for stack in stacks} == {"111111111111"}
    named = Counter(
        (resource["Type"], resource["Properties"][key])
        for stack in stacks
        for resource in stack.template.get("Resources", {}).values()
        for key in NAMES
        if isinstance(resource.get("Properties", {}).get(key), str)
    )
    assert len(named) > 20
    assert [name for name, count in named.items() if count > 1] == []
    names = [stack.stack_name for stack in stacks]
    assert len(set(names)) == len(names)
