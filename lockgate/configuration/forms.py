"""What identifiers of AWS look like, wherever a file or a package names one."""

from __future__ import annotations

import re

# Part of the names of stacks, buckets, package groups and load balancers: none of these may end with a dash, and
# SageMaker's may not have two in a row.
DASHED = r"(?=.{{1,{most}}}\Z)[a-z][a-z0-9]*(-[a-z0-9]+)*"
DASHED_EXPECTED = "lower-case letters, digits and single dashes between them, {most} at most, a letter first"
ACCOUNT = re.compile(r"[0-9]{12}")
# Policies here name ARNs of the partition `aws`. Those of GovCloud, of China and of isolated regions begin otherwise.
REGION = re.compile(r"(?!us-gov-|us-iso|eu-isoe-|eusc-|cn-)[a-z]{2}(-[a-z]+)+-[0-9]")
REGION_EXPECTED = "an AWS region of the partition aws, such as us-east-1 (no GovCloud, China or isolated region)"
DIGEST = re.compile(r"sha256:[0-9a-f]{64}")
