"""SageMaker of the embedded AWS: model registry, pipelines that really run, events, CloudFormation types."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

from local.seams import rebind
from local.settings import Settings

if TYPE_CHECKING:
    from local.sagemaker.host import Images


def install(settings: Settings, images: Images | None = None) -> None:
    """Register the service with the emulator. Call it once, before the server starts.

    images: what pulls and starts container images; None means `local.host.containers`.
    """
    # Imported here because ministack reads its configuration from the environment at import.
    from local.host import containers
    from local.sagemaker import authorization, cloudformation, host, service

    host.configure(settings, images or containers)
    rebind("app.SERVICE_REGISTRY[sagemaker]", {"module": "sagemaker"})
    rebind("app.SERVICE_HANDLERS[sagemaker]", service.handle_request)
    rebind("app._loaded_modules[sagemaker]", sys.modules[service.__name__])
    rebind("app._state_map[sagemaker]", "sagemaker")
    patterns = {
        "target_prefixes": ["SageMaker."],
        "host_patterns": [r"api\.sagemaker\."],
        "credential_scope": "sagemaker",
    }
    rebind("core.router.SERVICE_PATTERNS[sagemaker]", patterns)
    rebind("core.iam_actions.SERVICE_TO_IAM_NAMESPACE[sagemaker]", "sagemaker")
    authorization.install()
    sdk = {"target_prefix": "SageMaker", "protocol": "json"}
    rebind("services.stepfunctions._AWS_SDK_SERVICE_MAP[sagemaker]", sdk)
    rebind("services.stepfunctions._AWS_SDK_ERROR_PREFIX[sagemaker]", "SageMaker")
    cloudformation.install()
