"""What a request leaves behind (log, capture, counters), how many processes serve, and what a defect looks like."""

from __future__ import annotations

import asyncio
import json
import logging
import os
import re
import subprocess
import sys
from typing import Any

import pytest

from lockgate.configuration.model import Feature, Model
from lockgate.evidence.distribution import PROBABILITIES
from lockgate.tasks.target import binary
from runtime.serving import access, capture, server
from runtime.serving.access import AccessLog
from runtime.serving.application import Application, ServedVersion
from runtime.serving.capture import Capture
from runtime.serving.http import Connection, HttpRequest, HttpResponse, Site
from runtime.serving.rows import Batch
from runtime.serving.telemetry import Telemetry

MODEL = Model("toy", "", "id", binary("target"), (), (Feature("age", "integer", minimum=0, maximum=99),), {}, "", "")
RELEASE = ServedVersion("7", "c" * 40, "toy/12")


def logged(capfdbinary: Any) -> list[Any]:
    return [json.loads(line) for line in capfdbinary.readouterr().out.splitlines()]


def test_one_answer_in_a_thousand_and_every_refusal_is_logged(capfdbinary: Any) -> None:
    log = AccessLog({"model": "toy", "version": "7"})
    for number in range(2500):
        log.answered(f"id-{number}", "/invocations", 400 if number in (5, 1700) else 200, 1, 0.001)
    assert capfdbinary.readouterr().out == b"", "nothing is written while requests are answered"
    log.write()
    lines = logged(capfdbinary)
    assert [(line["request_id"], line["status"]) for line in lines] == [
        ("id-0", 200), ("id-5", 400), ("id-1000", 200), ("id-1700", 400), ("id-2000", 200),
    ]  # fmt: skip
    assert {"at", "path", "rows", "seconds", "model", "version"} < set(lines[0])


def test_a_flood_of_refusals_is_logged_up_to_a_limit_that_is_told(capfdbinary: Any) -> None:
    log = AccessLog({})
    for _ in range(access.MOST_WAITING + 30):
        log.answered("id", "/invocations", 400, 0, 0.0)
    log.write()
    lines = logged(capfdbinary)
    assert len(lines) == access.MOST_WAITING + 1
    assert lines[-1]["left_out"] == 30


def test_the_newest_requests_are_captured_and_the_oldest_give_way() -> None:
    kept = Capture()
    gave_way = [kept.offer(f"id-{number}", Batch(b"", 1), [0.5]) for number in range(capture.MOST_REQUESTS + 2)]
    assert gave_way == [0] * capture.MOST_REQUESTS + [1, 1]
    taken = kept.take()
    assert [taken[0].request_id, taken[-1].request_id] == ["id-2", f"id-{capture.MOST_REQUESTS + 1}"]
    assert kept.take() == []


def test_capture_is_bounded_in_rows_too() -> None:
    kept = Capture()
    assert kept.offer("a", Batch(b"", 10_000), []) == 0
    assert [kept.offer("b", Batch(b"", 10_000), []) for _ in range(6)] == [0, 0, 0, 0, 0, 1]
    assert kept.offer("c", Batch(b"", capture.MOST_ROWS + 1), []) == 1
    assert sum(record.batch.rows for record in kept.take()) <= capture.MOST_ROWS


@pytest.mark.parametrize(("units", "processes"), [("256", 1), ("1024", 1), ("2048", 2), ("4096", 4)])
def test_a_worker_a_whole_core_of_the_task(monkeypatch: pytest.MonkeyPatch, units: str, processes: int) -> None:
    monkeypatch.setenv("TASK_CPU", units)
    assert server.workers() == processes


def test_elsewhere_a_worker_a_core_of_the_machine(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("TASK_CPU", raising=False)
    assert server.workers() == len(os.sched_getaffinity(0))


THREADS = """
from runtime.serving.serve import limit_threads
limit_threads()
import numpy, threading
from joblib import effective_n_jobs
from sklearn.ensemble import HistGradientBoostingClassifier, RandomForestClassifier
from threadpoolctl import threadpool_info
rows = numpy.arange(2000.0).reshape(-1, 2)
for model in (RandomForestClassifier(8, n_jobs=-1), HistGradientBoostingClassifier(max_iter=2)):
    model.fit(rows, rows[:, 0] > 900).predict_proba(rows)
print(effective_n_jobs(-1), *{pool["num_threads"] for pool in threadpool_info()}, threading.active_count())
"""


def test_libraries_get_one_thread_a_worker_also_where_the_team_asked_for_all() -> None:
    names = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "LOKY_MAX_CPU_COUNT")
    environment = {name: value for name, value in os.environ.items() if name not in names}
    ended = subprocess.run([sys.executable, "-c", THREADS], capture_output=True, text=True, env=environment, check=True)
    assert ended.stdout.split() == ["1", "1", "1"]


