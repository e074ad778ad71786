"""Configuration: read whole, and every mistake named with file, key, found and expected."""

from __future__ import annotations

import re
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from lockgate.configuration.environment import Environment, read_environment
from lockgate.configuration.model import Feature, model_named, read_models
from lockgate.configuration.project import read_configuration
from lockgate.configuration.tools import read_tools
from lockgate.errors import ConfigError

ENVIRONMENTS = Path(__file__).parents[3] / "environments"
MODEL = """
description = "Who is employed"
identifier = "person"
target = "employed"
owner = "team"
intended_use = "tests"
protected = ["SEX"]
[data]
train = "train.parquet"
holdout = "holdout.parquet"
[parameters]
learning_rate = 0.1
max_iter = 100
early = true
[[feature]]
name = "AGEP"
type = "integer"
minimum = 0
maximum = 99
[[feature]]
name = "SEX"
type = "category"
values = ["1", "2"]
null_share = 0.1
"""
POLICY = """
[[rule]]
name = "ranking"
kind = "limit"
metric = "roc_auc"
floor = 0.80

[[rule]]
name = "fair"
kind = "gap"
measure = "equal_opportunity"
by = "SEX"
ceiling = 0.1
minimum_rows = 100
environments = ["prod"]
"""


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """The environments of this repository and one small model."""
    (tmp_path / "environments").mkdir()
    for file in ENVIRONMENTS.glob("*.toml"):
        (tmp_path / "environments" / file.name).write_text(file.read_text())
    (tmp_path / "model" / "income").mkdir(parents=True)
    (tmp_path / "model" / "income" / "model.toml").write_text(MODEL)
    (tmp_path / "model" / "income" / "policy.toml").write_text(POLICY)
    (tmp_path / "model" / "income" / "train.py").write_text("def train(rows, target, model): ...\n")
    return tmp_path


@pytest.fixture
def change(root: Path) -> Callable[[str, str, str], None]:
    """Replace one piece of text in one file."""

    def replace(file: str, old: str, new: str) -> None:
        text = (root / file).read_text()
        assert old in text, f"{file} has no {old}"
        (root / file).write_text(text.replace(old, new, 1))

    return replace


def test_the_configuration_of_this_repository_is_read_in_the_order_of_promotion(root: Path) -> None:
    configuration = read_configuration(root)
    assert [environment.name for environment in configuration.environments] == list(configuration.tools.promotion)
    assert [model.name for model in configuration.models] == ["income"]


def test_a_model_is_read_with_its_data_contract(root: Path) -> None:
    model = model_named(read_configuration(root).models, "income")
    assert model.features == (
        Feature("AGEP", "integer", minimum=0.0, maximum=99.0),
        Feature("SEX", "category", ("1", "2"), null_share=0.1),
    )
    assert model.parameters == {"learning_rate": 0.1, "max_iter": 100, "early": True}
    with pytest.raises(ConfigError, match=r"expected one of \['income'\]"):
        model_named([model], "churn")


def test_the_subject_that_github_is_trusted_with_carries_ids_that_never_change(root: Path) -> None:
    github = read_tools(root / "environments" / "tools.toml").github
    assert github.subject == (
        f"repo:{github.owner}@{github.owner_id}/{github.repository}@{github.repository_id}"
        f":ref:refs/heads/{github.branch}"
    )


DEV = "environments/dev.toml"
TOOLS = "environments/tools.toml"
INCOME = "model/income/model.toml"
POLICY_FILE = "model/income/policy.toml"


