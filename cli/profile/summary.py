"""What `lockgate new` says: within 80 columns, and as facts."""

from __future__ import annotations

import textwrap
from collections.abc import Iterator, Sequence
from typing import Any

from cli.profile.columns import ColumnProfile
from cli.profile.draft import Draft
from cli.profile.proposal import PolicyProposal

WIDTH = 80
SHOWN = 25  # columns
NAME, TYPE, SEEN = 24, 9, 36


def summary(draft: Draft, policy: PolicyProposal, dry_run: bool) -> list[str]:
    said = draft.declaration
    train, holdout = draft.train.num_rows, draft.holdout.num_rows
    lines = [f"{said.name}: {said.target.task} target {said.target.name}"]
    lines += _wrapped(f"why: {draft.task_why}")
    lines += _wrapped(f"rows: {train:,} train, {holdout:,} judge; split {draft.split_how}")
    lines += _wrapped(f"each row is named by {said.identifier}")
    lines += ["", *_columns(said.features)]
    left = [column for column in said.columns if column.out]
    for title, sentences in (
        ("left out", [f"{column.name}: {column.out}" for column in left]),
        ("found", draft.found),
        ("done while reading", draft.notes),
        ("to know", [f"{column.name}: {column.note}" for column in said.features if column.note]),
    ):
        lines += _section(title, sentences)
    lines += ["", "first run, by cross-validation on training rows:"]
    lines += [f"  {name:<20} {value:.4g}" for name, value in policy.measured.items()]
    lines += _section("proposed rules", [_rule(rule.keys) for rule in policy.rules])
    lines += _section("what they cannot find", [*policy.blind, *_without_rule(policy)])
    lines += _section("undecided, and synth refuses the model without", [
        f"{key} in model/{said.name}/model.toml" for key in said.decided.undecided
    ])  # fmt: skip
    if dry_run:
        return [*lines, "", "nothing was written: that was a dry run"]
    return [
        *lines,
        "",
        f"written: model/{said.name}/ (model.toml, train.py, policy.toml) and data/{said.name}/",
        "next:",
        f"  lockgate try {said.name}",
        f"  git add model/{said.name} data/{said.name}/.gitignore && git commit",
        f"  make demo MODEL={said.name}",
    ]


def _section(title: str, sentences: Sequence[str]) -> list[str]:
    if not sentences:
        return []
    shown = [line for sentence in sentences[:SHOWN] for line in _wrapped(sentence, "  ")]
    more = [f"  … and {len(sentences) - SHOWN} more"] if len(sentences) > SHOWN else []
    return ["", f"{title}:", *shown, *more]


def _wrapped(sentence: str, indent: str = "") -> list[str]:
    return textwrap.wrap(
        " ".join(sentence.split()),
        WIDTH,
        initial_indent=indent,
        subsequent_indent=indent + "  ",
        break_on_hyphens=False,
    )


def _columns(columns: Sequence[ColumnProfile]) -> Iterator[str]:
    yield f"{'feature':<{NAME}}  {'type':<{TYPE}} {'seen':<{SEEN}} nulls"
    for column in columns[:SHOWN]:
        kind = column.feature.type if column.feature else ""
        share = f"{column.nulls / column.rows:.1%}" if column.nulls else "0"
        yield f"{cut(column.name, NAME):<{NAME}}  {kind:<{TYPE}} {cut(column.seen, SEEN):<{SEEN}} {share:>5}"
    if len(columns) > SHOWN:
        yield f"… and {len(columns) - SHOWN} more, all in model.toml"


def cut(text: str, width: int) -> str:
    clean = " ".join(text.split())
    return clean if len(clean) <= width else clean[: width - 1] + "…"


def _without_rule(policy: PolicyProposal) -> list[str]:
    """An exemption is not only written down, it is said."""
    if not policy.excuse:
        return []
    return [f"no rule decides about it, and policy.toml says so (no_fairness_rule), for you to judge: {policy.excuse}"]


def _rule(keys: Any) -> str:
    bound = next(f"{key} {keys[key]:g}" for key in ("floor", "ceiling", "gain") if key in keys)
    what = keys.get("metric", keys.get("measure"))
    by = f" by {keys['by']}" if "by" in keys else ""
    return f"{keys['name']}: {what}{by}, {bound}"


def facts(draft: Draft, policy: PolicyProposal) -> dict[str, Any]:
    said = draft.declaration
    return {
        "model": said.name,
        "target": said.target.as_dict(),
        "why": draft.task_why,
        "identifier": said.identifier,
        "entity": said.entity,
        "time": said.time,
        "rows": {"train": draft.train.num_rows, "holdout": draft.holdout.num_rows},
        "split": draft.split_how,
        "features": [_facts_of(column) for column in said.features],
        "left_out": {column.name: column.out for column in said.columns if column.out},
        "found": list(draft.found),
        "notes": list(draft.notes),
        "measured": dict(policy.measured),
        "rules": [dict(rule.keys) for rule in policy.rules],
        "cannot_find": list(policy.blind),
        "undecided": list(said.decided.undecided),
    }


def _facts_of(column: ColumnProfile) -> dict[str, Any]:
    kind = column.feature.type if column.feature else ""
    return {"name": column.name, "type": kind, "seen": column.seen, "nulls": column.nulls, "note": column.note}
