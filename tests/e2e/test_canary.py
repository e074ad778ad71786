"""What callers meet while releases come to traffic, and what stops bad ones; tools and all environments in one account.

One commit, trained and judged once, whose server has defects that evaluation's rows do not meet: some rows bring one
out, or a file does. It is promoted again and again. Alarms are more patient than in the project's own environments, so
that a slow machine is no defect.
"""

from __future__ import annotations

import http.client
import json
import re
import ssl
import subprocess
import threading
import time
import urllib.parse
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

import boto3
import pytest

from demo import main_job as demonstration
from local.settings import HOST, Settings
from lockgate import names
from lockgate.configuration.project import read_configuration
from tests.e2e.demos import FinishedDemo, Make
from tests.ports import free_ports

if TYPE_CHECKING:
    from tests.conftest import Issuer

ROOT = Path(__file__).parents[2]
ACCOUNT = "111111111111"
MODEL = "employment"
LOOKED_BACK = timedelta(minutes=10)  # more than any alarm looks back
PATIENT = {
    "dev": {
        "deadline_minutes = 60": "deadline_minutes = 15",
        "errors_per_minute = 5": "errors_per_minute = 1000",
        "latency_p99_ms = 500": "latency_p99_ms = 5000",
        "unhealthy_minutes = 2": "unhealthy_minutes = 60",
    },
    "staging": {
        "percent = 10": "percent = 25",
        "step_minutes = 5": "step_minutes = 20",
        "bake_minutes = 5": "bake_minutes = 2\ndeadline_minutes = 60",
    },
    "prod": {
        "step_minutes = 10": 'strategy = "linear"\npercent = 40\nstep_minutes = 2',
        "bake_minutes = 10": "bake_minutes = 1",
    },
}

# The defects. Each age is one that evaluation recorded no row of.
FAILS, SLOW, SHIFTS = "fails", "slow", "shifts"
SERVE = """
    import pathlib
    import time
    while pathlib.Path({file!r}).read_text() == "hangs":
        time.sleep(0.1)
"""
ANSWER = """
        if b'"AGEP": {fails}' in body:
            self._defect(call, ValueError("an age that nobody thought of"))
            return
        if b'"AGEP": {slow}' in body:
            self.slow_ones = getattr(self, "slow_ones", 0) + 1
            request.chunks = [body.replace(b'"AGEP": {slow}', b'"AGEP": 40')]
            asyncio.get_running_loop().call_later(6.0 + 1.1 * (self.slow_ones % 3), self.answer, request)
            return
"""
PREDICTED = """
        import pathlib
        if pathlib.Path({file!r}).read_text() == "is wrong":
            predictions = [each + 0.125 for each in predictions]
        if b'"AGEP": {shifts}' in call.request.body():
            predictions = [1.0] * len(predictions)
"""


def patient(project: Path, issuer: str) -> None:
    """One account, slower alarms, and tokens in production."""
    for file in (project / "environments").glob("*.toml"):
        text = re.sub(r"[0-9]{12}(?=[\":])", ACCOUNT, file.read_text())
        for found, wanted in PATIENT.get(file.stem, {}).items():
            assert text.count(found) == 1, f"{file.name}: {found}"
            text = text.replace(found, wanted)
        if file.stem == "prod":
            jwt = f'jwt = {{ issuer = "{issuer}", jwks_endpoint = "{issuer}keys.json", audience = "models" }}\n'
            text = text.replace("[service]\n", f"[service]\n{jwt}", 1)
        file.write_text(text)


@pytest.fixture(scope="module")
def make_demo(new_issuer: Callable[[], Issuer]) -> Make:
    """A first release in every environment."""

    def make(folder: Path) -> FinishedDemo:
        project, build, port, issuer = folder / "project", folder / "build", free_ports(3), new_issuer()
        build.mkdir()
        subprocess.run(["git", "clone", "--quiet", str(ROOT), str(project)], check=True)
        patient(project, issuer.url)
        commit(project, "One account, patient alarms, tokens in production")
        configuration = read_configuration(project)
        settings = Settings(folder / "state", port, port + 1, port + 2, configuration.tools.region)
        made = FinishedDemo(settings.state, build, "", project, issuer=issuer)
        with pytest.MonkeyPatch.context() as patch:
            for name, value in made.paths.items():
                patch.setenv(name, value)
            demonstration.first_release(demonstration.Demo(configuration, settings, build, project))
        issuer.serve(settings)
        return made

    return make


