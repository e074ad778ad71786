"""What a call of AWS may fail with, for those who do not know the SDK, and what a person is told of it."""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import Final

from botocore import exceptions
from botocore.exceptions import BotoCoreError, ClientError

from lockgate.aws.clients import code

# AWS refused, or could not be asked: `except FAILURES` is every failure of a call.
FAILURES = (BotoCoreError, ClientError)
# There may be no AWS to ask, rather than one that refuses.
NOBODY_THERE = (exceptions.NoCredentialsError, exceptions.EndpointConnectionError, exceptions.ConnectTimeoutError)

SIGN_IN = "sign in again (`aws sso login`, or new keys), and repeat the command"
CHOOSE = "choose one by AWS_PROFILE"
REACH = "check the network, a proxy and the endpoint that is set for AWS"
CLOCK = "set this machine's clock: AWS takes a signature for a few minutes only"
LATER = "AWS is busy: wait a minute, and repeat the command"
NOT_ALLOWED = "AWS_PROFILE chooses who asks: take a role that may do this (environments/*.toml name those of persons)"
NOT_THERE = (
    "AWS_PROFILE chooses the account: take the one that has it. Where it was never deployed, `lockgate doctor` says so"
)
NO_TOOLS = "deploy the tools first (cdk deploy 'tools/*'), or take the account that has them by AWS_PROFILE"
WRONG_KEYS = "these are not credentials that AWS knows: choose a profile by AWS_PROFILE"
BY_OTHERS = "`lockgate doctor ENV` looks for what is missing in an account"
# Services say so of what does not exist as well as of what was asked wrongly.
NAMED = "check the names that were given, and by AWS_PROFILE which account is asked; else report this line"
OURS = "Lockgate asked wrongly: report this line with the version of lockgate and of boto3"

# What to do, by the error codes with which AWS refuses.
REFUSALS: Final[Mapping[str, str]] = {
    "403": NOT_ALLOWED,
    "AccessDenied": NOT_ALLOWED,
    "AccessDeniedException": NOT_ALLOWED,
    "AuthorizationError": NOT_ALLOWED,
    "Forbidden": NOT_ALLOWED,
    "UnauthorizedOperation": NOT_ALLOWED,
    "ExpiredToken": SIGN_IN,
    "ExpiredTokenException": SIGN_IN,
    "RequestExpired": SIGN_IN,
    "TokenRefreshRequired": SIGN_IN,
    "AuthFailure": WRONG_KEYS,
    "InvalidAccessKeyId": WRONG_KEYS,
    "InvalidClientTokenId": WRONG_KEYS,
    "InvalidSignatureException": WRONG_KEYS,
    "InvalidToken": WRONG_KEYS,
    "SignatureDoesNotMatch": WRONG_KEYS,
    "UnrecognizedClientException": WRONG_KEYS,
    "RequestTimeTooSkewed": CLOCK,
    "ConflictException": LATER,
    "InternalError": LATER,
    "InternalFailure": LATER,
    "RequestLimitExceeded": LATER,
    "ServiceException": LATER,
    "ServiceUnavailable": LATER,
    "SlowDown": LATER,
    "Throttling": LATER,
    "ThrottlingException": LATER,
    "TooManyRequestsException": LATER,
    "NoSuchBucket": NO_TOOLS,
    "404": NOT_THERE,
    "ClusterNotFoundException": NOT_THERE,
    "NoSuchEntity": NOT_THERE,
    "NoSuchKey": NOT_THERE,
    "RepositoryNotFoundException": NOT_THERE,
    "ResourceNotFound": NOT_THERE,
    "ResourceNotFoundException": NOT_THERE,
    "StateMachineDoesNotExist": NOT_THERE,
    "InvalidParameterException": NAMED,
    "ValidationError": NAMED,
    "ValidationException": NAMED,
    "ParamValidation": OURS,
    "MalformedPolicy": OURS,
}

# What to do, by the kind of what kept the SDK from asking; the first that fits.
UNASKED: Final[tuple[tuple[type[Exception], str], ...]] = (
    (exceptions.NoCredentialsError, CHOOSE),
    (exceptions.PartialCredentialsError, CHOOSE),
    (exceptions.ProfileNotFound, "`aws configure list-profiles` lists the profiles; AWS_PROFILE chooses one"),
    (exceptions.ConfigParseError, "mend the file of AWS's configuration that it names"),
    (exceptions.SSOError, SIGN_IN),
    (exceptions.TokenRetrievalError, SIGN_IN),
    (exceptions.LoginError, SIGN_IN),
    (exceptions.CredentialRetrievalError, SIGN_IN),
    (exceptions.MetadataRetrievalError, CHOOSE),
    (exceptions.NoRegionError, "give a region: AWS_REGION, or the profile's"),
    (exceptions.ParamValidationError, OURS),
    (exceptions.WaiterError, "look at what was waited for in AWS's console, and repeat the command"),
    (exceptions.HTTPClientError, REACH),
    (exceptions.ConnectionError, REACH),
    (BotoCoreError, f"{REACH}. {BY_OTHERS}"),
)


def told(error: Exception) -> str:
    """What a person is told of one of FAILURES, in one line: what was asked as whom, what came back, what to do."""
    if isinstance(error, ClientError):
        said, todo = _line(error.response["Error"].get("Message")), REFUSALS.get(code(error), BY_OTHERS)
        return f"asked AWS for {error.operation_name} {_who()}: found {code(error)}: {said}; {todo}"
    todo = next(todo for kind, todo in UNASKED if isinstance(error, kind))
    if isinstance(error, exceptions.NoCredentialsError):
        return f"AWS could not be asked: found no credentials, expected those of a profile: {todo}"
    return f"AWS could not be asked {_who()}: found {_line(error)}; {todo}"


def _line(words: object) -> str:
    return " ".join(str(words).split())


def _who() -> str:
    """Whose credentials the SDK takes, as far as this process says."""
    if "AWS_ACCESS_KEY_ID" in os.environ:
        return "with the keys of AWS_ACCESS_KEY_ID"
    profile = os.environ.get("AWS_PROFILE")
    return f"as profile {profile!r}" if profile else "with the default credentials"
