"""What SageMaker's batch transform asks the container: how a job that does not say itself shall send its rows.

As many as fit a payload, where the shortest rows that the data contract allows would still not be too many for one
request; else one a request.
"""

from __future__ import annotations

from lockgate.configuration.model import Feature, Model
from runtime.serving.rows import MAXIMUM_ROWS

CONCURRENT = 4
MAXIMUM_MB = 16  # as application.MAXIMUM_BYTES; CONCURRENT times that must be 100 at most


def execution_parameters(model: Model) -> dict[str, int | str]:
    """The answer of /execution-parameters."""
    shortest = sum(_shortest(feature) + 1 for feature in model.features)  # a comma or the line's end behind each value
    fitting = min(MAXIMUM_ROWS * shortest // 2**20, MAXIMUM_MB)
    strategy = "MULTI_RECORD" if fitting else "SINGLE_RECORD"
    return {"MaxConcurrentTransforms": CONCURRENT, "BatchStrategy": strategy, "MaxPayloadInMB": fitting or 1}


def _shortest(feature: Feature) -> int:
    """Bytes of the shortest value in CSV."""
    if feature.null_share > 0:
        return 0
    return min((len(value.encode()) for value in feature.values), default=1)