@pytest.mark.parametrize(
    ("file", "old", "new", "message"),
    [
        (DEV, '"222222222222"', '"22222222222"', "account: found '22222222222', expected 12 digits"),
        (DEV, '"222222222222"', "222222222222", "account: found 222222222222, expected 12 digits"),
        (DEV, 'account = "222222222222"', "", "account: found nothing"),
        (DEV, "account =", "acount =", "account: found nothing"),
        (
            DEV,
            "approvals =",
            "aprovals = 1\napprovals =",
            "aprovals: found 1, expected no such key; known keys: account",
        ),
        (DEV, "[service]", "[service]\nextra = 1", "service.extra: found 1, expected no such key"),
        (DEV, '"us-east-1"', '"US"', "region: found 'US'"),
        (DEV, '"us-east-1"', '"us-east-1\\n"', "region: found 'us-east-1\\n'"),
        (POLICY_FILE, "floor = 0.80", "floor = nan", "rule[0].floor: found nan"),
        (
            DEV,
            '"us-east-1"',
            '"eu-west-1"',
            "region: found 'eu-west-1', expected the region of environments/tools.toml",
        ),
        (DEV, "approvals = 0", "approvals = -1", "approvals: found -1, expected an integer from 0 to 5"),
        (DEV, "approvals = 0", "approvals = true", "approvals: found True"),
        (DEV, "cpu = 512", "cpu = 513", "service.cpu: found 513, expected one of 256, 512, 1024, 2048, 4096"),
        (DEV, "memory = 1024", "memory = 30720", "service.memory: found 30720, expected one of 1024, 2048"),
        (DEV, "tasks = 1", "tasks = 0", "service.tasks: found 0"),
        (DEV, '"10.20.0.0/20"', '"10.20.0.0/8"', "service.vpc_cidr: found '10.20.0.0/8'"),
        (DEV, '"10.20.0.0/20"', '"10.20.0.1/20"', "service.vpc_cidr: found '10.20.0.1/20'"),
        (DEV, '"10.20.0.0/20"', '"10.999.0.0/20"', "service.vpc_cidr: found '10.999.0.0/20'"),
        (DEV, "certificate/", "certificates/", "service.certificate_arn"),
        (DEV, 'what = "lineage"', 'what = "age"', "rule[0].what: found 'age'"),
        (DEV, "[service]", "[service", "file: found"),
        (TOOLS, "evaluator]", "evaluators]", "evaluator: found nothing"),
        (TOOLS, 'image_digest = "sha256:', 'image_digest = "sha-256:', "evaluator.image_digest: found 'sha-256:"),
        (TOOLS, "@sha256:", ":", "images.base: found 'python:3.13-slim-bookworm:"),
        (TOOLS, '"main"', '"*"', "github.branch: found '*'"),
        (
            TOOLS,
            '"main"',
            '"main"\nsubject_form = "any"',
            "github.subject_form: found 'any', expected one of ids, names",
        ),
        (TOOLS, '"main"', '"main"\nprovider_arn = "*"', "github.provider_arn: found '*'"),
        (TOOLS, '"1001"', "1001", "github.owner_id: found 1001"),
        (TOOLS, '"prod"]', '"prod", "qa"]', "promotion: found ['dev', 'staging', 'prod', 'qa']"),
        (TOOLS, ', "prod"]', "]", "promotion: found ['dev', 'staging'], expected each of ['dev', 'prod', 'staging']"),
        (TOOLS, '"staging"', '"dev"', "promotion: found ['dev', 'dev', 'prod']"),
        (TOOLS, "retention_days = 1", "retention_days = 0", "ledger.retention_days: found 0"),
        (INCOME, '"integer"', '"int"', "feature[0].type: found 'int', expected one of category, integer, number"),
        (INCOME, "minimum = 0", "", "feature[0].minimum: found nothing"),
        (INCOME, "minimum = 0", "minimum = 100", "feature[0].minimum: found 100.0, expected at most 99.0"),
        (INCOME, "minimum = 0", "minimum = inf", "feature[0].minimum: found inf"),
        (INCOME, "minimum = 0", "minimun = 0\nminimum = 0", "feature[0].minimun"),
        (
            INCOME,
            '["1", "2"]',
            '["1", "1"]',
            "feature[1].values: found ['1', '1'], expected at least one text, each once",
        ),
        (INCOME, '["1", "2"]', '["1", 2]', "feature[1].values: found ['1', 2], expected a list of texts"),
        (INCOME, '["1", "2"]', "[]", "feature[1].values: found []"),
        (INCOME, "null_share = 0.1", "null_share = 1.1", "feature[1].null_share: found 1.1"),
        (INCOME, 'name = "SEX"', 'name = "AGEP"', "feature: found ['AGEP']"),
        (INCOME, '["SEX"]', '["RACE"]', "protected: found ['RACE']"),
        (
            INCOME,
            '["SEX"]',
            '["SEX", "AGEP"]',
            "protected: found 'AGEP, an integer 0 to 99 without bins', expected bins",
        ),
        (
            INCOME,
            "maximum = 99",
            "maximum = 99\nbins = [50, 30]",
            "feature[0].bins: found [50, 30], expected 1 to 19 int",
        ),
        (
            INCOME,
            "maximum = 99",
            "maximum = 99\nbins = [0, 30]",
            "feature[0].bins: found [0, 30], expected 1 to 19 int",
        ),
        (INCOME, "maximum = 99", "maximum = 99\nbins = [30, 100]", "feature[0].bins: found [30, 100]"),
        (INCOME, "maximum = 99", "maximum = 99\nbins = [30.5]", "feature[0].bins: found [30.5]"),
        (INCOME, "maximum = 99", "maximum = 99\nbins = []", "feature[0].bins: found []"),
        (INCOME, "null_share = 0.1", "bins = [1]", "feature[1].bins: found [1], expected no bins: only integers"),
        (INCOME, '[[feature]]\nname = "AGEP"', '[[attribute]]\nname = "AGEP"', "attribute: found ['AGEP'], expected"),
        (INCOME, "owner =", 'entity = "person"\nowner =', "entity: found 'person', expected a column that is neither"),
        (INCOME, "owner =", 'time = "employed"\nowner =', "time: found 'employed', expected a column that is neither"),
        (INCOME, 'target = "employed"', 'target = "AGEP"', "target: found 'AGEP', expected a column that is not"),
        (INCOME, 'target = "employed"', 'target = "person"', "target: found 'person'"),
        (INCOME, "max_iter = 100", "max_iter = [100]", "parameters.max_iter: found [100]"),
        (INCOME, "[data]", "[date]", "data: found nothing"),
    ],
    ids=lambda value: value[:28],
)
def test_a_mistake_is_named_with_file_and_key(
    root: Path, change: Callable[[str, str, str], None], file: str, old: str, new: str, message: str
) -> None:
    change(file, old, new)
    with pytest.raises(ConfigError, match=re.escape(f"{file}: {message}")):
        read_configuration(root)


