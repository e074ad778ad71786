"""From measurements to ratios, and from ratios to text."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from statistics import median
from typing import Any

OURS, SILENT, HELLO = "ours", "ours without capture", "uvicorn hello"
FRAMEWORKS = ("FastAPI + pandas", "MLflow", "BentoML", "LitServe")
ROWS = {"batch_100": 100, "batch_1000": 1000}
BAR = 50  # characters of the longest bar


def medians(runs: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """Of every figure of one server its median over the rounds; of refused and broken requests the sum."""
    figures = {
        key: {
            name: (sum if name in ("refused", "broken") else median)([run["loads"][key][name] for run in runs])
            for name in runs[0]["loads"][key]
        }
        for key in runs[0]["loads"]
    }
    return {name: median([run[name] for run in runs]) for name in ("ready_seconds", "memory_mb")} | {"loads": figures}


def ratios(servers: Mapping[str, Any]) -> dict[str, dict[str, float]]:
    """Load -> peer -> how many times the peer's requests a second ours answers; `best` is the best framework."""
    found: dict[str, dict[str, float]] = {}
    for key, ours in servers[OURS]["loads"].items():
        peers = {name: server["loads"] for name, server in servers.items() if name not in (OURS, SILENT)}
        found[key] = {name: ours["a_second"] / load[key]["a_second"] for name, load in peers.items() if key in load}
        frameworks = [found[key][name] for name in FRAMEWORKS if name in found[key]]
        if len(frameworks) > 1:
            found[key]["best"] = min(frameworks)
    return found


def assemble(
    servers: Mapping[str, Any],
    fallback: Mapping[str, Any],
    kinds: Mapping[str, Any],
    limit: Mapping[str, float],
    exactness: Sequence[Mapping[str, Any]],
) -> dict[str, Any]:
    """Everything of one run, as it is written to serving.json."""
    load = servers[OURS]["loads"]
    found = ratios(servers)
    checks = {
        "share_of_hello_at_16": found["16"][HELLO],
        "p99_ms_at_64": load["64"]["p99_ms"],
        "ready_seconds": servers[OURS]["ready_seconds"],
        "memory_mb": servers[OURS]["memory_mb"],
        "share_of_limit_in_batches_of_1000": load["batch_1000"]["a_second"] * 1000 / limit["1000"],
        "capture_cost": {key: 1 - load[key]["a_second"] / servers[SILENT]["loads"][key]["a_second"] for key in load},
        "fallback_ratio_to_litserve_at_16": ratios(fallback)["16"]["LitServe"],
    }
    return {
        "ratios": found,
        "checks": checks,
        "servers": servers,
        "fallback": fallback,
        "kinds": kinds,
        "limit": limit,
        "exactness": exactness,
    }


def text(result: Mapping[str, Any]) -> str:
    """Tables and bars of a whole result."""
    servers, limit = result["servers"], result["limit"]
    keys = list(servers[OURS]["loads"])
    lines = ["Requests a second (batches: rows a second); p50 / p99 in ms at 64 connections", ""]
    head = ["server", *keys, "p50", "p99", "ready s", "MB", "refused", "broken"]
    table = [head]
    for name, server in servers.items():
        load = server["loads"]
        figures = [f"{load[key]['a_second'] * ROWS.get(key, 1):,.0f}" if key in load else "" for key in keys]
        times = [f"{load['64'][name]:,.1f}" for name in ("p50_ms", "p99_ms")]
        faults = [str(sum(each[what] for each in load.values())) for what in ("refused", "broken")]
        start = [f"{server['ready_seconds']:.2f}", f"{server['memory_mb']:.0f}"]
        table.append([name, *figures, *times, *start, *faults])
    lines += [*_aligned(table), "", "Ours divided by the peer", ""]
    peers = [name for name in servers if name not in (OURS, SILENT)] + ["best"]
    table = [["peer", *keys]]
    for peer in peers:
        table.append(
            [peer, *(f"{result['ratios'][key][peer]:,.2f}" if peer in result["ratios"][key] else "" for key in keys)]
        )
    lines += [*_aligned(table), ""]
    for key in keys:
        lines += [f"load {key}: times the peer", *_bars(result["ratios"][key]), ""]
    lines += [*_aligned([[name, _shown(value)] for name, value in result["checks"].items()]), ""]
    lines += [f"in process, one core: {', '.join(f'{key} {value:,.0f}' for key, value in limit.items())} rows a second"]
    lines += ["", "Other kinds of model: requests a second at 16, rows a second in batches of 1,000, MB", ""]
    table = [["kind", "16", "batch_1000", "MB"]]
    for kind, server in result["kinds"].items():
        load = server["loads"]
        rates = [f"{load['16']['a_second']:,.0f}", f"{load['batch_1000']['a_second'] * 1000:,.0f}"]
        table.append([kind, *rates, f"{server['memory_mb']:.0f}"])
    lines += [*_aligned(table), "", "Exactness: largest difference from scikit-learn on every row of the holdout", ""]
    table = [["kind", "engine", "rows", "largest difference", "verdict"]]
    table += [
        [row["kind"], row["engine"], f"{row['rows']:,}", _shown(row["difference"]), row["verdict"]]
        for row in result["exactness"]
    ]
    lines += _aligned(table)
    return "\n".join(lines) + "\n"


def _shown(value: Any) -> str:
    if isinstance(value, dict):
        return ", ".join(f"{key}: {_shown(each)}" for key, each in value.items())
    return "none" if value is None else f"{value:,.3g}"


def _aligned(table: Sequence[Sequence[str]]) -> list[str]:
    widths = [max(len(row[column]) for row in table) for column in range(len(table[0]))]
    return [
        "  ".join(
            cell.rjust(width) if index else cell.ljust(width)
            for index, (cell, width) in enumerate(zip(row, widths, strict=True))
        ).rstrip()
        for row in table
    ]


def _bars(values: Mapping[str, float]) -> list[str]:
    """One bar a peer, its length the ratio's share of the largest."""
    longest = max(values.values())
    return [f"  {name:<18}{'#' * max(1, round(BAR * value / longest))} {value:,.2f}" for name, value in values.items()]
