"""`python3 -m runtime prepare|train|predict|champion|serve`: the entry points of the image that a commit becomes.

Each imports only what it needs, so that a step starts fast.
"""

from __future__ import annotations

import sys

from runtime import job


def main(arguments: list[str]) -> int:
    match arguments:
        case ["prepare"]:
            from runtime.prepare import prepare

            return job.run(prepare, job.this_job())
        case ["train"]:
            from runtime.train import train

            return job.run(train, job.this_job(), failure="failure")
        case ["predict"]:
            from runtime.predict import predict

            return job.run(predict, job.this_job())
        case ["champion"]:
            from runtime.predict import predict_as_champion

            return job.run(predict_as_champion, job.this_job())
        case ["serve"]:
            from runtime.serving.serve import serve

            return job.run(serve, job.this_job())
        case _:
            sys.stderr.write(f"found {arguments}, expected one of: prepare, train, predict, champion, serve\n")
            return 2


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
