"""What a call of AWS may fail with, for those who handle it without knowing the SDK."""

from __future__ import annotations

from botocore.exceptions import BotoCoreError, ClientError, NoCredentialsError

# AWS refused, or could not be asked: `except FAILURES` is every failure of a call.
FAILURES = (BotoCoreError, ClientError)
NO_CREDENTIALS = NoCredentialsError


def told(error: Exception) -> str:
    """What a person is told of one of FAILURES, in one line."""
    if isinstance(error, NoCredentialsError):
        return "AWS could not be asked: found no credentials, expected those of a profile: choose one by AWS_PROFILE"
    if not isinstance(error, ClientError):
        return f"AWS could not be asked: {error}"
    answered = error.response["Error"]
    hint = "; deploy the tools first: cdk deploy 'tools/*'" if answered.get("Code") == "NoSuchBucket" else ""
    return f"AWS refused {error.operation_name}: {answered.get('Message', error)}{hint}"
