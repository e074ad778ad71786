"""From a registered version to production: the functions that decide and record, and the workflow that asks them."""

from __future__ import annotations

from collections.abc import Sequence

from aws_cdk import ArnFormat, Duration, Stack
from aws_cdk import aws_cloudwatch as cloudwatch
from aws_cdk import aws_events as events
from aws_cdk import aws_lambda as lambda_
from constructs import Construct

from lockgate import names
from lockgate.config import Configuration
from lockgate.persons import is_permission_set
from lockgate_constructs.dead_letters import DeadLetters
from lockgate_constructs.encryption_key import EncryptionKey
from lockgate_constructs.failure_topic import alarm
from lockgate_constructs.private_bucket import PrivateBucket
from lockgate_constructs.promotion_workflow import APPROVAL_SECONDS, PromotionWorkflow, Stop
from lockgate_constructs.python_function import PythonFunction
from lockgate_constructs.url_caller_role import UrlCallerPolicy, UrlCallerRole, with_url
from lockgate_constructs.watched_rule import WatchedRule
from stacks.artifacts import ArtifactsStack

RECONCILE_MINUTES = 15
COLLECT_MINUTES = 5
WAKE_MINUTES = 5
STUCK_NAMESPACE, STUCK_METRIC = "Lockgate", "Stuck"  # as lambdas/reconcile.py counts
SCAN_METRIC = "ScanUnfinished"  # as lambdas/gate.py counts
_COUNTED = "SageMaker counts the versions in a model's own group."
_KEYS = "Objects are named when they are written: a record, an execution."


