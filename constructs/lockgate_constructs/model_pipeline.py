"""How one model is trained, and where its versions are registered."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from aws_cdk import CfnTag, RemovalPolicy, Stack
from aws_cdk import aws_iam as iam
from aws_cdk import aws_sagemaker as sagemaker
from constructs import Construct


class ModelPipeline(Construct):
    """A SageMaker pipeline and the model package group it registers in.

    tags: of the group, which AWS shows beside each version.
    group_is_there: whether the group was kept when the model's folder went. A name is taken once, so no stack makes it.
    definition: a pipeline definition without placeholders; tokens in its strings are resolved at deployment.
    """

    def __init__(
        self,
        scope: Construct,
        construct_id: str,
        *,
        pipeline_name: str,
        package_group_name: str,
        description: str,
        definition: Any,
        role: iam.IRole,
        tags: Mapping[str, str],
        group_is_there: bool = False,
    ) -> None:
        super().__init__(scope, construct_id)
        pipeline = sagemaker.CfnPipeline(
            self,
            "Pipeline",
            pipeline_name=pipeline_name,
            pipeline_description=description,
            pipeline_definition={"PipelineDefinitionBody": Stack.of(self).to_json_string(definition)},
            role_arn=role.role_arn,
        )
        if not group_is_there:
            group = sagemaker.CfnModelPackageGroup(
                self,
                "Packages",
                model_package_group_name=package_group_name,
                model_package_group_description=description,
                tags=[CfnTag(key=key, value=value) for key, value in tags.items()],
            )
            group.apply_removal_policy(RemovalPolicy.RETAIN)  # a model that left keeps its history
            pipeline.add_resource_dependency(group)
        pipeline.node.add_dependency(role)
