"""How any client reaches one embedded AWS."""

from __future__ import annotations

import json
import ssl
import urllib.request
from typing import Any

from local.settings import HOST, Settings


def environment(settings: Settings) -> dict[str, str]:
    """Variables that lead any client (SDK, CDK, urllib) to this instance, without credentials."""
    bundle = str(settings.ca_bundle)
    through = f"http://{HOST}:{settings.proxy_port}"
    return {
        "AWS_ENDPOINT_URL": settings.endpoint,
        "AWS_ENDPOINT_URL_S3": settings.endpoint,
        "LOCKGATE_CLOCK": str(settings.clock_file),
        "LOCKGATE_POLL_SECONDS": "0.2",
        "AWS_REGION": settings.region,
        "AWS_DEFAULT_REGION": settings.region,
        "AWS_EC2_METADATA_DISABLED": "true",
        "AWS_CA_BUNDLE": bundle,
        "NODE_EXTRA_CA_CERTS": bundle,
        "SSL_CERT_FILE": bundle,
        "REQUESTS_CA_BUNDLE": bundle,
        "HTTPS_PROXY": through,
        "HTTP_PROXY": through,
        "https_proxy": through,
        "http_proxy": through,
        "NO_PROXY": f"{HOST},localhost",
        "no_proxy": f"{HOST},localhost",
    }


def move_clock(settings: Settings, **wanted: bool | float) -> dict[str, Any]:
    """Hold or release the clock (hold=True or False), or advance it by seconds (see local.gateway.clock); its state."""
    trust = ssl.create_default_context(cafile=str(settings.ca_bundle))
    handlers = urllib.request.HTTPSHandler(context=trust), urllib.request.ProxyHandler({})
    body = json.dumps(wanted).encode()
    with urllib.request.build_opener(*handlers).open(f"{settings.endpoint}/_lockgate/clock", body) as answer:
        state: dict[str, Any] = json.load(answer)
    return state
