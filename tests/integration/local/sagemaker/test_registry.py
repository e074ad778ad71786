"""The life of a model package group and its versions."""

from __future__ import annotations

from typing import Any

import pytest
from botocore.exceptions import ClientError


def test_versions_count_up_and_keep_all_that_was_given(embedded: Any) -> None:
    sagemaker = embedded.client("sagemaker")
    group = sagemaker.create_model_package_group(ModelPackageGroupName="census", Tags=[{"Key": "a", "Value": "b"}])
    given = {
        "ModelPackageDescription": "first",
        "InferenceSpecification": {
            "Containers": [{"Image": embedded.image, "ModelDataUrl": "s3://rows/model.tar.gz"}],
            "SupportedContentTypes": ["text/csv"],
            "SupportedResponseMIMETypes": ["text/csv"],
        },
        "ModelMetrics": {
            "ModelQuality": {"Statistics": {"ContentType": "application/json", "S3Uri": "s3://rows/evidence.json"}}
        },
        "CustomerMetadataProperties": {"commit": "abc"},
        "MetadataProperties": {"CommitId": "abc"},
    }
    arns = [
        sagemaker.create_model_package(ModelPackageGroupName="census", **given)["ModelPackageArn"] for _ in range(2)
    ]
    assert arns == [
        f"arn:aws:sagemaker:us-east-1:{embedded.account}:model-package/census/{version}" for version in (1, 2)
    ]
    described = sagemaker.describe_model_package(ModelPackageName=arns[0])
    assert described["ModelPackageVersion"] == 1
    assert described["ModelPackageStatus"] == "Completed"
    assert described["ModelApprovalStatus"] == "PendingManualApproval"
    assert described["InferenceSpecification"]["Containers"][0]["ImageDigest"] == f"sha256:{'a' * 64}"
    for name in ("ModelMetrics", "CustomerMetadataProperties", "MetadataProperties", "ModelPackageDescription"):
        assert described[name] == given[name]
    assert sagemaker.list_tags(ResourceArn=group["ModelPackageGroupArn"])["Tags"] == [{"Key": "a", "Value": "b"}]


def test_an_approval_shows_in_the_version_and_in_the_filter(embedded: Any) -> None:
    sagemaker = embedded.client("sagemaker")
    sagemaker.create_model_package_group(ModelPackageGroupName="approved")
    arns = [sagemaker.create_model_package(ModelPackageGroupName="approved")["ModelPackageArn"] for _ in range(3)]
    sagemaker.update_model_package(
        ModelPackageArn=arns[1],
        ModelApprovalStatus="Approved",
        ApprovalDescription="above the floor",
        ModelLifeCycle={"Stage": "dev", "StageStatus": "live"},
        CustomerMetadataProperties={"verdict": "7"},
    )
    described = sagemaker.describe_model_package(ModelPackageName=arns[1])
    assert described["ModelLifeCycle"] == {"Stage": "dev", "StageStatus": "live"}
    assert described["ApprovalDescription"] == "above the floor"
    assert described["CustomerMetadataProperties"] == {"verdict": "7"}
    listed = sagemaker.list_model_packages(ModelPackageGroupName="approved", ModelApprovalStatus="Approved")
    assert [item["ModelPackageArn"] for item in listed["ModelPackageSummaryList"]] == [arns[1]]
    newest = sagemaker.list_model_packages(ModelPackageGroupName="approved", SortOrder="Descending", MaxResults=2)
    assert [item["ModelPackageVersion"] for item in newest["ModelPackageSummaryList"]] == [3, 2]
    rest = sagemaker.list_model_packages(
        ModelPackageGroupName="approved", SortOrder="Descending", MaxResults=2, NextToken=newest["NextToken"]
    )
    assert [item["ModelPackageVersion"] for item in rest["ModelPackageSummaryList"]] == [1]
    assert "NextToken" not in rest


def test_a_deleted_version_is_gone_and_its_number_is_not_used_again(embedded: Any) -> None:
    sagemaker = embedded.client("sagemaker")
    sagemaker.create_model_package_group(ModelPackageGroupName="retired")
    first = sagemaker.create_model_package(ModelPackageGroupName="retired")["ModelPackageArn"]
    with pytest.raises(ClientError, match="ConflictException"):
        sagemaker.delete_model_package_group(ModelPackageGroupName="retired")
    sagemaker.delete_model_package(ModelPackageName=first)
    with pytest.raises(ClientError, match=r"ValidationException.*does not exist"):
        sagemaker.describe_model_package(ModelPackageName=first)
    second = sagemaker.create_model_package(ModelPackageGroupName="retired")["ModelPackageArn"]
    assert second.endswith("/2")
    sagemaker.delete_model_package(ModelPackageName=second)
    sagemaker.delete_model_package_group(ModelPackageGroupName="retired")
    with pytest.raises(ClientError, match="does not exist"):
        sagemaker.describe_model_package_group(ModelPackageGroupName="retired")


def test_the_same_client_token_registers_one_version(embedded: Any) -> None:
    sagemaker = embedded.client("sagemaker")
    sagemaker.create_model_package_group(ModelPackageGroupName="twice")
    arns = {
        sagemaker.create_model_package(ModelPackageGroupName="twice", ClientToken="one")["ModelPackageArn"]
        for _ in range(2)
    }
    assert len(arns) == 1
    with pytest.raises(ClientError, match="already exists"):
        sagemaker.create_model_package_group(ModelPackageGroupName="twice")


def test_another_account_sees_nothing_of_it(embedded: Any) -> None:
    embedded.client("sagemaker").create_model_package_group(ModelPackageGroupName="private")
    other = embedded.client("sagemaker", key="444455556666")
    with pytest.raises(ClientError, match="does not exist"):
        other.describe_model_package_group(ModelPackageGroupName="private")
