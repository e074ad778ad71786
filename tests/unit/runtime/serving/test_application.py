from __future__ import annotations

import asyncio
import json
import os
import re
import signal
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import boto3
import pyarrow.parquet as pq
import pytest
from moto import mock_aws

from lockgate import canonical
from lockgate.configuration.model import Feature, Model
from lockgate.errors import ConfigError, EvidenceError, RefusedError
from lockgate.tasks.target import binary
from runtime.archive import read_archive
from runtime.job import Job
from runtime.serving import rows as request_rows
from runtime.serving.application import MAXIMUM_BYTES, Application
from runtime.serving.fetch import fetched
from runtime.serving.http import Connection, Site
from runtime.serving.model_data import checked, unpacked
from runtime.serving.serve import released_application
from runtime.serving.task import ENDPOINT
from runtime.serving.transform import execution_parameters
from tests.ports import free_ports

ROOT = Path(__file__).parents[4]
HEADERS = {"Content-Type": "application/json"}
RELEASE = {"version": "7", "commit": "c" * 40, "verdict_id": "employment/12"}


@pytest.fixture(scope="module")
def settings(run: Any) -> dict[str, str]:
    return {
        "MODEL": "employment",
        "MODEL_DATA_SHA256": canonical.sha256(run.archive.read_bytes()),
        "RELEASE_VERSION": "7",
        "RELEASE_COMMIT": "c" * 40,
        "VERDICT_ID": "employment/12",
    }


@pytest.fixture(scope="module")
def served(run: Any, settings: dict[str, str], model: Any) -> Application:
    files = checked(run.archive.read_bytes(), settings["MODEL_DATA_SHA256"])
    return released_application(Job(Path(), settings), model, files)


@pytest.fixture(scope="module")
def rows(run: Any, model: Any) -> list[dict[str, Any]]:
    names = [feature.name for feature in model.features]
    found: list[dict[str, Any]] = pq.read_table(run.prepared / "holdout.parquet").select(names).slice(0, 50).to_pylist()
    return found


def ask(
    served: Application,
    method: str,
    path: str,
    body: bytes | Sequence[bytes] = b"",
    announced: int | None = None,
    headers: dict[str, str] | None = None,
) -> tuple[int, Any, dict[str, str]]:
    """One request over a socket: status, document, headers. A list of bodies goes in chunks; `announced` may lie."""
    chunked = not isinstance(body, bytes)
    framing = "transfer-encoding: chunked" if chunked else f"content-length: {announced or len(body)}"
    lines = [
        f"{method} {path} HTTP/1.1",
        "host: a",
        framing,
        *(f"{name}: {value}" for name, value in (headers or {}).items()),
    ]
    parts = [b"%x\r\n%b\r\n" % (len(part), part) for part in body] + [b"0\r\n\r\n"] if chunked else [body]

    async def exchange() -> tuple[int, Any, dict[str, str]]:
        site = Site(served, asyncio.get_running_loop())
        server = await site.loop.create_server(lambda: Connection(site), "127.0.0.1", 0)
        async with server:
            reader, writer = await asyncio.open_connection(*server.sockets[0].getsockname())
            writer.write("\r\n".join([*lines, "", ""]).encode() + b"".join(parts))
            head = (await reader.readuntil(b"\r\n\r\n")).decode().split("\r\n")[:-2]
            found = dict(line.split(": ", 1) for line in head[1:])
            content = await reader.readexactly(int(found["content-length"]))
            writer.transport.abort()
            while site.connections:
                await asyncio.sleep(0.001)
        return int(head[0].split()[1]), json.loads(content) if "json" in found["content-type"] else content, found

    return asyncio.run(exchange())


def invoke(served: Application, document: object) -> tuple[int, dict[str, Any]]:
    return ask(served, "POST", "/invocations", json.dumps(document).encode())[:2]


@pytest.mark.parametrize("prefix", ["", "/employment"])
def test_predictions_equal_those_of_the_prediction_step_bit_for_bit(
    served: Application, rows: list[dict[str, Any]], run: Any, prefix: str
) -> None:
    body = json.dumps({"instances": rows}).encode()
    status, answer, _ = ask(served, "POST", f"{prefix}/invocations", [body[:100], body[100:]])
    assert status == 200
    assert answer["predictions"] == pq.read_table(run.predictions)["score"].to_pylist()[:50]
    assert answer["release"] == RELEASE


