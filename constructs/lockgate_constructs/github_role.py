"""The role that one branch of one GitHub repository may take."""

from __future__ import annotations

from aws_cdk import Duration
from aws_cdk import aws_iam as iam
from constructs import Construct

ISSUER = "token.actions.githubusercontent.com"
AUDIENCE = "sts.amazonaws.com"


class GitHubRole(Construct):
    """GitHub as an identity provider, and a role that trusts exact claims of its tokens: no pattern anywhere.

    provider_arn: the account's provider of this issuer; None makes it, which an account allows once.
    subject, repository_id, ref: the claims `sub`, `repository_id` and `ref`. Names can be recycled, ids cannot.
    """

    def __init__(
        self,
        scope: Construct,
        construct_id: str,
        *,
        role_name: str,
        subject: str,
        repository_id: str,
        ref: str,
        provider_arn: str | None = None,
    ) -> None:
        super().__init__(scope, construct_id)
        if provider_arn is None:
            provider = iam.CfnOIDCProvider(self, "Provider", url=f"https://{ISSUER}", client_id_list=[AUDIENCE])
            provider_arn = provider.attr_arn
        self.role = iam.Role(
            self,
            "Role",
            role_name=role_name,
            description=f"Taken by GitHub for {subject}.",
            max_session_duration=Duration.hours(1),
            assumed_by=iam.WebIdentityPrincipal(
                provider_arn,
                {
                    "StringEquals": {
                        f"{ISSUER}:aud": AUDIENCE,
                        f"{ISSUER}:sub": subject,
                        f"{ISSUER}:repository_id": repository_id,
                        f"{ISSUER}:ref": ref,
                        # What the role does is done in the name of the account that pushed: the run cannot choose it.
                        "sts:RoleSessionName": f"${{{ISSUER}:actor_id}}",
                    }
                },
            ),
        )