def test_a_missing_file_is_named(root: Path) -> None:
    (root / INCOME).unlink()
    with pytest.raises(ConfigError, match=f"{INCOME}: file: found no such file"):
        read_configuration(root)


def test_a_byte_order_mark_is_named(root: Path) -> None:
    (root / DEV).write_bytes(b"\xef\xbb\xbf" + (root / DEV).read_bytes())
    with pytest.raises(ConfigError, match=f"{DEV}: file: found 'a byte order mark .*, expected UTF-8 without one"):
        read_configuration(root)


def test_a_file_that_is_no_text_is_named(root: Path) -> None:
    (root / DEV).write_bytes(b"\xff\xfe")
    with pytest.raises(ConfigError, match=f"{DEV}: file: found .* expected valid TOML"):
        read_configuration(root)


def test_an_environment_that_is_not_promoted_to_is_a_mistake(root: Path) -> None:
    (root / "environments" / "qa.toml").write_text((root / DEV).read_text())
    with pytest.raises(ConfigError, match="promotion"):
        read_configuration(root)


@pytest.mark.parametrize("name", ["Dev", "1dev", "d" * 32, "dev_2"])
def test_a_name_that_aws_would_not_take_everywhere_is_refused(root: Path, name: str) -> None:
    file = root / "environments" / f"{name}.toml"
    file.write_text((root / DEV).read_text())
    with pytest.raises(ConfigError, match="name: found"):
        read_environment(file)