@pytest.mark.parametrize("given", ["a b", "a" * 65, "a,b", "\u00e9", "a\tset-cookie: x", "<script>", '"a"', "a%0d%0a"])
def test_a_request_id_that_could_be_more_than_an_id_is_not_repeated(served: Application, given: str) -> None:
    _, _, headers = ask(served, "GET", "/ping", headers={"x-request-id": given})
    assert re.fullmatch(r"[0-9a-f]{12}-[0-9a-f]+", headers["x-request-id"])
    assert "set-cookie" not in headers


@pytest.mark.parametrize(("method", "path"), [("GET", "/ping"), ("POST", "/invocations")])
def test_a_request_for_two_hosts_is_malformed(served: Application, method: str, path: str) -> None:
    status, answer, headers = ask(served, method, path, b"{}", headers={"Host": "b"})
    assert (status, answer["release"], headers["connection"]) == (400, RELEASE, "close")
    assert (answer["error"]["row"], answer["error"]["column"]) == (None, None)
    assert answer["error"]["found"] == "Host: 'a and b'"
    assert answer["error"]["expected"] == "one Host header, with a host's name or address"


@pytest.mark.parametrize("path", ["/ping", "/employment/ping"])
def test_ping_says_which_release_is_ready(served: Application, path: str) -> None:
    assert ask(served, "GET", path)[:2] == (200, {"model": "employment", "release": RELEASE})


@pytest.mark.parametrize("path", ["/", "/invocations/", "/salary/invocations", "/employment", "/" + "x" * 5000])
def test_an_unknown_path_is_not_found(served: Application, path: str) -> None:
    status, answer, _ = ask(served, "POST", path)
    assert status == 404
    assert "/employment/invocations" in answer["error"]["expected"]
    assert len(answer["error"]["found"]) < 50


@pytest.mark.parametrize(
    ("method", "path", "allow"),
    [("GET", "/invocations", "POST"), ("OPTIONS", "/invocations", "POST"), ("DELETE", "/ping", "GET, HEAD")],
)
def test_another_method_is_not_allowed(served: Application, method: str, path: str, allow: str) -> None:
    status, _, headers = ask(served, method, path)
    assert (status, headers["allow"]) == (405, allow)


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"{",
        b"[]",
        b"null",
        b'{"instances": []}',
        b'{"instances": {}}',
        b'{"rows": [{}]}',
        b'{"instances": [{}], "more": 1}',
        b'{"instances": [{}], "instances": [{}]}',
        b'{"instances": [{"AGEP": NaN}]}',
        b'{"instances": [{"AGEP\\ud800": 1}]}',
        b'{"columns": {"AGEP\\ud800": [1]}}',
        b'{"columns": {"SEX": ["\\ud800"]}}',
        b"\xff\xfe",
        b'{"instances": ' + b"[" * 100_000,
        b'{"instances": ' + b"1" * 10_000 + b"}",
    ],
)
def test_a_body_that_is_no_request_is_refused(served: Application, body: bytes) -> None:
    status, answer, _ = ask(served, "POST", "/invocations", body)
    assert status == 400
    assert set(answer["error"]) == {"row", "column", "found", "expected"}
    assert answer["error"]["found"]
    assert len(answer["error"]["found"]) <= 200


@pytest.mark.parametrize("encoding", ["utf-8-sig", "utf-16", "utf-32-le"])
def test_json_in_another_encoding_than_utf_8_is_refused(
    served: Application, rows: list[dict[str, Any]], encoding: str
) -> None:
    """Whichever way reads it: the fast one or the one that finds the words."""
    body = json.dumps({"instances": rows[:1]}).encode(encoding)
    assert ask(served, "POST", "/invocations", body)[0] == 400


@pytest.mark.parametrize(
    ("path", "name", "value", "found"),
    [
        ("/invocations", "content-encoding", "gzip", "content encoding 'gzip'"),
        ("/v2/models/employment/infer", "content-encoding", "br", "content encoding 'br'"),
        ("/v2/models/employment/infer", "inference-header-content-length", "20", "binary tensors"),
    ],
)
def test_a_body_that_is_compressed_or_binary_is_no_medium_here(
    served: Application, path: str, name: str, value: str, found: str
) -> None:
    status, answer, _ = ask(served, "POST", path, b"\x1f\x8b\x08", headers={name: value})
    assert (status, answer["error"]["found"]) == (415, found)


