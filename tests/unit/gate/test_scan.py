"""A scan's findings are counted from a severity on; a scan that has not ended is not known, and not for ever."""

from __future__ import annotations

import pytest

from lockgate.gate.scan import ImageScan, PendingError
from lockgate.policy.rules import SEVERITIES, scan_findings

PUSHED = "2026-11-22T10:00:00+00:00"


def scan(status: str = "COMPLETE", **counts: int) -> ImageScan:
    return ImageScan(status, "why", counts, PUSHED)


def test_findings_count_for_their_severity_and_every_lesser_one() -> None:
    readings = scan(critical=1, high=2, low=4, undefined=8).readings()
    assert [readings[scan_findings(severity)].value for severity in SEVERITIES] == [1, 3, 3, 7, 7, 15]


def test_enhanced_scanning_that_goes_on_counts_and_what_is_untriaged_is_undefined() -> None:
    readings = scan("ACTIVE", untriaged=3).readings()
    assert (readings[scan_findings("low")].value, readings[scan_findings("undefined")].value) == (0, 3)


def test_a_severity_nobody_has_heard_of_counts_as_the_worst() -> None:
    assert scan(catastrophic=1).readings()[scan_findings("critical")].value == 1


@pytest.mark.parametrize(
    "status", ["IN_PROGRESS", "PENDING", "NONE", "FAILED", "UNSUPPORTED_IMAGE", "FINDINGS_UNAVAILABLE"]
)
def test_a_scan_that_has_not_ended_is_not_known_and_says_why(status: str) -> None:
    for reading in scan(status).readings().values():
        assert reading.value is None
        assert reading.note == f"scan {status}: why"


def test_a_running_scan_is_waited_for_half_an_hour_and_a_failed_one_not_at_all() -> None:
    with pytest.raises(PendingError, match="it is waited for until 0:30:00 after the push"):
        scan("IN_PROGRESS").refuse_while_running("sha256:a", "2026-11-22T10:29:59Z")
    scan("IN_PROGRESS").refuse_while_running("sha256:a", "2026-11-22T10:30:00Z")
    scan("FAILED").refuse_while_running("sha256:a", "2026-11-22T10:00:01Z")
