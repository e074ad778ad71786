"""One virtual environment a peer, made on first use from its pinned requirements."""

from __future__ import annotations

import subprocess
from pathlib import Path

REQUIREMENTS = Path(__file__).parent / "requirements"
PEERS = ("fastapi", "mlflow", "bentoml", "litserve", "hello", "plot", "onnx")


def environment(folder: Path, name: str) -> Path:
    """The Python of the environment `name` below `folder`; it is made anew when its requirements changed."""
    wanted = REQUIREMENTS / f"{name}.lock"
    place, made = folder / name, folder / f"{name}.made"
    if not made.exists() or made.read_text() != wanted.read_text():
        made.unlink(missing_ok=True)
        print(f"bench-serving: installing {name}", flush=True)
        python = place / "bin" / "python"
        subprocess.run(["uv", "venv", "-q", "--clear", "--python", "3.11", str(place)], check=True)
        subprocess.run(["uv", "pip", "install", "-q", "--python", str(python), "-r", str(wanted)], check=True)
        made.write_text(wanted.read_text())
    return place / "bin" / "python"
