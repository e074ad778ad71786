"""No sentence of AWS, git, Arrow, jsii, scikit-learn or the SDK reaches a person alone."""

from __future__ import annotations

import errno
import io
import json
import ssl
import subprocess
import tomllib
import urllib.error
from collections.abc import Callable
from email.message import Message
from importlib import import_module
from pathlib import Path
from typing import Any, NamedTuple

import jsii.errors
import pyarrow as pa
import pytest
from botocore import exceptions
from botocore.exceptions import ClientError
from sklearn.exceptions import NotFittedError

from cli import main
from cli.failures import REPORT
from cli.git import GitError, git
from lockgate.aws import function_urls, github_identity
from lockgate.aws.failures import REFUSALS, told
from lockgate.errors import LockgateError, RefusedError
from stacks import app


def refused(code: str, operation: str = "GetObject") -> ClientError:
    return ClientError({"Error": {"Code": code, "Message": f"the words of {code}"}}, operation)


class Failing(NamedTuple):
    """An error as a library raises it, and what a person must find: asked, known, to do."""

    error: Exception
    asked: str
    known: str
    todo: str


AWS = "asked AWS for GetObject as profile 'grace'"
UNASKED = "AWS could not be asked as profile 'grace'"
UNDONE = "could not be done"
CASES = {
    "IAM says no": Failing(refused("AccessDenied"), AWS, "AccessDenied: the words of", "take a role that may do this"),
    "a session is over": Failing(refused("ExpiredToken"), AWS, "ExpiredToken: the words of", "sign in again"),
    "keys of nobody": Failing(refused("InvalidClientTokenId"), AWS, "the words of", "choose a profile by AWS_PROFILE"),
    "a clock is wrong": Failing(refused("RequestTimeTooSkewed"), AWS, "the words of", "set this machine's clock"),
    "AWS is busy": Failing(
        refused("ThrottlingException"), AWS, "the words of", "wait a minute, and repeat the command"
    ),
    "no bucket": Failing(refused("NoSuchBucket"), AWS, "the words of", "cdk deploy 'tools/*'"),
    "no function": Failing(refused("ResourceNotFoundException"), AWS, "the words of", "`lockgate doctor` says so"),
    "a code of tomorrow": Failing(refused("NewException"), AWS, "NewException: the words of", "`lockgate doctor ENV`"),
    "no profile": Failing(
        exceptions.ProfileNotFound(profile="grace"), UNASKED, "(grace) could not be found", "configure list-profiles"
    ),
    "no credentials": Failing(
        exceptions.NoCredentialsError(), "AWS could not be asked", "found no credentials", "by AWS_PROFILE"
    ),
    "half a key": Failing(
        exceptions.PartialCredentialsError(provider="env", cred_var="AWS_SECRET_ACCESS_KEY"),
        UNASKED,
        "AWS_SECRET_ACCESS_KEY",
        "choose one by AWS_PROFILE",
    ),
    "a sign-in is over": Failing(
        exceptions.UnauthorizedSSOTokenError(), UNASKED, "expired or is otherwise invalid", "sign in again"
    ),
    "nobody listens": Failing(
        exceptions.EndpointConnectionError(endpoint_url="https://127.0.0.1:4566"),
        UNASKED,
        "https://127.0.0.1:4566",
        "`make demo` starts an embedded AWS",
    ),
    "AWS is slow": Failing(
        exceptions.ReadTimeoutError(endpoint_url="https://s3"), UNASKED, "https://s3", "check the network"
    ),
    "no region": Failing(exceptions.NoRegionError(), UNASKED, "must specify a region", "AWS_REGION"),
    "a wrong parameter": Failing(
        exceptions.ParamValidationError(report="Invalid length"), UNASKED, "Invalid length", "report this line"
    ),
    "no network": Failing(
        urllib.error.URLError("Name or service not known"), UNDONE, "URLError of the network", "check the network"
    ),
    "an untrusted certificate": Failing(ssl.SSLError("CERTIFICATE_VERIFY_FAILED"), UNDONE, "of TLS", "certificate"),
    "a call that hangs": Failing(TimeoutError("timed out"), UNDONE, "TimeoutError of the network", "wait a minute"),
    "a refused connection": Failing(ConnectionRefusedError("refused"), UNDONE, "of the network", "check the network"),
    "Arrow finds no rows": Failing(
        pa.ArrowInvalid("Parquet magic bytes not found"), UNDONE, "of Arrow", "snapshot MODEL"
    ),
    "a model is not fitted": Failing(
        NotFittedError("This instance is not fitted yet"), UNDONE, "of scikit-learn", "check train.py"
    ),
    "jsii throws": Failing(jsii.errors.JavaScriptError("5 targets"), UNDONE, "of jsii", "`make synth`"),
    "a program fails": Failing(
        subprocess.CalledProcessError(1, ["cdk", "synth"]), UNDONE, "a program that was started", "is installed"
    ),
    "JSON is cut off": Failing(json.JSONDecodeError("Expecting value", "", 0), UNDONE, "a reader of JSON", "cut off"),
    "TOML is wrong": Failing(tomllib.TOMLDecodeError("Invalid statement"), UNDONE, "a reader of TOML", "mend the file"),
    "no text": Failing(UnicodeDecodeError("utf-8", b"\xff", 0, 1, "no"), UNDONE, "of Python", "save the file as UTF-8"),
    "no file": Failing(FileNotFoundError(2, "No such file", "cdk.out"), UNDONE, "cdk.out", "check the name"),
    "no right": Failing(
        PermissionError(13, "Permission denied", "/x"), UNDONE, "/x", "check who may read and write it"
    ),
    "a full disk": Failing(OSError(errno.ENOSPC, "No space left"), UNDONE, "of this machine", "free space on the disk"),
    "a taken port": Failing(OSError(errno.EADDRINUSE, "in use"), UNDONE, "of this machine", "another port (--port)"),
    "no memory": Failing(MemoryError(), UNDONE, "of this machine", "free memory"),
    "what nobody foresaw": Failing(KeyError("NATIVITY"), UNDONE, "KeyError of Python: 'NATIVITY'", REPORT),
}


