"""From measurements to ratios, and from ratios to text."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from statistics import median
from typing import Any

OURS, HELLO = "ours", "uvicorn hello"
FRAMEWORKS = ("FastAPI + pandas", "MLflow", "BentoML", "LitServe")
ROWS = {"batch_100": 100, "batch_1000": 1000}
BAR = 50  # characters of the longest bar


def medians(rounds: Sequence[Mapping[str, float]]) -> dict[str, float]:
    """Of every figure of one server under one load its median; of refused and broken requests the sum."""
    return {
        name: (sum if name in ("refused", "broken") else median)([each[name] for each in rounds]) for name in rounds[0]
    }


def ratios(servers: Mapping[str, Any], figure: str = "a_second") -> dict[str, dict[str, float]]:
    """Load -> peer -> how many times the peer's requests a second ours answers; `best` is the best framework."""
    found: dict[str, dict[str, float]] = {}
    for key, ours in servers[OURS]["loads"].items():
        peers = {name: server["loads"] for name, server in servers.items() if name != OURS}
        found[key] = {name: ours[figure] / load[key][figure] for name, load in peers.items() if key in load}
        frameworks = [found[key][name] for name in FRAMEWORKS if name in found[key]]
        if len(frameworks) > 1:
            found[key]["best"] = min(frameworks)
    return found


def share(rows_a_second: float, limit: Mapping[str, float]) -> float:
    """Of what one core does in process, how much was served."""
    return rows_a_second / limit["rows_a_second"]


def assemble(
    servers: Mapping[str, Any],
    fallback: Mapping[str, Any],
    kinds: Mapping[str, Any],
    exactness: Sequence[Mapping[str, Any]],
) -> dict[str, Any]:
    """Everything of one run, as it is written to serving.json."""
    load = servers[OURS]["loads"]
    found = ratios(servers)
    capture = load["16"]["us_of_capture"] * load["16"]["a_cpu_second"] / 1e6
    return {
        "ratios": found,
        "ratios_of_processor_time": ratios(servers, "a_cpu_second"),
        "goals": [
            goal("16 connections: times FastAPI + pandas", found["16"]["FastAPI + pandas"], least=200),
            goal("16 connections: times LitServe", found["16"]["LitServe"], least=25),
            goal("16 connections: share of uvicorn hello", found["16"][HELLO], least=0.5),
            goal("64 connections: times the best of the four", found["64"]["best"], least=20),
            goal("batches of 1,000: times the best of the four", found["batch_1000"]["best"], least=3),
            goal("batches of 1,000: share of the in-process limit", load["batch_1000"]["share_of_limit"], least=0.8),
            goal("64 connections: p99 in ms", load["64"]["p99_ms"], most=10),
            goal("ready after seconds", servers[OURS]["ready_seconds"], most=1),
            goal("memory in MB", servers[OURS]["memory_mb"], most=100),
            goal("16 connections: share of processor time for capture", capture, most=0.05),
            goal("a model for scikit-learn itself, 16: times LitServe", ratios(fallback)["16"]["LitServe"], least=10),
        ],
        "servers": servers,
        "fallback": fallback,
        "kinds": kinds,
        "exactness": exactness,
    }


def goal(name: str, found: float, *, least: float | None = None, most: float | None = None) -> dict[str, Any]:
    """What the serving path shall reach, as issue and docs/serving.md say it."""
    reached = (least is None or found >= least) and (most is None or found <= most)
    return {"goal": name, "found": found, "least": least, "most": most, "reached": reached}


def text(result: Mapping[str, Any]) -> str:
    """Tables and bars of a whole result."""
    servers = result["servers"]
    ours = servers[OURS]["loads"]
    keys = list(ours)
    table = [["goal", "wanted", "found", ""]]
    for each in result["goals"]:
        wanted = f">= {each['least']:g}" if each["most"] is None else f"<= {each['most']:g}"
        table.append([each["goal"], wanted, _shown(each["found"]), "reached" if each["reached"] else "MISSED"])
    lines = [*_aligned(table), ""]
    lines += ["Requests a second (batches: rows a second); p50, p99 and wrk's own p99 in ms at 64 connections", ""]
    head = ["server", *keys, "p50", "p99", "wrk's", "ready s", "MB", "refused", "broken"]
    table = [head]
    for name, server in servers.items():
        load = server["loads"]
        figures = [f"{load[key]['a_second'] * ROWS.get(key, 1):,.0f}" if key in load else "" for key in keys]
        times = [f"{load['64'][name]:,.1f}" for name in ("p50_ms", "p99_ms", "wrk_p99_ms")]
        faults = [str(sum(each[what] for each in load.values())) for what in ("refused", "broken")]
        start = [f"{server['ready_seconds']:.2f}", f"{server['memory_mb']:.0f}"]
        table.append([name, *figures, *times, *start, *faults])
    lines += [*_aligned(table), ""]
    lines += [*_ratios("Ours divided by the peer: answers a second", result["ratios"]), ""]
    lines += [*_ratios("The same: answers a second of processor time", result["ratios_of_processor_time"]), ""]
    for key in keys:
        lines += [f"load {key}: times the peer", *_bars(result["ratios"][key]), ""]
    table = [["in process, one core, right behind each load", "rows a second", "served of it"]]
    for key, each in ours.items():
        if "rows_a_second" in each:
            table.append([key, f"{each['rows_a_second']:,.0f}", f"{each['share_of_limit']:.2f}"])
    lines += [*_aligned(table), ""]
    lines += [f"of a request with one row, capture takes {ours['16']['us_of_capture']:.2f} microseconds"]
    lines += ["", "Other kinds of model: requests a second at 16, rows a second in batches of 1,000, MB", ""]
    table = [["kind", "16", "batch_1000", "MB"]]
    for kind, server in result["kinds"].items():
        load = server["loads"]
        rates = [f"{load['16']['a_second']:,.0f}", f"{load['batch_1000']['a_second'] * 1000:,.0f}"]
        table.append([kind, *rates, f"{server['memory_mb']:.0f}"])
    lines += [*_aligned(table), "", "Exactness: largest difference from scikit-learn on every row of the holdout", ""]
    table = [["kind", "rows", "largest difference", "engine: verdict"]]
    table += [
        [row["kind"], f"{row['rows']:,}", _shown(row["difference"]), f"{row['engine']}: {row['verdict']}"]
        for row in result["exactness"]
    ]
    lines += _aligned(table)
    return "\n".join(lines) + "\n"


def _ratios(title: str, ratios: Mapping[str, Mapping[str, float]]) -> list[str]:
    peers = dict.fromkeys(peer for values in ratios.values() for peer in values)
    table = [["peer", *ratios]]
    for peer in peers:
        table.append([peer, *(f"{values[peer]:,.2f}" if peer in values else "" for values in ratios.values())])
    return [title, "", *_aligned(table)]


def _shown(value: Any) -> str:
    return "none" if value is None else f"{value:,.3g}"


def _aligned(table: Sequence[Sequence[str]]) -> list[str]:
    widths = [max(len(row[column]) for row in table) for column in range(len(table[0]))]
    widths[-1] = min(widths[-1], 12)  # words may be longer, since nothing follows
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