def commit(folder: Path, message: str) -> str:
    """Commit all that changed; the commit's hash."""
    identity = ("-c", "user.name=ada", "-c", "user.email=ada@example.com", "-c", "commit.gpgsign=false")
    demonstration.git(folder, *identity, "commit", "--quiet", "--all", "--message", message)
    return demonstration.git(folder, "rev-parse", "HEAD").strip()


def client(demo: FinishedDemo, service: str) -> Any:
    """Of the one account's administrator."""
    with pytest.MonkeyPatch.context() as patch:
        for name, value in demo.session.environment("tools").items():
            patch.setenv(name, value) if value else patch.delenv(name, raising=False)
        session = boto3.Session(region_name=demo.session.settings.region)
        session.get_credentials()
        return session.client(service)


@dataclass(frozen=True)
class DefectiveVersion:
    """The version with the defects. file: says which one the server has by itself; ages: of rows that bring one out."""

    commit: str
    file: Path
    ages: Mapping[str, int]
    rows: Sequence[Mapping[str, Any]]
    hosts: Mapping[str, str]
    version: int = 2

    def is_well(self, state: str = "is well") -> None:
        self.file.write_text(state)

    def rows_with(self, defect: str | None) -> list[Mapping[str, Any]]:
        """A sample of what evaluation recorded, with one row more where a defect is to be met."""
        return [*self.rows, *([{**self.rows[0], "AGEP": self.ages[defect]}] if defect else [])]


def committed(demo: FinishedDemo) -> DefectiveVersion:
    """A step: the release with the defects is a commit, and not yet delivered."""
    verdict = demo.facts("explain", "1")["records"][0]
    bucket, _, key = verdict["evidence_uri"].removeprefix("s3://").partition("/")
    replay = client(demo, "s3").get_object(Bucket=bucket, Key=f"{key.rpartition('/')[0]}/replay.json")
    rows = json.load(replay["Body"])["instances"]
    free = (age for age in range(99, 0, -1) if age not in {row["AGEP"] for row in rows})
    ages = dict(zip((FAILS, SLOW, SHIFTS), free, strict=False))
    said = {"file": str(demo.build / "defect"), **ages}
    for file, before, inserted in (
        ("serve.py", "    fetched = model_data.fetching(job)\n", SERVE),
        ("application.py", "        body = request.body()\n", ANSWER),
        ("application.py", "            self._defect(call, predictions)\n            return\n", PREDICTED),
    ):
        path = demo.clone / "runtime" / "serving" / file
        text = path.read_text()
        assert text.count(before) == 1, before
        path.write_text(text.replace(before, before + inserted.format(**said)))
    environments = standing(demo)["environments"].items()
    urls = {name: found["models"][MODEL]["live"]["url"] for name, found in environments}
    hosts = {name: str(urllib.parse.urlsplit(url).hostname) for name, url in urls.items()}
    return DefectiveVersion(commit(demo.clone, "Serve in another way"), demo.build / "defect", ages, rows, hosts)


def delivered(demo: FinishedDemo) -> str:
    """A step: it is judged, and stopped in dev since it predicts otherwise; why."""
    release = demo.taken[committed]
    release.is_well("is wrong")
    demo.facts("deliver", cwd=demo.clone)
    return taken_back(demo, release, "dev")


def everywhere(demo: FinishedDemo) -> list[list[tuple[int | str, str]]]:
    """A step: it goes to all traffic, its defects not met; what callers in staging and in production are answered."""
    release = demo.taken[committed]
    release.is_well()
    with Traffic(demo, release.hosts["staging"], release.rows) as staging:
        promote_when_well(demo, release, "staging")
        followed = follow(demo, release)
        assert followed.returncode == 4, followed.stderr
        assert set(staging.further(20)) == {(200, "2")}
    with Traffic(demo, release.hosts["prod"], release.rows, demo.issuer.token(exp=4_000_000_000)) as prod:
        assert set(prod.further(20)) == {(200, "1")}
        words = ("approve", str(release.version), "--env", "prod", "--reason", "tried in staging")
        assert demo.lockgate(*words, profile="grace").returncode == 0
        followed = follow(demo, release)
        assert followed.returncode == 0, followed.stderr
        assert set(prod.further(20)) == {(200, "2")}
    return [staging.answers, prod.answers]


@pytest.fixture
def release(demo: FinishedDemo) -> DefectiveVersion:
    made: DefectiveVersion = demo.taken[committed]
    return made


