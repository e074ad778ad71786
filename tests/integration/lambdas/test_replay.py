"""The replay hook: a wrong server or model is stopped before any traffic, and why is kept."""

from __future__ import annotations

import hashlib
import json
import ssl
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING, Any

import pytest

from lambdas import replay, shared
from local.host import tls
from local.settings import Settings
from lockgate import names

if TYPE_CHECKING:
    from tests.integration.lambdas.conftest import World

ROWS = json.dumps({"instances": [{"a": 1}, {"a": 2}, {"a": 3}], "predictions": [0.25, 0.5, 0.75]}).encode()
SHA256 = hashlib.sha256(ROWS).hexdigest()
DEPLOYMENT = "arn:aws:ecs:us-east-1:123456789012:service-deployment/prod/income/abc"


@dataclass
class Tasks:
    """What answers behind the test listener, over TLS; `predictions` and the others are what a test changes."""

    port: int
    predictions: list[Any] = field(default_factory=lambda: [0.25, 0.5, 0.75])
    verdict_id: str = "income/1"
    status: int = 200
    asked: list[Any] = field(default_factory=list)
    host: str = ""


@pytest.fixture(scope="module")
def certified(tmp_path_factory: pytest.TempPathFactory) -> Settings:
    settings = Settings(tmp_path_factory.mktemp("tls"), 1)
    tls.make(settings)
    return settings


@pytest.fixture
def tasks(world: World, certified: Settings, monkeypatch: pytest.MonkeyPatch) -> Iterator[Tasks]:
    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            made.host = self.headers["Host"]
            made.asked.append((self.path, json.loads(self.rfile.read(int(self.headers["Content-Length"])))))
            release = {"version": "1", "commit": "c", "verdict_id": made.verdict_id}
            body = json.dumps({"predictions": made.predictions, "release": release}).encode()
            self.send_response(made.status)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: Any) -> None:
            return

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certified.certificate, certified.private_key)
    server.socket = context.wrap_socket(server.socket, server_side=True)
    made = Tasks(server.server_address[1])
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    world.s3.put_object(Bucket="test-releases", Key=f"income/replays/{SHA256}.json", Body=ROWS)
    settings = {"ENVIRONMENT": "dev", "BALANCER": "localhost", "BALANCER_PORT": str(made.port)}
    for name, value in {**settings, "SSL_CERT_FILE": str(certified.ca_bundle), "NO_PROXY": "localhost"}.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setattr(names, "releases_bucket", lambda environment, *_: {"prod": "test-releases"}[environment])
    yield made
    server.shutdown()
    server.server_close()
    thread.join()


def call(**details: Any) -> dict[str, Any]:
    given = {"environment": "prod", "model": "income", "version": "1", "verdict_id": "income/1", **details}
    given.setdefault("replay_sha256", SHA256)
    event = {"lifecycleStage": "POST_TEST_TRAFFIC_SHIFT", "resourceArn": DEPLOYMENT, "executionDetails": {}}
    return replay.handler({**event, "hookDetails": json.dumps(given)}, None)


@pytest.fixture
def findings(world: World) -> Callable[[], list[dict[str, Any]]]:
    def read() -> list[dict[str, Any]]:
        listed = world.s3.list_objects_v2(Bucket="test-releases", Prefix="income/findings/").get("Contents", [])
        return [json.loads(world.s3.get_object(Bucket="test-releases", Key=e["Key"])["Body"].read()) for e in listed]

    return read


def test_tasks_that_answer_as_evaluation_did_may_get_traffic(tasks: Tasks, findings: Any) -> None:
    assert call() == {"hookStatus": "SUCCEEDED"}
    assert tasks.asked == [("/income/invocations", {"instances": [{"a": 1}, {"a": 2}, {"a": 3}]})]
    (found,) = findings()
    assert (found["passed"], found["verdict_id"]) == (True, "income/1")


def test_a_wrong_prediction_stops_the_deployment_with_difference_row_and_limit(tasks: Tasks, findings: Any) -> None:
    tasks.predictions[1] = 0.75
    assert call() == call() == {"hookStatus": "FAILED"}
    (found,) = findings()
    assert found["passed"] is False
    assert "by more than the limit 1e-09: the largest difference is 0.25 in row 1" in found["message"]


def test_a_listener_that_leads_to_another_release_is_asked_again_a_few_times(tasks: Tasks, findings: Any) -> None:
    tasks.verdict_id = "income/0"
    answer = call()
    for attempt in range(2, replay.ATTEMPTS + 1):
        assert (answer["hookStatus"], answer["callBackDelay"]) == ("IN_PROGRESS", replay.AGAIN_SECONDS)
        assert answer["hookDetails"]["attempt"] == attempt
        answer = replay.handler({"resourceArn": DEPLOYMENT, "hookDetails": answer["hookDetails"]}, None)
    assert answer == {"hookStatus": "FAILED"}
    (found,) = findings()
    assert "leads to {'version': '1'" in found["message"]
    assert "expected verdict income/1" in found["message"]


def test_tasks_that_fail_and_a_certificate_for_another_name_stop_the_deployment(
    tasks: Tasks, findings: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    tasks.status = 500
    assert call(attempt=replay.ATTEMPTS) == {"hookStatus": "FAILED"}
    assert "HTTP 500" in findings()[0]["message"]
    tasks.status = 200
    read = shared.environment
    monkeypatch.setattr(shared, "environment", lambda name: replace(read(name), host="models.example.com"))
    assert call()["hookStatus"] == "IN_PROGRESS"
    assert len(tasks.asked) == 1, "nothing is said to who cannot prove its name"


def test_an_environment_is_asked_for_by_its_own_name_since_others_may_share_its_load_balancer(
    tasks: Tasks, monkeypatch: pytest.MonkeyPatch
) -> None:
    read, host = shared.environment, "prod.us-east-1.elb.amazonaws.com"
    monkeypatch.setattr(shared, "environment", lambda name: replace(read(name), host=host))
    assert call() == {"hookStatus": "SUCCEEDED"}
    assert tasks.host == f"{host}:{tasks.port}"


def test_rows_that_were_altered_or_lost_stop_the_deployment(world: World, tasks: Tasks, findings: Any) -> None:
    world.s3.put_object(Bucket="test-releases", Key=f"income/replays/{SHA256}.json", Body=b'{"instances":[]}')
    assert call() == {"hookStatus": "FAILED"}
    assert "they were altered" in findings()[0]["message"]
    assert tasks.asked == []
