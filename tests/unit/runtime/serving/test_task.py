"""A serving task asks ECS which task definition it runs, and does not serve unguarded where it is not told."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from lockgate.errors import RefusedError
from runtime.serving.task import task_definition

# As AWS documents it for Fargate, shortened.
TASK = b'{"Cluster": "prod", "TaskARN": "arn:aws:ecs:eu-west-1:1:task/p/1f", "Family": "employment", "Revision": "7"}'


def test_a_task_learns_the_revision_that_it_runs(ecs_tells: Callable[[bytes], str]) -> None:
    assert task_definition(ecs_tells(b"HTTP/1.0 200 OK\r\n\r\n" + TASK)) == "employment:7"


@pytest.mark.parametrize(
    ("answer", "found"),
    [
        (b"HTTP/1.0 404 Not Found\r\n\r\n" + TASK, "HTTP 404"),
        (b"HTTP/1.0 200 OK\r\n\r\n" + TASK[:-1], "JSONDecodeError"),
        (b"HTTP/1.0 200 OK\r\n\r\n[]", "TypeError"),
        (b'HTTP/1.0 200 OK\r\n\r\n{"Family": "employment"}', "Revision"),
        (b"", "RemoteDisconnected"),
    ],
)
def test_what_does_not_say_it_is_refused_with_what_was_found(
    ecs_tells: Callable[[bytes], str], answer: bytes, found: str
) -> None:
    with pytest.raises(RefusedError, match=rf"/v4/1f/task: found .*{found}.*, expected Family and Revision"):
        task_definition(ecs_tells(answer))


def test_an_endpoint_that_is_none_is_refused_with_its_text() -> None:
    with pytest.raises(RefusedError, match=r"http://169\.254\.170\.2:agent/task: found ValueError"):
        task_definition("http://169.254.170.2:agent")