def test_a_body_that_says_it_is_not_compressed_is_taken(served: Application, rows: list[dict[str, Any]]) -> None:
    body = json.dumps({"instances": rows[:1]}).encode()
    assert ask(served, "POST", "/invocations", body, headers={"content-encoding": "identity"})[0] == 200


@pytest.mark.parametrize(
    ("text", "status"),
    [
        ("33", 200), ("33.0", 200), ("3.3e1", 200), ("330e-1", 200), ("-0", 200), ("-0.0", 200), ("1e-400", 200),
        ("33." + "0" * 400, 200), ("1e400", 400), ("-1e400", 400), ("9" * 5000, 400), (str(2**70), 400),
        (str(2**64 + 33), 400), ("33.000000000000004", 400), ("033", 400), ("+33", 400), ("33.", 400), (".33e2", 400),
        ("0x21", 400), ("3_3", 400), ("NaN", 400), ("Infinity", 400),
    ],
)  # fmt: skip
@pytest.mark.parametrize("form", ["instances", "columns"])
def test_a_number_is_taken_if_json_and_the_contract_have_it(
    served: Application, rows: list[dict[str, Any]], form: str, text: str, status: int
) -> None:
    row = {**rows[0], "AGEP": "AGE"}
    document = {"instances": [row]} if form == "instances" else {"columns": {name: [row[name]] for name in row}}
    body = json.dumps(document).replace('"AGE"', text).encode()
    found, answer, _ = ask(served, "POST", "/invocations", body)
    assert found == status
    if status == 200:
        assert answer["predictions"] == invoke(served, {"instances": [{**row, "AGEP": float(text)}]})[1]["predictions"]


@pytest.mark.parametrize(
    ("text", "rows_taken"),
    [
        ("{line}", 1), ("{line}\r\n{line}\r\n", 2), ("\n\n{line}\n\n{line}\n\n", 2), ("\ufeff{line}", 1),
        ("{quoted}\n{line}", 2), ("{names}\n{line}", 1), ("\ufeff{names}\r\n{quoted}", 1),
        ("{line}\r{line}", 0), ("{names}", 0), ("{names}\n{names}\n{line}", 0), ("{line},", 0), ("{line}\x00", 0),
        ("AGEP,SEX\n{line}", 0), ("{names},more\n{line}", 0), ("{line};{line}", 0), ('{line}"', 0),
        ("\u0663\u0663,{rest}", 0), ("1_0,{rest}", 0), ("nan,{rest}", 0), ("1e1,{rest}", 1),
    ],
)  # fmt: skip
def test_csv_is_read_as_it_is_written_elsewhere_and_blank_lines_are_no_rows(
    served: Application, rows: list[dict[str, Any]], text: str, rows_taken: int
) -> None:
    values = [str(value) for value in rows[0].values()]
    body = text.format(
        line=",".join(values),
        names=",".join(rows[0]),
        quoted=",".join(f'"{value}"' for value in values),
        rest=",".join(values[1:]),
    )
    status, answer, _ = ask(served, "POST", "/invocations", body.encode(), headers={"content-type": "text/csv"})
    assert status == (200 if rows_taken else 400)
    assert len(answer.get("predictions", [])) == rows_taken


@pytest.mark.parametrize(
    ("datatype", "values", "row", "expected"),
    [
        ("INT8", [33, 128], 1, "a value of INT8"),
        ("UINT8", [-1, 33], 0, "a value of UINT8"),
        ("UINT64", [33, -1], 1, "a value of UINT64"),
        ("INT64", [33, 33.5], 1, "a value of INT64"),
        ("INT64", [33, True], 1, "a value of INT64"),
        ("FP32", [33, 33.5], 1, "an integer from 0 to 99"),
        ("FP64", [33, "33"], 1, "an integer from 0 to 99"),
    ],
)
def test_a_tensors_values_are_of_its_datatype(
    served: Application, rows: list[dict[str, Any]], datatype: str, values: list[Any], row: int, expected: str
) -> None:
    status, answer = infer(served, rows[:2], datatype, values)
    assert status == 400
    error = answer["error"]
    assert (error["row"], error["column"], error["expected"]) == (row, "AGEP", expected)


@pytest.mark.parametrize("datatype", ["INT8", "UINT8", "INT16", "INT32", "INT64", "UINT64", "FP16", "FP32", "FP64"])
def test_a_number_may_be_of_any_type_of_numbers(served: Application, rows: list[dict[str, Any]], datatype: str) -> None:
    ages = [row["AGEP"] for row in rows[:2]]
    expected = invoke(served, {"instances": rows[:2]})[1]["predictions"]
    for values in (ages, [float(age) for age in ages]):  # JSON has one kind of number
        status, answer = infer(served, rows[:2], datatype, values, parameters={"priority": 1})
        assert (status, answer["outputs"][0]["data"]) == (200, expected)


