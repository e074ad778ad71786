"""What one core can do without a network: decode, validate, predict and encode the same bodies, in a loop.

python -m bench.serving.limit MODEL ARCHIVE BODIES.jsonl SECONDS
prints {"rows_a_second": ..., "us_a_request": ..., "us_of_capture": ...}

Capture is too cheap to be seen from outside, where the same server differs by a fifth from one second to the next. Here
short runs with and without it take turns; its cost is the difference of their medians.
"""

from __future__ import annotations

import json
import sys
import time
from itertools import cycle
from pathlib import Path
from statistics import median

import msgspec

from bench.serving.models import declare, declared
from runtime.archive import read_archive
from runtime.serving.capture import Capture
from runtime.serving.model_data import engine_of
from runtime.serving.rows import Decoder

RUN_SECONDS = 0.02


def main(name: str, archive: str, bodies: str, seconds: str) -> None:
    declare(name)
    model = declared(name)
    decoder, engine = Decoder(model), engine_of(read_archive(Path(archive).read_bytes()), model)
    encode = msgspec.json.Encoder().encode
    bodies_in_turn = cycle(Path(bodies).read_bytes().splitlines())
    capture = Capture()

    def answered(*, captured: bool) -> int:
        """One request; its rows."""
        batch = decoder.json(next(bodies_in_turn))
        predictions = engine.predict(batch.codes, batch.rows)
        if captured:
            capture.offer("a-request", batch, predictions)
        encode({"predictions": predictions})
        return batch.rows

    rates = {captured: list[float]() for captured in (True, False)}
    begin = time.perf_counter()
    requests = rows = 0
    while (begun := time.perf_counter()) < begin + float(seconds):
        for captured, found in rates.items():
            done, now = 0, begun
            while now < begun + RUN_SECONDS:
                rows += answered(captured=captured)
                done, now = done + 1, time.perf_counter()
            found.append((now - begun) / done)
            requests, begun = requests + done, now
    used = time.perf_counter() - begin
    cost = median(rates[True]) - median(rates[False])
    print(
        json.dumps({"rows_a_second": rows / used, "us_a_request": used / requests * 1e6, "us_of_capture": cost * 1e6})
    )


if __name__ == "__main__":
    main(*sys.argv[1:])
