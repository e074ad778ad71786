"""The page on policy begins with a rule of the example, and needs no word of what a decision may spend."""

from __future__ import annotations

import re
import tomllib

from tests.docs.pages import ROOT

FIRST = (ROOT / "docs" / "policy.md").read_text().split("\n## ")[0]


def test_the_first_page_of_policy_shows_a_rule_of_the_example() -> None:
    (block,) = re.findall(r"```toml\n(.*?)```", FIRST, re.DOTALL)
    (rule,) = tomllib.loads(block)["rule"]
    assert rule in tomllib.loads((ROOT / "model" / "employment" / "policy.toml").read_text())["rule"]


def test_the_first_page_of_policy_has_no_word_of_the_budget() -> None:
    assert not re.search("budget|spend|rate|holdout", FIRST)
