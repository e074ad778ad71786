"""How much faster than AWS the embedded AWS counts the waits that configuration asks for (intervals, bake times).

Only waits are shortened. Work takes the time it takes, and time-outs that guard work are not scaled.
"""

from __future__ import annotations

SCALE = 60.0
SHORTEST = 0.1


def scaled(seconds: float) -> float:
    """Seconds to wait here for a wait of `seconds` on AWS: one minute there is one second here."""
    return max(SHORTEST, seconds / SCALE) if seconds > 0 else 0.0