def test_a_model_folder_without_train_is_a_mistake_not_a_skip(root: Path) -> None:
    (root / "model" / "income" / "train.py").unlink()
    with pytest.raises(ConfigError, match=r"model/income: train.py: found no such file"):
        read_configuration(root)


def test_no_model_at_all_is_a_mistake(root: Path) -> None:
    for file in (root / "model" / "income").iterdir():
        file.unlink()
    (root / "model" / "income").rmdir()
    with pytest.raises(ConfigError, match="no model"):
        read_configuration(root)
    (root / "model").rmdir()
    with pytest.raises(ConfigError, match="a folder with one folder a model"):
        read_configuration(root)


def test_folders_that_python_or_an_editor_leaves_behind_are_no_models(root: Path) -> None:
    for name in ("__pycache__", ".idea"):
        (root / "model" / name).mkdir()
    assert len(read_configuration(root).models) == 1


def test_a_train_module_without_the_function_train_is_refused(root: Path) -> None:
    (root / "model" / "income" / "train.py").write_text("def fit(): ...\n")
    with pytest.raises(ConfigError, match=r"model/income/train.py: train: found no such function"):
        read_configuration(root)


def test_an_environment_with_a_name_too_long_for_a_stack_is_refused(root: Path) -> None:
    long = "a-name-of-17-char"
    (root / "environments" / "dev.toml").rename(root / "environments" / f"{long}.toml")
    tools = root / "environments" / "tools.toml"
    tools.write_text(tools.read_text().replace('"dev"', f'"{long}"'))
    with pytest.raises(ConfigError, match=rf"environments/{long}.toml: name: found '{long}', expected .* 16 at most"):
        read_configuration(root)


PROD = """
extends = "dev"
approvals = 2

[service]
tasks = 7

[[rule]]
name = "lineage"
kind = "limit"
metric = "accuracy"
floor = 0.9
"""


def extending(folder: Path, prod: str) -> Environment:
    for name in ("dev", "staging"):
        shutil.copy(ENVIRONMENTS / f"{name}.toml", folder / f"{name}.toml")
    (folder / "prod.toml").write_text(prod)
    return read_environment(folder / "prod.toml")


def test_an_environment_that_extends_another_says_only_what_differs(tmp_path: Path) -> None:
    prod, dev = extending(tmp_path, PROD), read_environment(tmp_path / "dev.toml")
    assert (prod.approvals, prod.tasks, prod.cpu, prod.account) == (2, 7, dev.cpu, dev.account)
    rules = {rule.name: rule for rule in prod.rules}
    assert set(rules) == {rule.name for rule in dev.rules}
    assert rules["lineage"].metric == "accuracy"  # type: ignore[union-attr]


@pytest.mark.parametrize("base", ["prod", "nowhere", "tools"])
def test_an_environment_extends_another_that_exists(tmp_path: Path, base: str) -> None:
    with pytest.raises(ConfigError, match=r"prod.toml: extends: found .* without going in a circle"):
        extending(tmp_path, PROD.replace("dev", base))


def test_environments_do_not_extend_each_other_in_a_circle(tmp_path: Path) -> None:
    (tmp_path / "a.toml").write_text('extends = "b"')
    (tmp_path / "b.toml").write_text('extends = "a"')
    with pytest.raises(ConfigError, match="without going in a circle"):
        read_environment(tmp_path / "a.toml")


def test_a_mistake_in_what_an_environment_adds_is_named(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"prod.toml: aprovals: found 2, expected no such key"):
        extending(tmp_path, PROD.replace("approvals", "aprovals"))


