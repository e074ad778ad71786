"""What one core can do without a network: decode, validate, predict and encode the same bodies, in a loop.

python -m bench.serving.limit MODEL ARCHIVE BODIES.jsonl SECONDS    prints {"rows_a_second": ..., "us_a_request": ...}
"""

from __future__ import annotations

import json
import sys
import time
from itertools import cycle
from pathlib import Path

import msgspec

from bench.serving.models import declare, declared
from runtime.archive import read_archive
from runtime.serving.model_data import engine_of
from runtime.serving.rows import Decoder


def main(name: str, archive: str, bodies: str, seconds: str) -> None:
    declare(name)
    model = declared(name)
    decoder, engine = Decoder(model), engine_of(read_archive(Path(archive).read_bytes()), model)
    encode = msgspec.json.Encoder().encode
    requests = rows = 0
    begin = time.perf_counter()
    end = begin + float(seconds)
    for body in cycle(Path(bodies).read_bytes().splitlines()):
        batch = decoder.json(body)
        encode({"predictions": engine.predict(batch.codes, batch.rows)})
        requests, rows = requests + 1, rows + batch.rows
        if (now := time.perf_counter()) >= end:
            break
    print(json.dumps({"rows_a_second": rows / (now - begin), "us_a_request": (now - begin) / requests * 1e6}))


if __name__ == "__main__":
    main(*sys.argv[1:])
