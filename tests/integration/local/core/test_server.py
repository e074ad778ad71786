"""The embedded AWS as a process: it starts, says why if it cannot, and ends without leaving anything."""

from __future__ import annotations

import json
import os
import signal
import socket
import ssl
import subprocess
import sys
import urllib.error
import urllib.request
from pathlib import Path
from typing import Any

import pytest

from local import embedded
from local.host import processes
from local.settings import HOST, Settings

ACCOUNTS = {"tools": "111111111111"}


def fetch(aws: Any, url: str) -> tuple[int, bytes]:
    """GET as a client with only SSL_CERT_FILE and the proxy variables would."""
    environment = aws.session.environment()
    handlers = [
        urllib.request.ProxyHandler({"http": environment["HTTP_PROXY"], "https": environment["HTTPS_PROXY"]}),
        urllib.request.HTTPSHandler(context=ssl.create_default_context(cafile=environment["SSL_CERT_FILE"])),
    ]
    try:
        with urllib.request.build_opener(*handlers).open(url, timeout=10) as answer:
            return answer.status, answer.read()
    except urllib.error.HTTPError as error:
        with error:
            return error.code, error.read()


def run_worker(aws: Any) -> int:
    """Process id of a Lambda worker of the instance."""
    aws.function("pid", "import os\ndef handler(event, context):\n    return os.getpid()\n")
    return int(json.load(aws.client("lambda").invoke(FunctionName="pid")["Payload"]))


def test_it_ends_with_everything_it_started(settings: Settings, clients_of: Any) -> None:
    session = embedded.start(settings, ACCOUNTS)
    server = json.loads((settings.state / "instance.json").read_text())["pid"]
    worker = run_worker(clients_of(session))
    assert worker in processes.descendants(server)

    assert embedded.stop(settings.state)

    assert processes.identity(server) is None
    assert processes.identity(worker) is None
    assert not settings.state.exists()


