"""What an environment has before any release, and no promotion touches: network, load balancer, routes, roles."""

from __future__ import annotations

from typing import cast

import jsii
from aws_cdk import Annotations, ArnFormat, CfnElement, Duration, Fn, Stack, Tags
from aws_cdk import aws_ecs as ecs
from aws_cdk import aws_events as events
from aws_cdk import aws_iam as iam
from aws_cdk import aws_lambda as lambda_
from constructs import Construct

from lockgate import names
from lockgate.configuration.environment import Environment
from lockgate.configuration.project import Configuration
from lockgate_constructs.access_logs import AccessLogs
from lockgate_constructs.acknowledgement import acknowledge
from lockgate_constructs.dead_letters import DeadLetters
from lockgate_constructs.deployment_hooks import DeploymentHooks, HooksRole
from lockgate_constructs.encryption_key import EncryptionKey
from lockgate_constructs.failure_topic import SERVICES, FailureTopic, silence_alarm
from lockgate_constructs.image_repository import PULL_ACTIONS, PUSH_ACTIONS, READ_ACTIONS, ImageRepository
from lockgate_constructs.log_group import LogGroup
from lockgate_constructs.model_load_balancer import Balancer, ModelLoadBalancer
from lockgate_constructs.model_route import ModelRoute
from lockgate_constructs.model_service import ServiceRoles
from lockgate_constructs.permission import EVERY_MODEL, allow, pass_role
from lockgate_constructs.private_bucket import PrivateBucket
from lockgate_constructs.python_function import PythonFunction
from lockgate_constructs.release_role import ReleaseRole
from lockgate_constructs.serving_network import ServingNetwork
from lockgate_constructs.url_caller_role import UrlCallerRole, with_url
from lockgate_constructs.watched_rule import WatchedRule

from .artifacts import UPGRADING
from .shared_edge import Edge, export, imported

LOOK_MINUTES = 5
MOST_TARGETS = 5  # of one rule of EventBridge
MOST_RULES = 100  # of one load balancer
MOST_MODELS = 38  # each is five of the 200 outputs that a stack may have, and the others are ten
OF_ENVIRONMENT = "lockgate:environment"  # tag of what several models of an environment have
_BY_DIGEST = "Released model data lies under its digest, which is known when it is released."
_STACK_IDS = "CloudFormation adds an id to the ARN of a stack that has exactly this name."


