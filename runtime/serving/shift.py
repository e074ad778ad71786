"""Once a minute, how far the predictions of this task are from evaluation's: one line of the log.

CloudWatch reads it as a metric (EMF), so no task needs a right or a request to publish it.
"""

from __future__ import annotations

import asyncio
import time
from collections import deque
from collections.abc import Mapping, Sequence
from typing import Any

from lockgate.evidence.distribution import certain_distance
from lockgate.names import METRIC_NAMESPACE, PREDICTION_DISTANCE
from runtime.serving.access import AccessLog
from runtime.serving.telemetry import Telemetry

SECONDS = 60.0  # the alarm's period
LOOKS = 15  # the predictions of so many of them are compared


class ShiftWatch:
    """expected: evaluation's counts; dimensions: what the alarm on the metric names, in its order; seconds: a look."""

    def __init__(
        self,
        telemetry: Telemetry,
        log: AccessLog,
        expected: Sequence[float],
        dimensions: Mapping[str, str],
        seconds: float = SECONDS,
    ) -> None:
        self._telemetry, self._log, self._expected, self._dimensions = telemetry, log, expected, dimensions
        self._seconds = seconds
        self._before = deque([telemetry.scores()], maxlen=LOOKS)

    async def look_forever(self) -> None:
        while True:
            await asyncio.sleep(self._seconds)
            if self.look():
                await asyncio.to_thread(self._log.write)

    def look(self) -> bool:
        """Say the distance; False, and nothing, where nothing was predicted meanwhile."""
        now = self._telemetry.scores()
        found = [after - before for after, before in zip(now, self._before[0], strict=True)]
        self._before.append(now)
        if not sum(found):
            return False
        self._log.say(self._line(certain_distance(self._expected, found), sum(found)))
        return True

    def _line(self, distance: float, rows: float) -> dict[str, Any]:
        metric = {
            "Namespace": METRIC_NAMESPACE,
            "Dimensions": [list(self._dimensions)],
            "Metrics": [{"Name": PREDICTION_DISTANCE}],
        }
        described = {"Timestamp": int(time.time() * 1000), "CloudWatchMetrics": [metric]}
        return {"_aws": described, **self._dimensions, PREDICTION_DISTANCE: distance, "rows": rows}
