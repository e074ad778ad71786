"""How any client reaches one embedded AWS."""

from __future__ import annotations

from local.settings import HOST, Settings


def environment(settings: Settings) -> dict[str, str]:
    """Variables that lead any client (SDK, CDK, urllib) to this instance, without credentials."""
    bundle = str(settings.ca_bundle)
    through = f"http://{HOST}:{settings.proxy_port}"
    return {
        "AWS_ENDPOINT_URL": settings.endpoint,
        "AWS_ENDPOINT_URL_S3": settings.endpoint,
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
