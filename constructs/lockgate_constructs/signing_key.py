"""The key that vouches for images."""

from __future__ import annotations

from aws_cdk import RemovalPolicy
from aws_cdk import aws_iam as iam
from aws_cdk import aws_kms as kms
from constructs import Construct


class SigningKey(kms.Key):
    """ECDSA on P-256. One role signs; anybody whom IAM lets may verify and read the public key.

    signer_arn: the role may come later than the key, so it is named by a condition. No rotation: KMS rotates no
    asymmetric key, and statements have to stay verifiable for as long as an image may be promoted.
    """

    def __init__(self, scope: Construct, construct_id: str, *, description: str, signer_arn: str) -> None:
        super().__init__(
            scope,
            construct_id,
            description=description,
            key_spec=kms.KeySpec.ECC_NIST_P256,
            key_usage=kms.KeyUsage.SIGN_VERIFY,
            removal_policy=RemovalPolicy.RETAIN,
        )
        self.add_to_resource_policy(
            iam.PolicyStatement(
                sid="OnlyTheSignerSigns",
                effect=iam.Effect.DENY,
                principals=[iam.AnyPrincipal()],
                actions=["kms:Sign"],
                resources=["*"],
                conditions={"ArnNotEquals": {"aws:PrincipalArn": signer_arn}},
            )
        )
