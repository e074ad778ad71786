"""Say how many labelled rows a policy needs: `lockgate policy plan`, before a holdout is drawn.

Asks for no AWS. What the policy does not say about the models (how much they differ, how large a gain must be found) is
guessed here; a decision never assumes it.
"""

from __future__ import annotations

import argparse
from dataclasses import replace
from pathlib import Path

from cli.context import find_root, json_argument, model_argument
from cli.terminal import show, show_json
from lockgate.configuration.model import model_named
from lockgate.configuration.project import read_configuration
from lockgate.errors import NotFoundError, RefusedError
from lockgate.policy.planning import Guess, plan
from lockgate.statistics.budget import Assurance, Simple, smallest_level

EXAMPLE = "lockgate policy plan --env prod --decisions 100"


def arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("action", choices=("plan",), help="what to do")
    parser.add_argument("--env", help="whose policy to take (the last environment's)")
    parser.add_argument("--decisions", type=int, help="decisions that the holdout must serve (the policy's)")
    parser.add_argument("--rate", type=float, help="false-promotion rate (the policy's)")
    parser.add_argument("--feedback", choices=("none", "first-pass", "every-verdict"), help="feedback (the policy's)")
    parser.add_argument("--holdout", type=int, default=1, help="the how-manieth holdout it is (1)")
    parser.add_argument(
        "--difference", type=float, default=0.01, help="how far on the right side a model that must pass is (0.01)"
    )
    parser.add_argument("--disagreement", type=float, default=0.05, help="share of rows on which one is right (0.05)")
    parser.add_argument("--group-rate", type=float, default=0.5, help="rate of a group, for gaps (0.5)")
    parser.add_argument("--deviation", type=float, default=0.3, help="standard deviation of a row's loss (0.3)")
    parser.add_argument("--power", type=float, default=0.8, help="how often it must be found (0.8)")
    model_argument(parser)
    json_argument(parser)


def run(arguments: argparse.Namespace) -> int:
    configuration = read_configuration(find_root(Path.cwd()))
    environments = {found.name: found for found in configuration.environments}
    name = arguments.env or list(environments)[-1]
    if name not in environments:
        raise NotFoundError(f"--env: found {name!r}, expected one of {', '.join(environments)}")
    model = configuration.model(arguments.model)
    policy, target = configuration.policy(environments[name], model), model_named(configuration.models, model).target
    assurance = _asked(arguments, policy.assurance)
    guess = Guess(
        arguments.difference, arguments.disagreement, arguments.group_rate, arguments.deviation, arguments.power
    )
    try:
        alpha = assurance.error if isinstance(assurance, Simple) else smallest_level(assurance, arguments.holdout)
        planned = [plan(rule, alpha, guess, target) for rule in policy.rules]
    except ValueError as error:
        raise RefusedError(f"policy plan: {error}") from error
    if arguments.json:
        rules = [{"rule": each.rule, "of": each.of, **(vars(each.need) if each.need else {})} for each in planned]
        said = {"model": model, "environment": name, "assurance": assurance.LEVEL, **vars(assurance)}
        show_json({**said, "alpha": alpha, "rules": rules})
        return 0
    show(f"policy of {model} for {name}, {assurance.LEVEL} assurance: {_promise(assurance, alpha)}")
    show(f"rows at which a model {guess.difference:g} on the right side passes with probability {guess.power:g}:")
    for each in planned:
        rows = f"{each.need.rows:,} {each.of}, {each.need.labels:,} labelled" if each.need else each.of
        show(f"  {each.rule}: {rows}")
    return 0


def _asked(arguments: argparse.Namespace, assurance: Assurance) -> Assurance:
    """The policy's assurance, with what the caller asks of its budget instead. Raises RefusedError."""
    given = {key: getattr(arguments, key) for key in ("decisions", "rate", "feedback")}
    asked = {key: value for key, value in given.items() if value is not None}
    if asked.get("decisions", 1) < 1 or not 0 < asked.get("rate", 0.05) < 0.5:
        raise RefusedError(f"policy plan: found {asked}, expected at least 1 decision and a rate above 0 and below 0.5")
    if isinstance(assurance, Simple):
        if asked:
            raise RefusedError(f"policy plan: found {asked}, expected them only of a policy with budget assurance")
        return assurance
    return replace(assurance, **asked)


def _promise(assurance: Assurance, alpha: float) -> str:
    if isinstance(assurance, Simple):
        return f"each decision at error {alpha:g}"
    return (
        f"rate {assurance.rate:g} over a {assurance.scope}'s life, feedback {assurance.feedback}; decision "
        f"{assurance.decisions} of {assurance.decisions}, at worst, is taken at error {alpha:.3g}"
    )