def test_another_output_than_the_model_has_is_refused(served: Application, rows: list[dict[str, Any]]) -> None:
    ages = [row["AGEP"] for row in rows[:1]]
    assert infer(served, rows[:1], "INT64", ages, outputs=[{"name": "predictions"}])[0] == 200
    status, answer = infer(served, rows[:1], "INT64", ages, outputs=[{"name": "logits"}])
    assert (status, answer["error"]["column"]) == (400, "logits")


def infer(served: Application, rows: list[dict[str, Any]], datatype: str, ages: list[Any], **more: Any) -> Any:
    """The Open Inference Protocol, with AGEP of the given type and values."""
    inputs = [
        {"name": name, "shape": [len(rows)], "datatype": "BYTES", "data": [row[name] for row in rows]}
        for name in rows[0]
    ]
    inputs[0] |= {"datatype": datatype, "data": ages}
    return ask(served, "POST", "/v2/models/employment/infer", json.dumps({"inputs": inputs, **more}).encode())[:2]


@pytest.mark.parametrize(
    ("path", "found"),
    [
        ("/v2", {"name": "lockgate", "version": "7", "extensions": []}),
        ("/v2/models/employment/ready", {"name": "employment", "ready": True}),
        ("/v2/models/employment/versions/7/ready", {"name": "employment", "ready": True}),
    ],
)
def test_the_open_inference_protocol_says_what_serves(served: Application, path: str, found: dict[str, Any]) -> None:
    assert ask(served, "GET", path)[:2] == (200, found)


@pytest.mark.parametrize("path", ["/v2/models/employment", "/v2/models/employment/versions/7"])
def test_metadata_names_every_tensor_as_it_is_taken(served: Application, model: Any, path: str) -> None:
    status, found, _ = ask(served, "GET", path)
    assert (status, found["name"], found["versions"]) == (200, "employment", ["7"])
    assert [(each["name"], each["shape"]) for each in found["inputs"]] == [(f.name, [-1]) for f in model.features]
    assert {each["datatype"] for each in found["inputs"]} == {"INT64", "BYTES"}
    assert found["outputs"] == [{"name": "predictions", "datatype": "FP64", "shape": [-1]}]


@pytest.mark.parametrize("path", ["/v2/models/salary", "/v2/models/employment/versions/8", "/v2/models/salary/ready"])
def test_another_model_or_version_is_not_found(served: Application, path: str) -> None:
    assert ask(served, "GET", path)[0] == 404
    assert ask(served, "POST", f"{path}/infer", b"{}")[0] == 404


@pytest.mark.parametrize(
    ("length", "strategy", "megabytes"),
    [(1, "SINGLE_RECORD", 1), (150, "MULTI_RECORD", 1), (20_000, "MULTI_RECORD", 16)],
)
def test_batch_transform_is_told_to_send_no_more_rows_than_a_request_may_have(
    length: int, strategy: str, megabytes: int
) -> None:
    toy = Model(
        "toy", "", "id", binary("y"), (), (Feature("age", "integer", minimum=0, maximum=9),
                                   Feature("text", "category", values=("x" * length, "y" * (length + 1)))), {}, "", "",
    )  # fmt: skip
    found = execution_parameters(toy)
    assert (found["BatchStrategy"], found["MaxPayloadInMB"]) == (strategy, megabytes)
    assert int(found["MaxConcurrentTransforms"]) * megabytes <= 100


def test_the_census_model_takes_a_row_a_request_in_batch_transform(served: Application) -> None:
    assert ask(served, "GET", "/execution-parameters")[1]["BatchStrategy"] == "SINGLE_RECORD"


