"""What an environment serves of one model: a stack whose parameters are the pinned release."""

from __future__ import annotations

from collections.abc import Collection, Mapping

from aws_cdk import (
    CfnCondition,
    CfnParameter,
    CfnRule,
    CfnRuleAssertion,
    DefaultStackSynthesizer,
    Fn,
    ICfnRuleConditionExpression,
    Stack,
)
from constructs import Construct

from lockgate import names
from lockgate.configuration.environment import Environment
from lockgate.configuration.model import Model
from lockgate.release.parameters import GRADUAL, MODE_PARAMETER, MODES, PARAMETERS
from lockgate_constructs.model_service import Hook, ModelService

from .edge import EdgeStack

REPLAY_MINUTES = 10
SPARE_MINUTES = 10


class ReleaseStack(Stack):
    """Promotions change its parameters and nothing else; `cdk deploy` changes everything else and keeps them.

    Without a release (the defaults) it has no resource. It holds no IAM, so its role can be narrow.
    """

    def __init__(
        self,
        scope: Construct,
        construct_id: str,
        *,
        environment: Environment,
        model: Model,
        edge: EdgeStack,
        stack_name: str,
    ) -> None:
        super().__init__(
            scope,
            construct_id,
            stack_name=stack_name,
            description=f"Lockgate: {model.name} in {environment.name}",
            # The bootstrap version would be one more parameter, which the narrow role would have to read.
            synthesizer=DefaultStackSynthesizer(generate_bootstrap_version_rule=False),
        )
        release = {
            field: CfnParameter(self, parameter, type="String", default="").value_as_string
            for field, parameter in PARAMETERS.items()
        }
        CfnRule(
            self,
            "WholeReleaseOrNone",
            assertions=[
                CfnRuleAssertion(
                    assert_=_all_or_none(release.values()),
                    assert_description="A release sets all of its parameters or none: use `lockgate`, not a console.",
                )
            ],
        )
        condition = CfnCondition(
            self, "HasRelease", expression=Fn.condition_not(Fn.condition_equals(release["version"], ""))
        )
        mode = CfnParameter(self, MODE_PARAMETER, type="String", default=GRADUAL, allowed_values=list(MODES))
        at_once = CfnCondition(
            self, "AtOnce", expression=Fn.condition_not(Fn.condition_equals(mode.value_as_string, GRADUAL))
        )
        ModelService(
            self,
            "Model",
            condition=condition,
            at_once=at_once,
            rollout=environment.rollout,
            hooks=self._hooks(environment, model, release, mode.value_as_string),
            family=stack_name,
            service_name=edge.service_name(model.name),
            image=_copy_of(release["image"], environment),
            environment={
                "AWS_REGION": environment.region,
                "MODEL": model.name,
                "MODEL_DATA_BUCKET": edge.releases.bucket_name,
                "MODEL_DATA_KEY": names.released_model_key(model.name, release["model_sha256"]),
                "MODEL_DATA_VERSION_ID": release["model_version_id"],
                "MODEL_DATA_SHA256": release["model_sha256"],
                "RELEASE_VERSION": release["version"],
                "RELEASE_COMMIT": release["commit"],
                "VERDICT_ID": release["verdict_id"],
                "TASK_CPU": str(environment.cpu),
                "ENVIRONMENT": environment.name,
            },
            cpu=environment.cpu,
            memory=environment.memory,
            tasks=environment.tasks,
            cluster_name=names.cluster(environment.name),
            network=edge.network,
            route=edge.routes[model.name],
            roles=edge.roles,
            log_group=edge.logs[model.name],
            failures=edge.failures,
            predictions={"Environment": environment.name, "Model": model.name, "Release": release["version"]},
            prediction_distance=environment.prediction_distance,
        )

    def _hooks(self, environment: Environment, model: Model, release: Mapping[str, str], mode: str) -> list[Hook]:
        """Before traffic, the replay; before each step but the first, the comparison of both releases' errors.

        mode: told so that another mode is a change of the service, also where steps and bake time are the same in both.
        The comparison is told its steps, so that a `cdk deploy` with others changes none of a deployment that runs.
        """
        account, region, rollout = environment.account, environment.region, environment.rollout
        details = {name: release[name] for name in ("version", "verdict_id", "replay_sha256")}
        told = {"environment": environment.name, "model": model.name, "mode": mode, **details}
        hooks = [
            Hook(
                "POST_TEST_TRAFFIC_SHIFT",
                names.function_arn(account, region, names.replay_function(environment.edge)),
                REPLAY_MINUTES,
                self.to_json_string(told),
            )
        ]
        if rollout.step_minutes:
            watch = names.function_arn(account, region, names.watch_function(environment.edge))
            steps = {name: getattr(rollout, name) for name in ("step_minutes", "steps", "false_alarm_rate")}
            text = self.to_json_string({**told, **steps})
            hooks.append(Hook("PRE_PRODUCTION_TRAFFIC_SHIFT", watch, rollout.step_minutes + SPARE_MINUTES, text))
        return hooks


def _copy_of(image: str, environment: Environment) -> str:
    """The environment's own copy of the image that a release names: the same digest, in the environment's account."""
    repository = names.repository_uri(
        environment.account, environment.region, names.releases_repository(environment.name)
    )
    return Fn.join("@", [repository, Fn.select(1, Fn.split("@", image))])


def _all_or_none(values: Collection[str]) -> ICfnRuleConditionExpression:
    empty = [Fn.condition_equals(value, "") for value in values]
    set_ = [Fn.condition_not(Fn.condition_equals(value, "")) for value in values]
    return Fn.condition_or(Fn.condition_and(*empty), Fn.condition_and(*set_))