@pytest.mark.parametrize(
    ("file", "old", "new", "message"),
    [
        (
            "tools.toml",
            'github = ["3004"]',
            'github = ["3003"]',
            r"persons.grace.github: found '3003', expected somebody",
        ),
        ("tools.toml", 'users = ["grace"]', 'users = ["ada"]', r"persons.grace.users: found 'ada', expected somebody"),
        (
            "tools.toml",
            'github = ["3003"]',
            'github = ["octocat"]',
            r"persons.ada.github: found 'octocat', expected ids",
        ),
        ("tools.toml", 'users = ["grace"]', 'users = ["grace"]\nbot = true', r"persons.grace.users: found \['grace'\]"),
        ("tools.toml", 'github = ["3004"]\nusers = ["grace"]', "bot = true", r"persons.grace.github: found nothing"),
        ("tools.toml", 'users = ["grace"]', 'bot = "yes"', r"persons.grace.bot: found 'yes', expected true or false"),
        ("tools.toml", 'users = ["grace"]', "users = []", r"persons.grace.users: found \[\], expected at least one"),
        ("tools.toml", 'users = ["grace"]', 'user = ["grace"]', r"persons.grace.users: found nothing"),
        ("tools.toml", 'users = ["grace"]', 'users = ["grace"]\nrole = "x"', r"persons.grace.role: found 'x'"),
        (
            "dev.toml",
            '"lockgate-approver"',
            '"Administrator"',
            r"approvers: found 'Administrator', expected lockgate-app",
        ),
        ("dev.toml", '"lockgate-approver"', '"lockgate-gate"', r"approvers: found 'lockgate-gate'"),
        (
            "prod.toml",
            "approvals = 1",
            "approvals = 2",
            r"persons: found \['ada', 'grace'\], expected at least 3: an author",
        ),
    ],
)
def test_a_map_of_persons_with_a_mistake_fails_the_synth(
    root: Path, change: Callable[[str, str, str], None], file: str, old: str, new: str, message: str
) -> None:
    change(f"environments/{file}", old, new)
    with pytest.raises(ConfigError, match=message):
        read_configuration(root)


def test_roles_of_persons_are_named_by_environment_or_have_their_usual_names(
    root: Path, change: Callable[[str, str, str], None]
) -> None:
    change("environments/prod.toml", "approvals = 1", 'approvals = 1\napprovers = ["AWSReservedSSO_Releases"]')
    found = {each.name: (each.approvers, each.break_glass) for each in read_configuration(root).environments}
    assert found["staging"] == (("lockgate-approver",), ("lockgate-break-glass",))
    assert found["prod"] == (("AWSReservedSSO_Releases",), ("lockgate-break-glass",))


def test_an_environment_may_ask_callers_for_a_token(root: Path, change: Callable[[str, str, str], None]) -> None:
    jwt = 'issuer = "https://idp.example.com/"\njwks_endpoint = "https://idp.example.com/keys"\naudience = "models"\n'
    change("environments/prod.toml", "[service]\n", f"[service.jwt]\n{jwt}\n[service]\n")
    found = {each.name: each.jwt for each in read_configuration(root).environments}
    assert (found["dev"], found["staging"]) == (None, None)
    assert found["prod"] is not None
    assert (found["prod"].audience, found["prod"].audience_format) == ("models", "single-string")
    change("environments/prod.toml", "https://idp.example.com/keys", "http://idp.example.com/keys")
    with pytest.raises(
        ConfigError, match=r"service.jwt.jwks_endpoint: found 'http://idp.*expected the URL of the issuer"
    ):
        read_configuration(root)


RULE = """
[[rule]]
name = "by group"
kind = "limit"
metric = "accuracy"
floor = 0.1
"""


