"""Policies decide as on AWS, where the emulator alone would not."""

from __future__ import annotations

import json
from typing import Any

import pytest
from botocore.exceptions import ClientError

WRITE_ONCE = {
    "Effect": "Deny",
    "Principal": "*",
    "Action": "s3:PutObject",
    "Condition": {"Null": {"s3:if-none-match": "true"}, "Bool": {"s3:ObjectCreationOperation": "true"}},
}
TEMPLATE = json.dumps({"Resources": {"Topic": {"Type": "AWS::SNS::Topic"}}})


def by_tools(aws: Any, name: str, allow: dict[str, Any]) -> dict[str, str]:
    """Credentials of a new role of the tools account with one permission."""
    role = aws.role(name, {"Principal": {"AWS": f"arn:aws:iam::{aws.tools}:root"}}, allow)
    credentials: dict[str, str] = aws.assume(role, "test")
    return credentials


@pytest.fixture(scope="module")
def write_once(aws: Any) -> Any:
    """A client of a role that may do anything to a bucket whose policy demands If-None-Match."""
    s3 = aws.client("s3")
    s3.create_bucket(Bucket="write-once")
    bucket = ["arn:aws:s3:::write-once", "arn:aws:s3:::write-once/*"]
    deny = {**WRITE_ONCE, "Resource": bucket[1]}
    s3.put_bucket_policy(Bucket="write-once", Policy=json.dumps({"Version": "2012-10-17", "Statement": [deny]}))
    return aws.client_of("s3", by_tools(aws, "writer", {"Action": "s3:*", "Resource": bucket}))


def test_a_put_without_if_none_match_is_denied_where_the_bucket_demands_it(write_once: Any) -> None:
    with pytest.raises(ClientError, match="AccessDenied"):
        write_once.put_object(Bucket="write-once", Key="chain/1", Body=b"1")


def test_a_put_with_if_none_match_is_allowed_once(write_once: Any) -> None:
    write_once.put_object(Bucket="write-once", Key="chain/2", Body=b"2", IfNoneMatch="*")
    with pytest.raises(ClientError, match="PreconditionFailed"):
        write_once.put_object(Bucket="write-once", Key="chain/2", Body=b"other", IfNoneMatch="*")


def test_an_upload_in_parts_is_asked_at_its_completion(write_once: Any) -> None:
    of = {"Bucket": "write-once", "Key": "chain/3"}
    upload = {**of, "UploadId": write_once.create_multipart_upload(**of)["UploadId"]}
    etag = write_once.upload_part(**upload, PartNumber=1, Body=b"3")["ETag"]
    parts = {"Parts": [{"ETag": etag, "PartNumber": 1}]}
    with pytest.raises(ClientError, match="AccessDenied"):
        write_once.complete_multipart_upload(**upload, MultipartUpload=parts)
    write_once.complete_multipart_upload(**upload, MultipartUpload=parts, IfNoneMatch="*")


def test_a_copy_is_a_put_as_well(write_once: Any) -> None:
    with pytest.raises(ClientError, match="AccessDenied"):
        write_once.copy_object(Bucket="write-once", Key="copy", CopySource="write-once/chain/2")


def test_principal_arn_of_a_session_is_its_role(aws: Any) -> None:
    trust = {"Principal": {"AWS": f"arn:aws:iam::{aws.tools}:root"}}
    caller = aws.role("named-caller", trust, {"Action": "sts:AssumeRole", "Resource": "*"})
    other = aws.role("other-caller", trust, {"Action": "sts:AssumeRole", "Resource": "*"})
    named = {**trust, "Condition": {"ArnEquals": {"aws:PrincipalArn": caller}}}
    target = aws.role("for-the-named", named, profile="dev")
    sts = {role: aws.client_of("sts", aws.assume(role, "s1")) for role in (caller, other)}
    sts[caller].assume_role(RoleArn=target, RoleSessionName="s2")
    with pytest.raises(ClientError, match="AccessDenied"):
        sts[other].assume_role(RoleArn=target, RoleSessionName="s2")


def test_a_variable_in_a_resource_is_the_callers_own(aws: Any, policy: Any) -> None:
    iam, s3 = aws.client("iam"), aws.client("s3")
    s3.create_bucket(Bucket="homes")
    iam.create_user(UserName="tom")
    own = policy({"Action": "s3:PutObject", "Resource": "arn:aws:s3:::homes/${aws:username}/*"})
    iam.put_user_policy(UserName="tom", PolicyName="own", PolicyDocument=own)
    key = iam.create_access_key(UserName="tom")["AccessKey"]
    keys = {"aws_access_key_id": key["AccessKeyId"], "aws_secret_access_key": key["SecretAccessKey"]}
    tom = aws.client_of("s3", keys)
    tom.put_object(Bucket="homes", Key="tom/note", Body=b"")
    for denied in ("ada/note", "${aws:username}/note"):
        with pytest.raises(ClientError, match="AccessDenied"):
            tom.put_object(Bucket="homes", Key=denied, Body=b"")


def test_a_variable_without_a_value_matches_nothing(aws: Any) -> None:
    own = {"Action": "s3:ListBucket", "Resource": "arn:aws:s3:::${aws:username}"}
    session = aws.client_of("s3", by_tools(aws, "no-user", own))
    aws.client("s3").create_bucket(Bucket="no-such-resource-here")
    with pytest.raises(ClientError, match="AccessDenied"):
        session.list_objects_v2(Bucket="no-such-resource-here")