class EdgeStack(Stack):
    """One cluster, and a network and a load balancer of its own or another's; two target groups and rules a model."""

    @property
    @jsii.member(jsii_name="availabilityZones")
    def availability_zones(self) -> list[str]:
        """The account's first two zones, found at deployment: CDK would ask the account at synth otherwise."""
        return [Fn.select(i, Fn.get_azs()) for i in range(2)]

    def __init__(
        self,
        scope: Construct,
        construct_id: str,
        *,
        configuration: Configuration,
        environment: Environment,
        code: lambda_.Code,
        stack_name: str,
    ) -> None:
        super().__init__(
            scope, construct_id, stack_name=stack_name, description=f"Lockgate: the edge of {environment.name}"
        )
        self._configuration = configuration
        self._environment = environment
        self._models = [model.name for model in configuration.models]
        edge = environment.edge
        shared = edge != environment.name
        sharing = configuration.sharing(edge)
        self._edge = imported(Construct(self, "Edge"), edge, self.availability_zones) if shared else self._make_edge()
        self.key, self.failures, self.network = self._edge.key, self._edge.failures, self._edge.network
        self._dead_letters = self._edge.dead_letters
        self.releases = PrivateBucket(
            self,
            "Releases",
            bucket_name=names.releases_bucket(environment.name, environment.account, environment.region),
            key=self.key,
            access_logs=self._edge.access_logs,
        )
        self.releases.write_once()
        self.images = ImageRepository(
            self, "Images", repository_name=names.releases_repository(environment.name), key=self.key
        )
        self.routes = {
            model: ModelRoute(
                self,
                f"Route-{model}",
                model=model,
                network=self.network,
                balancer=self._edge.balancer,
                jwt=environment.jwt,
                host=environment.host if sharing else None,
                shared_as=environment.name if shared else "",
            )
            for model in self._models
        }
        self._warn_of_many_models(len(sharing) + 1 if not shared else 0)
        if self.node.try_get_context(UPGRADING):
            self._keep_exports_of_0_1()
        self.logs = {model: LogGroup(self, f"Logs-{model}", key=self.key) for model in self._models}
        self.cluster = ecs.Cluster(self, "Cluster", vpc=self.network.vpc, cluster_name=names.cluster(environment.name))
        acknowledge(
            self.cluster,
            "The alarms read metrics that come without charge; Container Insights is paid per metric.",
            "AwsSolutions-ECS4",
        )
        if shared:
            hooks = [self._function_arn(names.replay_function(edge)), self._function_arn(names.watch_function(edge))]
            acknowledge(
                self.releases,
                "The bucket for logs is another stack's, which lets this one's write there.",
                "Annotation::@aws-cdk/aws-s3:accessLogsPolicyNotAdded",
            )
            hooks_scope: Construct = Construct(self, "Hooks")
        else:
            made = self._make_hooks(code)
            hooks, hooks_scope = [made.replay.function.function_arn, made.watch.function.function_arn], made
        self.roles = ServiceRoles(
            self._task_role(),
            self._execution_role(),
            self._infrastructure_role(self._edge.balancer),
            HooksRole(hooks_scope, "Role", hooks=hooks),
        )
        deploy = self._let_promotions_in(code)
        self._let_tools_look()
        self._look_regularly(deploy)
        self._announce_failures()

    def _warn_of_many_models(self, environments: int) -> None:
        """Two rules lead to each model in each environment, and a load balancer has 100 unless AWS raised that."""
        rules = 2 * len(self._models) * environments
        if rules > MOST_RULES:
            said = (
                f"found {rules} rules on one load balancer, expected {MOST_RULES} at most: ask AWS for a higher quota"
            )
            Annotations.of(self).add_warning_v2("lockgate:rules-of-a-load-balancer", said)
        if len(self._models) > MOST_MODELS:
            found = f"found {len(self._models)} models, expected {MOST_MODELS} at most"
            said = f"{found}: CloudFormation takes 200 outputs of a stack: make another app for some of them"
            Annotations.of(self).add_warning_v2("lockgate:models-of-an-environment", said)

    def _keep_exports_of_0_1(self) -> None:
        """CloudFormation takes no export away that a stack imports: they go with the deployment after the first."""
        for route in self.routes.values():
            for group in (route.blue, route.green):
                self.export_value(group.target_group_full_name)

    def _make_edge(self) -> Edge:
        """The network and load balancer of this environment, and of those that share them."""
        environment = self._environment
        sharing = self._configuration.sharing(environment.name)
        key = EncryptionKey(
            self, "Key", description=f"Lockgate: released models and logs of {environment.name}", services=SERVICES
        )
        key.allow_log_groups()
        failures = FailureTopic(self, "Failures", key=key)
        access_logs = AccessLogs(self, "AccessLogs")
        for each in sharing:
            access_logs.take_from(names.releases_bucket(each.name, each.account, each.region))
        self._network = ServingNetwork(
            self, "Network", cidr=environment.vpc_cidr, flow_logs_key=key if environment.flow_logs else None
        )
        if any(each.jwt for each in (environment, *sharing)):
            self._network.reach_issuers()
        self._balancer = ModelLoadBalancer(
            self,
            "Balancer",
            network=self._network,
            certificate_arn=environment.certificate_arn,
            access_logs=access_logs,
            failures=failures,
        )
        dead_letters = DeadLetters(self, "DeadLetters", key=key, failures=failures)
        edge = Edge(key, failures, dead_letters, access_logs, self._network, self._balancer)
        if sharing:
            export(self, environment.name, edge, self._network.load_balancer)
        return edge

    def _make_hooks(self, code: lambda_.Code) -> DeploymentHooks:
        return DeploymentHooks(
            self,
            "Hooks",
            environments=(self._environment, *self._configuration.sharing(self._environment.name)),
            code=code,
            network=self._network,
            balancer=self._balancer,
            key=self.key,
            failures=self.failures,
        )

    def _function_arn(self, name: str) -> str:
        return names.function_arn(self._environment.account, self._environment.region, name)

    def service_name(self, model: str) -> str:
        """Known before the service exists, so that policies can name it."""
        return model

    def _task_role(self) -> iam.Role:
        role = self._role("Task", "The tasks that serve models: each reads the released model data.")
        allow(role, ["s3:GetObject", "s3:GetObjectVersion"], self._released(), because=_BY_DIGEST)
        allow(role, ["kms:Decrypt"], [self.key.key_arn])
        return role

    def _execution_role(self) -> iam.Role:
        role = self._role(
            "Execution",
            "Starts tasks: pulls their image and writes their logs.",
            names.execution_role(self._environment.name),
        )
        allow(role, ["ecr:GetAuthorizationToken"], ["*"], because="Logging in to ECR has no resource to name.")
        allow(role, PULL_ACTIONS, [self.images.repository_arn])
        for group in self.logs.values():
            group.grant_write(role)
        return role

    def _released(self) -> list[str]:
        """The objects of released model data."""
        return [self.releases.objects("*")]

    def _infrastructure_role(self, balancer: Balancer) -> iam.Role:
        """ECS itself, when it moves traffic between the target groups of a model."""
        role = iam.Role(
            self,
            "InfrastructureRole",
            description="ECS moves traffic between target groups with it.",
            assumed_by=iam.ServicePrincipal("ecs.amazonaws.com"),
        )
        for group in (group for route in self.routes.values() for group in (route.blue, route.green)):
            Tags.of(group).add(OF_ENVIRONMENT, self._environment.name)
        allow(
            role,
            ["elasticloadbalancing:DeregisterTargets", "elasticloadbalancing:RegisterTargets"],
            [self.format_arn(service="elasticloadbalancing", resource="targetgroup", resource_name="*")],
            because=EVERY_MODEL,
            conditions={"StringEquals": {f"aws:ResourceTag/{OF_ENVIRONMENT}": self._environment.name}},
        )
        self._allow_rules(role)
        allow(
            role,
            ["elasticloadbalancing:ModifyListener"],
            [balancer.production.listener_arn, balancer.test.listener_arn],
        )
        allow(
            role,
            [f"elasticloadbalancing:Describe{what}" for what in ("Listeners", "Rules", "TargetGroups", "TargetHealth")],
            ["*"],
            because="Describing load balancers has no resource to name.",
        )
        return role

    def _allow_rules(self, role: iam.Role) -> None:
        """Every rule of a load balancer that is this environment's alone; else the rules of its own models."""
        if self._environment.edge != self._environment.name or self._configuration.sharing(self._environment.name):
            routes = self.routes.values()
            own = [rule.listener_rule_arn for route in routes for rule in (route.production_rule, route.test_rule)]
            allow(role, ["elasticloadbalancing:ModifyRule"], own)
            return
        balancer = self._balancer.load_balancer
        name = balancer.load_balancer_full_name
        rules = self.format_arn(service="elasticloadbalancing", resource="listener-rule", resource_name=f"{name}/*")
        tokens = {name: f"<{self.get_logical_id(cast(CfnElement, balancer.node.default_child))}.LoadBalancerFullName>"}
        allow(role, ["elasticloadbalancing:ModifyRule"], [rules], because=EVERY_MODEL, tokens=tokens)

    def _let_promotions_in(self, code: lambda_.Code) -> PythonFunction:
        """The deploy function, what it may change and with whose rights, and the one role that may call it."""
        environment, tools = self._environment, self._configuration.tools
        stack, service = names.release_stack(environment.name, names.ANY), self.service_name(names.ANY)
        release_role = ReleaseRole(
            self,
            "ReleaseRole",
            role_name=names.release_cloudformation_role(environment.name),
            stack=stack,
            cluster_name=names.cluster(environment.name),
            service=service,
            roles=self.roles,
        ).role
        deploy = PythonFunction(
            self,
            "Deploy",
            code=code,
            handler="lambdas.deploy.handler",
            description="Changes what this environment serves.",
            environment={
                "ENVIRONMENT": environment.name,
                "RELEASES_BUCKET": self.releases.bucket_name,
                "RELEASES_REPOSITORY": names.releases_repository(environment.name),
                "CLUSTER": names.cluster(environment.name),
                "SERVICE_URL": f"https://{environment.host or self._edge.balancer.dns_name}",
                "RELEASE_ROLE_ARN": release_role.role_arn,
                "LEDGER_BUCKET": names.bucket("ledger", tools.account, tools.region),
            },
            key=self.key,
            failures=self.failures,
            timeout=Duration.minutes(10),
            function_name=names.deploy_function(environment.name),
            role_name=names.deploy_role(environment.name),
        )
        stack_arns = [self.format_arn(service="cloudformation", resource="stack", resource_name=f"{stack}/*")]
        deploy.allow(
            "cloudformation:DescribeStackEvents",
            "cloudformation:DescribeStacks",
            "cloudformation:ListStackResources",
            on=stack_arns,
            because=_STACK_IDS,
        )
        deploy.allow(
            "cloudformation:ContinueUpdateRollback",
            "cloudformation:UpdateStack",
            on=stack_arns,
            because=_STACK_IDS,
            conditions={"StringEquals": {"cloudformation:RoleArn": release_role.role_arn}},
        )
        deploy.allow(
            "cloudformation:CancelUpdateStack", "cloudformation:SetStackPolicy", on=stack_arns, because=_STACK_IDS
        )
        deploy.allow(
            "cloudwatch:DescribeAlarmHistory",
            "cloudwatch:DescribeAlarms",
            on=[
                self.format_arn(
                    service="cloudwatch",
                    resource="alarm",
                    resource_name=f"{stack}-*",
                    arn_format=ArnFormat.COLON_RESOURCE_NAME,
                )
            ],
            because="CloudFormation adds a suffix to the names of the release's own alarms.",
        )
        cluster = names.cluster(environment.name)
        deploy.allow(
            "ecs:StopServiceDeployment",
            on=[self.format_arn(service="ecs", resource="service-deployment", resource_name=f"{cluster}/{service}/*")],
            because="ECS makes the ids of a service's deployments.",
        )
        pass_role(deploy.role, [release_role.role_arn], "cloudformation.amazonaws.com")
        deploy.allow(
            "ecs:DescribeServices",
            "ecs:ListServiceDeployments",
            on=[
                self.format_arn(
                    service="ecs", resource="service", resource_name=f"{names.cluster(environment.name)}/{service}"
                )
            ],
            because=EVERY_MODEL,
        )
        deploy.allow("s3:ListBucket", on=[self.releases.known_arn])
        deploy.allow("s3:GetObject", "s3:PutObject", on=self._released(), because=_BY_DIGEST)
        deploy.allow("kms:Decrypt", "kms:GenerateDataKey", on=[self.key.key_arn])
        images = f"arn:{self.partition}:ecr:{tools.region}:{tools.account}:repository/{names.MODELS_REPOSITORY}"
        deploy.allow(*READ_ACTIONS, on=[images])
        deploy.allow(
            "ecr:BatchCheckLayerAvailability", "ecr:BatchGetImage", *PUSH_ACTIONS, on=[self.images.repository_arn]
        )
        models = names.bucket("models", tools.account, tools.region)
        deploy.allow(
            "s3:GetObject",
            "s3:GetObjectVersion",
            on=[f"arn:{self.partition}:s3:::{models}/*"],
            because="Each execution has a folder of its own; the bucket lets this role read trained models only.",
        )
        evidence = names.bucket("evidence", tools.account, tools.region)
        deploy.allow(
            "s3:GetObject",
            on=[f"arn:{self.partition}:s3:::{evidence}/*/replay.json"],
            because="Each execution has a folder of its own.",
        )
        deploy.allow(
            "s3:GetObject",
            on=[f"arn:{self.partition}:s3:::{names.bucket('ledger', tools.account, tools.region)}/*"],
            because="A release names its verdict and approvals; the bucket lets this role read records.",
        )
        deploy.allow(
            "kms:Decrypt",
            on=[f"arn:{self.partition}:kms:{tools.region}:{tools.account}:key/*"],
            because="The keys' ids are not known here; their own policies let this role use two, through S3 only.",
            conditions={"StringEquals": {"kms:ViaService": f"s3.{tools.region}.amazonaws.com"}},
        )
        promote = iam.Role(
            self,
            "Promote",
            role_name=names.promote_role(environment.name),
            description="The promotion workflow calls the deploy function with it.",
            assumed_by=iam.AccountPrincipal(tools.account).with_conditions(
                {"ArnEquals": {"aws:PrincipalArn": names.role_arn(tools.account, names.PROMOTION_ROLE)}}
            ),
        )
        allow(promote, ["lambda:InvokeFunction"], [deploy.function.function_arn])
        # The id of a role that has a name stays: CloudFormation makes the new one before it takes the old one away.
        UrlCallerRole(
            Construct(self, "Operators"),
            "Operator",
            role_name=names.operator_role(environment.name),
            description="Rolls releases back and restores lost ones; a session bears its user's own name.",
            functions=[with_url(deploy.function)],
        )
        return deploy

    def _look_regularly(self, deploy: PythonFunction) -> None:
        """The end of a deployment is remembered also when the workflow that waited for it has died."""
        for first in range(0, len(self._models), MOST_TARGETS):
            rule = WatchedRule(
                self,
                f"LookRegularly{first or ''}",
                description="Looks for a deployment that ended while nobody waited for it.",
                dead_letters=self._dead_letters,
                schedule=events.Schedule.rate(Duration.minutes(LOOK_MINUTES)),
            )
            for model in self._models[first : first + MOST_TARGETS]:
                rule.calls(deploy.function, {"action": "look", "model": model})
        silence_alarm(
            self,
            "LookSilent",
            function=deploy.function,
            every=Duration.minutes(LOOK_MINUTES),
            what="Nobody looks at deployments: one past its deadline is not stopped, and its end is not remembered.",
            topic=self.failures,
        )

    def _let_tools_look(self) -> None:
        """What `lockgate status` and the ledger ask: what is served here, and what is remembered of it."""
        environment = self._environment
        reader = iam.Role(
            self,
            "Reader",
            role_name=names.reader_role(environment.name),
            description="The tools account looks at what is served here with it.",
            assumed_by=iam.AccountPrincipal(self._configuration.tools.account),
        )
        allow(
            reader,
            ["cloudformation:DescribeStacks", "cloudformation:ListStackResources"],
            [
                self.format_arn(
                    service="cloudformation",
                    resource="stack",
                    resource_name=f"{names.release_stack(environment.name, names.ANY)}/*",
                )
            ],
            because=_STACK_IDS,
        )
        allow(
            reader,
            ["ecs:DescribeServices"],
            [
                self.format_arn(
                    service="ecs",
                    resource="service",
                    resource_name=f"{names.cluster(environment.name)}/{self.service_name(names.ANY)}",
                )
            ],
            because=EVERY_MODEL,
        )
        allow(reader, ["s3:ListBucket"], [self.releases.known_arn])
        allow(
            reader,
            ["s3:GetObject"],
            [self.releases.objects("*/journal/*")],
            because="The facts of a journal are numbered.",
        )
        allow(reader, ["kms:Decrypt"], [self.key.key_arn])

    def _announce_failures(self) -> None:
        stacks = names.release_stack(self._environment.name, "")
        WatchedRule(
            self,
            "ReleaseStuck",
            description="A release could not be rolled back: it needs a person.",
            dead_letters=self._dead_letters,
            pattern=events.EventPattern(
                source=["aws.cloudformation"],
                detail_type=["CloudFormation Stack Status Change"],
                detail={
                    "stack-id": [
                        {"prefix": self.format_arn(service="cloudformation", resource="stack", resource_name=stacks)}
                    ],
                    "status-details": {"status": ["ROLLBACK_FAILED", "UPDATE_ROLLBACK_FAILED"]},
                },
            ),
        ).tells(self.failures)
        WatchedRule(
            self,
            "DeploymentFailed",
            description="ECS took a deployment back.",
            dead_letters=self._dead_letters,
            pattern=events.EventPattern(
                source=["aws.ecs"],
                detail_type=["ECS Deployment State Change"],
                resources=events.Match.prefix(
                    self.format_arn(
                        service="ecs",
                        resource="service",
                        resource_name=f"{names.cluster(self._environment.name)}/",
                        arn_format=ArnFormat.SLASH_RESOURCE_NAME,
                    )
                ),
                detail={"eventName": ["SERVICE_DEPLOYMENT_FAILED"]},
            ),
        ).tells(self.failures)

    def _role(self, construct_id: str, description: str, name: str | None = None) -> iam.Role:
        return iam.Role(
            self,
            f"{construct_id}Role",
            role_name=name,
            description=description,
            assumed_by=iam.ServicePrincipal("ecs-tasks.amazonaws.com"),
        )
