"""Load balancers of the embedded AWS: real health checks, weights, and only healthy targets."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest


class Server(ThreadingHTTPServer):
    """A target whose health can be switched; it answers with its name."""

    def __init__(self, name: str) -> None:
        super().__init__(("127.0.0.1", 0), TargetHandler)
        self.name = name
        self.health = 200
        self.checks = 0
        self.held, self.hold = threading.Event(), threading.Event()
        self.hold.set()


class TargetHandler(BaseHTTPRequestHandler):
    server: Server

    def do_GET(self) -> None:
        if self.path == "/health":
            self.server.checks += 1
        elif self.path == "/slow":
            self.server.held.set()
            self.server.hold.wait(10)
        self.send_response(self.server.health if self.path == "/health" else 200)
        self.end_headers()
        self.wfile.write(self.server.name.encode())

    def log_message(self, *_: object) -> None:
        return


@pytest.fixture
def servers() -> Iterator[Callable[[str], Server]]:
    started: list[Server] = []

    def start(name: str) -> Server:
        server = Server(name)
        threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True).start()
        started.append(server)
        return server

    yield start
    for server in started:
        server.hold.set()
        server.shutdown()
        server.server_close()


class EmbeddedBalancer:
    """A load balancer with one listener in front of the target groups `a` and `b`."""

    def __init__(self, embedded: Any, name: str) -> None:
        self.embedded, self.elbv2 = embedded, embedded.client("elbv2")
        balancer = self.elbv2.create_load_balancer(Name=name)["LoadBalancers"][0]
        self.host, arn = balancer["DNSName"], balancer["LoadBalancerArn"]
        self.groups = {key: self._group(f"{name}-{key}") for key in "ab"}
        self.listener = self.elbv2.create_listener(
            LoadBalancerArn=arn, Protocol="HTTP", Port=80, DefaultActions=self.forward(a=1, b=0)
        )["Listeners"][0]["ListenerArn"]

    def _group(self, name: str) -> str:
        group = self.elbv2.create_target_group(
            Name=name,
            Protocol="HTTP",
            Port=80,
            TargetType="ip",
            VpcId="vpc-1",
            HealthCheckPath="/health",
            HealthCheckIntervalSeconds=5,
            HealthyThresholdCount=2,
            UnhealthyThresholdCount=2,
            Matcher={"HttpCode": "200-204"},
        )["TargetGroups"][0]
        return str(group["TargetGroupArn"])

    def forward(self, **weights: int) -> list[dict[str, Any]]:
        groups = [{"TargetGroupArn": self.groups[key], "Weight": weight} for key, weight in weights.items()]
        return [{"Type": "forward", "ForwardConfig": {"TargetGroups": groups}}]

    def register(self, key: str, server: Server) -> None:
        target = {"Id": "127.0.0.1", "Port": server.server_port}
        self.elbv2.register_targets(TargetGroupArn=self.groups[key], Targets=[target])

    def deregister(self, key: str, server: Server) -> None:
        target = {"Id": "127.0.0.1", "Port": server.server_port}
        self.elbv2.deregister_targets(TargetGroupArn=self.groups[key], Targets=[target])

    def health(self, key: str) -> list[dict[str, Any]]:
        found = self.elbv2.describe_target_health(TargetGroupArn=self.groups[key])["TargetHealthDescriptions"]
        return [target["TargetHealth"] for target in found]

    def states(self, key: str) -> list[str]:
        return [target["State"] for target in self.health(key)]

    def get(self, path: str = "/") -> tuple[int, str]:
        answer: tuple[int, str] = self.embedded.get(self.host, path)
        return answer


@pytest.fixture
def balancer(embedded: Any, request: pytest.FixtureRequest) -> EmbeddedBalancer:
    return EmbeddedBalancer(embedded, f"lb{abs(hash(request.node.name)) % 10**8}")


def test_a_target_is_used_once_its_check_passes(balancer: EmbeddedBalancer, servers: Callable[[str], Server]) -> None:
    server = servers("one")
    server.health = 503
    balancer.register("a", server)
    balancer.embedded.move_clock(advance=10)
    assert balancer.health("a") == [
        {
            "State": "unhealthy",
            "Reason": "Target.ResponseCodeMismatch",
            "Description": "Health checks failed with these codes: [503]",
        }
    ]
    assert balancer.get()[0] == 503
    server.health = 204
    balancer.embedded.move_clock(advance=10)
    assert balancer.states("a") == ["healthy"]
    assert balancer.get() == (200, "one")


def test_a_target_that_turns_unhealthy_gets_no_more_requests(
    balancer: EmbeddedBalancer, servers: Callable[[str], Server], until: Callable[..., Any]
) -> None:
    good, bad = servers("good"), servers("bad")
    balancer.register("a", good)
    balancer.register("a", bad)
    until(lambda: balancer.states("a") == ["healthy", "healthy"])
    assert {balancer.get()[1] for _ in range(40)} == {"good", "bad"}
    bad.health = 500
    balancer.embedded.move_clock(advance=10)
    assert balancer.states("a") == ["healthy", "unhealthy"]
    assert {balancer.get()[1] for _ in range(20)} == {"good"}


def test_weights_divide_the_requests(
    balancer: EmbeddedBalancer, servers: Callable[[str], Server], until: Callable[..., Any]
) -> None:
    for key in "ab":
        balancer.register(key, servers(key))
    until(lambda: balancer.states("a") == balancer.states("b") == ["healthy"])
    assert {balancer.get()[1] for _ in range(20)} == {"a"}
    balancer.elbv2.modify_listener(ListenerArn=balancer.listener, DefaultActions=balancer.forward(a=50, b=50))
    shares = [balancer.get()[1] for _ in range(60)]
    assert 10 < shares.count("b") < 50
    (listener,) = balancer.elbv2.describe_listeners(ListenerArns=[balancer.listener])["Listeners"]
    (action,) = listener["DefaultActions"]
    assert [group["Weight"] for group in action["ForwardConfig"]["TargetGroups"]] == [50, 50]
    balancer.elbv2.modify_listener(ListenerArn=balancer.listener, DefaultActions=balancer.forward(a=0, b=0))
    assert balancer.get()[0] == 503


def test_a_leaving_target_finishes_its_requests(
    balancer: EmbeddedBalancer, servers: Callable[[str], Server], until: Callable[..., Any]
) -> None:
    server = servers("leaving")
    balancer.register("a", server)
    until(lambda: balancer.states("a") == ["healthy"])
    server.hold.clear()
    answers: list[tuple[int, str]] = []
    client = threading.Thread(target=lambda: answers.append(balancer.get("/slow")))
    client.start()
    assert server.held.wait(10)
    balancer.deregister("a", server)
    until(lambda: balancer.states("a") in (["draining"], []))
    assert balancer.get()[0] == 503
    server.hold.set()
    client.join(10)
    assert answers == [(200, "leaving")]
    until(lambda: balancer.states("a") == [])
    checks = server.checks
    assert balancer.get()[0] == 503
    assert server.checks == checks