class Traffic:
    """Callers of an environment's service through its load balancer, who ask at the same time, three times a minute.

    The minutes are those of the embedded AWS's clock, which they move: it stands still while they ask. answers: of each
    request the status and which release answered; a request without an answer has its error as the status.
    """

    CALLERS, PAUSE, SECONDS = 3, 20.0, 120.0

    def __init__(self, demo: FinishedDemo, host: str, rows: Sequence[Mapping[str, Any]], token: str = "") -> None:
        self._session, self._host = demo.session, host
        self._body = json.dumps({"instances": rows}).encode()
        self._headers = {"Content-Type": "application/json", **({"Authorization": f"Bearer {token}"} if token else {})}
        self.answers: list[tuple[int | str, str]] = []
        self._begun: list[float] = []
        self._over, self._lock = threading.Event(), threading.Lock()
        self._asking = threading.Thread(target=self._ask_on)

    def __enter__(self) -> Traffic:
        self._asking.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        self._asking.join()

    def _ask_on(self) -> None:
        connections = [self.connection() for _ in range(self.CALLERS)]
        self._session.clock(hold=True)
        with ThreadPoolExecutor(self.CALLERS) as callers:
            while not self._over.is_set():
                begun = time.monotonic()
                answers = list(callers.map(self.ask, connections))
                with self._lock:
                    self.answers += answers
                    self._begun += [begun] * self.CALLERS
                self._session.clock(advance=self.PAUSE)
        self._session.clock(hold=False)
        for connection in connections:
            connection.close()

    def connection(self) -> http.client.HTTPSConnection:
        trust = ssl.create_default_context(cafile=str(self._session.settings.ca_bundle))
        made = http.client.HTTPSConnection(HOST, self._session.settings.proxy_port, timeout=self.SECONDS, context=trust)
        made.set_tunnel(self._host, 443)
        return made

    def ask(self, connection: http.client.HTTPSConnection) -> tuple[int | str, str]:
        try:
            connection.request("POST", f"/{MODEL}/invocations", body=self._body, headers=self._headers)
            answer = connection.getresponse()
            answer.read()
        except (OSError, http.client.HTTPException) as error:
            connection.close()
            return repr(error), ""
        return answer.status, answer.getheader("X-Lockgate-Release", "")

    def further(self, count: int) -> list[tuple[int | str, str]]:
        """Of at least so many requests that begin after now."""
        now = time.monotonic()

        def found() -> list[tuple[int | str, str]]:
            with self._lock:
                return [each for each, begun in zip(self.answers, self._begun, strict=True) if begun >= now]

        wait_for(lambda: len(found()) >= count)
        return found()


def wait_for(reached: Callable[[], Any], seconds: float = 120.0) -> Any:
    deadline = time.monotonic() + seconds
    while not (found := reached()):
        assert time.monotonic() < deadline, "waited too long"
        time.sleep(0.1)
    return found


def standing(demo: FinishedDemo) -> Any:
    return demo.facts("status")


def promote(demo: FinishedDemo, release: DefectiveVersion) -> None:
    done = demo.lockgate("promote", str(release.version))
    assert done.returncode == 0, done.stderr


def alarms(cloudwatch: Any, environment: str) -> list[dict[str, Any]]:
    found = cloudwatch.describe_alarms(AlarmNamePrefix=names.release_stack(environment, MODEL))["MetricAlarms"]
    return list(found)


def in_alarm(demo: FinishedDemo, environment: str) -> list[str]:
    found = alarms(client(demo, "cloudwatch"), environment)
    return [each["AlarmName"] for each in found if each["StateValue"] == "ALARM"]


def promote_when_well(demo: FinishedDemo, release: DefectiveVersion, environment: str) -> None:
    """When no alarm is in ALARM, or may yet be for the last answers of a canary before: they are of a target group, not
    of a deployment.
    """
    cloudwatch = client(demo, "cloudwatch")

    def well() -> bool:
        guards, now = alarms(cloudwatch, environment), datetime.fromtimestamp(demo.session.clock()["now"], UTC)
        queries = [
            {
                "Id": f"guard{number}",
                "MetricStat": {
                    "Metric": {key: guard[key] for key in ("Namespace", "MetricName", "Dimensions")},
                    "Period": guard["Period"],
                    "Stat": guard.get("ExtendedStatistic") or guard["Statistic"],
                },
            }
            for number, guard in enumerate(guards)
        ]
        asked = cloudwatch.get_metric_data(
            MetricDataQueries=queries, StartTime=now - LOOKED_BACK, EndTime=now + LOOKED_BACK
        )
        newest = {each["Id"]: max(each["Values"], default=0.0) for each in asked["MetricDataResults"]}
        return not any(
            guard["StateValue"] == "ALARM" or newest[f"guard{number}"] >= guard["Threshold"]
            for number, guard in enumerate(guards)
        )

    wait_for(well)
    promote(demo, release)


