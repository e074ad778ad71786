"""A listener that checks tokens lets a caller in whom the configured issuer vouches for, and no stranger."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import pytest
from cryptography.hazmat.primitives.asymmetric import rsa

if TYPE_CHECKING:
    from tests.conftest import Issuer

AUDIENCE = "models"


@pytest.fixture(scope="module")
def issuer(embedded: Any, new_issuer: Callable[[], Issuer]) -> Issuer:
    made = new_issuer()
    made.serve(embedded.settings)
    return made


def listener(embedded: Any, issuer: Issuer, name: str, form: str) -> str:
    """The host of a load balancer that answers 200 to who gets in."""
    elbv2 = embedded.client("elbv2")
    balancer = elbv2.create_load_balancer(Name=name)["LoadBalancers"][0]
    validation = {
        "Issuer": issuer.url,
        "JwksEndpoint": f"{issuer.url}keys.json",
        "AdditionalClaims": [{"Name": "aud", "Format": form, "Values": [AUDIENCE]}],
    }
    answer = {"StatusCode": "200", "ContentType": "text/plain", "MessageBody": "in"}
    actions = [
        {"Type": "jwt-validation", "Order": 1, "JwtValidationConfig": validation},
        {"Type": "fixed-response", "Order": 2, "FixedResponseConfig": answer},
    ]
    made = elbv2.create_listener(
        LoadBalancerArn=balancer["LoadBalancerArn"], Protocol="HTTP", Port=80, DefaultActions=actions
    )
    assert made["Listeners"][0]["DefaultActions"][0]["JwtValidationConfig"]["Issuer"] == issuer.url
    return str(balancer["DNSName"])


@pytest.fixture(scope="module")
def host(embedded: Any, issuer: Issuer) -> str:
    return listener(embedded, issuer, "asks-for-tokens", "single-string")


def get(embedded: Any, host: str, token: str | None, scheme: str = "Bearer") -> tuple[int, str]:
    headers = {"Authorization": f"{scheme} {token}"} if token else {}
    answer: tuple[int, str] = embedded.get(host, "/", headers=headers)
    return answer


def test_a_caller_with_a_token_of_the_issuer_gets_in(embedded: Any, issuer: Issuer, host: str) -> None:
    assert get(embedded, host, issuer.token()) == (200, "in")


def test_a_stranger_without_a_token_is_refused(embedded: Any, host: str) -> None:
    status, said = get(embedded, host, None)
    assert (status, "no token" in said) == (401, True)


def test_another_scheme_is_no_token(embedded: Any, issuer: Issuer, host: str) -> None:
    assert get(embedded, host, issuer.token(), scheme="Basic")[0] == 401


@pytest.mark.parametrize(
    "claims",
    [
        {"iss": "https://stranger.example/"},
        {"iss": None},
        {"aud": "something-else"},
        {"aud": None},
        {"aud": [AUDIENCE]},
        {"exp": 1_700_000_000},
        {"exp": None},
        {"nbf": 4_000_000_000},
    ],
    ids=str,
)
def test_a_token_that_says_something_else_is_refused(
    embedded: Any, issuer: Issuer, host: str, claims: dict[str, Any]
) -> None:
    assert get(embedded, host, issuer.token(**claims))[0] == 401


def test_a_token_that_another_key_signed_is_refused(embedded: Any, issuer: Issuer, host: str) -> None:
    other = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    assert get(embedded, host, issuer.token(other))[0] == 401


def test_a_token_without_a_signature_and_one_signed_with_a_shared_secret_are_refused(
    embedded: Any, issuer: Issuer, host: str
) -> None:
    assert get(embedded, host, issuer.token("", "none"))[0] == 401
    assert get(embedded, host, issuer.token("s" * 64, "HS256"))[0] == 401
    assert get(embedded, host, "not.a.token")[0] == 401


def test_an_audience_is_read_in_its_issuers_format(embedded: Any, issuer: Issuer) -> None:
    host = listener(embedded, issuer, "asks-for-lists", "string-array")
    assert get(embedded, host, issuer.token(aud=["others", AUDIENCE]))[0] == 200
    assert get(embedded, host, issuer.token(aud=["others"]))[0] == 401
    assert get(embedded, host, issuer.token())[0] == 401
