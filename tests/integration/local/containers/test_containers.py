"""An image runs as a process: its own files, its own environment, and it ends with the server."""

from __future__ import annotations

import dataclasses
import json
import re
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from local.host import containers, packages
from local.settings import Settings

ROOT = Path(__file__).parents[4]
SAY = """\
import json, os, sys
try:
    import lockgate
    found = True
except ImportError:
    found = False
print(json.dumps({"argv": sys.argv[1:], "env": dict(os.environ), "cwd": os.getcwd(), "lockgate": found}))
"""


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return Settings(tmp_path / "state")


@pytest.fixture
def image(tmp_path: Path) -> containers.UnpackedImage:
    root = tmp_path / "root"
    (root / "app").mkdir(parents=True)
    (root / "app" / "say.py").write_text(SAY)
    environment = {"PYTHONPATH": "/app", "DATA": "/app:/missing", "PATH": "/usr/local/bin:/app"}
    return containers.UnpackedImage("sha256:0", root, ("python3", "-m", "say"), ("from-cmd",), environment, "/app")


LOCK = re.search(r"^six==(.*\\\n)+.*$", (ROOT / "model" / "requirements.lock").read_text(), re.MULTILINE)


@pytest.fixture
def kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where packages of locks are installed, for this test alone."""
    monkeypatch.setattr(packages, "_KEPT", tmp_path / "kept")
    return tmp_path / "kept"


def with_lock(image: containers.UnpackedImage, lock: str) -> containers.UnpackedImage:
    """The image after a build that installs from this lock."""
    file = image.root / "opt" / "packages" / "requirements.lock"
    file.parent.mkdir(parents=True)
    file.write_text(lock)
    environment = {**image.environment, "PYTHONPATH": "/app:/opt/packages"}
    python = containers._python("image", image.root, environment)
    return dataclasses.replace(image, environment=environment, python=python)


def run(image: containers.UnpackedImage, settings: Settings, **given: Any) -> tuple[int, str]:
    """Exit code and output of a process of the image."""
    log = settings.state / "log"
    options = {"entrypoint": None, "arguments": [], "environment": {}, "ml_root": None, **given}
    process = containers.start(image, log=log, settings=settings, **options)
    return process.wait(20), log.read_text()


def said(image: containers.UnpackedImage, settings: Settings, **given: Any) -> dict[str, Any]:
    code, output = run(image, settings, **given)
    assert code == 0, output
    found: dict[str, Any] = json.loads(output)
    return found


def test_it_has_the_images_environment_and_nothing_of_the_servers(
    image: containers.UnpackedImage, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "of-the-server")
    monkeypatch.setenv("SOMETHING", "else")
    found = said(image, settings, environment={"GIVEN": "yes"}, ml_root=Path("/ml"))
    environment = found["env"]
    assert not {"AWS_ACCESS_KEY_ID", "SOMETHING"} & set(environment)
    assert environment["GIVEN"] == "yes"
    assert environment["ML_ROOT"] == "/ml"
    assert environment["DATA"] == f"{image.root}/app:/missing"
    assert environment["HOME"].startswith(str(settings.work))
    assert found["cwd"] == f"{image.root}/app"


def test_a_file_the_image_does_not_copy_is_not_found_in_this_repository(
    image: containers.UnpackedImage, settings: Settings
) -> None:
    assert not said(image, settings)["lockgate"]


def test_the_images_command_is_used_when_nothing_else_is_given(image: containers.UnpackedImage, tmp_path: Path) -> None:
    assert said(image, Settings(tmp_path / "1"))["argv"] == ["from-cmd"]
    assert said(image, Settings(tmp_path / "2"), arguments=["given"])["argv"] == ["given"]
    assert said(image, Settings(tmp_path / "3"), entrypoint=["python3", "/app/say.py"])["argv"] == []


def test_a_command_that_does_not_exist_ends_with_127(image: containers.UnpackedImage, settings: Settings) -> None:
    code, output = run(image, settings, entrypoint=["nowhere"])
    assert (code, output) == (127, "exec nowhere: No such file or directory\n")


def test_stop_ends_the_whole_group_even_if_it_ignores_sigterm(
    image: containers.UnpackedImage, settings: Settings
) -> None:
    script = "trap '' TERM; sleep 60 & echo $!; wait; sleep 60"
    log = settings.state / "log"
    process = containers.start(
        image,
        entrypoint=["sh", "-c", script],
        arguments=[],
        environment={},
        ml_root=None,
        log=log,
        settings=settings,
    )
    while not log.read_text():
        time.sleep(0.01)
    assert containers.stop(process, grace=0.2) == -signal.SIGKILL
    deadline = time.monotonic() + 5
    while is_running(int(log.read_text())):
        assert time.monotonic() < deadline
        time.sleep(0.02)


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux ends a process with its parent")
def test_a_process_ends_when_the_server_is_killed(image: containers.UnpackedImage, settings: Settings) -> None:
    server = subprocess.Popen(
        [
            sys.executable,
            "-c",
            "import sys, time, threading\n"
            "from pathlib import Path\n"
            "from local.host import containers\n"
            "from local.settings import Settings\n"
            "image = containers.UnpackedImage('', Path(sys.argv[1]), ('sleep', '60'), (), {}, '/app')\n"
            "def start():\n"
            "    print(containers.start(image, entrypoint=None, arguments=[], environment={}, ml_root=None,\n"
            "        log=Path(sys.argv[2]), settings=Settings(Path(sys.argv[2]).parent)).pid, flush=True)\n"
            "thread = threading.Thread(target=start); thread.start(); thread.join()\n"
            "time.sleep(60)\n",
            str(image.root),
            str(settings.state / "log"),
        ],
        stdout=subprocess.PIPE,
    )
    assert server.stdout is not None
    with server, server.stdout:
        pid = int(server.stdout.readline())
        time.sleep(0.3)
        assert is_running(pid), "it must outlive the thread that started it"
        server.kill()
    deadline = time.monotonic() + 5
    while is_running(pid):
        assert time.monotonic() < deadline
        time.sleep(0.02)


def test_a_layer_that_does_not_match_its_digest_is_refused() -> None:
    with pytest.raises(containers.ImageInvalid, match="content of sha256:0 has digest sha256:"):
        containers._verified(b"x", "sha256:0")


def test_an_image_without_command_is_refused(image: containers.UnpackedImage, settings: Settings) -> None:
    empty = dataclasses.replace(image, entrypoint=(), command=())
    with pytest.raises(containers.ImageInvalid, match="neither an entry point nor a command"):
        run(empty, settings)


def is_running(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


def test_an_image_has_the_packages_of_its_lock_and_none_that_only_this_project_has(
    image: containers.UnpackedImage, settings: Settings, kept: Path
) -> None:
    assert LOCK
    found = with_lock(image, LOCK[0])
    assert found.python.is_relative_to(kept)
    code, output = run(found, settings, entrypoint=["python3", "-c", "import six; print(six.__version__)"])
    assert (code, output) == (0, LOCK[0].partition("==")[2].split()[0] + "\n")
    (settings.state / "log").unlink()
    code, output = run(found, settings, entrypoint=["python3", "-c", "import numpy"])
    assert (code, "No module named 'numpy'" in output) == (1, True), output
    (settings.state / "log").unlink()
    again = ["python3", "-c", "import subprocess; subprocess.run(['python3', '-c', 'import numpy'], check=True)"]
    assert run(found, settings, entrypoint=again)[0] == 1, "a process of the image's own sees no more"


def test_packages_are_installed_once_for_a_lock(image: containers.UnpackedImage, kept: Path) -> None:
    assert LOCK
    first = with_lock(image, LOCK[0]).python.stat()
    assert packages.python_of(LOCK[0].encode()).stat() == first
    assert len(list(kept.iterdir())) == 1


def test_a_lock_that_cannot_be_installed_makes_an_invalid_image(image: containers.UnpackedImage, kept: Path) -> None:
    with pytest.raises(containers.ImageInvalid, match=r"packages of its lock cannot be installed: .*[Hh]ash"):
        with_lock(image, "six==1.17.0 --hash=sha256:" + "0" * 64 + "\n")
    assert list(kept.iterdir()) == [], "nothing half-made is left"