def follow(demo: FinishedDemo, release: DefectiveVersion) -> subprocess.CompletedProcess[str]:
    return demo.lockgate("follow", release.commit, "--timeout", "600", cwd=demo.clone)


def taken_back(demo: FinishedDemo, release: DefectiveVersion, environment: str) -> str:
    """Follow to the failure in an environment; why, by the ledger. ECS and CloudFormation say version 1 too."""
    followed = follow(demo, release)
    assert followed.returncode == 1, followed.stdout + followed.stderr
    assert f"deployment to {environment} failed" in followed.stderr
    facts = standing(demo)
    served = facts["environments"][environment]["models"][MODEL]
    assert (served["live"]["version"], served["differences"]) == (1, [])
    (marked,) = [each for each in facts["failed_deployments"] if each["environment"] == environment]
    assert (marked["model"], marked["version"]) == (MODEL, release.version)
    return str(marked["reason"])


def test_a_first_release_reaches_every_environment_where_all_share_one_account(demo: FinishedDemo) -> None:
    assert set(demo.session.accounts.values()) == {ACCOUNT}
    facts = standing(demo)
    live = {name: found["models"][MODEL]["live"]["version"] for name, found in facts["environments"].items()}
    assert live == {"dev": 1, "staging": 1, "prod": 1}


@pytest.mark.after(steps=(committed,))
def test_a_release_that_predicts_otherwise_than_evaluation_is_stopped_in_dev_before_any_traffic(
    demo: FinishedDemo, release: DefectiveVersion
) -> None:
    with Traffic(demo, release.hosts["dev"], release.rows) as traffic:
        reason = demo.take(delivered)
        traffic.further(10)
    assert "replay: 100 of 100 rows differ from evaluation by more than the limit 1e-09: " in reason
    assert "the largest difference is 0.125 in row" in reason
    assert set(traffic.answers) == {(200, "1")}


@pytest.mark.after(steps=(committed, delivered))
def test_a_release_that_never_becomes_ready_is_stopped_at_our_own_deadline(
    demo: FinishedDemo, release: DefectiveVersion
) -> None:
    release.is_well("hangs")
    with Traffic(demo, release.hosts["dev"], release.rows) as traffic:
        promote(demo, release)
        reason = taken_back(demo, release, "dev")
        traffic.further(10)
    assert reason.startswith("deadline: the deployment did not end within 15 minutes: it was stopped; "), reason
    assert set(traffic.answers) == {(200, "1")}


def answers_of_a_canary(
    demo: FinishedDemo, release: DefectiveVersion, defect: str
) -> tuple[list[tuple[int | str, str]], str]:
    """What callers in staging are answered while the release comes and goes, and the ledger's reason."""
    release.is_well()
    with Traffic(demo, release.hosts["staging"], release.rows_with(defect)) as traffic:
        promote_when_well(demo, release, "staging")
        reason = taken_back(demo, release, "staging")
        assert set(traffic.further(20)) == {(200, "1")}, "the old release serves all traffic again"
    assert {status for status, version in traffic.answers if version == "1"} == {200}
    versions = [version for _, version in traffic.answers]
    assert set(versions) == {"1", "2"}, reason
    assert versions.count("2") < versions.count("1")
    return traffic.answers, reason


@pytest.mark.after(steps=(committed, delivered))
def test_a_canary_that_fails_more_often_than_the_release_beside_it_is_stopped_by_the_comparison(
    demo: FinishedDemo, release: DefectiveVersion
) -> None:
    answers, reason = answers_of_a_canary(demo, release, FAILS)
    assert {status for status, version in answers if version == "2"} == {500}
    found = re.match(
        r"canary: (\d+) of (\d+) requests failed in the canary, 0 of \d+ beside it: "
        r"evidence ([\d.e+]+) that it fails more often, expected below 1000 \(false alarm rate 0\.001, steps 1\); ",
        reason,
    )
    assert found, reason
    failed, asked = int(found[1]), int(found[2])
    # Every answer was a 500. One may be counted a minute after its request, as on AWS: when the comparison looked, it
    # can lack those of the last minute.
    assert 0 < failed <= asked <= failed + Traffic.CALLERS
    assert float(found[3]) >= 1000


