"""What a request leaves behind (log, capture, counters), how many processes serve, and what a defect looks like."""

from __future__ import annotations

import asyncio
import json
import logging
import os
import re
from typing import Any

import pytest

from lockgate.config import Feature, Model
from runtime.serving import access, capture, server
from runtime.serving.access import AccessLog
from runtime.serving.application import Application, Release
from runtime.serving.capture import Capture
from runtime.serving.http import Answer, Connection, Request, Site
from runtime.serving.rows import Batch
from runtime.serving.telemetry import SCORES, Telemetry

MODEL = Model("toy", "", "id", "target", (), (Feature("age", "integer", minimum=0, maximum=99),), {}, "", "")
RELEASE = Release("7", "c" * 40, "toy/12")


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
    scores = [*SCORES, 0.0, 0.051, 0.999, 0.33, 0.33]
    for part in [scores] if several else [[score] for score in scores]:
        telemetry.predicted(part)
    counts = telemetry.scores()
    assert (counts[0], counts[1], counts[6], counts[19], counts[20]) == (2, 2, 3, 2, 0)
    assert sum(counts) == len(scores)


def test_an_engine_that_fails_is_told_without_a_trace_and_the_server_goes_on(caplog: Any) -> None:
    class Engine:
        def predict(self, codes: bytes, rows: int) -> list[Any]:
            if rows > 1:
                raise ZeroDivisionError("secret of the engine")
            return [0.25]

    async def asked(application: Application, *instances: int) -> list[Answer]:
        site = Site(application, asyncio.get_running_loop())
        found = []
        for count in instances:
            request = Request(Connection(site))
            request.method, request.path = b"POST", "/invocations"
            request.chunks = [json.dumps({"instances": [{"age": 1}] * count}).encode()]
            application.begin(request)
            application.answer(request)
            found.append(request)
        while not all(request.answered for request in found):
            await asyncio.sleep(0)
        return [request._answer for request in found if request._answer]

    application = Application(MODEL, RELEASE, Engine())
    with caplog.at_level(logging.CRITICAL, "lockgate.serving"):
        first, second = asyncio.run(asked(application, 1, 1))  # together they are two rows
    assert [first.status, second.status] == [500, 500]
    assert json.loads(first.body)["error"]["found"] == "an error of the server"
    assert b"secret" not in first.body
    assert not re.search(rb"Traceback|File|Error\b", first.body)
    (after,) = asyncio.run(asked(application, 1))
    assert (after.status, json.loads(after.body)["predictions"]) == (200, [0.25])
    text = application.telemetry.text().decode()
    assert 'kind="defect"} 2' in text
    assert re.search(r"lockgate_in_flight_requests\{.*\} 0\n", text)
