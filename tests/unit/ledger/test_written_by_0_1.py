"""What version 0.1 wrote is read for ever: verified, explained, shown and rolled back from, without a byte changed."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from cli.commands.explain import records as explain
from lockgate.configuration.persons import Person, pushed_by
from lockgate.errors import RefusedError
from lockgate.ledger import infrastructure, journal, kinds, standing
from lockgate.ledger.chain import Chain, Head, ReleaseChain, StackChain, read_chain, refuse_unless_extends
from lockgate.ledger.journal import Asked, Ended, Fact, FactBody, Started, read_fact
from lockgate.ledger.records import read_record
from lockgate.release.attempts import target_of
from lockgate.release.stack import Stack

DATA = Path(__file__).parents[2] / "data" / "ledger-0.1"
SAID: dict[str, Any] = json.loads((DATA / "status.json").read_text())
MODEL, ENVIRONMENTS = "employment", ("dev", "staging", "prod")
VERSIONS = range(1, 6)
NOW = "2026-11-28T20:40:00.000Z"
ADA = Person("ada", github=("3003",), users=("ada",))

# Deployment -> what let it go, and the seconds in between, as `lockgate explain` of 0.1 said. It also had figures of
# 26, 27 and 39, which promoted once more what served already: nothing moved.
TO_TRAFFIC = {
    "employment/2": ("employment/1", 1.877),
    "employment/4": ("employment/3", 7.071),
    "employment/8": ("employment/7", 12.257),
    "employment/25": ("employment/24", 1.154),
    "employment/32": ("employment/31", 2.414),
    "employment/13": ("employment/12", 2.426),
    "employment/17": ("employment/16", 1.023),
    "employment/19": ("employment/18", 11.91),
    "employment/23": ("employment/22", 22.82),
    "employment/45": ("employment/44", 2.44),
    "employment/36": ("employment/35", 2.095),
    "employment/40": ("employment/37", 17.537),
}


def objects(*place: str) -> list[bytes]:
    return DATA.joinpath(*place).with_suffix(".jsonl").read_bytes().splitlines()


def chain() -> ReleaseChain:
    return read_chain(MODEL, objects("ledger", MODEL))


def stacks() -> StackChain:
    return read_chain("infrastructure", objects("ledger", "infrastructure"))


def facts(environment: str) -> list[Fact[FactBody]]:
    return [read_fact(data) for data in objects("journals", environment, MODEL)]


def test_every_kind_of_record_and_of_fact_is_among_them() -> None:
    younger = {kinds.Retirement.KIND, kinds.SnapshotChoice.KIND}
    assert {record.entry.kind for record in chain()} == set(kinds.RELEASE_KINDS) - younger
    assert {record.entry.kind for record in stacks()} == set(kinds.STACK_KINDS)
    told = [fact.body for environment in ENVIRONMENTS for fact in facts(environment)]
    assert {type(body) for body in told} == {Started, Asked, Ended}
    assert {body.action for body in told if isinstance(body, Asked)} == {"rollback", "restore"}
    assert {body.outcome for body in told if isinstance(body, Ended)} == {"succeeded", "failed"}
    assert {record.entry.body.outcome for record in chain().of(kinds.Verdict)} == {"passed", "failed", "error"}


@pytest.mark.parametrize("name", [MODEL, "infrastructure"])
def test_the_chains_are_whole_as_the_anchor_says_and_written_again_byte_for_byte(name: str) -> None:
    stored = objects("ledger", name)
    whole: Chain[Any] = read_chain(name, stored)
    assert [read_record(data).to_bytes() for data in stored] == stored
    heads = [json.loads(data) for data in objects("anchor", name)]
    for head in heads:
        refuse_unless_extends(name, whole, Head(head["sequence"], head["sha256"]))
    assert whole.head == Head(heads[-1]["sequence"], heads[-1]["sha256"])


@pytest.mark.parametrize("environment", ENVIRONMENTS)
def test_the_journals_are_written_again_byte_for_byte(environment: str) -> None:
    assert [fact.to_bytes() for fact in facts(environment)] == objects("journals", environment, MODEL)


def test_the_status_says_what_0_1_said_of_them() -> None:
    chains = {MODEL: chain()}
    for environment, models in SAID["environments"].items():
        live = {**models["models"][MODEL]["live"], "break_glass": False}
        assert standing.live_facts(chain(), environment) == live
    assert standing.broken_glass(chains) == SAID["break_glass"]
    assert standing.rollbacks(chains) == SAID["rollbacks"]
    # 0.1 told refusals for ever, also those of version 2, which a newer one made idle.
    assert standing.refused(chains) == SAID["refused"][2:]
    assert standing.failed_deployments(chains) == SAID["failed_deployments"]
    waiting = standing.waiting(chains, NOW)
    assert [{name: entry[name] for name in said} for entry, said in zip(waiting, SAID["waiting"], strict=True)] == SAID[
        "waiting"
    ]
    entries = infrastructure.unfinished(stacks())
    assert [{**entry, "author": pushed_by(entry["actor_id"], [ADA])} for entry in entries] == SAID["infrastructure"]


@pytest.mark.parametrize("version", VERSIONS)
def test_each_version_is_explained_with_all_that_its_records_say(version: int) -> None:
    about = chain().about(version)
    assert about
    for record in about:
        said = explain._facts(record, chain())
        stored = json.loads(objects("ledger", MODEL)[record.sequence - 1])["body"]
        assert {key: said[key] for key in stored if key != "task_token"} == {
            key: value for key, value in stored.items() if key != "task_token"
        }
    text = "\n".join(map(str, explain._text(MODEL, version, about, chain(), {})))
    assert all(f"[{record.reference}]" in text for record in about)


def test_the_times_to_all_traffic_are_those_that_0_1_printed() -> None:
    took = {
        record.reference: (found[0].reference, found[1])
        for record in chain()
        if (found := standing.seconds_to_traffic(chain(), record))
    }
    assert took == TO_TRAFFIC


@pytest.mark.parametrize("environment", ENVIRONMENTS)
def test_what_an_environment_remembers_is_in_the_ledger_under_the_same_ids(environment: str) -> None:
    assert [
        entry.id for entry in journal.to_ledger(facts(environment), environment) if not chain().find(entry.id)
    ] == []


def pinned(environment: str) -> Stack:
    """The release stack as the journal left it."""
    release = journal.last(facts(environment))
    return Stack("release", "UPDATE_COMPLETE", "", release.to_parameters(), ())


def test_an_environment_goes_back_from_there() -> None:
    assert target_of("rollback", facts("dev"), pinned("dev")).version == "2"
    assert target_of("restore", facts("prod"), Stack("release", "CREATE_COMPLETE", "", {}, ())).version == "1"
    with pytest.raises(RefusedError, match="no release before it is left to go back to"):
        target_of("rollback", facts("prod"), pinned("prod"))


def test_what_was_rolled_back_from_stays_away() -> None:
    bad = chain().referred("employment/20")
    assert bad
    with pytest.raises(RefusedError, match=r"by olga \(answers too slowly\): it needs a new verdict"):
        journal.refuse_if_rolled_back(facts("prod"), bad.reference, str(bad.entry.version))