def words_of(command: str) -> list[str]:
    """A call of a command that its parser takes: the example of its help page."""
    import shlex

    return shlex.split(str(import_module(main._module(command)).EXAMPLE))[1:]


@pytest.mark.parametrize("kind", CASES)
@pytest.mark.parametrize("command", main.COMMANDS)
def test_each_command_tells_each_kind_of_failure_with_what_was_asked_what_is_known_and_what_to_do(
    command: str, kind: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    case = CASES[kind]

    def fail(arguments: object) -> int:
        raise case.error

    for variable in ("AWS_ACCESS_KEY_ID", "COLUMNS"):
        monkeypatch.delenv(variable, raising=False)
    monkeypatch.setenv("AWS_PROFILE", "grace")
    monkeypatch.setattr(f"{main._module(command)}.run", fail)
    assert main.main(words_of(command)) == 1
    last = capsys.readouterr().err.splitlines()[-1]
    assert last.startswith(f"lockgate: {command}: {case.asked}")
    assert case.known in last
    assert case.todo in last.partition(case.known)[2]


def test_only_what_nobody_foresaw_is_shown_with_its_trace(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    for kind, case in CASES.items():

        def fail(arguments: object, error: Exception = case.error) -> int:
            raise error

        monkeypatch.setattr("cli.commands.status.run", fail)
        main.main(["status"])
        assert ("Traceback" in capsys.readouterr().err) == (kind == "what nobody foresaw"), kind


def test_what_a_program_printed_at_length_is_cut(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def fail(arguments: object) -> int:
        raise jsii.errors.JavaScriptError("at Kernel.create\n" * 1000)

    monkeypatch.setattr("cli.commands.review.run", fail)
    assert main.main(words_of("review")) == 1
    assert len(capsys.readouterr().err) < 800


def test_whose_keys_were_taken_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("AWS_PROFILE", raising=False)
    monkeypatch.delenv("AWS_ACCESS_KEY_ID", raising=False)
    assert "for GetObject with the default credentials: " in told(refused("AccessDenied"))
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "AKIA")
    assert "for GetObject with the keys of AWS_ACCESS_KEY_ID: " in told(refused("AccessDenied"))


def test_every_refusal_of_aws_in_the_table_says_what_to_do() -> None:
    assert [code for code, todo in REFUSALS.items() if len(todo.split()) < 5] == []


def test_git_says_what_it_was_asked_where_and_what_to_do(tmp_path: Path) -> None:
    with pytest.raises(GitError) as raised:
        git(tmp_path, "rev-list", "HEAD")
    said = str(raised.value)
    assert said.startswith(f"asked `git rev-list HEAD` in {tmp_path}: found 'fatal: ")
    assert "expected an answer: check that this is a clone" in said


Opened = Callable[..., Any]


def answering(status: int, body: bytes) -> Opened:
    def opened(request: Any, timeout: float) -> Any:
        raise urllib.error.HTTPError(request.full_url, status, "", Message(), io.BytesIO(body))

    return opened


class Nobody:
    """A session with keys of nobody."""

    region_name = "us-east-1"

    def get_credentials(self) -> Any:
        from botocore.credentials import Credentials

        return type(
            "Found", (), {"get_frozen_credentials": lambda self: Credentials("a", "b").get_frozen_credentials()}
        )()


@pytest.mark.parametrize(
    ("status", "body", "said"),
    [
        (409, b'{"message": "decided already"}', "^decided already .HTTP 409.$"),
        (403, b'{"Message": "Forbidden"}', "asked https://f/approval: found HTTP 403: Forbidden, .* take a role"),
        (502, b"Internal Server Error", "found HTTP 502: Internal Server Error, expected an answer .* its log"),
        (500, b"", "found HTTP 500: nothing, expected an answer"),
    ],
)
def test_what_aws_answers_in_place_of_a_function_says_what_was_asked_and_what_to_do(
    status: int, body: bytes, said: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("urllib.request.urlopen", answering(status, body))
    with pytest.raises(RefusedError, match=said):
        function_urls.post_as_caller(Nobody(), "https://f/approval", "lambda", {})


def test_a_run_whose_token_is_not_trusted_is_told_the_claims_of_both_sides() -> None:
    import base64

    body = base64.urlsafe_b64encode(json.dumps({"sub": "repo:a/new:ref:x", "ref": "x"}).encode()).decode().rstrip("=")
    trusted = {"sub": "repo:a/old:ref:x", "ref": "x"}
    said = github_identity._untrusted("arn:aws:iam::1:role/r", f"h.{body}.s", trusted, "AccessDenied")
    assert "asked AWS for arn:aws:iam::1:role/r" in said
    assert "found a token with sub 'repo:a/new:ref:x', expected 'repo:a/old:ref:x': " in said
    assert "change [github] of environments/tools.toml" in said
    same = github_identity._untrusted("arn:aws:iam::1:role/r", f"h.{body}.s", {"ref": "x"}, "AccessDenied")
    assert "deploy the stacks of this configuration" in same
    assert "expected 'x'" in github_identity._untrusted("arn", "no token", {"ref": "x"}, "AccessDenied")


def test_synth_says_what_to_do_behind_the_words_of_jsii(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(root: Path, **options: Any) -> Any:
        raise jsii.errors.JavaScriptError("Event rule cannot have more than 5 targets")

    monkeypatch.setattr(app, "build", refuse)
    with pytest.raises(jsii.errors.JavaScriptError) as raised:
        app.main(Path())
    assert raised.value.__notes__ == [app.REFUSED]


def test_an_error_of_ours_needs_nobody_elses_sentence(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def fail(arguments: object) -> int:
        raise LockgateError("x: found 1, expected 2: add 1")

    monkeypatch.setattr("cli.commands.status.run", fail)
    assert main.main(["status"]) == 1
    assert capsys.readouterr().err == "lockgate: x: found 1, expected 2: add 1\n"
