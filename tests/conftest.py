"""What holds for every test."""

from __future__ import annotations

import urllib.request
from typing import Any

import pytest


@pytest.fixture(autouse=True)
def _proxies_of_its_own() -> None:
    """urllib keeps the proxies of the first caller in a process; another test's may be gone by now."""
    nobody: Any = None
    urllib.request.install_opener(nobody)