class PromotionStack(Stack):
    """Each function has a role of its own, and only what its docstring in lambdas/ asks for."""

    def __init__(
        self,
        scope: Construct,
        construct_id: str,
        *,
        configuration: Configuration,
        artifacts: ArtifactsStack,
        code: lambda_.Code,
        stack_name: str,
    ) -> None:
        super().__init__(
            scope, construct_id, stack_name=stack_name, description="Lockgate: gates, approvals and promotion"
        )
        self._configuration = configuration
        self._artifacts = artifacts
        self._code = code
        self._machine_arn = self.format_arn(
            service="states",
            resource="stateMachine",
            resource_name=names.PROMOTION_STATE_MACHINE,
            arn_format=ArnFormat.COLON_RESOURCE_NAME,
        )
        gate = self._gate()
        request_approval = self._ledger_function(
            "RequestApproval",
            "request_approval",
            "Records that a release waits for persons.",
            {"APPROVAL_SECONDS": str(APPROVAL_SECONDS)},
        )
        record = self._record()
        self._persons()
        PromotionWorkflow(
            self,
            "Workflow",
            state_machine_name=names.PROMOTION_STATE_MACHINE,
            role_name=names.PROMOTION_ROLE,
            stops=[
                Stop(
                    environment.name,
                    names.function_arn(
                        environment.account, environment.region, names.deploy_function(environment.name)
                    ),
                    names.role_arn(environment.account, names.promote_role(environment.name)),
                    environment.rollout.deadline_minutes,
                )
                for environment in configuration.environments
            ],
            gate_arn=gate.function.function_arn,
            request_approval_arn=request_approval.function.function_arn,
            record_arn=record.function.function_arn,
            key=artifacts.operations_key,
            failures=artifacts.failures,
        )
        self._intake()
        self._reconcile()
        self._collect()
        self._anchor()

    def _gate(self) -> PythonFunction:
        artifacts = self._artifacts
        gate = self._ledger_function(
            "Gate",
            "gate",
            "Judges a model version for an environment.",
            {
                "EVIDENCE_BUCKET": artifacts.evidence.bucket_name,
                "MODELS_BUCKET": artifacts.models.bucket_name,
                "SIGNING_KEY": artifacts.signing_key.key_arn,
            },
            function_name=names.GATE_FUNCTION,
            timeout=Duration.minutes(10),
        )
        self._allow_read(gate, (artifacts.evidence, artifacts.models), artifacts.artifacts_key)
        gate.allow(
            "sagemaker:DescribeModelPackage",
            "sagemaker:UpdateModelPackage",
            on=self._packages(),
            because=_COUNTED,
        )
        gate.allow(
            "sagemaker:DescribePipelineExecution",
            "sagemaker:ListPipelineExecutionSteps",
            on=[self._sagemaker("pipeline", f"{names.pipeline(model)}/execution/*") for model in self._models()],
            because="SageMaker makes the ids of the executions of a model's own pipeline.",
        )
        gate.allow(
            "sagemaker:DescribeProcessingJob",
            on=[self._sagemaker("processing-job", "pipelines-*")],
            because="SageMaker names the jobs of an execution pipelines-<execution>-<step>-<suffix>.",
        )
        gate.allow(
            "ecr:BatchGetImage",
            "ecr:DescribeImageScanFindings",
            "ecr:DescribeImages",
            "ecr:GetDownloadUrlForLayer",
            on=[artifacts.models_repository.repository_arn],
        )
        gate.allow("kms:Verify", on=[artifacts.signing_key.key_arn])
        gate.allow(
            "cloudwatch:PutMetricData",
            on=["*"],
            because="A metric has no resource to name; its namespace is fixed.",
            conditions={"StringEquals": {"cloudwatch:namespace": STUCK_NAMESPACE}},
        )
        alarm(
            self,
            "ScanUnfinished",
            metric=cloudwatch.Metric(
                namespace=STUCK_NAMESPACE, metric_name=SCAN_METRIC, statistic="Sum", period=Duration.minutes(1)
            ),
            description="An image's scan did not end within half an hour, or cannot: its verdict is inconclusive.",
            topic=artifacts.failures,
        )
        return gate

    def _record(self) -> PythonFunction:
        bucket = self._artifacts.data.bucket_name
        record = self._ledger_function("Record", "record", "Records how a deployment ended.", {"DATA_BUCKET": bucket})
        self._let_note_champions(record)
        return record

    def _let_note_champions(self, function: PythonFunction) -> None:
        data = self._artifacts.data
        champions = [data.objects(f"{names.champion_prefix(model)}*") for model in self._models()]
        function.allow("s3:PutObject", on=champions, because=_KEYS)
        function.allow("kms:GenerateDataKey", on=[self._artifacts.artifacts_key.key_arn])

    def _approval(self) -> PythonFunction:
        """What a person decides wakes the workflow; the schedule wakes those that the function died before waking."""
        artifacts = self._artifacts
        dead_letters = DeadLetters(
            self, "ApprovalDeadLetters", key=artifacts.operations_key, failures=artifacts.failures
        )
        approval = self._ledger_function(
            "Approval",
            "approval",
            "Takes a person's decision about a release.",
            {"STATE_MACHINE_ARN": self._machine_arn},
            function_name=names.APPROVAL_FUNCTION,
            dead_letters=dead_letters,
        )
        approval.allow("kms:Decrypt", "kms:GenerateDataKey", on=[artifacts.operations_key.key_arn])  # of dead letters
        approval.allow("states:ListExecutions", "states:SendTaskSuccess", on=[self._machine_arn])
        WatchedRule(
            self,
            "WakeRegularly",
            description="Looks for workflows that wait for what is decided.",
            dead_letters=dead_letters,
            schedule=events.Schedule.rate(Duration.minutes(WAKE_MINUTES)),
        ).calls(approval.function, {"action": "wake"})
        return approval

    def _waive(self) -> PythonFunction:
        waive = self._ledger_function(
            "Waive",
            "waive",
            "Lets one rule go for one version, because a person says so.",
            {"STATE_MACHINE_ARN": self._machine_arn},
            function_name=names.WAIVE_FUNCTION,
        )
        waive.allow("sagemaker:UpdateModelPackage", on=self._packages(), because=_COUNTED)
        waive.allow("states:StartExecution", on=[self._machine_arn])
        return waive

    def _holdout(self) -> PythonFunction:
        artifacts = self._artifacts
        holdout = self._ledger_function(
            "Holdout",
            "holdout",
            "Records a fresh holdout that shares no row with any before.",
            {"DATA_BUCKET": artifacts.data.bucket_name},
            function_name=names.HOLDOUT_FUNCTION,
            timeout=Duration.minutes(5),
        )
        read = [artifacts.data.objects("snapshots/*/manifest.json"), artifacts.data.objects("identities/*")]
        holdout.allow("s3:GetObject", on=read, because=_KEYS)
        holdout.allow("s3:ListBucket", on=[artifacts.data.known_arn])
        holdout.allow("kms:Decrypt", on=[artifacts.artifacts_key.key_arn])
        return holdout

    def _break_glass(self) -> PythonFunction:
        artifacts = self._artifacts
        glass = self._ledger_function(
            "PastTheGate",
            "break_glass",
            "Puts a version into an environment past its gate, because a person says so.",
            {"STATE_MACHINE_ARN": self._machine_arn, "TOPIC_ARN": artifacts.failures.topic_arn},
            function_name=names.BREAK_GLASS_FUNCTION,
            role_name=names.BREAK_GLASS_WRITER_ROLE,
        )
        glass.allow("sagemaker:DescribeModelPackage", on=self._packages(), because=_COUNTED)
        glass.allow("states:StartExecution", on=[self._machine_arn])
        glass.allow("sns:Publish", on=[artifacts.failures.topic_arn])
        glass.allow("kms:Decrypt", "kms:GenerateDataKey", on=[artifacts.operations_key.key_arn])  # of the topic
        alarm(
            self,
            "GlassBroken",
            metric=glass.function.metric_invocations(period=Duration.minutes(1)),
            description="Somebody breaks the glass, or tries: see `lockgate status`.",
            topic=artifacts.failures,
        )
        return glass

    def _infrastructure(self) -> PythonFunction:
        return self._ledger_function(
            "Infrastructure",
            "infrastructure",
            "Says whether a workflow run may deploy stacks, and takes persons' decisions about it.",
            {},
            function_name=names.INFRASTRUCTURE_FUNCTION,
        )

    def _persons(self) -> None:
        """The only way for a person to be heard: URLs that hand over who signed, for roles that only call them."""
        environments = self._configuration.environments
        acknowledge = self._ledger_function(
            "Acknowledge",
            "acknowledge",
            "Closes a break-glass, because another person looked at it.",
            {},
            function_name=names.ACKNOWLEDGE_FUNCTION,
        )
        deciding = (self._approval(), self._waive(), self._holdout(), self._infrastructure(), acknowledge)
        urls = [with_url(each.function) for each in deciding]
        self._callers(
            names.APPROVER_ROLE,
            [role for environment in environments for role in environment.approvers],
            "Approves, rejects, waives, records holdouts and acknowledges; a session bears its user's own name.",
            urls,
        )
        self._callers(
            names.BREAK_GLASS_ROLE,
            [role for environment in environments for role in environment.break_glass],
            "Breaks the glass; a session bears its user's own name.",
            [with_url(self._break_glass().function)],
        )

    def _callers(
        self, name: str, roles: Sequence[str], description: str, functions: Sequence[lambda_.Function]
    ) -> None:
        """A role for each of `roles`; for permission sets, whose roles are not ours, a policy called `name`."""
        for role in dict.fromkeys(roles):
            if is_permission_set(role):
                continue
            made = role.removeprefix("lockgate-").title().replace("-", "")  # Approver, or ProdApprover
            UrlCallerRole(self, made, role_name=role, description=description, functions=functions)
        if any(is_permission_set(role) for role in roles):
            UrlCallerPolicy(
                self,
                f"{name.removeprefix('lockgate-').title().replace('-', '')}Policy",
                name=name,
                description=description,
                functions=functions,
            )

    def _intake(self) -> None:
        artifacts = self._artifacts
        dead_letters = DeadLetters(self, "DeadLetters", key=artifacts.operations_key, failures=artifacts.failures)
        intake = self._function(
            "Intake",
            "intake",
            "Starts the promotion of each registered model version.",
            {"STATE_MACHINE_ARN": self._machine_arn, "MODELS": ",".join(self._models())},
            dead_letters=dead_letters,
        )
        intake.allow("kms:Decrypt", "kms:GenerateDataKey", on=[artifacts.operations_key.key_arn])  # of dead letters
        intake.allow("states:StartExecution", on=[self._machine_arn])
        intake.allow("sagemaker:DescribeModelPackage", on=self._packages(), because=_COUNTED)
        WatchedRule(
            self,
            "Registered",
            description="A model version was registered and awaits its gate.",
            dead_letters=dead_letters,
            pattern=events.EventPattern(
                source=["aws.sagemaker"],
                detail_type=["SageMaker Model Package State Change"],
                detail={
                    "ModelPackageGroupName": [names.package_group(model) for model in self._models()],
                    "ModelApprovalStatus": ["PendingManualApproval"],
                },
            ),
        ).calls(intake.function)

    def _reconcile(self) -> None:
        """What an event lost is found and resumed once; what stays stuck calls a person."""
        artifacts = self._artifacts
        dead_letters = DeadLetters(
            self, "ReconcileDeadLetters", key=artifacts.operations_key, failures=artifacts.failures
        )
        reconcile = self._function(
            "Reconcile",
            "reconcile",
            "Finds versions that were lost on their way and resumes each once.",
            {
                "LEDGER_BUCKET": artifacts.ledger.bucket_name,
                "STATE_MACHINE_ARN": self._machine_arn,
                "MODELS": ",".join(self._models()),
            },
            timeout=Duration.minutes(5),
            dead_letters=dead_letters,
        )
        self._allow_read(reconcile, (artifacts.ledger,), artifacts.ledger_key)
        reconcile.allow("kms:Decrypt", "kms:GenerateDataKey", on=[artifacts.operations_key.key_arn])  # of dead letters
        reconcile.allow("states:ListExecutions", "states:StartExecution", on=[self._machine_arn])
        reconcile.allow(
            "sagemaker:ListModelPackages", on=["*"], because="Listing model packages has no resource to name."
        )
        reconcile.allow(
            "cloudwatch:PutMetricData",
            on=["*"],
            because="A metric has no resource to name; its namespace is fixed.",
            conditions={"StringEquals": {"cloudwatch:namespace": STUCK_NAMESPACE}},
        )
        every = Duration.minutes(RECONCILE_MINUTES)
        WatchedRule(
            self,
            "ReconcileRegularly",
            description="Looks for versions that an event or a workflow lost.",
            dead_letters=dead_letters,
            schedule=events.Schedule.rate(every),
        ).calls(reconcile.function)
        alarm(
            self,
            "StuckAlarm",
            metric=cloudwatch.Metric(
                namespace=STUCK_NAMESPACE, metric_name=STUCK_METRIC, statistic="Maximum", period=every
            ),
            description="A version was lost on its way, also when it was resumed: `lockgate promote` tries again.",
            topic=artifacts.failures,
        )

    def _collect(self) -> None:
        """What operators did in environments comes into the ledger even if nobody could say so at the time."""
        artifacts = self._artifacts
        dead_letters = DeadLetters(
            self, "CollectDeadLetters", key=artifacts.operations_key, failures=artifacts.failures
        )
        collect = self._ledger_function(
            "Collect",
            "collect",
            "Copies what environments remember of rollbacks and deployments into the ledger.",
            {"DATA_BUCKET": artifacts.data.bucket_name, "MODELS": ",".join(self._models())},
            timeout=Duration.minutes(5),
            dead_letters=dead_letters,
        )
        self._let_note_champions(collect)
        collect.allow("kms:Decrypt", "kms:GenerateDataKey", on=[artifacts.operations_key.key_arn])  # of dead letters
        collect.allow(
            "sts:AssumeRole",
            on=[
                names.role_arn(environment.account, names.reader_role(environment.name))
                for environment in self._configuration.environments
            ],
        )
        WatchedRule(
            self,
            "CollectRegularly",
            description="Looks for rollbacks and deployments that the ledger does not know.",
            dead_letters=dead_letters,
            schedule=events.Schedule.rate(Duration.minutes(COLLECT_MINUTES)),
        ).calls(collect.function)

    def _anchor(self) -> None:
        """The head of every chain goes to another account as soon as a record is there, and regularly in any case."""
        artifacts, tools = self._artifacts, self._configuration.tools
        dead_letters = DeadLetters(self, "AnchorDeadLetters", key=artifacts.operations_key, failures=artifacts.failures)
        bucket = names.anchor_bucket(tools.anchor_account, tools.region)
        anchor = self._function(
            "Anchor",
            "anchor",
            "Keeps the heads of the ledger's chains in another account.",
            {"LEDGER_BUCKET": artifacts.ledger.bucket_name, "ANCHOR_BUCKET": bucket},
            function_name=names.ANCHOR_FUNCTION,
            role_name=names.ANCHOR_ROLE,
            dead_letters=dead_letters,
        )
        self._allow_read(anchor, (artifacts.ledger,), artifacts.ledger_key)
        anchor.allow("kms:Decrypt", "kms:GenerateDataKey", on=[artifacts.operations_key.key_arn])  # of dead letters
        anchor_arn = f"arn:{self.partition}:s3:::{bucket}"
        anchor.allow("s3:GetObject", "s3:PutObject", on=[f"{anchor_arn}/*"], because=_KEYS)
        anchor.allow("s3:ListBucket", on=[anchor_arn])
        anchor.allow(
            "kms:Decrypt",
            "kms:GenerateDataKey",
            on=[f"arn:{self.partition}:kms:{tools.region}:{tools.anchor_account}:key/*"],
            conditions={"StringEquals": {"kms:ViaService": f"s3.{tools.region}.amazonaws.com"}},
            because="The anchor account makes its key's id; its policy names this role.",
        )
        WatchedRule(
            self,
            "Recorded",
            description="The ledger has a new record.",
            dead_letters=dead_letters,
            pattern=events.EventPattern(
                source=["aws.s3"],
                detail_type=["Object Created"],
                detail={"bucket": {"name": [names.bucket("ledger", tools.account, tools.region)]}},
            ),
        ).calls(anchor.function)
        WatchedRule(
            self,
            "AnchorRegularly",
            description="Looks for records whose head is not kept yet, and whether the ledger still has all of them.",
            dead_letters=dead_letters,
            schedule=events.Schedule.rate(Duration.minutes(COLLECT_MINUTES)),
        ).calls(anchor.function)

    def _ledger_function(
        self,
        construct_id: str,
        file: str,
        description: str,
        environment: dict[str, str],
        *,
        function_name: str | None = None,
        role_name: str | None = None,
        timeout: Duration | None = None,
        dead_letters: DeadLetters | None = None,
    ) -> PythonFunction:
        """A function that appends to the ledger, under the role name that the ledger's bucket policy knows."""
        ledger = self._artifacts.ledger
        function = self._function(
            construct_id,
            file,
            description,
            {"LEDGER_BUCKET": ledger.bucket_name, **environment},
            function_name=function_name,
            role_name=role_name or f"lockgate-{file.replace('_', '-')}",
            timeout=timeout,
            dead_letters=dead_letters,
        )
        self._allow_read(function, (ledger,), self._artifacts.ledger_key)
        function.allow("s3:PutObject", on=[ledger.objects("*")], because=_KEYS)
        function.allow("kms:GenerateDataKey", on=[self._artifacts.ledger_key.key_arn])
        return function

    def _function(
        self,
        construct_id: str,
        file: str,
        description: str,
        environment: dict[str, str],
        *,
        function_name: str | None = None,
        role_name: str | None = None,
        timeout: Duration | None = None,
        dead_letters: DeadLetters | None = None,
    ) -> PythonFunction:
        return PythonFunction(
            self,
            construct_id,
            code=self._code,
            handler=f"lambdas.{file}.handler",
            description=description,
            environment=environment,
            key=self._artifacts.operations_key,
            failures=self._artifacts.failures,
            timeout=timeout or Duration.minutes(1),
            function_name=function_name,
            role_name=role_name,
            dead_letters=dead_letters,
        )

    def _allow_read(self, function: PythonFunction, buckets: Sequence[PrivateBucket], key: EncryptionKey) -> None:
        function.allow("s3:GetObject", on=[bucket.objects("*") for bucket in buckets], because=_KEYS)
        function.allow("s3:ListBucket", on=[bucket.known_arn for bucket in buckets])
        function.allow("kms:Decrypt", on=[key.key_arn])

    def _models(self) -> list[str]:
        return [model.name for model in self._configuration.models]

    def _packages(self) -> list[str]:
        return [self._sagemaker("model-package", f"{names.package_group(model)}/*") for model in self._models()]

    def _sagemaker(self, resource: str, name: str) -> str:
        return self.format_arn(service="sagemaker", resource=resource, resource_name=name)
