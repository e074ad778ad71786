"""What identifiers of AWS look like, wherever a file or a package names one."""

from __future__ import annotations

import re

ACCOUNT = re.compile(r"[0-9]{12}")
REGION = re.compile(r"[a-z]{2}(-[a-z]+)+-[0-9]")
DIGEST = re.compile(r"sha256:[0-9a-f]{64}")
