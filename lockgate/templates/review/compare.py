"""Two assemblies become one review."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from lockgate.templates.review import access, differ, network, policy, protection, replacement
from lockgate.templates.review.assembly import ReviewedAssembly
from lockgate.templates.review.finding import Finding, Fold, Review, in_order


def review(root: Path, base: ReviewedAssembly, head: ReviewedAssembly) -> Review:
    """What a reviewer must know of going from `base` to `head`. Raises LockgateError when the differ is missing."""
    return judged(base, head, differ.compare(root, base.templates, head.templates))


def judged(base: ReviewedAssembly, head: ReviewedAssembly, changes: Iterable[differ.StackChange]) -> Review:
    """The same, once the differ has said what changes in each stack."""
    found: list[Finding] = list(policy.findings(base.environments, head.environments))
    found += policy.of_models(base.policies, head.policies)
    folded = []
    for change in changes:
        new, gone = change.stack not in base.templates, change.stack not in head.templates
        found += replacement.findings(change, gone)
        found += policy.releases(change, new=new, gone=gone)
        found += policy.of_owners(change)
        if not gone:
            found += access.findings(change, base.accounts | head.accounts)
            found += network.findings(change)
            found += protection.findings(change)
        if not change.empty:
            folded.append(_fold(change))
    return Review(in_order(found), tuple(folded))


def _fold(change: differ.StackChange) -> Fold:
    added = [r for r in change.resources if r.base is None]
    removed = [r for r in change.resources if r.head is None]
    changed = [r for r in change.resources if r.base is not None and r.head is not None and r.impact != "NO_CHANGE"]
    return Fold(
        change.stack, *(tuple(sorted(f"{r.id} ({r.type})" for r in part)) for part in (added, changed, removed))
    )
