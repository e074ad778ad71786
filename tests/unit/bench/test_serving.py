from __future__ import annotations

from typing import Any

from bench.serving import report


def loads(a_second: float) -> dict[str, Any]:
    keys = ("1", "16", "64", "batch_100", "batch_1000")
    times = {"p50_ms": 1.0, "p99_ms": 2.0, "wrk_p99_ms": 3.0, "us_of_capture": 0.5}
    limit = {"rows_a_second": a_second * 1100}
    limit["share_of_limit"] = report.share(a_second * 1000, limit)
    figures = {"a_second": a_second, "a_cpu_second": a_second, **times, **limit, "refused": 0, "broken": 0}
    return {"ready_seconds": 0.3, "memory_mb": 40.0, "loads": {key: dict(figures) for key in keys}}


def result(ours: float) -> dict[str, Any]:
    peers = {"FastAPI + pandas": 80, "MLflow": 40, "BentoML": 300, "LitServe": 600, report.HELLO: 34_000}
    servers = {report.OURS: loads(ours), **{n: loads(v) for n, v in peers.items()}}
    fallback = {report.OURS: loads(6600), "LitServe": loads(600)}
    return report.assemble(servers, fallback, {"logistic": loads(5)}, [])


def test_a_figure_at_its_goal_reaches_it() -> None:
    assert report.goal("at least", 20.0, least=20)["reached"]
    assert not report.goal("at least", 19.9, least=20)["reached"]
    assert report.goal("at most", 10.0, most=10)["reached"]
    assert not report.goal("at most", 10.1, most=10)["reached"]


def test_a_slow_server_misses_the_goals_of_speed_and_the_table_says_so() -> None:
    missed = [each["goal"] for each in result(2_000)["goals"] if not each["reached"]]
    assert len(missed) == 4
    assert report.text(result(2_000)).count("MISSED") == 4
    assert not [each for each in result(20_000)["goals"] if not each["reached"]]


def test_the_best_of_the_frameworks_is_the_one_that_is_hardest_to_beat() -> None:
    found = result(12_000)["ratios"]["64"]
    assert found["best"] == found["LitServe"] == 20


def test_medians_of_rounds_and_sums_of_what_broke() -> None:
    rounds = [{"a_second": value, "broken": 1.0} for value in (5.0, 1.0, 3.0)]
    assert report.medians(rounds) == {"a_second": 3.0, "broken": 3.0}
