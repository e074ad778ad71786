"""GitHub as an identity provider, and roles for exact jobs of one branch of one repository."""

from __future__ import annotations

from aws_cdk import Duration
from aws_cdk import aws_iam as iam
from constructs import Construct

ISSUER = "token.actions.githubusercontent.com"
AUDIENCE = "sts.amazonaws.com"


class GitHubTrust(Construct):
    """Roles that trust exact claims of GitHub's tokens: no pattern anywhere.

    provider_arn: the account's provider of this issuer; None makes it, which an account allows once.
    repository_id, ref: the claims of these names, asked of every role. Names can be recycled, ids cannot.
    """

    def __init__(
        self,
        scope: Construct,
        construct_id: str,
        *,
        repository_id: str,
        ref: str,
        provider_arn: str | None = None,
    ) -> None:
        super().__init__(scope, construct_id)
        self._repository_id, self._ref = repository_id, ref
        if provider_arn is None:
            provider = iam.CfnOIDCProvider(self, "Provider", url=f"https://{ISSUER}", client_id_list=[AUDIENCE])
            provider_arn = provider.attr_arn
        self._provider_arn = provider_arn

    def role(self, construct_id: str, *, role_name: str, subject: str, description: str) -> iam.Role:
        """A role for the jobs with this `sub`; it can do nothing yet."""
        claims = {
            "aud": AUDIENCE,
            "sub": subject,
            "repository_id": self._repository_id,
            "ref": self._ref,
        }
        conditions = {f"{ISSUER}:{claim}": value for claim, value in claims.items()}
        # What a role does is done in the name of the account that pushed: the run cannot choose it.
        conditions["sts:RoleSessionName"] = f"${{{ISSUER}:actor_id}}"
        return iam.Role(
            self,
            construct_id,
            role_name=role_name,
            description=description,
            max_session_duration=Duration.hours(1),
            assumed_by=iam.WebIdentityPrincipal(
                self._provider_arn,
                {"StringEquals": conditions},
            ),
        )