def test_one_that_was_killed_is_said_so_and_the_next_starts_clean(
    settings: Settings, clients_of: Any, wait_until: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    session = embedded.start(settings, ACCOUNTS)
    server = json.loads((settings.state / "instance.json").read_text())["pid"]
    worker = run_worker(clients_of(session))
    children = settings.state / "children.json"
    wait_until(lambda: children.exists() and str(worker) in children.read_text())
    os.kill(server, signal.SIGKILL)
    wait_until(lambda: processes.identity(server), lambda found: found is None)

    assert embedded.attach(settings.state) is None
    session = embedded.start(settings, ACCOUNTS)

    assert "the embedded AWS had died; its state is gone" in capsys.readouterr().err
    assert processes.identity(worker) is None
    assert clients_of(session).client("lambda").list_functions()["Functions"] == []


def test_a_recycled_process_id_is_left_alone(settings: Settings, capsys: pytest.CaptureFixture[str]) -> None:
    settings.state.mkdir()
    stranger = {"pid": os.getpid(), "started": "another time", "port": 1, "proxy_port": 2, "github_port": 3}
    (settings.state / "instance.json").write_text(json.dumps({**stranger, "region": "us-east-1", "accounts": {}}))

    assert not embedded.stop(settings.state)
    assert "had died" in capsys.readouterr().err


def test_files_of_others_in_the_state_folder_stay(settings: Settings) -> None:
    settings.state.mkdir()
    (settings.state / "notes.txt").write_text("mine")
    (settings.state / "tls").mkdir()

    embedded.stop(settings.state)

    assert [file.name for file in settings.state.iterdir()] == ["notes.txt"]


def test_a_second_one_in_the_same_folder_names_the_command_that_ends_the_first(aws: Any) -> None:
    with pytest.raises(embedded.EmbeddedError, match=r"already running.*lockgate down"):
        embedded.start(aws.session.settings, ACCOUNTS)


def test_a_port_in_use_is_named(settings: Settings) -> None:
    with socket.socket() as taken:
        taken.bind((HOST, settings.proxy_port))
        taken.listen()
        with pytest.raises(embedded.EmbeddedError, match=f"port {settings.proxy_port} on 127.0.0.1 is in use"):
            embedded.start(settings, ACCOUNTS)


def test_a_full_disk_is_refused_before_anything_starts(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    usage = type("Usage", (), {"free": 5 * 1024**2})
    monkeypatch.setattr("shutil.disk_usage", lambda folder: usage)
    with pytest.raises(embedded.EmbeddedError, match="has 5 MB left and needs 500: free some space"):
        embedded.start(settings, ACCOUNTS)


def test_a_server_that_cannot_start_gives_its_last_words(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("local.host.tls.make", lambda settings: settings.ca_bundle.parent.mkdir())
    with pytest.raises(embedded.EmbeddedError, match=r"(?s)ended with status 1; its last words:.*FileNotFoundError"):
        embedded.start(settings, ACCOUNTS)
    assert not settings.state.exists()


def test_accounts_without_tools_are_refused(settings: Settings) -> None:
    with pytest.raises(embedded.EmbeddedError, match="must name 'tools'; found dev"):
        embedded.start(settings, {"dev": "222222222222"})


def test_a_running_one_is_found_again(aws: Any) -> None:
    assert embedded.attach(aws.session.settings.state) == aws.session


def test_any_tool_reaches_it_with_the_environment_alone(aws: Any, tmp_path: Path) -> None:
    ask = "import boto3; print(boto3.client('sts').get_caller_identity()['Arn'])"
    environment = {**os.environ, "AWS_ACCESS_KEY_ID": "AKIAINHERITED", "AWS_SECRET_ACCESS_KEY": "inherited"}
    answer = subprocess.run(
        [sys.executable, "-c", ask],
        env={**environment, **aws.session.environment("dev")},
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=True,
    )
    assert answer.stdout.strip() == "arn:aws:iam::222222222222:user/administrator"


def test_it_listens_on_loopback_only_and_with_its_own_authority(aws: Any) -> None:
    with socket.create_connection((HOST, aws.session.settings.port)) as raw, pytest.raises(ssl.SSLError):
        ssl.create_default_context().wrap_socket(raw, server_hostname="localhost")


def test_names_of_load_balancers_are_reached_through_the_proxy(aws: Any) -> None:
    ec2, balancers = aws.client("ec2"), aws.client("elbv2")
    vpc = ec2.create_vpc(CidrBlock="10.9.0.0/16")["Vpc"]["VpcId"]
    subnets = [
        ec2.create_subnet(VpcId=vpc, CidrBlock=f"10.9.{index}.0/24", AvailabilityZone=f"us-east-1{zone}")["Subnet"]
        for index, zone in enumerate("ab")
    ]
    balancer = balancers.create_load_balancer(Name="proxied", Subnets=[subnet["SubnetId"] for subnet in subnets])
    arn, name = (balancer["LoadBalancers"][0][key] for key in ("LoadBalancerArn", "DNSName"))
    fixed = {"StatusCode": "503", "ContentType": "text/plain", "MessageBody": "no release yet"}
    balancers.create_listener(
        LoadBalancerArn=arn,
        Protocol="HTTP",
        Port=80,
        DefaultActions=[{"Type": "fixed-response", "FixedResponseConfig": fixed}],
    )
    assert fetch(aws, f"http://{name}/predict") == (503, b"no release yet")
    assert fetch(aws, f"https://{name}/predict") == (503, b"no release yet")


def test_other_names_are_refused_by_the_proxy(aws: Any) -> None:
    with pytest.raises(urllib.error.URLError, match="403"):
        fetch(aws, "https://example.com/")
    status, text = fetch(aws, "http://example.com/")
    assert status == 403
    assert b"answers only for *.amazonaws.com and *.on.aws, not for example.com" in text
