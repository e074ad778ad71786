"""The two interfaces: SageMaker's container contract and the Open Inference Protocol."""

from __future__ import annotations

import csv
import io
import json
from typing import Any

import pytest


def lines(instances: Any, names: list[str], header: bool = False) -> bytes:
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    if header:
        writer.writerow(names)
    writer.writerows([[row[name] for name in names] for row in instances])
    return text.getvalue().encode()


@pytest.mark.parametrize("prefix", ["", "/employment"])
def test_ping_is_healthy_with_an_empty_enough_answer_and_the_release(served: Any, prefix: str) -> None:
    answer = served.ask("GET", f"{prefix}/ping")
    assert answer.status == 200
    assert answer.document["release"]["version"] == "7"


@pytest.mark.parametrize("path", ["/livez", "/readyz", "/v2/health/live", "/v2/health/ready"])
def test_every_health_path_answers(served: Any, path: str) -> None:
    assert served.ask("GET", path).status == 200


@pytest.mark.parametrize("rows", [1, 2, 100, 1000])
@pytest.mark.parametrize("prefix", ["", "/employment"])
def test_json_instances_are_answered_with_what_scikit_learn_predicts(
    served: Any, instances: Any, expected: list[float], rows: int, prefix: str
) -> None:
    body = json.dumps({"instances": instances[:rows]}).encode()
    answer = served.ask("POST", f"{prefix}/invocations", body)
    assert answer.status == 200
    assert answer.document["predictions"] == expected[:rows]


def test_json_columns_give_the_same(served: Any, instances: Any, expected: list[float]) -> None:
    columns = {name: [row[name] for row in instances[:50]] for name in instances[0]}
    assert served.invoke({"columns": columns}).document["predictions"] == expected[:50]


@pytest.mark.parametrize("header", [False, True])
def test_csv_gives_the_same(served: Any, instances: Any, expected: list[float], header: bool) -> None:
    names = list(instances[0])
    answer = served.ask("POST", "/invocations", lines(instances[:50], names, header), "text/csv")
    assert answer.status == 200, answer.body
    assert predictions_of(answer) == expected[:50]


def test_a_csv_header_may_name_the_columns_in_another_order(served: Any, instances: Any, expected: list[float]) -> None:
    names = list(instances[0])[::-1]
    answer = served.ask("POST", "/invocations", lines(instances[:5], names, header=True), "text/csv")
    assert predictions_of(answer) == expected[:5]


def test_batch_transform_joins_a_line_of_output_with_each_line_of_input(
    served: Any, instances: Any, expected: list[float]
) -> None:
    """SageMaker's batch transform with text/csv in and Accept: text/csv assembles the output by line."""
    body = lines(instances[:100], list(instances[0]))
    answer = served.ask("POST", "/invocations", body, "text/csv", accept="text/csv")
    assert answer.status == 200
    assert answer.headers["content-type"].startswith("text/csv")
    assert [float(line) for line in answer.body.decode().splitlines()] == expected[:100]


@pytest.mark.parametrize("path", ["/invocations", "/v2/models/employment/infer"])
def test_every_answer_names_the_release_and_the_request(served: Any, instances: Any, path: str) -> None:
    body = {"instances": instances[:1]} if path == "/invocations" else {"inputs": tensors(instances[:1])}
    given = served.ask("POST", path, json.dumps(body).encode(), x_request_id="ana-17")
    assert given.headers["x-request-id"] == "ana-17"
    made = served.ask("POST", path, json.dumps(body).encode())
    assert len(made.headers["x-request-id"]) >= 8
    text = json.dumps(made.document) + json.dumps(dict(made.headers))
    assert "employment/12" in text
    refused = served.ask("POST", path, b"{", x_request_id="ana-18")
    assert (refused.status, refused.headers["x-request-id"]) == (400, "ana-18")


def test_the_open_inference_protocol_gives_the_same(served: Any, instances: Any, expected: list[float]) -> None:
    request = {"id": "42", "inputs": tensors(instances[:20])}
    answer = served.ask("POST", "/v2/models/employment/infer", json.dumps(request).encode())
    assert answer.status == 200, answer.body
    found = answer.document
    assert (found["model_name"], found["id"]) == ("employment", "42")
    [output] = found["outputs"]
    assert (output["datatype"], output["shape"], output["data"]) == ("FP64", [20], expected[:20])


def test_the_open_inference_protocol_describes_server_and_model(served: Any, model: Any) -> None:
    assert set(served.ask("GET", "/v2").document) >= {"name", "version", "extensions"}
    described = served.ask("GET", "/v2/models/employment").document
    assert described["name"] == "employment"
    assert [tensor["name"] for tensor in described["inputs"]] == [feature.name for feature in model.features]
    assert served.ask("GET", "/v2/models/employment/ready").status == 200
    assert served.ask("GET", "/v2/models/other").status == 404


def test_metrics_count_requests_rows_errors_and_predictions_under_the_release(served: Any, instances: Any) -> None:
    before = metrics(served)
    served.invoke({"instances": instances[:30]})
    served.invoke({"instances": []})
    after = metrics(served)
    change = {name: after[name] - before.get(name, 0) for name in after if after[name] != before.get(name, 0)}
    assert sum(value for name, value in change.items() if name.startswith("lockgate_rows_total")) == 30
    assert sum(value for name, value in change.items() if name.startswith("lockgate_predictions_count")) == 30
    assert sum(value for name, value in change.items() if name.startswith("lockgate_errors_total")) == 1
    assert sum(value for name, value in change.items() if name.startswith("lockgate_request_seconds_count")) == 2
    assert all('version="7"' in name for name in change)


def test_the_openapi_document_names_the_paths_and_the_features(served: Any, model: Any) -> None:
    document = served.ask("GET", "/openapi.json").document
    assert document["openapi"].startswith("3.")
    assert {"/invocations", "/ping"} <= set(document["paths"])
    assert all(feature.name in json.dumps(document) for feature in model.features)


def tensors(instances: Any) -> list[dict[str, Any]]:
    return [
        {
            "name": name,
            "shape": [len(instances)],
            "datatype": "BYTES" if isinstance(instances[0][name], str) else "INT64",
            "data": [row[name] for row in instances],
        }
        for name in instances[0]
    ]


def predictions_of(answer: Any) -> list[float]:
    if answer.headers["content-type"].startswith("text/csv"):
        return [float(line) for line in answer.body.decode().splitlines()]
    found: list[float] = answer.document["predictions"]
    return found


def metrics(served: Any) -> dict[str, float]:
    text = served.ask("GET", "/metrics").body.decode()
    samples = [line.rpartition(" ") for line in text.splitlines() if line and not line.startswith("#")]
    return {name: float(value) for name, _, value in samples}
