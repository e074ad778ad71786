"""Policies: a bound is allowed, a typo is not."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lockgate.errors import ConfigError
from lockgate.policy import Limit, Policy, read_policy
from lockgate.table import Table

numbers = st.floats(allow_nan=False, allow_infinity=False)
RULE: dict[str, Any] = {"kind": "limit", "name": "ranking", "metric": "roc_auc", "floor": 0.8}


def read(*rules: Any) -> Policy:
    return read_policy(Table("environments/dev.toml", "", {"rule": list(rules)}))


@given(numbers)
def test_a_value_at_the_bound_passes(value: float) -> None:
    assert Limit("r", "m", "floor", value).holds(value)
    assert Limit("r", "m", "ceiling", value).holds(value)


@given(numbers, numbers)
def test_a_floor_and_a_ceiling_at_the_same_place_agree_only_there(bound: float, value: float) -> None:
    both = Limit("r", "m", "floor", bound).holds(value) and Limit("r", "m", "ceiling", bound).holds(value)
    assert both == (value == bound)


def test_a_rule_is_read_with_its_bound() -> None:
    assert read(RULE).rules == (Limit("ranking", "roc_auc", "floor", 0.8),)
    ceiling = {"kind": "limit", "name": "loss", "metric": "log_loss", "ceiling": 1}
    assert read(ceiling).rules == (Limit("loss", "log_loss", "ceiling", 1.0),)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"flor": 0.8}, "rule[0].flor: found 0.8, expected no such key"),
        ({"kind": "limits"}, "rule[0].kind: found 'limits', expected one of limit"),
        ({"ceiling": 0.9}, "expected either floor or ceiling"),
        ({"floor": "0.8"}, "rule[0].floor: found '0.8', expected a finite number"),
        ({"floor": float("nan")}, "rule[0].floor: found nan, expected a finite number"),
        ({"floor": True}, "rule[0].floor: found True, expected a finite number"),
        ({"name": ""}, "rule[0].name: found '', expected text"),
        ({"metric": 7}, "rule[0].metric: found 7, expected text"),
    ],
)
def test_a_mistake_in_a_rule_is_named(change: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError) as caught:
        read({**RULE, **change})
    assert str(caught.value).startswith("environments/dev.toml: ")
    assert message in str(caught.value)


def test_a_rule_without_a_bound_is_refused() -> None:
    with pytest.raises(ConfigError, match="either floor or ceiling"):
        read({key: value for key, value in RULE.items() if key != "floor"})


def test_an_environment_without_rules_is_refused() -> None:
    with pytest.raises(ConfigError, match="one or more"):
        read()


def test_two_rules_of_one_name_are_refused() -> None:
    with pytest.raises(ConfigError, match="each name once"):
        read(RULE, {**RULE, "metric": "log_loss"})


def test_the_digest_changes_with_every_part_of_a_rule() -> None:
    changes: list[dict[str, Any]] = [{}, {"name": "other"}, {"metric": "log_loss"}, {"floor": 0.81}]
    assert len({read({**RULE, **change}).sha256 for change in changes}) == 4
    assert read(RULE).sha256 == read(dict(reversed(RULE.items()))).sha256
