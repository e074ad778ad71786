"""`make soak [REQUESTS=10000000]`: the server's memory while it answers that many requests, good ones and bad."""

from __future__ import annotations

import argparse
import json
import os
import sys
from pathlib import Path

import pyarrow.parquet as pq

from bench.serving import load as loads
from bench.serving.load import Load
from bench.serving.models import CENSUS, ROOT, declared, train
from bench.serving.servers import Contender, running

SECONDS = 20.0  # of load between two looks at the memory
MIXED = Load("soak", 1, 64)
BAD = ("{", '{"instances": [{}]}', '{"instances": [{"AGEP": "x"}]}')


def main() -> None:
    parser = argparse.ArgumentParser(prog="soak")
    parser.add_argument("--requests", type=int, default=10_000_000)
    wanted: int = parser.parse_args().requests
    loads.require_wrk()
    build = ROOT / "build" / "soak"
    build.mkdir(parents=True, exist_ok=True)
    archive = train(CENSUS, build)
    settings = {"MODEL": CENSUS, "MODEL_ARCHIVE": str(archive), "ML_ROOT": str(build / "root"), "TASK_CPU": "1024"}
    server = Contender("soaked", (sys.executable, "-m", "bench.serving.ours"), settings, path="/ping")
    bodies = mixed_bodies(build)
    answered, memory = 0, []
    with running(server, ROOT, Path(os.devnull), None) as process:
        url = process.url.replace("/ping", "/invocations")
        while answered < wanted:
            measured = loads.run(url, MIXED, bodies, SECONDS)
            if measured.broken:
                sys.exit(f"soak: {measured}: found broken connections, expected none")
            answered += measured.requests
            memory.append({"requests": answered, "mb": round(process.own_memory_mb(), 2)})
            print(f"soak: {answered:,} requests, {memory[-1]['mb']} MB", flush=True)
    (build / "soak.json").write_text(json.dumps(memory, indent=1) + "\n")
    half = memory[len(memory) // 2 :]
    print(f"soak: {answered:,} requests; in the second half {half[0]['mb']} to {half[-1]['mb']} MB")


def mixed_bodies(folder: Path) -> Path:
    """One to three rows a request; three of a hundred are bad."""
    model = declared(CENSUS)
    table = pq.read_table(ROOT / model.holdout_data).slice(0, 300)
    rows = table.select([feature.name for feature in model.features]).to_pylist()
    good = [json.dumps({"instances": rows[at : at + 1 + at % 3]}) for at in range(97)]
    file = folder / "bodies.jsonl"
    file.write_text("\n".join([*good, *BAD]) + "\n")
    return file


if __name__ == "__main__":
    main()
