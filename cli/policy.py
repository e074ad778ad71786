"""Say how many labelled rows a policy needs: `lockgate policy plan`, before a holdout is drawn.

Asks for no AWS. What the policy does not say about the models (how much they differ, how large a gain must be found) is
guessed here; a decision never assumes it.
"""

from __future__ import annotations

import argparse
from dataclasses import replace
from pathlib import Path

from cli.context import find_root, json_argument
from cli.terminal import show_json
from lockgate.config import read_configuration
from lockgate.errors import NotFoundError, RefusedError
from lockgate.statistics.budget import smallest_level
from lockgate.statistics.plan import paired_need


def arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("action", choices=("plan",), help="what to do")
    parser.add_argument("--env", help="whose budget to take (the last environment's)")
    parser.add_argument("--decisions", type=int, help="decisions that the holdout must serve (the policy's)")
    parser.add_argument("--rate", type=float, help="false-promotion rate (the policy's)")
    parser.add_argument("--feedback", choices=("none", "first-pass", "every-verdict"), help="feedback (the policy's)")
    parser.add_argument("--holdout", type=int, default=1, help="the how-manieth holdout it is (1)")
    parser.add_argument(
        "--difference", type=float, default=0.01, help="true gain in accuracy that must be found (0.01)"
    )
    parser.add_argument("--margin", type=float, default=0.0, help="gain that the rule asks for (0)")
    parser.add_argument("--disagreement", type=float, default=0.05, help="share of rows on which one is right (0.05)")
    parser.add_argument("--power", type=float, default=0.8, help="how often it must be found (0.8)")
    json_argument(parser)


def run(arguments: argparse.Namespace) -> int:
    environments = {found.name: found for found in read_configuration(find_root(Path.cwd())).environments}
    name = arguments.env or list(environments)[-1]
    if name not in environments:
        raise NotFoundError(f"--env: found {name!r}, expected one of {', '.join(environments)}")
    asked = {key: getattr(arguments, key) for key in ("decisions", "rate", "feedback") if getattr(arguments, key)}
    budget = replace(environments[name].policy.budget, **asked)
    try:
        alpha = smallest_level(budget, arguments.holdout)
        need = paired_need(alpha, arguments.disagreement, arguments.difference, arguments.margin, arguments.power)
    except ValueError as error:
        raise RefusedError(f"policy plan: {error}") from error
    facts = {"environment": name, **vars(budget), "alpha": alpha, "rows": need.rows, "labels": need.labels}
    if arguments.json:
        show_json(facts)
    else:
        print(f"policy of {name}: rate {budget.rate:g} over a {budget.scope}'s life, feedback {budget.feedback}")
        print(f"decision {budget.decisions} of {budget.decisions}, at worst, is taken at error {alpha:.3g}")
        print(f"{need.rows} rows find a gain of {arguments.difference:g} with probability {arguments.power:g}")
        print(f"{need.labels} of them need a label, if only rows on which the models disagree get one")
    return 0
