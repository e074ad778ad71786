"""Faults that somebody asked for in a file of the state folder (Settings.faults_file); without the file there are none.

A list of rules, each {"id", "kind"} and what its kind needs. Calls are counted from when a rule first appears; reads of
objects in a row are one call, however many there are: where among them a process dies makes no difference.

    dies-before, dies-after     who, call            the process that makes the n-th call is killed, before or after it
    throttled                   who, call, times     so many calls from the n-th on are refused in the service's words
    answer-lost                 who, call            the call is made, and its caller is told of an internal error
    unanswered                  who, call            the call is not made, and its caller waits in vain for a second
    account-closed              account              whoever acts in an account, or asks for what is in it, finds nobody
    event-lost, -twice, -late   function             what EventBridge delivers to a function; late: after three minutes
    event-reordered             function             an event that comes after the next one for this function

who: part of the ARN of the session that calls, such as `assumed-role/lockgate-gate/`. What was injected is written to
Settings.faults_log, one JSON object a line.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import signal
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from local.clock import CLOCK, Thread
from local.host import processes
from local.seams import wrap
from local.settings import Settings

LATE_SECONDS = 180.0
UNANSWERED_SECONDS = 1.0
AT_THE_DOOR = ("dies-before", "dies-after", "throttled", "answer-lost", "unanswered")
OF_EVENTS = ("event-lost", "event-twice", "event-late", "event-reordered")

Rule = Mapping[str, Any]
Send = Callable[[dict[str, Any]], Any]


@dataclass
class Count:
    """What a rule has seen: calls, whether the last was a read of an object, and how often it was injected."""

    calls: int = 0
    reading: bool = False
    injected: int = 0

    def call(self, reads: bool) -> int:
        """Which call this one is."""
        self.calls += not (reads and self.reading)
        self.reading = reads
        return self.calls


class Faults:
    """The rules as they are now, how often each was asked about, and what was done."""

    def __init__(self, settings: Settings) -> None:
        self._file = settings.faults_file
        self._log = settings.faults_log
        self._written = 0
        self._rules: list[Rule] = []
        self._counts: dict[str, Count] = {}
        self._held: dict[str, list[Callable[[], None]]] = {}
        self._lock = threading.Lock()

    def rules(self, *kinds: str) -> list[Rule]:
        try:
            written = self._file.stat().st_mtime_ns
        except FileNotFoundError:
            written = 0
        if written != self._written:
            self._rules = json.loads(self._file.read_text()) if written else []
            self._counts = {rule["id"]: self._counts.get(rule["id"], Count()) for rule in self._rules}
            self._written = written
        return [rule for rule in self._rules if rule["kind"] in kinds]

    def due(self, caller: str, reads: bool) -> tuple[Rule, int] | None:
        """The rule that this call by `caller` falls under, and which call it is."""
        found: tuple[Rule, int] | None = None
        with self._lock:
            for rule in self.rules(*AT_THE_DOOR):
                if rule["who"] in caller:
                    count = self._counts[rule["id"]]
                    call = count.call(reads)
                    if found is None and call >= rule["call"] and count.injected < rule.get("times", 1):
                        count.injected += 1
                        found = rule, call
        return found

    def not_done(self, rule: Rule) -> None:
        """What was due could not be done: the next call will do."""
        with self._lock:
            if rule["id"] in self._counts:
                self._counts[rule["id"]].injected -= 1

    def of_event(self, function: str) -> Rule | None:
        """The rule for the next event that a function is told; each rule is for one event."""
        with self._lock:
            for rule in self.rules(*OF_EVENTS):
                if rule["function"] in function and not self._counts[rule["id"]].injected:
                    self._counts[rule["id"]].injected = 1
                    return rule
        return None

    def hold(self, function: str, deliver: Callable[[], None]) -> None:
        """Keep an event back until the next one for the function has gone."""
        with self._lock:
            self._held.setdefault(function, []).append(deliver)

    def held(self, function: str) -> list[Callable[[], None]]:
        """What was kept back for a function, and is no longer."""
        with self._lock:
            return self._held.pop(function, [])

    def injected(self, rule: Rule, **facts: Any) -> None:
        with self._lock, self._log.open("a") as log:
            log.write(json.dumps({"id": rule["id"], "kind": rule["kind"], "time": time.time(), **facts}) + "\n")


_faults: Faults | None = None


def install(settings: Settings) -> None:
    """Let events be lost, doubled and late."""
    global _faults
    _faults = Faults(settings)
    wrap("services.eventbridge._dispatch_to_lambda", partial(_with_faults, faults=_faults))


def closed(account: str) -> bool:
    """Whether an account is out of reach; for what the embedded AWS does there without a request."""
    return _faults is not None and account in _closed(_faults)


def _closed(faults: Faults) -> list[str]:
    return [rule["account"] for rule in faults.rules("account-closed")]


def _with_faults(original: Callable[[str, Any], None], faults: Faults) -> Callable[[str, Any], None]:
    from ministack.core.responses import get_account_id, get_region, request_scope

    def dispatch(arn: str, payload: Any) -> None:
        rule = faults.of_event(arn)
        if rule is None:
            original(arn, payload)
            for deliver in faults.held(arn):
                deliver()
            return
        account, region = get_account_id(), get_region()

        def later(seconds: float = 0.0) -> None:
            CLOCK.wait(seconds)
            with request_scope(account, region):
                original(arn, payload)

        faults.injected(rule, function=arn.rpartition(":")[2])
        if rule["kind"] == "event-twice":
            original(arn, payload)
            original(arn, payload)
        elif rule["kind"] == "event-late":
            Thread(target=later, args=(LATE_SECONDS,), name="a late event", daemon=True).start()
        elif rule["kind"] == "event-reordered":
            faults.hold(arn, later)

    return dispatch


def at_the_door(app: Any) -> Any:
    """The gateway, where calls meet the faults that are due."""

    async def guarded(scope: dict[str, Any], receive: Any, send: Send) -> Any:
        if scope["type"] != "http" or _faults is None:
            return await app(scope, receive, send)
        caller, account = _caller(scope)
        if gone := _closed(_faults):
            receive, body = await _read(receive)
            if account in gone or _asks_for(scope, body, gone):
                return await _answer(send, 503, b"", "text/plain")
        found = _faults.due(caller, _reads(scope)) if caller else None
        if found is None:
            return await app(scope, receive, send)
        rule, call = found
        process = await asyncio.to_thread(_process_behind, scope["client"][1]) if "dies" in rule["kind"] else None
        if "dies" in rule["kind"] and process is None:
            _faults.not_done(rule)
            return await app(scope, receive, send)
        _faults.injected(rule, who=rule["who"], call=call, operation=_operation(scope))
        if rule["kind"] in ("dies-after", "answer-lost"):
            await app(scope, receive, _nowhere)
        if process is not None:
            os.kill(process, signal.SIGKILL)
        if rule["kind"] == "throttled":
            return await _throttle(scope, send)
        if rule["kind"] == "unanswered":
            await asyncio.sleep(UNANSWERED_SECONDS)
            return await _answer(send, 504, b"", "text/plain")
        return await _answer(send, 500, b"", "text/plain")

    return guarded


def _reads(scope: Mapping[str, Any]) -> bool:
    """Whether a request reads from S3: an object, or which there are."""
    return scope["method"] in ("GET", "HEAD") and "/s3/aws4_request" in _headers(scope).get("authorization", "")


def _headers(scope: Mapping[str, Any]) -> dict[str, str]:
    return {name.decode("latin-1").lower(): value.decode("latin-1") for name, value in scope["headers"]}


def _caller(scope: Mapping[str, Any]) -> tuple[str, str]:
    """ARN and account of who signed a request; empty where nobody did."""
    from ministack.core.iam_evaluator import find_iam_access_key_account, resolve_caller_identity
    from ministack.core.responses import request_scope
    from ministack.core.router import extract_access_key_id

    key = extract_access_key_id(_headers(scope), {})
    if not key:
        return "", ""
    with request_scope(find_iam_access_key_account(key) or "", ""):  # a session knows its account itself
        found = resolve_caller_identity(key)
    return (found["userArn"], found["accountId"]) if found else ("", "")


def _asks_for(scope: Mapping[str, Any], body: bytes, accounts: list[str]) -> bool:
    """Whether a request is for something of these accounts: a bucket, a registry, a role to be assumed."""
    from ministack.services import s3

    headers = _headers(scope)
    owner = s3._bucket_owner_account(scope["path"].lstrip("/").partition("/")[0])
    if owner in accounts or any(account in headers.get("host", "") for account in accounts):
        return True
    text = body.decode("latin-1")
    if "ContainerRegistry" in headers.get("x-amz-target", ""):
        return any(f'"registryId": "{account}"' in text for account in accounts)
    return "Action=AssumeRole" in text and any(f"%3A{account}%3Arole" in text for account in accounts)


async def _read(receive: Any) -> tuple[Any, bytes]:
    """The whole body of a request, and a `receive` that gives it again."""
    parts, more = [], True
    while more:
        message = await receive()
        parts.append(message.get("body", b""))
        more = message.get("more_body", False)
    body = b"".join(parts)
    given = False

    async def again() -> Any:
        nonlocal given
        if given:
            return await receive()
        given = True
        return {"type": "http.request", "body": body, "more_body": False}

    return again, body


async def _nowhere(message: dict[str, Any]) -> None:
    """Where the answer goes that its caller never gets."""


def _operation(scope: Mapping[str, Any]) -> str:
    target = _headers(scope).get("x-amz-target")
    return target.rpartition(".")[2] if target else f"{scope['method']} {scope['path']}"


async def _throttle(scope: Mapping[str, Any], send: Send) -> None:
    """A refusal that SDKs know for throttling, in the protocol that the request speaks."""
    headers, message = _headers(scope), b"Rate exceeded"
    if "x-amz-target" in headers:
        text = b'{"__type":"ThrottlingException","message":"' + message + b'"}'
        return await _answer(send, 400, text, "application/x-amz-json-1.1")
    if headers.get("content-type", "").startswith("application/x-www-form-urlencoded"):
        error = b"<Error><Type>Sender</Type><Code>Throttling</Code><Message>" + message + b"</Message></Error>"
        return await _answer(send, 400, b"<ErrorResponse>" + error + b"</ErrorResponse>", "text/xml")
    return await _answer(send, 503, b"<Error><Code>SlowDown</Code><Message>slow</Message></Error>", "application/xml")


async def _answer(send: Send, status: int, body: bytes, content_type: str) -> None:
    headers = [(b"content-type", content_type.encode()), (b"content-length", str(len(body)).encode())]
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": body})


def _process_behind(port: int) -> int | None:
    """The process below us whose connection comes from this port; None where it cannot be told.

    The kernel's list can lack a connection while others come and go, so what is not found is looked for again.
    """
    for _ in range(5):
        sockets = {f"socket:[{inode}]" for inode in _inodes(f"0100007F:{port:04X}")}
        for pid in processes.descendants(os.getpid()) if sockets else ():
            if not sockets.isdisjoint(_descriptors(pid)):
                return pid
        time.sleep(0.01)
    return None


def _inodes(address: str) -> list[str]:
    """The open sockets whose own end is `address`; a connection that has ended has inode 0."""
    try:
        lines = Path("/proc/net/tcp").read_text().splitlines()[1:]
    except OSError:
        return []
    return [fields[9] for fields in map(str.split, lines) if fields[1] == address and fields[9] != "0"]


def _descriptors(pid: int) -> Iterator[str]:
    """What a process has open; what it closes while we look is left out."""
    with contextlib.suppress(OSError):
        for link in Path(f"/proc/{pid}/fd").iterdir():
            with contextlib.suppress(OSError):
                yield os.readlink(link)  # noqa: PTH115 - a socket is no path