@pytest.mark.parametrize(
    ("keys", "message"),
    [
        ('by = "SEXX"', "rule 'by group'.by: found 'SEXX', expected an attribute that the model protects"),
        ('by = "AGEP"', "rule 'by group'.by: found 'AGEP', expected an attribute that the model protects"),
        ('by = "SEX"\nleave_out = ["3"]', "rule 'by group'.leave_out: found '3', expected a value that SEX can have"),
        (
            'by = "SEX"\ngroup = "3"',
            "rule 'by group'.group: found '3', expected a value that SEX can have by model/inc",
        ),
    ],
)
def test_an_attribute_or_group_that_no_row_can_have_is_refused_at_synth(root: Path, keys: str, message: str) -> None:
    file = root / "environments" / "dev.toml"
    file.write_text(file.read_text() + RULE + keys + "\n")
    with pytest.raises(ConfigError) as caught:
        read_configuration(root)
    assert str(caught.value).startswith("environments/dev.toml: ")
    assert message in str(caught.value)


def test_groups_that_rows_can_have_are_taken(root: Path) -> None:
    file = root / "environments" / "dev.toml"
    file.write_text(file.read_text() + RULE + 'by = "SEX"\nleave_out = ["2", "null"]\n')
    assert read_configuration(root).environments[0].rules[-1].name == "by group"


@pytest.mark.parametrize("name", ["prod-", "eu--1", "anchor", "Prod", "a" * 17, "prod-release-2"])
def test_an_environment_whose_name_aws_or_the_app_would_refuse_is_refused_at_synth(root: Path, name: str) -> None:
    folder = root / "environments"
    (folder / f"{name}.toml").write_text((folder / "dev.toml").read_text())
    with pytest.raises(ConfigError, match=f"environments/{name}.toml: name: found '{name}', expected"):
        read_environment(folder / f"{name}.toml")


@pytest.mark.parametrize("name", ["m-", "a--b", "a" * 32])
def test_a_model_whose_name_aws_would_refuse_is_refused_at_synth(root: Path, name: str) -> None:
    (root / "model" / "income").rename(root / "model" / name)
    with pytest.raises(ConfigError, match="single dashes between them, 31 at most"):
        read_models(root / "model")


def test_what_git_leaves_of_a_removed_model_is_no_model(root: Path) -> None:
    (root / "model" / "gone" / "__pycache__").mkdir(parents=True)
    assert [model.name for model in read_models(root / "model")] == ["income"]


@pytest.mark.parametrize(
    "certificate",
    [
        "arn:aws:acm:eu-west-1:222222222222:certificate/00000000-0000-4000-8000-000000000000",
        "arn:aws:acm:us-east-1:999999999999:certificate/00000000-0000-4000-8000-000000000000",
    ],
)
def test_a_certificate_of_another_region_or_account_is_refused(root: Path, certificate: str) -> None:
    file = root / "environments" / "dev.toml"
    own = "arn:aws:acm:us-east-1:222222222222:certificate/00000000-0000-4000-8000-000000000000"
    file.write_text(file.read_text().replace(own, certificate))
    with pytest.raises(ConfigError, match="expected a certificate of account 222222222222 in us-east-1"):
        read_configuration(root)


@pytest.mark.parametrize("region", ["us-gov-west-1", "cn-north-1", "us-iso-east-1", "us-isob-east-1"])
def test_a_region_of_another_partition_is_refused_by_name(root: Path, region: str) -> None:
    file = root / "environments" / "dev.toml"
    file.write_text(file.read_text().replace('region = "us-east-1"', f'region = "{region}"'))
    with pytest.raises(ConfigError, match=f"region: found '{region}', expected an AWS region of the partition aws"):
        read_environment(file)


def test_a_workflow_of_another_branch_than_aws_trusts_is_refused(root: Path) -> None:
    workflows = root / ".github" / "workflows"
    workflows.mkdir(parents=True)
    (workflows / "deliver.yml").write_text("on:\n  push:\n    branches: [main]\n")
    read_configuration(root)
    (workflows / "deliver.yml").write_text("on:\n  push:\n    branches: [trunk]\n")
    with pytest.raises(ConfigError, match=r"deliver.yml: branches: found '\[trunk\]', expected \[main\]"):
        read_configuration(root)
