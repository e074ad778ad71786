"""A review as text, as Markdown for a pull request, and as JSON."""

from __future__ import annotations

import re
from typing import Any

from lockgate.templates.review.finding import TOPICS, Fold, Review

_MARKS = {"high": "🔴", "medium": "🟠", "low": "⚪"}


def as_text(review: Review) -> str:
    lines = [_headline(review)]
    for topic, title in TOPICS.items():
        found = [finding for finding in review.findings if finding.topic == topic]
        if found:
            lines += ["", title]
            lines += [f"  {f.risk.word:<6}  {f.where}  {f.what}: {f.text}" for f in found]
    if review.folded:
        lines += ["", "Everything that changes", *(f"  {fold.stack}: {_counts(fold)}" for fold in review.folded)]
    return "\n".join(lines) + "\n"


def as_markdown(review: Review) -> str:
    """GitHub's Markdown: one table a topic, and every changed resource folded away."""
    lines = [f"## Infrastructure review: {_headline(review)}"]
    for topic, title in TOPICS.items():
        found = [finding for finding in review.findings if finding.topic == topic]
        if found:
            lines += ["", f"### {title}", "", "| risk | where | what | |", "| --- | --- | --- | --- |"]
            for f in found:
                cells = (f"{_MARKS[f.risk.word]} {f.risk.word}", _code(f.where), _code(f.what), _plain(f.text))
                lines.append(f"| {' | '.join(cells)} |")
    for fold in review.folded:
        lines += ["", f"<details><summary>{_plain(fold.stack)}: {_counts(fold)}</summary>", ""]
        for word, resources in (("added", fold.added), ("changed", fold.changed), ("removed", fold.removed)):
            lines += [f"- {word}: {_code(resource)}" for resource in resources]
        lines += ["", "</details>"]
    return "\n".join(lines) + "\n"


def as_json(review: Review) -> dict[str, Any]:
    return {
        "risk": review.risk.word if review.risk else None,
        "findings": [
            {"risk": f.risk.word, "topic": f.topic, "where": f.where, "what": f.what, "text": f.text}
            for f in review.findings
        ],
        "stacks": [
            {"stack": fold.stack, "added": fold.added, "changed": fold.changed, "removed": fold.removed}
            for fold in review.folded
        ],
    }


def _headline(review: Review) -> str:
    if not review.folded and not review.findings:
        return "nothing changes"
    if review.risk is None:
        return "nothing here that a reviewer must know"
    count = len(review.findings)
    return f"{review.risk.word} risk, {count} finding{'s' if count > 1 else ''}"


def _counts(fold: Fold) -> str:
    parts = ((len(fold.added), "added"), (len(fold.changed), "changed"), (len(fold.removed), "removed"))
    return ", ".join(f"{count} {word}" for count, word in parts if count) or "no resource"


def _plain(text: str) -> str:
    """Text that Markdown shows as it is, whatever a template says: no cell, tag, link or mention begins in it."""
    escaped = re.sub(r"([\\`*_\[\]|~#])", r"\\\1", text).replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
    return escaped.replace("@", "@<!-- -->").replace("\n", " ")


def _code(text: str) -> str:
    """Text as code in a cell of a table; what could end it is replaced."""
    return "`" + text.replace("`", "'").replace("|", "\\|").replace("\n", " ") + "`"
