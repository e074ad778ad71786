"""One exception for each cause. A message a person sees says what was found, where, what was expected, what to do."""

from __future__ import annotations

# What a message says where there was nothing to quote.
ABSENT = ("nothing", "no such file", "no such function")


class LockgateError(Exception):
    """Base of every error that Lockgate raises on purpose."""


class ConfigError(LockgateError):
    """A configuration file is missing, malformed, or says something that is not allowed."""

    def __init__(self, file: str, key: str, found: object, expected: str) -> None:
        self.file, self.key, self.found, self.expected = file, key, found, expected
        said = found if found in ABSENT else repr(found)
        super().__init__(f"{file}: {key}: found {said}, expected {expected}")


class EvidenceError(LockgateError):
    """Evidence is absent, altered, or not what the schema says. Never waived, never passed."""


class DataContractError(LockgateError):
    """Rows break the data contract of a model."""


class LedgerError(LockgateError):
    """A chain of records is broken, or a record cannot be added to it."""


class NotFoundError(LockgateError):
    """What a person or an event names does not exist."""


class RefusedError(LockgateError):
    """What was asked is understood and not allowed."""


class ForbiddenError(RefusedError):
    """What was asked is allowed, and not to who asks."""


class BusyError(LockgateError):
    """Something else is changing what this would change; the same again later may work."""
