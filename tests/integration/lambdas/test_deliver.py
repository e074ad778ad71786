"""What a delivery trains: the models that a commit changes, each on which published snapshot."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from cli.commands import deliver, follow
from cli.main import parser
from lockgate import canonical, names
from lockgate.aws import delivery, promotions, training
from lockgate.configuration.model import read_model
from lockgate.data.choice import columns_of
from lockgate.errors import LockgateError, NotFoundError
from lockgate.ledger.chain import ReleaseChain
from tests import records

CONTEXT: Any = SimpleNamespace(bucket=lambda purpose: f"test-{purpose}")
MODELS = ("income", "churn")
OLDER, NEWER, OTHER = "b" * 16, "a" * 16, "c" * 16
# Manifests with the second at which each was published; the keys' order is another one.
PUBLISHED = {("income", OLDER): 1, ("income", NEWER): 2, ("churn", OTHER): 0}
CHOSEN: dict[tuple[str, int], str] = {}  # model and number of the choice's record -> snapshot
COLUMNS: dict[str, tuple[str, ...]] = {}  # of a snapshot: objects that say with which columns it was published


class Project:
    """A repository with two models of one feature."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self._git("init", "-q", "-b", "main")
        for model in MODELS:
            self.declare(model, "AGEP")

    def _git(self, *arguments: str) -> str:
        identity = ("-c", "user.name=ada", "-c", "user.email=ada@example.com")
        command = ["git", "-C", str(self.root), *identity, *arguments]
        return subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()

    @property
    def head(self) -> str:
        return self._git("rev-parse", "HEAD")

    def commit(self, **files: str) -> str:
        for path, written in files.items():
            (self.root / path).parent.mkdir(parents=True, exist_ok=True)
            (self.root / path).write_text(written)
        self._git("add", "--all")
        self._git("commit", "-q", "--allow-empty", "-m", "changed")
        return self.head

    def declare(self, model: str, *features: str) -> str:
        head = 'description = "x"\nidentifier = "id"\ntarget = "y"\nprotected = []\nowner = "a"\nintended_use = "b"\n'
        columns = "".join(
            f'[[feature]]\nname = "{name}"\ntype = "{kind or "integer"}"\nminimum = 0\nmaximum = 9\n'
            for name, _, kind in (feature.partition(":") for feature in features)
        )
        declared = f'{head}[parameters]\n[data]\ntrain = "t"\nholdout = "h"\n{columns}'
        train = "def train(rows, target, model): ...\n"
        return self.commit(**{f"model/{model}/model.toml": declared, f"model/{model}/train.py": train})


@pytest.fixture
def published(scripted: Any, sdk: Callable[[str], Any]) -> Iterator[Any]:
    class Objects(scripted):  # type: ignore[misc]
        """S3 that lists these objects in the order of their keys, as AWS does."""

        service = "s3"

        def ListObjectsV2(self, Prefix: str, **_: Any) -> dict[str, Any]:  # noqa: N802, N803
            found = [
                {
                    "Key": f"{names.snapshot_prefix(model, snapshot)}/{file}",
                    "LastModified": datetime(2026, 11, 22, 0, 0, second, tzinfo=UTC),
                }
                for (model, snapshot), second in PUBLISHED.items()
                for file in ("manifest.json", "train/train.parquet", *COLUMNS.get(snapshot, ()))
            ]
            found += [{"Key": names.chosen_key(model, number, each)} for (model, number), each in CHOSEN.items()]
            return {
                "Contents": sorted((each for each in found if each["Key"].startswith(Prefix)), key=lambda o: o["Key"])
            }

    made = Objects(sdk)
    yield made.client
    made.close()


@pytest.fixture
def tree(tmp_path: Path) -> Project:
    return Project(tmp_path)


def snapshots(tree: Project, s3: Any, models: tuple[str, ...] = MODELS, wanted: str | None = None) -> Any:
    context: Any = SimpleNamespace(root=tree.root, bucket=CONTEXT.bucket)
    return deliver._snapshots(context, s3, tree.head, models, wanted)


def test_what_somebody_publishes_changes_nothing_until_somebody_chooses_it(published: Any, tree: Project) -> None:
    """Else one bad snapshot is what everybody's next commit is trained on."""
    assert snapshots(tree, published) == ({"income": OLDER, "churn": OTHER}, {})


