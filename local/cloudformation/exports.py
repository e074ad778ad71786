"""CloudFormation takes no export away that another stack imports: such an update fails and is rolled back.

The emulator refuses that of a stack that is deleted, and not of one that changes.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from local.seams import wrap
from local.settings import Settings


def install(settings: Settings) -> None:
    """Look where the outputs of an operation are known; like every extension it is given settings."""
    wrap("services.cloudformation.stacks._resolve_stack_outputs", _keeping_what_is_imported)


def _keeping_what_is_imported(resolve: Callable[..., tuple[Any, dict[str, Any]]]) -> Callable[..., Any]:
    def resolved(*given: Any) -> tuple[Any, dict[str, Any]]:
        outputs, exports = resolve(*given)
        *_, name, stack_id = given
        _refuse_used(name, stack_id, exports)
        return outputs, exports

    return resolved


def _refuse_used(name: str, stack_id: str, exports: dict[str, Any]) -> None:
    """Raises ValueError, with CloudFormation's words, for an export that goes and is in use."""
    from ministack.services.cloudformation import _exports, _stacks, handlers

    gone = {export for export, said in _exports.items() if said["StackId"] == stack_id and export not in exports}
    if not gone:
        return
    for other, stack in list(_stacks.items()):
        if other == name or "DELETE" in stack.get("StackStatus", ""):
            continue
        for export in sorted(gone & handlers._imported_export_names(stack, other)):
            raise ValueError(f"Export {export} cannot be deleted as it is in use by {other}")