@pytest.fixture(scope="module")
def stack_role(aws: Any) -> str:
    role: str = aws.role("stack-role", {"Principal": {"Service": "cloudformation.amazonaws.com"}})
    return role


def test_a_stack_gets_only_a_role_that_its_caller_may_pass(aws: Any, stack_role: str) -> None:
    deployer = aws.client_of(
        "cloudformation", by_tools(aws, "deployer", {"Action": "cloudformation:*", "Resource": "*"})
    )
    with pytest.raises(ClientError, match=r"iam:PassRole"):
        deployer.create_stack(StackName="passed-1", TemplateBody=TEMPLATE, RoleARN=stack_role)
    aws.client("cloudformation").create_stack(StackName="passed-2", TemplateBody=TEMPLATE, RoleARN=stack_role)


def test_a_stack_gets_only_a_role_that_cloudformation_may_assume(aws: Any) -> None:
    role = aws.role("not-for-stacks", {"Principal": {"Service": "lambda.amazonaws.com"}})
    with pytest.raises(ClientError, match="is invalid or cannot be assumed"):
        aws.client("cloudformation").create_stack(StackName="passed-3", TemplateBody=TEMPLATE, RoleARN=role)


def test_a_permission_may_demand_the_role_of_the_stack(aws: Any, stack_role: str) -> None:
    demanded = {
        "Action": ["cloudformation:CreateStack"],
        "Resource": "*",
        "Condition": {"StringEquals": {"cloudformation:RoleArn": stack_role}},
    }
    credentials = by_tools(aws, "narrow", demanded)
    passing = {"Effect": "Allow", "Action": "iam:PassRole", "Resource": stack_role}
    document = json.dumps({"Version": "2012-10-17", "Statement": [passing]})
    aws.client("iam").put_role_policy(RoleName="narrow", PolicyName="pass", PolicyDocument=document)
    narrow = aws.client_of("cloudformation", credentials)
    with pytest.raises(ClientError, match="AccessDenied"):
        narrow.create_stack(StackName="passed-4", TemplateBody=TEMPLATE)
    narrow.create_stack(StackName="passed-4", TemplateBody=TEMPLATE, RoleARN=stack_role)


def test_a_permission_may_demand_the_namespace_of_a_metric(aws: Any) -> None:
    allow = {
        "Action": "cloudwatch:PutMetricData",
        "Resource": "*",
        "Condition": {"StringEquals": {"cloudwatch:namespace": "Ours"}},
    }
    cloudwatch = aws.client_of("cloudwatch", by_tools(aws, "counter", allow))
    metric = [{"MetricName": "Stuck", "Value": 1.0}]
    cloudwatch.put_metric_data(Namespace="Ours", MetricData=metric)
    with pytest.raises(ClientError, match="not authorized to perform: cloudwatch:PutMetricData"):
        cloudwatch.put_metric_data(Namespace="Theirs", MetricData=metric)


def test_a_key_that_nobody_was_given_is_refused(aws: Any) -> None:
    stranger = {"aws_access_key_id": "AKIAAAAAAAAAAAAAAAAA", "aws_secret_access_key": "secret"}
    with pytest.raises(ClientError, match="InvalidAccessKeyId"):
        aws.client_of("s3", stranger).list_buckets()


@pytest.mark.parametrize("key", ["test", "111111111111", "222222222222"])
def test_nobody_is_an_accounts_root(aws: Any, key: str) -> None:
    root = {"aws_access_key_id": key, "aws_secret_access_key": "test"}
    for service, operation in (("s3", "list_buckets"), ("sts", "get_caller_identity"), ("sqs", "list_queues")):
        with pytest.raises(ClientError, match=r"InvalidAccessKeyId|InvalidClientTokenId|UnrecognizedClient"):
            getattr(aws.client_of(service, root), operation)()


@pytest.mark.parametrize("headers", [{}, {"Authorization": "Bearer anything"}])
def test_what_is_not_signed_gets_only_what_a_bucket_policy_gives_to_everybody(
    aws: Any, get: Any, policy: Any, headers: dict[str, str]
) -> None:
    s3, name = aws.client("s3"), f"unsigned-{len(headers)}"
    s3.create_bucket(Bucket=name)
    for key in ("public", "private"):
        s3.put_object(Bucket=name, Key=key, Body=key.encode())
    assert get(f"/{name}/public", headers)[0] == 403
    assert get("/", headers)[0] == 403
    assert get("/?Action=ListQueues", {**headers, "Host": "sqs.us-east-1.amazonaws.com"})[0] == 403
    everybody = policy({"Principal": "*", "Action": "s3:GetObject", "Resource": f"arn:aws:s3:::{name}/public"})
    s3.delete_public_access_block(Bucket=name)
    s3.put_bucket_policy(Bucket=name, Policy=everybody)
    assert get(f"/{name}/public", headers) == (200, b"public")
    assert get(f"/{name}/private", headers)[0] == 403


def test_the_emulators_own_controls_are_closed(aws: Any, get: Any) -> None:
    aws.client("sqs").create_queue(QueueName="still-here")
    for path in ("/_ministack/reset", "/_ministack/config", "/_localstack/health"):
        assert get(path, {}, "POST")[0] == 403
    assert aws.client("sqs").get_queue_url(QueueName="still-here")
