"""Actions by which one gains further rights, gets past a gate, or undoes what is kept: one list for all rules.

A review shows each of them as a high risk. No role that runs may do those of the first part, whatever its policy says:
`lockgate.templates.boundary` denies them.
"""

from __future__ import annotations

from fnmatch import fnmatchcase

NOT_AT_RUN_TIME = (
    "codebuild:UpdateProject",
    "ecr:DeleteRepository",
    "ecr:SetRepositoryPolicy",
    "kms:PutKeyPolicy",
    "kms:ScheduleKeyDeletion",
    "lambda:AddPermission",
    "lambda:UpdateFunction*",
    "s3:BypassGovernanceRetention",
    "s3:DeleteBucket*",
    "s3:PutBucket*",
    "states:UpdateStateMachine",
)
# Some role of ours needs each of these to run, on what its own policy says; of IAM only PassRole, and on ours alone.
AT_RUN_TIME = (
    "cloudformation:*Stack*",
    "ecr:PutImage",
    "iam:*",
    "kms:CreateGrant",
    "sagemaker:UpdateModelPackage",
    "states:SendTask*",
)


def is_grave(action: str) -> bool:
    """Whether an action, or one that a pattern may stand for, is in the list; case is not looked at, as in IAM."""
    patterns = (*NOT_AT_RUN_TIME, *AT_RUN_TIME)
    return "*" in action or any(fnmatchcase(action.lower(), pattern.lower()) for pattern in patterns)
