"""Order is git's: how a commit stands to what is served decides whether it is delivered."""

from __future__ import annotations

import subprocess
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from cli.commands import approve, deliver, infrastructure, status
from cli.git import Relation, is_shallow, models_of, relation
from lockgate.errors import RefusedError
from lockgate.gate.champion import ChampionNote
from lockgate.ledger.calls import LookAtStacks

CHAMPION = ChampionNote(3, "registry/lockgate-models@sha256:" + "a" * 64, "s3://models/model.tar.gz", "b" * 64)


def git(root: Path, *arguments: str) -> str:
    identity = ("-c", "user.name=ada", "-c", "user.email=ada@example.com")
    done = subprocess.run(["git", "-C", str(root), *identity, *arguments], capture_output=True, text=True, check=True)
    return done.stdout.strip()


def commit(root: Path, message: str) -> str:
    git(root, "commit", "-q", "--allow-empty", "-m", message)
    return git(root, "rev-parse", "HEAD")


@pytest.fixture
def history(tmp_path: Path) -> tuple[Path, dict[str, str]]:
    """first - second - third on main, and first - side."""
    root = tmp_path / "repository"
    root.mkdir()
    git(root, "init", "-q", "-b", "main")
    commits = {name: commit(root, name) for name in ("first", "second", "third")}
    git(root, "checkout", "-q", "-b", "other", commits["first"])
    commits["side"] = commit(root, "side")
    return root, commits


def delivered(
    root: Path, sha: str, live: str, monkeypatch: pytest.MonkeyPatch, champion: ChampionNote | None = CHAMPION
) -> None:
    monkeypatch.setattr("lockgate.aws.delivery.commit_of_image", lambda *_: live)
    context: Any = SimpleNamespace(root=root, tools=SimpleNamespace(promotion=("dev", "prod")))
    session: Any = SimpleNamespace(client=lambda service: None)
    deliver._refuse_older(context, session, sha, {"income": champion})


@pytest.mark.parametrize(
    ("one", "other", "words"),
    [
        ("third", "first", "2 ahead"),
        ("first", "third", "2 behind"),
        ("second", "second", "the same commit"),
        ("side", "third", "1 ahead and 2 behind: another branch of history"),
    ],
)
def test_how_a_commit_stands_to_another_is_said_in_words(
    history: tuple[Path, dict[str, str]], one: str, other: str, words: str
) -> None:
    root, commits = history
    assert str(relation(root, commits[one], commits[other])) == words


def test_a_commit_that_is_not_in_the_clone_is_unknown(history: tuple[Path, dict[str, str]]) -> None:
    root, commits = history
    assert relation(root, commits["first"], "f" * 40) == Relation(known=False)


def test_a_commit_older_than_what_is_served_is_refused_with_both_ways_on(
    history: tuple[Path, dict[str, str]], monkeypatch: pytest.MonkeyPatch
) -> None:
    root, commits = history
    with pytest.raises(RefusedError) as caught:
        delivered(root, commits["first"], commits["third"], monkeypatch)
    said = str(caught.value)
    assert f"income serves {commits['third'][:12]} in prod (version 3), and this commit is 2 behind of it" in said
    assert "`lockgate rollback prod`" in said
    assert "--older delivers it all the same" in said


@pytest.mark.parametrize(("sha", "live"), [("third", "first"), ("second", "second"), ("side", "third")])
def test_what_is_newer_the_same_or_of_another_branch_is_delivered(
    history: tuple[Path, dict[str, str]], monkeypatch: pytest.MonkeyPatch, sha: str, live: str
) -> None:
    root, commits = history
    delivered(root, commits[sha], commits[live], monkeypatch)


