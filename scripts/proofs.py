"""Proofs that take too long for `make test`, and what they gave: `make test-long`.

Each proof is a command of bash. tests/long.json says of each what ran, on which commit, when it ended, how many minutes
it took and whether it passed. The file is committed, and a test of `make test` says which proofs have to run again. How
old a proof is, is measured up to the commit that is checked out: a checkout that was good stays good.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import time
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

ROOT = Path(__file__).parent.parent
FILE = ROOT / "tests" / "long.json"
OLDEST, OLDEST_SHORTENED = timedelta(days=60), timedelta(days=14)
SUITE = "pytest -n auto --dist loadfile --no-loadscope-reorder"
PROOFS = {
    # Seeds that `make test` does not take.
    "faults": "python -m bench.faults --seed 1001 --runs ${RUNS:-200} --workers ${WORKERS:-3} --minutes 180",
    "backwards": f"{SUITE} --backwards $TESTS",  # no test needs another
    # No outcome depends on how busy the machine is. A loop ends with the shell that began it, however that ends.
    "load": f"for _ in $(seq ${{LOOPS:-10}}); do while kill -0 $$ 2>/dev/null; do :; done & done; {SUITE} $TESTS",
}


@dataclass(frozen=True)
class Result:
    """How a proof ended. given: variables that made it shorter or longer than it is by itself."""

    ran: str
    given: str
    commit: str
    ended: str
    minutes: int
    passed: bool


def due(results: Mapping[str, Result], at: datetime | None) -> list[str]:
    """Which proofs have to run for a commit of this moment, each with why; None asks for no age."""
    found = []
    for name in PROOFS:
        result = results.get(name)
        if result is None:
            found.append(f"{name}: found no run")
        elif not result.passed:
            found.append(f"{name}: found a run that failed, on {result.commit[:12]}")
        elif at is None:
            continue
        elif result.given and at - datetime.fromisoformat(result.ended) > OLDEST_SHORTENED:
            found.append(f"{name}: found a run of {result.ended} that {result.given} shortened, expected a whole one")
        elif at - datetime.fromisoformat(result.ended) > OLDEST:
            found.append(f"{name}: found a run of {result.ended}, expected one of the last {OLDEST.days} days")
    return found


def read() -> dict[str, Result]:
    return {name: Result(**said) for name, said in json.loads(FILE.read_text()).items()} if FILE.exists() else {}


def run(name: str, given: str) -> Result:
    begun = time.monotonic()
    variables = dict(word.split("=", 1) for word in given.split())
    done = subprocess.run(["bash", "-c", PROOFS[name]], cwd=ROOT, env={**os.environ, **variables}, check=False)
    minutes = round((time.monotonic() - begun) / 60)
    ended = datetime.now(UTC).isoformat(timespec="seconds")
    return Result(PROOFS[name], given, _git("rev-parse", "HEAD"), ended, minutes, done.returncode == 0)


def committed(root: Path = ROOT) -> datetime | None:
    """When the commit of root's checkout was made, a shallow one too. None where root is an archive, which has no git.

    Raises CalledProcessError where git does not say it of a checkout.
    """
    if not (root / ".git").exists():
        return None
    return datetime.fromisoformat(_git("show", "--no-patch", "--format=%cI", "HEAD", at=root))


def _git(*arguments: str, at: Path = ROOT) -> str:
    return subprocess.run(["git", *arguments], cwd=at, capture_output=True, text=True, check=True).stdout.strip()


def main() -> int:
    parser = argparse.ArgumentParser(prog="make test-long", description=__doc__)
    parser.add_argument("proofs", nargs="*", metavar="PROOF", help=", ".join(PROOFS))
    parser.add_argument("--given", default="", help="variables of a shorter run, such as RUNS=50")
    words = parser.parse_args()
    if unknown := set(words.proofs) - set(PROOFS):
        parser.error(f"PROOFS: found {', '.join(sorted(unknown))}, expected some of {', '.join(PROOFS)}")
    if _git("status", "--porcelain", "--untracked-files=no"):
        parser.error("found changes that are no commit, expected none: what ran must have a name; commit them")
    failed = 0
    for name in words.proofs or PROOFS:
        result = run(name, words.given)
        failed += not result.passed
        said = {known: asdict(each) for known, each in {**read(), name: result}.items() if known in PROOFS}
        FILE.write_text(json.dumps(said, indent=2) + "\n")
        print(f"{name}: {'passed' if result.passed else 'failed'} in {result.minutes} minutes; commit {FILE.name}")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
