"""The digests of the policies that the deployed gate has, which may be others than those of a checkout."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from botocore.exceptions import ClientError

from lockgate import names
from lockgate.aws.clients import code


def deployed_policies(cloudformation: Any) -> Mapping[str, Mapping[str, str]]:
    """Environment -> model -> digest, as the stack of the gate says; nothing where an older Lockgate deployed it.

    The stack's template has them beside the functions' code, so that both change in one deployment.
    """
    try:
        template = cloudformation.get_template(StackName=names.PROMOTION_STACK)["TemplateBody"]
    except ClientError as error:
        if code(error) != "ValidationError" or "does not exist" not in str(error):
            raise
        return {}
    found: Mapping[str, Mapping[str, str]] = template.get("Metadata", {}).get(names.POLICIES, {})
    return found