def test_small_requests_are_taken_though_large_ones_that_are_slow_fill_the_limit(
    served: Application, rows: list[dict[str, Any]]
) -> None:
    """Five callers announce 16 MiB each and send nothing; a sixth is told to come again."""
    body = json.dumps({"instances": rows[:1]}).encode()

    def post(length: int, content: bytes = b"") -> bytes:
        return b"POST /invocations HTTP/1.1\r\nhost: a\r\ncontent-length: %d\r\n\r\n%b" % (length, content)

    async def exchange() -> list[bytes]:
        site = Site(served, asyncio.get_running_loop())
        server = await site.loop.create_server(lambda: Connection(site), "127.0.0.1", 0)
        async with server:
            callers = [await asyncio.open_connection(*server.sockets[0].getsockname()) for _ in range(6)]
            for _, writer in callers[:4]:
                writer.write(post(MAXIMUM_BYTES))
            while served._bytes_in_flight < 4 * MAXIMUM_BYTES:
                await asyncio.sleep(0.001)
            said = []
            for (reader, writer), sent in zip(callers[4:], (post(MAXIMUM_BYTES), post(len(body), body)), strict=True):
                writer.write(sent)
                said.append(await reader.readline())
            for _, writer in callers:
                writer.transport.abort()
            while site.connections:
                await asyncio.sleep(0.001)
        return said

    assert [line.split()[1] for line in asyncio.run(exchange())] == [b"429", b"200"]


@pytest.mark.parametrize(
    ("column", "value", "found", "expected"),
    [
        ("SEX", "3", "'3'", "one of '1', '2'"),
        ("SEX", 3, "3", "one of '1', '2'"),
        ("AGEP", 120, "120", "an integer from 0 to 99"),
        ("AGEP", 33.5, "33.5", "an integer from 0 to 99"),
        ("AGEP", "33", "'33'", "an integer from 0 to 99"),
        ("AGEP", None, "null", "an integer from 0 to 99"),
        ("id", 5, "5", "no such column: it is not a declared feature"),
    ],
)
def test_a_row_that_breaks_the_contract_is_named(
    served: Application, rows: list[dict[str, Any]], column: str, value: object, found: str, expected: str
) -> None:
    status, answer = invoke(served, {"instances": [*rows[:3], {**rows[3], column: value}]})
    assert status == 400
    assert answer == {
        "error": {"row": 3, "column": column, "found": found, "expected": expected},
        "release": RELEASE,
    }


def test_a_row_without_a_column_is_named(served: Application, rows: list[dict[str, Any]]) -> None:
    row = {name: value for name, value in rows[0].items() if name != "MAR"}
    status, answer = invoke(served, {"instances": [row]})
    assert (status, answer["error"]["column"], answer["error"]["found"]) == (400, "MAR", "nothing")


def test_an_infinite_number_is_refused_however_it_is_written(served: Application, rows: list[dict[str, Any]]) -> None:
    body = json.dumps({"instances": [{**rows[0], "AGEP": "AGE"}]}).replace('"AGE"', "1e999").encode()
    status, answer, _ = ask(served, "POST", "/invocations", body)
    assert status == 400
    assert "the number 1e999" in answer["error"]["found"]


