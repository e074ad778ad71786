"""What one account shares with another is there for it, and nothing else is."""

from __future__ import annotations

import json
from typing import Any

import pytest
from botocore.exceptions import ClientError


def test_an_object_is_read_across_accounts_if_its_bucket_allows(aws: Any, policy: Any) -> None:
    s3, theirs = aws.client("s3"), aws.client("s3", "dev")
    s3.create_bucket(Bucket="shared-bucket")
    s3.put_object(Bucket="shared-bucket", Key="k", Body=b"x")
    with pytest.raises(ClientError, match="AccessDenied"):
        theirs.get_object(Bucket="shared-bucket", Key="k")
    allow = {"Principal": {"AWS": f"arn:aws:iam::{aws.dev}:root"}, "Action": "s3:GetObject"}
    s3.put_bucket_policy(Bucket="shared-bucket", Policy=policy({**allow, "Resource": "arn:aws:s3:::shared-bucket/*"}))
    with theirs.get_object(Bucket="shared-bucket", Key="k")["Body"] as body:
        assert body.read() == b"x"


def test_a_key_is_used_across_accounts_if_its_policy_allows(aws: Any, policy: Any) -> None:
    kms, theirs = aws.client("kms"), aws.client("kms", "dev")
    own = {"Principal": {"AWS": f"arn:aws:iam::{aws.tools}:root"}, "Action": "kms:*", "Resource": "*"}
    both = {**own, "Principal": {"AWS": [f"arn:aws:iam::{account}:root" for account in (aws.tools, aws.dev)]}}
    shut, shared = (kms.create_key(Policy=policy(it))["KeyMetadata"]["Arn"] for it in (own, both))
    with pytest.raises(ClientError, match="AccessDenied"):
        theirs.encrypt(KeyId=shut, Plaintext=b"x")
    sealed = theirs.encrypt(KeyId=shared, Plaintext=b"x")["CiphertextBlob"]
    assert kms.decrypt(CiphertextBlob=sealed)["Plaintext"] == b"x"


def test_a_function_is_invoked_across_accounts_if_its_policy_allows(aws: Any) -> None:
    arn = aws.function("shared-function", "def handler(event, context):\n    return 1\n")
    theirs = aws.client("lambda", "dev")
    with pytest.raises(ClientError, match="AccessDenied"):
        theirs.invoke(FunctionName=arn)
    aws.client("lambda").add_permission(
        FunctionName=arn, StatementId="dev", Action="lambda:InvokeFunction", Principal=aws.dev
    )
    assert json.load(theirs.invoke(FunctionName=arn)["Payload"]) == 1


def test_a_repository_is_read_across_accounts_if_its_policy_allows(aws: Any, policy: Any) -> None:
    ecr, theirs = aws.client("ecr"), aws.client("ecr", "dev")
    ecr.create_repository(repositoryName="shared-repository")
    named = {"registryId": aws.tools, "repositoryName": "shared-repository"}
    with pytest.raises(ClientError, match="AccessDenied"):
        theirs.list_images(**named)
    allow = {"Principal": {"AWS": f"arn:aws:iam::{aws.dev}:root"}, "Action": "ecr:ListImages"}
    ecr.set_repository_policy(repositoryName="shared-repository", policyText=policy(allow))
    assert theirs.list_images(**named)["imageIds"] == []