def test_every_model_is_trained_on_the_snapshot_that_was_chosen_last_forth_and_back(
    published: Any, tree: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    for number, snapshot in enumerate((NEWER, OLDER, NEWER, OLDER), start=9):  # 10 comes after 9
        monkeypatch.setitem(CHOSEN, ("income", number), snapshot)
        assert snapshots(tree, published)[0] == {"income": snapshot, "churn": OTHER}


def columns(tree: Project, *features: str) -> tuple[str]:
    """What a snapshot has that was published at a commit with these features."""
    tree.declare("income", *features)
    return (f"columns/{columns_of(read_model(tree.root / 'model' / 'income'))}",)


def test_a_commit_with_other_columns_or_types_trains_on_the_newest_that_fits_it_and_says_so(
    published: Any, tree: Project, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setitem(CHOSEN, ("income", 1), OLDER)
    monkeypatch.setitem(COLUMNS, OLDER, columns(tree, "AGEP"))
    monkeypatch.setitem(COLUMNS, NEWER, columns(tree, "AGEP:number"))
    tree.declare("income", "CIT", "AGEP")
    with pytest.raises(NotFoundError) as caught:
        snapshots(tree, published, ("income",))
    assert f"found 2 published snapshots, the current one {OLDER}, and none" in str(caught.value)
    for features in (("CIT", "AGEP"), ("AGEP:number",)):
        monkeypatch.setitem(COLUMNS, NEWER, columns(tree, *reversed(features)))
        tree.declare("income", *features)
        assert snapshots(tree, published)[0]["income"] == NEWER
        said = capsys.readouterr().err
        assert f"income: the current snapshot {OLDER} was published with other columns or types" in said
        assert f"it trains on {NEWER}, the newest that fits" in said
    monkeypatch.setitem(CHOSEN, ("income", 2), NEWER)
    tree.declare("income", "AGEP")
    assert snapshots(tree, published)[0]["income"] == OLDER, "a commit with the old columns goes on"
    monkeypatch.delitem(COLUMNS, NEWER)
    assert snapshots(tree, published)[0]["income"] == NEWER, "of one that 0.1 published nothing is known"


def test_what_was_chosen_once_comes_before_what_nobody_ever_chose(
    published: Any, tree: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(PUBLISHED, ("income", "d" * 16), 3)  # a bad one
    monkeypatch.setitem(COLUMNS, "d" * 16, columns(tree, "AGEP"))
    monkeypatch.setitem(COLUMNS, NEWER, columns(tree, "AGEP", "CIT"))
    monkeypatch.setitem(CHOSEN, ("income", 1), OLDER)
    monkeypatch.setitem(CHOSEN, ("income", 2), NEWER)
    tree.declare("income", "AGEP")
    assert snapshots(tree, published)[0]["income"] == OLDER


def test_a_model_that_this_version_cannot_read_is_trained_on_the_current_one(published: Any, tree: Project) -> None:
    tree.commit(**{"model/income/model.toml": "of another version"})
    assert snapshots(tree, published)[0]["income"] == OLDER


def test_any_published_snapshot_is_trained_on_by_the_model_that_has_it(published: Any, tree: Project) -> None:
    for snapshot in (OLDER, NEWER):
        assert snapshots(tree, published, wanted=snapshot) == ({"income": snapshot}, {})


def test_a_snapshot_that_nobody_published_is_refused(published: Any, tree: Project) -> None:
    with pytest.raises(
        NotFoundError, match="--snapshot: found 'dddd', expected one that is published, of income, churn"
    ):
        snapshots(tree, published, wanted="dddd")


def test_a_model_without_a_snapshot_stops_no_other_one(published: Any, tree: Project) -> None:
    found, without = snapshots(tree, published, (*MODELS, "new"))
    assert found == {"income": OLDER, "churn": OTHER}
    assert without == {"new": "model new: no data snapshot is published; run `lockgate snapshot --model new`"}
    with pytest.raises(NotFoundError, match="model new: no data snapshot is published"):
        snapshots(tree, published, ("new",))


@pytest.mark.parametrize("refusal", ["ResourceNotFound", "AccessDeniedException"])
def test_a_model_whose_stack_is_not_deployed_is_told_so_and_not_in_words_of_iam(
    scripted: Any, aws_error: Any, sdk: Callable[[str], Any], refusal: str
) -> None:
    class NoPipeline(scripted):  # type: ignore[misc]
        service = "sagemaker"

        def DescribePipeline(self, **_: Any) -> dict[str, Any]:  # noqa: N802
            raise aws_error(refusal, "User: arn:aws:sts::1:assumed-role/x is not authorized")

    made = NoPipeline(sdk)
    try:
        with pytest.raises(NotFoundError) as caught:
            training.pipeline_definition(made.client, "new")
    finally:
        made.close()
    assert "model new: no training was started: found no pipeline lockgate-new" in str(caught.value)
    assert "cdk deploy 'tools/*'" in str(caught.value)


THREE = ("churn", "fraud", "income")
PIPELINE = "arn:aws:sagemaker:us-east-1:123456789012:pipeline"
REGISTRY = "123456789012.dkr.ecr.us-east-1.amazonaws.com/lockgate-models"


class Delivery(Project):
    """A repository with three models, and what `lockgate deliver` does with it where SageMaker runs what it starts.

    definition: of each deployed pipeline. base: what the image of the next commit is built on.
    executions: newest first.
    """

    def __init__(self, root: Path) -> None:
        super().__init__(root)
        self.definition = json.dumps({"Parameters": [{"Name": "Fingerprint", "Type": "String"}], "Steps": ["evaluate"]})
        self.base = "python@sha256:1"
        self.bases: dict[str, str] = {}
        self.snapshots = dict.fromkeys(THREE, OLDER)
        self.executions: list[dict[str, Any]] = []
        self.tokens: dict[str, dict[str, Any]] = {}
        self.chain: ReleaseChain = records.chain_of(model="fraud")
        self._git("rm", "-q", "-r", "model")
        self.commit(
            **{
                ".dockerignore": "*\n!lockgate\n!model\n!runtime\n",
                "README.md": "words",
                "lockgate/rules.py": "rules",
                **{f"model/{model}/model.toml": model for model in THREE},
            }
        )

    def image(self, sha: str) -> delivery.Image:
        self.bases.setdefault(sha, self.base)
        return delivery.Image(sha, f"{REGISTRY}@sha256:{canonical.sha256(sha.encode())}")

    def deliver(self, *options: str) -> list[str]:
        """The models of which a delivery of HEAD starts a training."""
        before = len(self.executions)
        assert deliver.run(parser("deliver").parse_args(["deliver", *options])) == 0
        return sorted(each["model"] for each in self.executions[: len(self.executions) - before])

    def end(self, status: str = "Succeeded") -> None:
        for execution in self.executions:
            if execution["status"] == "Executing":
                execution["status"] = status


@pytest.fixture
def delivered(scripted: Any, sdk: Callable[[str], Any], tmp_path: Path, monkeypatch: Any) -> Iterator[Delivery]:
    at = Delivery(tmp_path)

    class Pipelines(scripted):  # type: ignore[misc]
        service = "sagemaker"

        def DescribePipeline(self, PipelineName: str) -> dict[str, Any]:  # noqa: N802, N803
            return {"PipelineDefinition": at.definition}

        def ListPipelineExecutions(self, PipelineName: str, **_: Any) -> dict[str, Any]:  # noqa: N802, N803
            summaries = [
                {
                    "PipelineExecutionArn": each["arn"],
                    "PipelineExecutionDisplayName": each["name"],
                    "PipelineExecutionStatus": each["status"],
                    "StartTime": datetime(2026, 11, 22, tzinfo=UTC),
                }
                for each in at.executions
                if names.pipeline(each["model"]) == PipelineName
            ]
            return {"PipelineExecutionSummaries": summaries}

        def ListPipelineParametersForExecution(self, PipelineExecutionArn: str) -> dict[str, Any]:  # noqa: N802, N803
            (found,) = (each for each in at.executions if each["arn"] == PipelineExecutionArn)
            return {"PipelineParameters": found["parameters"]}

        def ListPipelineExecutionSteps(self, PipelineExecutionArn: str, **_: Any) -> dict[str, Any]:  # noqa: N802, N803
            (found,) = (each for each in at.executions if each["arn"] == PipelineExecutionArn)
            package = f"arn:aws:sagemaker:us-east-1:123456789012:model-package/{found['model']}/{found['version']}"
            step = {"StepName": "register", "StepStatus": "Succeeded", "Metadata": {"RegisterModel": {"Arn": package}}}
            return {"PipelineExecutionSteps": [step] if found["status"] == "Succeeded" else []}

        def StartPipelineExecution(self, ClientRequestToken: str, **request: Any) -> dict[str, Any]:  # noqa: N802, N803
            name = request["PipelineName"]
            if ClientRequestToken not in at.tokens:
                made = {
                    "arn": f"{PIPELINE}/{name}/execution/{len(at.executions):012d}",
                    "model": name.removeprefix("lockgate-"),
                    "name": request["PipelineExecutionDisplayName"],
                    "parameters": request["PipelineParameters"],
                    "status": "Executing",
                    "version": len([each for each in at.executions if names.pipeline(each["model"]) == name]) + 1,
                }
                at.tokens[ClientRequestToken] = made
                at.executions.insert(0, made)
            return {"PipelineExecutionArn": at.tokens[ClientRequestToken]["arn"]}

    class Builds(scripted):  # type: ignore[misc]
        service = "codebuild"

        def ListBuildsForProject(self, **_: Any) -> dict[str, Any]:  # noqa: N802
            return {"ids": sorted(at.bases)}

        def BatchGetBuilds(self, ids: list[str]) -> dict[str, Any]:  # noqa: N802
            return {"builds": [self._build(sha) for sha in ids]}

        @staticmethod
        def _build(sha: str) -> dict[str, Any]:
            variables = [{"name": "BASE_IMAGE", "value": at.bases[sha]}, {"name": "COMMIT", "value": sha}]
            machine = {"type": "LINUX_CONTAINER", "image": "standard", "computeType": "BUILD_GENERAL1_MEDIUM"}
            return {
                "id": sha,
                "startTime": datetime(2026, 11, 22, tzinfo=UTC),
                "environment": {**machine, "environmentVariables": variables},
                "exportedEnvironmentVariables": [{"name": "IMAGE_DIGEST", "value": at.image(sha).digest}],
                "source": {"type": "S3", "buildspec": "build"},
            }

    services = {made.service: made for made in (Pipelines(sdk), Builds(sdk))}
    session = SimpleNamespace(client=lambda service: services[service].client if service in services else None)
    tools = SimpleNamespace(promotion=("dev", "prod"), account="1" * 12, region="us-east-1")
    context = SimpleNamespace(
        root=tmp_path,
        tools=tools,
        bucket=lambda purpose: f"test-{purpose}",
        session=session,
        client=session.client,
        ledger=SimpleNamespace(chain=lambda model: at.chain),
        models=lambda chosen: (chosen,),
    )
    monkeypatch.setenv("GITHUB_ACTOR", "ada")
    monkeypatch.delenv("ACTIONS_ID_TOKEN_REQUEST_URL", raising=False)
    monkeypatch.setattr(deliver, "open_context", lambda: context)
    monkeypatch.setattr(follow, "open_context", lambda: context)
    monkeypatch.setattr(follow, "find_image", lambda _ecr, _repository, _uri, sha: at.image(sha))
    monkeypatch.setattr(promotions, "last_attempt", lambda *_: None)
    monkeypatch.setattr(deliver, "build_image", lambda _context, _session, sha, **_: at.image(sha))
    monkeypatch.setattr(deliver, "wait_for_provenance", lambda *_: None)
    monkeypatch.setattr(delivery, "find_champion", lambda *_: None)
    monkeypatch.setattr(
        delivery, "snapshots", lambda _s3, _bucket, model: delivery.Snapshots((at.snapshots[model],), {})
    )
    monkeypatch.setattr(delivery, "chosen_snapshots", lambda *_: [])
    yield at
    for made in services.values():
        made.close()


@pytest.fixture
def at(delivered: Delivery) -> Delivery:
    """Three models, each with a first version."""
    assert delivered.deliver() == [*THREE]
    delivered.end()
    return delivered


def test_a_commit_trains_the_models_that_it_changes_and_no_other(at: Delivery) -> None:
    at.commit(**{"model/fraud/train.py": "new"})
    assert at.deliver() == ["fraud"]
    at.end()
    at.commit(**{"lockgate/rules.py": "shared"})
    assert at.deliver() == [*THREE]


def test_a_commit_that_changes_no_model_starts_nothing_and_says_since_when(
    at: Delivery, capsys: pytest.CaptureFixture[str]
) -> None:
    first = at._git("rev-parse", "HEAD")
    at.commit(**{"README.md": "other words"})
    assert at.deliver() == []
    said = capsys.readouterr()
    assert "it has its image, and nothing is started for " in said.out
    why = f"the training of commit {first[:12]} started from the same and registered version 1. `lockgate follow"
    assert f"fraud: nothing is started: {why}" in said.err
    assert at.deliver("--again") == [*THREE]
    at.end()
    assert at.deliver("--again", "--model", "fraud") == ["fraud"]


def test_going_back_to_an_older_version_is_a_change(at: Delivery) -> None:
    at.commit(**{"model/fraud/model.toml": "second"})
    assert at.deliver() == ["fraud"]
    at.end()
    first = at._git("rev-parse", "HEAD~1")
    assert at.deliver(first) == [], "an old run that is started again delivers nothing"
    at.commit(**{"model/fraud/model.toml": "fraud"})
    assert at.deliver() == ["fraud"]


def test_a_commit_older_than_what_was_trained_last_starts_nothing_and_says_what_would(
    at: Delivery, capsys: pytest.CaptureFixture[str]
) -> None:
    """Nothing is live: without this, a late or repeated run makes an old commit the newest version."""
    middle = at.commit(**{"model/fraud/train.py": "middle"})
    last = at.commit(**{"model/fraud/train.py": "last"})
    assert at.deliver() == ["fraud"]
    assert at.deliver(middle) == []
    said = capsys.readouterr()
    assert (
        f"fraud: nothing is started: commit {last[:12]} was trained last, and this commit is 1 behind of it" in said.err
    )
    assert f"`lockgate deliver {middle[:12]} --older`" in said.err
    assert f"Delivered {middle[:12]}: it has its image" in said.out
    assert at.deliver(middle, "--older") == ["fraud"]


def test_what_was_trained_once_is_trained_again_where_somebody_says_older(at: Delivery) -> None:
    first = at._git("rev-parse", "HEAD")
    at.commit(**{"model/fraud/model.toml": "second"})
    assert at.deliver() == ["fraud"]
    at.end()
    assert at.deliver(first, "--older") == ["fraud"]
    assert at.deliver(first, "--older") == [], "it is the newest now, and runs"


def test_a_commit_of_another_branch_is_no_older_one(at: Delivery) -> None:
    at._git("checkout", "-q", "-b", "other")
    side = at.commit(**{"model/fraud/train.py": "side"})
    at._git("checkout", "-q", "main")
    at.commit(**{"model/fraud/train.py": "main"})
    assert at.deliver() == ["fraud"]
    assert at.deliver(side) == ["fraud"]


def test_going_back_to_an_earlier_snapshot_is_a_change_of_the_same_commit(at: Delivery) -> None:
    for snapshot in (NEWER, OLDER, NEWER):
        at.snapshots["fraud"] = snapshot
        assert at.deliver() == ["fraud"]
        at.end()
        assert at.deliver() == []


def test_a_clone_that_was_cut_off_starts_nothing_of_which_it_cannot_tell_the_order(
    at: Delivery, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    at.commit(**{"model/fraud/train.py": "new"})
    monkeypatch.setattr("cli.git._has", lambda *_: False)
    monkeypatch.setattr("cli.git.is_shallow", lambda _: True)
    before = len(at.executions)
    assert deliver.run(parser("deliver").parse_args(["deliver"])) == 1
    assert len(at.executions) == before
    assert "fetch the whole history" in capsys.readouterr().err


def followed(revision: str, capsys: pytest.CaptureFixture[str]) -> tuple[int, dict[str, Any]]:
    asked = parser("follow").parse_args(["follow", revision, "--model", "fraud", "--timeout", "0.1", "--json"])
    code = follow.run(asked)
    return code, json.loads(capsys.readouterr().out)


@pytest.mark.parametrize(
    ("last", "code", "ending"),
    [
        (records.verdict(outcome="failed"), 3, "refused"),
        (records.request(expires="2999-01-01T00:00:00.000Z"), 4, "waiting for approval"),
        (records.deployment(version=2), 0, "live"),
    ],
    ids=["refused", "waiting", "live"],
)
def test_following_a_commit_that_changed_nothing_ends_as_the_version_that_it_equals(
    at: Delivery, capsys: pytest.CaptureFixture[str], last: Any, code: int, ending: str
) -> None:
    trained = at.commit(**{"model/fraud/train.py": "new"})
    assert at.deliver() == ["fraud"]
    at.end()
    same = at.commit(**{"README.md": "other words"})
    assert at.deliver() == []
    capsys.readouterr()
    at.chain = records.chain_of(records.entry(last, 2, "prod"), model="fraud")
    facts = {"model": "fraud", "version": 2, "ending": ending}
    assert followed(same, capsys) == (code, {**facts, "commit": same, "same_as": trained})
    assert followed(trained, capsys) == (code, {**facts, "commit": trained, "same_as": None})


def test_following_a_commit_whose_equal_was_never_released_does_not_end_well(
    at: Delivery, capsys: pytest.CaptureFixture[str]
) -> None:
    same = at.commit(**{"README.md": "other words"})
    assert at.deliver() == []
    with pytest.raises(LockgateError, match="gave up after --timeout"):
        followed(same, capsys)
    late = at.commit(**{"model/fraud/train.py": "late"})
    at.commit(**{"model/fraud/train.py": "last"})
    assert at.deliver() == ["fraud"]
    assert at.deliver(late) == []
    with pytest.raises(NotFoundError, match="was trained last, and this commit is 1 behind of it"):
        followed(late, capsys)


def test_what_runs_is_not_started_again_and_what_left_no_version_is(at: Delivery) -> None:
    at.commit(**{"model/fraud/model.toml": "second"})
    assert at.deliver() == ["fraud"]
    at.commit(**{"README.md": "while it runs"})
    assert at.deliver() == []
    for ended in ("Failed", "Stopped"):
        at.end(ended)
        assert at.deliver() == ["fraud"], f"one that ended {ended} left no version"
        assert at.deliver() == []
    assert at.executions[0]["name"].endswith("-2"), "the commit's second"
    at.end("Failed")
    at.commit(**{"model/fraud/model.toml": "fraud"})
    assert at.deliver() == [], "the newest version is the first again"


def test_a_new_snapshot_base_image_or_pipeline_is_a_change(at: Delivery) -> None:
    at.snapshots["fraud"] = NEWER
    assert at.deliver() == ["fraud"]
    at.end()
    at.base = "python@sha256:2"
    assert at.deliver() == [], "the image of this commit was built before"
    at.commit(**{"README.md": "other words"})
    assert at.deliver() == [*THREE]
    at.end()
    at.definition = at.definition.replace("evaluate", "evaluate by another one")
    assert at.deliver() == [*THREE]


def test_an_image_that_no_known_build_made_is_like_no_other(at: Delivery, monkeypatch: pytest.MonkeyPatch) -> None:
    at.commit(**{"README.md": "other words"})
    monkeypatch.setattr(delivery, "recent_builds", lambda *_: [])
    assert at.deliver() == [*THREE]
    at.end()
    at.commit(**{"README.md": "and others"})
    assert at.deliver() == [*THREE], "nor like another one of those"


def test_a_pipeline_of_an_older_lockgate_is_no_surprise_of_sagemakers(
    at: Delivery, capsys: pytest.CaptureFixture[str]
) -> None:
    at.definition = json.dumps({"Parameters": [{"Name": "Commit", "Type": "String"}]})
    assert deliver.run(parser("deliver").parse_args(["deliver"])) == 1
    assert "without the parameter Fingerprint, which an older Lockgate deployed" in capsys.readouterr().err


def test_a_model_that_the_commit_does_not_have_cannot_be_chosen(at: Delivery) -> None:
    with pytest.raises(NotFoundError, match="--model: found 'nine', expected one of churn, fraud, income"):
        at.deliver("--model", "nine")
