"""`python3 build_walker.py FOLDER`: compile walker.c into FOLDER, at set-up or in the image's build stage.

The compiler is a pinned package (ziglang), so that no machine needs one of its own. `baseline` code runs on every CPU
of the architecture, and without contraction a sum is what it says.
"""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

SOURCE = Path(__file__).with_name("walker.c")
LIBRARY = "lockgate_walker.so"
FLAGS = ("-O3", "-mcpu=baseline", "-ffp-contract=off", "-fno-math-errno", "-shared", "-fPIC", "-s", "-Wall", "-Werror")


def build(folder: Path) -> None:
    target = folder / LIBRARY
    subprocess.run([sys.executable, "-m", "ziglang", "cc", *FLAGS, str(SOURCE), "-o", str(target), "-lm"], check=True)


if __name__ == "__main__":
    build(Path(sys.argv[1]))