def test_any_worker_answers_for_all_of_a_task() -> None:
    telemetry = Telemetry({"model": "toy"}, 3)
    for worker in range(3):
        telemetry.become(worker)
        telemetry.answered("invocations", 200, 10 + worker, 0.002)
        telemetry.failed("contract")
    text = telemetry.text().decode()
    assert 'lockgate_requests_total{model="toy",route="invocations",status="200"} 3' in text
    assert 'lockgate_rows_total{model="toy"} 33' in text
    assert 'lockgate_errors_total{model="toy",kind="contract"} 3' in text
    assert 'lockgate_request_seconds_bucket{model="toy",le="0.0025"} 3' in text


@pytest.mark.parametrize("several", [True, False])
def test_predictions_are_counted_alike_one_by_one_and_many_at_once(several: bool) -> None:
    telemetry = Telemetry({}, 1)
    scores = [*PROBABILITIES.bounds, 0.0, 0.051, 0.999, 0.33, 0.33]
    for part in [scores] if several else [[score] for score in scores]:
        telemetry.predicted(part)
    counts = telemetry.scores()
    assert (counts[0], counts[1], counts[6], counts[19], counts[20]) == (2, 2, 3, 2, 0)
    assert sum(counts) == len(scores)


UNLUCKY, UNKNOWN = 13, 14


class FailingEngine:
    """Fails on a row that the data contract allows, and knows no number for another."""

    def predict(self, codes: bytes, rows: int) -> list[Any]:
        ages = memoryview(codes).cast("d").tolist()
        if UNLUCKY in ages:
            raise ZeroDivisionError("secret of the engine")
        return [float("nan") if age == UNKNOWN else age / 100 for age in ages]


async def asked(application: Application, *ages: int) -> list[HttpResponse]:
    site = Site(application, asyncio.get_running_loop())
    found = []
    for age in ages:
        request = HttpRequest(Connection(site))
        request.method, request.path = b"POST", "/invocations"
        request.chunks = [json.dumps({"instances": [{"age": age}]}).encode()]
        application.begin(request)
        application.answer(request)
        found.append(request)
    while not all(request.answered for request in found):
        await asyncio.sleep(0)
    return [request._answer for request in found if request._answer]


@pytest.mark.parametrize("age", [UNLUCKY, UNKNOWN])
def test_a_row_that_the_engine_cannot_predict_is_told_without_a_trace_and_hurts_nobody(caplog: Any, age: int) -> None:
    application = Application(MODEL, RELEASE, FailingEngine())
    with caplog.at_level(logging.CRITICAL, "lockgate.serving"):
        before, bad, behind = asyncio.run(asked(application, 25, age, 50))  # together they are one batch
    assert [before.status, bad.status, behind.status] == [200, 500, 200]
    assert json.loads(before.body)["predictions"] == [0.25]
    assert json.loads(behind.body)["predictions"] == [0.5]
    assert json.loads(bad.body)["error"]["found"] == "an error of the server"
    assert not re.search(rb"secret|Traceback|File|Error\b|null,\"release", bad.body)
    text = application.telemetry.text().decode()
    assert 'kind="defect"} 1' in text
    assert "nan" not in text
    assert re.search(r"lockgate_in_flight_requests\{.*\} 0\n", text)


def test_requests_are_answered_though_nobody_takes_what_is_captured_and_what_is_lost_is_counted() -> None:
    application = Application(MODEL, RELEASE, FailingEngine())
    for _ in range(capture.MOST_REQUESTS):
        application.capture.offer("old", Batch(b"", 1), [0.5])
    answers = asyncio.run(asked(application, 1, 2, 3))
    assert [answer.status for answer in answers] == [200] * 3
    text = application.telemetry.text().decode()
    assert re.search(r"lockgate_captured_total\{.*\} 3\n", text)
    assert re.search(r"lockgate_overwritten_total\{.*\} 3\n", text)
    taken = application.capture.take()
    assert len(taken) == capture.MOST_REQUESTS
    assert [record.predictions for record in taken[-3:]] == [[0.01], [0.02], [0.03]]