def test_a_clone_that_was_cut_off_cannot_tell_and_is_refused(
    history: tuple[Path, dict[str, str]], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    root, commits = history
    shallow = tmp_path / "shallow"
    git(tmp_path, "clone", "-q", "--depth", "1", "--branch", "main", root.as_uri(), str(shallow))
    assert is_shallow(shallow)
    with pytest.raises(RefusedError, match="was cut off of this clone: fetch the whole history"):
        delivered(shallow, commits["third"], commits["first"], monkeypatch)
    delivered(root, commits["third"], "f" * 40, monkeypatch)  # a history that was written anew is no shallow one
    delivered(shallow, commits["third"], "", monkeypatch, champion=None)


RUN = {"commit": "c" * 40, "run": "17.1"}


class Door:
    """The function that knows which commit's stacks are deployed."""

    def __init__(self, state: str, deployed: str | None) -> None:
        self.answer: dict[str, Any] = {"state": state, "deployed": deployed}

    def post(self, call: LookAtStacks, path: str) -> dict[str, Any]:
        assert (call.ask, path) == ("look", "stacks")
        return self.answer


def stacks_deployed(root: Path, sha: str, door: Any) -> None:
    call = LookAtStacks(ask="look", environment="prod", assembly="a" * 64, commit=sha, run="17.1")
    context: Any = SimpleNamespace(root=root)
    infrastructure._refuse_older(context, door, call)


def test_stacks_older_than_what_is_deployed_are_refused_before_anybody_is_asked(
    history: tuple[Path, dict[str, str]],
) -> None:
    root, commits = history
    with pytest.raises(RefusedError) as caught:
        stacks_deployed(root, commits["first"], Door("unasked", commits["third"]))
    said = str(caught.value)
    assert f"the stacks of prod are those of {commits['third'][:12]}, and this commit is 2 behind of it" in said
    assert "Revert by a new commit; --older deploys it all the same" in said


@pytest.mark.parametrize(
    ("sha", "state", "deployed"),
    [
        ("third", "unasked", "first"),
        ("second", "unasked", "second"),
        ("side", "unasked", "third"),
        ("first", "live", "third"),  # the same stacks: nothing would be deployed
        ("first", "unasked", None),
    ],
)
def test_stacks_of_what_is_newer_the_same_or_of_another_branch_are_deployed(
    history: tuple[Path, dict[str, str]], sha: str, state: str, deployed: str | None
) -> None:
    root, commits = history
    stacks_deployed(root, commits[sha], Door(state, commits[deployed] if deployed else None))


def test_a_function_of_an_older_lockgate_stops_no_upgrade(history: tuple[Path, dict[str, str]]) -> None:
    root, commits = history

    def refusing(message: str) -> Any:
        def post(call: LookAtStacks, path: str) -> dict[str, Any]:
            raise RefusedError(message)

        return SimpleNamespace(post=post)

    stacks_deployed(root, commits["first"], refusing("ask: found 'look', expected one of begin, end (HTTP 400)"))
    with pytest.raises(RefusedError, match="not for this caller"):
        stacks_deployed(root, commits["first"], refusing("not for this caller (HTTP 403)"))


@pytest.mark.parametrize(
    ("commit", "served", "stands"),
    [("third", "first", "2 ahead"), ("first", "third", "2 behind"), (None, "third", None), ("first", None, None)],
)
def test_the_status_says_how_what_waits_stands_to_what_is_live(
    history: tuple[Path, dict[str, str]], commit: str | None, served: str | None, stands: str | None
) -> None:
    root, commits = history
    found = status.order(root, commits[commit] if commit else None, commits[served] if served else None)
    assert found["order"] == stands
    assert status.order(root, "e" * 40, commits["first"])["order"] == "not in this clone"


@pytest.mark.parametrize(("served", "stands"), [("first", "2 ahead"), (None, "")])
def test_an_approval_says_how_the_commits_stand_to_each_other(
    history: tuple[Path, dict[str, str]],
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    served: str | None,
    stands: str,
) -> None:
    root, commits = history
    commit, live = commits["third"], commits[served] if served else None
    answer = {"message": "recorded", "commit": commit, "live_commit": live}
    monkeypatch.setattr(approve, "FunctionUrl", lambda *_: SimpleNamespace(post=lambda *_: answer))
    context: Any = SimpleNamespace(root=root, session=None)
    approve.say(context, "approval", LookAtStacks(ask="look", environment="prod", assembly="a" * 64, **RUN), json=False)
    line = f"commit {commit[:12]} to {live[:12]}, which is live there: {stands}\n" if live else ""
    assert capsys.readouterr().out == f"recorded\n{line}"


def test_the_models_of_a_commit_are_those_of_its_tree(history: tuple[Path, dict[str, str]]) -> None:
    root, _ = history
    for file in ("model/income/model.toml", "model/_pipeline/build.py", "model/pipeline.json", "model/a/b/model.toml"):
        (root / file).parent.mkdir(parents=True, exist_ok=True)
        (root / file).write_text("x")
    git(root, "add", "-A")
    sha = commit(root, "a model")
    (root / "model" / "uncommitted").mkdir()
    (root / "model" / "uncommitted" / "model.toml").write_text("x")
    assert models_of(root, sha) == ("income",)
    assert models_of(root, git(root, "rev-parse", f"{sha}^")) == ()
