"""Runs first in every Python process of an image: hides this repository, which an editable install exposes.

Without it a file that the Dockerfile forgot to copy would be found here and missing only on AWS.
"""

from __future__ import annotations

import sys
from pathlib import Path

_REPOSITORY = Path(__file__).resolve().parents[3]
sys.path[:] = [entry for entry in sys.path if Path(entry) not in (_REPOSITORY, _REPOSITORY / "constructs")]