def test_more_rows_than_allowed_are_too_large(
    served: Application, rows: list[dict[str, Any]], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(request_rows, "MAXIMUM_ROWS", 10)
    assert invoke(served, {"instances": rows[:10]})[0] == 200
    status, answer = invoke(served, {"instances": rows[:11]})
    assert (status, answer["error"]["found"]) == (413, "11 rows")


def test_a_body_over_the_limit_is_too_large_announced_or_not(served: Application) -> None:
    assert ask(served, "POST", "/invocations", b"{}", announced=MAXIMUM_BYTES + 1)[0] == 413
    chunk = b" " * (MAXIMUM_BYTES // 4)
    assert ask(served, "POST", "/invocations", [chunk] * 5)[0] == 413
    assert ask(served, "POST", "/invocations", [chunk] * 4)[0] == 400


def test_where_an_alarm_looks_a_task_says_how_far_its_predictions_are_from_evaluations(
    run: Any,
    settings: dict[str, str],
    model: Any,
    rows: list[dict[str, Any]],
    capfdbinary: Any,
    ecs_tells: Callable[[bytes], str],
) -> None:
    """One row again and again is not what evaluation saw; on SageMaker, where no alarm looks, nothing is said."""
    files = checked(run.archive.read_bytes(), settings["MODEL_DATA_SHA256"])
    elsewhere = released_application(Job(Path(), settings), model, files)
    assert elsewhere.beside == [elsewhere.access.write_forever]
    often = {"ENVIRONMENT": "prod", "METRIC_SECONDS": "0.01"}
    with pytest.raises(ConfigError, match="ECS_CONTAINER_METADATA_URI_V4"):
        released_application(Job(Path(), {**settings, **often}), model, files)
    often[ENDPOINT] = ecs_tells(b'HTTP/1.0 200 OK\r\n\r\n{"Family": "employment", "Revision": "12"}')
    served = released_application(Job(Path(), {**settings, **often}), model, files)
    assert invoke(served, {"instances": rows[:1] * 1000})[0] == 200
    _, looks = served.beside

    async def a_while() -> None:
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(looks(), 0.2)

    asyncio.run(a_while())
    served.access.write()
    lines = [json.loads(line) for line in capfdbinary.readouterr().out.splitlines()]
    line = next(line for line in lines if "_aws" in line)
    dimensions = {"Environment": "prod", "Model": "employment", "Release": "7", "TaskDefinition": "employment:12"}
    assert line["_aws"]["CloudWatchMetrics"][0]["Dimensions"] == [list(dimensions)]
    assert {name: line[name] for name in dimensions} == dimensions
    assert line["rows"] == 1000
    assert line["PredictionDistance"] > 0.2


def test_model_data_of_another_digest_is_not_even_opened(settings: dict[str, str]) -> None:
    with pytest.raises(EvidenceError, match=r"SHA-256 found .* it is not served"):
        checked(b"not an archive", settings["MODEL_DATA_SHA256"])


def test_the_pinned_version_is_fetched_and_not_the_newest(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.setenv(name, "testing")
    monkeypatch.setenv("AWS_DEFAULT_REGION", "us-east-1")
    with mock_aws():
        s3 = boto3.client("s3")
        s3.create_bucket(Bucket="releases")
        s3.put_bucket_versioning(Bucket="releases", VersioningConfiguration={"Status": "Enabled"})
        version = s3.put_object(Bucket="releases", Key="model.tar.gz", Body=b"released")["VersionId"]
        s3.put_object(Bucket="releases", Key="model.tar.gz", Body=b"newer")
        place = {
            "MODEL_DATA_BUCKET": "releases",
            "MODEL_DATA_KEY": "model.tar.gz",
            "MODEL_DATA_VERSION_ID": version,
        }
        assert fetched(Job(Path(), place)) == b"released"
        with pytest.raises(RefusedError, match=r"s3://releases/other: .*NoSuch"):
            fetched(Job(Path(), {**place, "MODEL_DATA_KEY": "other"}))


def test_a_real_server_answers_and_ends_on_sigterm(
    run: Any, settings: dict[str, str], rows: list[dict[str, Any]], tmp_path: Path
) -> None:
    """As SageMaker starts it: the archive unpacked in <root>/model, over a socket."""
    files = read_archive(run.archive.read_bytes())
    for name, content in files.items():
        (tmp_path / "model" / name).parent.mkdir(exist_ok=True)
        (tmp_path / "model" / name).write_bytes(content)
    port = free_ports(1)
    environment = {
        **os.environ,
        **settings,
        "MODEL_CONTENTS_SHA256": canonical.contents_sha256(files),
        "BIND_HOST": "127.0.0.1",
        "BIND_PORT": str(port),
        "ML_ROOT": str(tmp_path),
    }
    with subprocess.Popen([sys.executable, "-m", "runtime", "serve"], cwd=ROOT, env=environment) as server:
        try:
            wait_for(f"http://127.0.0.1:{port}/ping", server)
            body = json.dumps({"instances": rows[:1]}).encode()
            url = f"http://127.0.0.1:{port}/employment/invocations"
            with urllib.request.urlopen(urllib.request.Request(url, body, HEADERS), timeout=5) as answer:
                found = json.load(answer)
            assert found["predictions"] == pq.read_table(run.predictions)["score"].to_pylist()[:1]
        finally:
            server.send_signal(signal.SIGTERM)
        assert server.wait(timeout=10) == 0


def test_unpacked_model_data_of_another_digest_is_not_served(settings: dict[str, str], tmp_path: Path) -> None:
    (tmp_path / "model").mkdir()
    (tmp_path / "model" / "model.json").write_bytes(b"{}")
    with pytest.raises(EvidenceError, match=r"contents' SHA-256 found .* it is not served"):
        unpacked(Job(tmp_path, {**settings, "MODEL_CONTENTS_SHA256": "0" * 64}))


def wait_for(url: str, server: subprocess.Popen[bytes]) -> None:
    for _ in range(300):
        assert server.poll() is None, "the server ended"
        try:
            urllib.request.urlopen(url, timeout=1).close()  # noqa: S310
            return
        except urllib.error.URLError:
            time.sleep(0.1)
    raise AssertionError("the server did not start")