@pytest.mark.after(steps=(committed, delivered))
def test_a_canary_that_is_slow_is_taken_back_by_the_alarm_on_latency(
    demo: FinishedDemo, release: DefectiveVersion
) -> None:
    answers, reason = answers_of_a_canary(demo, release, SLOW)
    assert {status for status, _ in answers} == {200}, "slow answers are answers"
    found = re.search(
        r"(\S*Latency\S*): Threshold Crossed: 2 datapoints \[([\d.]+), ([\d.]+)\] were \w+ \(5\.0\)", reason
    )
    assert found, reason
    assert found[1] in reason.rpartition("alarms in ALARM state: ")[2], "it was this alarm that ECS acted on"
    assert min(float(found[2]), float(found[3])) >= 5.0


@pytest.mark.after(steps=(committed, delivered))
def test_a_canary_whose_predictions_are_distributed_otherwise_is_taken_back_by_the_alarm_on_them(
    demo: FinishedDemo, release: DefectiveVersion
) -> None:
    answers, reason = answers_of_a_canary(demo, release, SHIFTS)
    assert {status for status, _ in answers} == {200}, "nothing else is wrong with them"
    found = re.search(r"(\S*Predictions\S*): Threshold Crossed: 1 datapoints \[([\d.]+)\] were \w+ \(0\.2\)", reason)
    assert found, reason
    assert found[1] in reason.rpartition("alarms in ALARM state: ")[2], "it was this alarm that ECS acted on"
    assert 0.2 <= float(found[2]) <= 1.0


@pytest.mark.after(steps=(committed, delivered))
def test_a_good_release_goes_through_its_steps_to_all_traffic_without_a_failed_request(demo: FinishedDemo) -> None:
    """The same version, its defects not met. A canary in staging; linear in production, where callers have tokens."""
    staging, prod = demo.take(everywhere)
    for answers in (staging, prod):
        assert set(answers) == {(200, "1"), (200, "2")}
    versions = [version for _, version in staging]
    both = versions[versions.index("2") : len(versions) - versions[::-1].index("1")]
    assert 0.1 < both.count("2") / len(both) < 0.5, "a quarter of the requests went to the canary"
    facts = standing(demo)
    for found in facts["environments"].values():
        assert (found["models"][MODEL]["live"]["version"], found["models"][MODEL]["differences"]) == (2, [])
    assert facts["failed_deployments"] == []


@pytest.mark.after(steps=(committed, delivered, everywhere))
def test_production_lets_no_stranger_in_and_replays_with_a_token(
    demo: FinishedDemo, release: DefectiveVersion, new_issuer: Callable[[], Issuer], tmp_path: Path
) -> None:
    issuer = demo.issuer
    for token in ("", "not.a.token", issuer.token(exp=1_700_000_000), issuer.token(new_issuer().key)):
        stranger = Traffic(demo, release.hosts["prod"], release.rows, token)
        with closing(stranger.connection()) as connection:
            assert stranger.ask(connection) == (401, "")
    refused = demo.lockgate("replay", "prod")
    assert refused.returncode == 1
    assert "HTTP 401: the service refuses no token: give one of its issuer" in refused.stderr
    file = tmp_path / "token"
    file.write_text(issuer.token() + "\n")
    facts = demo.facts("replay", "prod", "--token-file", str(file))
    assert (facts["version"], facts["equal"]) == ("2", 100)


@pytest.mark.after(steps=(committed, delivered, everywhere))
def test_while_a_guard_is_in_alarm_no_promotion_starts_and_a_rollback_does(
    demo: FinishedDemo, release: DefectiveVersion
) -> None:
    with Traffic(demo, release.hosts["staging"], release.rows_with(SHIFTS)) as traffic:
        (alarm,) = wait_for(lambda: in_alarm(demo, "staging"))
        promote(demo, release)

        def refused() -> list[str]:
            return [each["reason"] for each in standing(demo)["failed_deployments"]]

        (reason,) = wait_for(refused)
        assert f"{alarm}: in ALARM, and ECS would ignore that during the whole deployment" in reason
        assert in_alarm(demo, "staging") == [alarm]
        facts = demo.facts("rollback", "staging", "--reason", "predicts nonsense", profile="staging-operator")
        assert (facts["from"], facts["to"]) == ("2", "1")
        assert set(traffic.further(20)) == {(200, "1")}
    assert {status for status, _ in traffic.answers} == {200}
