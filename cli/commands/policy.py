"""Say how many labelled rows a policy needs, before a holdout is drawn, or propose a policy.

Asks for no AWS. What the policy does not say about the models (how much they differ, how large a gain must be found) is
guessed here; a decision never assumes it. For a regression, --difference and --deviation are shares of a rule's bound.

With --propose: cross-validate the model on its training rows, and print a policy.toml that its holdout can decide
about. Nothing is written, and no row of the holdout is read: only how many it has.
"""

from __future__ import annotations

import argparse
import sys
from dataclasses import replace
from pathlib import Path

from cli.context import find_root, json_argument, model_argument
from cli.terminal import progress, show, show_json, working
from lockgate.configuration.model import model_named, read_models
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
    parser.add_argument("--propose", action="store_true", help="print a policy.toml for the model as it is")
    parser.add_argument("--power", type=float, default=0.8, help="how often it must be found (0.8)")
    model_argument(parser)
    json_argument(parser)


def run(arguments: argparse.Namespace) -> int:
    if arguments.propose:
        return _propose(find_root(Path.cwd()), arguments.model, arguments.json)
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
    far = f"{guess.difference:g}" if target.classes else f"{guess.difference:.0%} of a bound"
    show(f"rows at which a model {far} on the right side passes with probability {guess.power:g}:")
    for each in planned:
        rows = f"{each.need.rows:,} {each.of}, {each.need.labels:,} labelled" if each.need else each.of
        show(f"  {each.rule}: {rows}")
    return 0


def _propose(root: Path, chosen: str | None, json: bool) -> int:
    """No policy is read, since the one that is there may be what synth refuses."""
    import pyarrow.parquet

    from cli.profile.first_run import first_run, recipe  # what reads and trains is heavy
    from cli.profile.proposal import policy_toml, proposed
    from runtime.columns import read_columns

    models = read_models(root / "model")
    if chosen is None and len(models) > 1:
        known = ", ".join(model.name for model in models)
        raise NotFoundError(f"there are several models: name one with --model ({known})")
    model = model_named(models, chosen or models[0].name)
    if str(root) not in sys.path:
        sys.path.insert(0, str(root))  # train.py may import its neighbours
    with working("cross-validation"):
        table = read_columns(root / model.train_data, model.train_data)
        result = first_run(recipe(root / "model" / model.name), model, table)
        holdout_rows = pyarrow.parquet.read_metadata(root / model.holdout_data).num_rows
        policy = proposed(result, model.target, model.protected, holdout_rows)
    if json:
        show_json({"model": model.name, "rules": [dict(rule.keys) for rule in policy.rules], "blind": policy.blind})
        return 0
    show(*policy_toml(model.name, policy).splitlines())
    for said in policy.blind:
        progress(f"it cannot find: {said}")
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
