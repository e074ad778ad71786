"""What the sequential test of a canary's errors is worth: false alarms under a look a minute, and how soon it detects.

`make bench-canary` prints the tables and writes build/bench/canary.json. Seeds are fixed; takes a few minutes. Beside
ours: what a dashboard does, a one-sided z-test of two rates at the same level, looked at each minute.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from lockgate.statistics.canary import Minute, _log_ratios

RESULT = Path("build/bench/canary.json")
ALPHAS = (0.05, 0.01, 0.001)
MINUTES = 120
SHARE = 0.1  # of requests, to the canary
STREAMS = 1000
DETECTIONS = 100

Counts = npt.NDArray[np.int64]


def streams(random: np.random.Generator, count: int, requests: int, base: float, canary: float) -> Counts:
    """(stream, minute, [canary requests, its errors, others' requests, their errors])."""
    to_canary = random.binomial(requests, SHARE, size=(count, MINUTES))
    others = requests - to_canary
    return np.stack([to_canary, random.binomial(to_canary, canary), others, random.binomial(others, base)], axis=-1)


def evidence(counts: Counts) -> npt.NDArray[np.float64]:
    """The e-value after each minute of one stream."""
    logs = np.cumsum([_log_ratios(Minute(*map(int, minute))) for minute in counts], axis=0)
    values: npt.NDArray[np.float64] = np.exp(np.minimum(logs, 700)).mean(axis=1)
    return values


def naive(counts: Counts) -> npt.NDArray[np.float64]:
    """The one-sided z of two cumulative rates after each minute."""
    n1, k1, n0, k0 = np.cumsum(counts, axis=0).T
    pooled = (k1 + k0) / np.maximum(n1 + n0, 1)
    spread = np.sqrt(pooled * (1 - pooled) * (1 / np.maximum(n1, 1) + 1 / np.maximum(n0, 1)))
    z: npt.NDArray[np.float64] = np.where(
        spread > 0, (k1 / np.maximum(n1, 1) - k0 / np.maximum(n0, 1)) / np.maximum(spread, 1e-12), 0
    )
    return z


def false_alarms() -> list[dict[str, Any]]:
    """Share of streams without a difference in which any of the looks raised an alarm."""
    random, table = np.random.default_rng(1), []
    critical = {0.05: 1.645, 0.01: 2.326, 0.001: 3.090}
    for requests, base in ((60, 0.001), (600, 0.001), (600, 0.01), (600, 0.1)):
        drawn = streams(random, STREAMS, requests, base, base)
        ours = np.array([evidence(stream).max() for stream in drawn])
        theirs = np.array([naive(stream).max() for stream in drawn])
        for alpha in ALPHAS:
            table.append(
                {
                    "requests_a_minute": requests,
                    "error_rate": base,
                    "alpha": alpha,
                    "ours": float((ours >= 1 / alpha).mean()),
                    "z_test": float((theirs >= critical[alpha]).mean()),
                }
            )
    return table


def detections() -> list[dict[str, Any]]:
    """Minutes until the alarm at alpha 0.001, and the canary's failed requests by then; 10 % of traffic."""
    random, table = np.random.default_rng(2), []
    for requests in (60, 600, 6000):
        for base, canary in ((0.001, 0.005), (0.001, 0.01), (0.001, 0.05), (0.001, 0.5), (0.01, 0.02), (0.01, 0.05)):
            first, failed = [], []
            for stream in streams(random, DETECTIONS, requests, base, canary):
                found = np.flatnonzero(evidence(stream) >= 1000)
                if len(found):
                    first.append(int(found[0]) + 1)
                    failed.append(int(stream[: found[0] + 1, 1].sum()))
            table.append(
                {
                    "requests_a_minute": requests,
                    "error_rate": base,
                    "canary": canary,
                    "found": len(first) / DETECTIONS,
                    "median_minutes": float(np.median(first)) if first else None,
                    "p90_minutes": float(np.quantile(first, 0.9)) if first else None,
                    "median_failed_requests": float(np.median(failed)) if failed else None,
                }
            )
    return table


def main() -> None:
    alarms, found = false_alarms(), detections()
    print(f"False alarms: canaries no worse, {MINUTES} looks each, {STREAMS} streams")
    print("  requests/min  error rate   alpha     ours   z-test at each look")
    for row in alarms:
        print(
            f"  {row['requests_a_minute']:12} {row['error_rate']:11.3f} {row['alpha']:7.3f} "
            f"{row['ours']:8.4f} {row['z_test']:8.4f}"
        )
    print(f"\nDetection at alpha 0.001, {SHARE:.0%} of requests to the canary, at most {MINUTES} minutes")
    print("  requests/min     old  canary   found  minutes (90 %)  failed requests by then")
    for row in found:
        minutes = "-" if row["median_minutes"] is None else f"{row['median_minutes']:.0f} ({row['p90_minutes']:.0f})"
        failed = "-" if row["median_failed_requests"] is None else f"{row['median_failed_requests']:.0f}"
        print(
            f"  {row['requests_a_minute']:12} {row['error_rate']:7.3f} {row['canary']:7.3f} {row['found']:7.2f} "
            f"{minutes:>15} {failed:>8}"
        )
    RESULT.parent.mkdir(parents=True, exist_ok=True)
    RESULT.write_text(json.dumps({"false_alarms": alarms, "detections": found}, indent=2) + "\n")
    worst = max(row["ours"] - row["alpha"] - 3 * (row["alpha"] / STREAMS) ** 0.5 for row in alarms)
    if worst > 0:
        raise SystemExit("more false alarms than stated")


if __name__ == "__main__":
    main()
