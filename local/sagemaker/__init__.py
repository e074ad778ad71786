"""SageMaker of the embedded AWS: model registry, pipelines that really run, events, CloudFormation types."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

from local.settings import Settings

if TYPE_CHECKING:
    from local.sagemaker.host import Images


def install(settings: Settings, images: Images | None = None) -> None:
    """Register the service with the emulator. Call it once, before the server starts.

    images: what pulls and starts container images; None means `local.host.containers`.
    """
    # Imported here because ministack reads its configuration from the environment at import.
    from ministack import app
    from ministack.core import iam_actions, router
    from ministack.services import stepfunctions

    from local.host import containers
    from local.sagemaker import authorization, cloudformation, host, service

    host.configure(settings, images or containers)
    app.SERVICE_REGISTRY["sagemaker"] = {"module": "sagemaker"}
    app.SERVICE_HANDLERS["sagemaker"] = service.handle_request
    app._loaded_modules["sagemaker"] = sys.modules[service.__name__]
    app._state_map["sagemaker"] = "sagemaker"
    router.SERVICE_PATTERNS["sagemaker"] = {
        "target_prefixes": ["SageMaker."],
        "host_patterns": [r"api\.sagemaker\."],
        "credential_scope": "sagemaker",
    }
    iam_actions.SERVICE_TO_IAM_NAMESPACE["sagemaker"] = "sagemaker"
    authorization.install()
    stepfunctions._AWS_SDK_SERVICE_MAP["sagemaker"] = {"target_prefix": "SageMaker", "protocol": "json"}
    stepfunctions._AWS_SDK_ERROR_PREFIX["sagemaker"] = "SageMaker"
    cloudformation.install()
