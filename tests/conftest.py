"""What holds for every test, what processes of the suite share, and who signs callers' tokens."""

from __future__ import annotations

import fcntl
import json
import os
import shutil
import ssl
import subprocess
import sys
import threading
import time
import urllib.request
from collections import Counter
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from xdist.scheduler import LoadFileScheduling

from tests.order import BEGIN_WITH, LoadFiles

if TYPE_CHECKING:
    from local.settings import Settings

ROOT = Path(__file__).parents[1]
SUITE = ROOT / "build" / "suite.json"
BEGUN = pytest.StashKey[float]()
AUDIENCE = "models"
os.environ.pop("COLUMNS", None)  # whoever started the suite has a terminal of some width; what it tests has none
# Processes of the suite share the cores: a thread that waits for another leaves its core, instead of turning on it.
os.environ.setdefault("OMP_WAIT_POLICY", "passive")


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> LoadFileScheduling | None:
    return LoadFiles(config, log) if config.getoption("dist") == "loadfile" else None


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_auto_num_workers() -> int:
    """`-n auto`: tests wait more than they compute."""
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    return 2 * (cores or 1)


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--backwards", action="store_true", help="begin with the last test")


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    def place(item: pytest.Item) -> int:
        path = item.path.relative_to(ROOT).as_posix()
        return next((place for place, folder in enumerate(BEGIN_WITH) if path.startswith(folder)), len(BEGIN_WITH))

    items.sort(key=place, reverse=config.getoption("backwards"))
    if config.getoption("backwards"):
        items.reverse()


def pytest_sessionstart(session: pytest.Session) -> None:
    session.config.stash[BEGUN] = time.monotonic()


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter, config: pytest.Config) -> None:
    """Keep the minutes of a run of every test, for `make weight`; no test's outcome depends on them."""
    partial = config.getoption("keyword") or config.getoption("collectonly")
    if config.args_source != config.ArgsSource.TESTPATHS or partial:
        return
    folders: Counter[str] = Counter()
    for reports in terminalreporter.stats.values():
        for report in reports:
            if isinstance(report, pytest.TestReport):
                folders["/".join(report.nodeid.split("/")[:2])] += report.duration / 60
    minutes = (time.monotonic() - config.stash[BEGUN]) / 60
    SUITE.parent.mkdir(exist_ok=True)
    SUITE.write_text(json.dumps({"minutes": minutes, "by folder": folders}))


Once = Callable[[str, Callable[[Path], object]], Path]


@pytest.fixture(scope="session")
def once(tmp_path_factory: pytest.TempPathFactory) -> Once:
    """A folder by its name that all processes of the suite read: who needs it first makes it, the others wait."""
    shared = tmp_path_factory.getbasetemp()
    shared = shared.parent if "PYTEST_XDIST_WORKER" in os.environ else shared

    def made(name: str, make: Callable[[Path], object]) -> Path:
        folder, partial = shared / name, shared / f"{name}.partial"
        with (shared / f"{name}.lock").open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            if not folder.exists():
                shutil.rmtree(partial, ignore_errors=True)
                make(partial)
                partial.rename(folder)
        return folder

    return made


@pytest.fixture(scope="session")
def assembly(once: Once) -> Path:
    """The cloud assembly of this project, as `cdk synth` writes it; nobody changes it."""
    context = json.dumps(json.loads((ROOT / "cdk.json").read_text())["context"])
    said = {"CDK_VALIDATION": "false", "CDK_CONTEXT_JSON": context}

    def synth(folder: Path) -> None:
        environment = {**os.environ, **said, "CDK_OUTDIR": str(folder)}
        subprocess.run([sys.executable, "app.py"], cwd=ROOT, env=environment, check=True)

    return once("assembly", synth)


@pytest.fixture(autouse=True)
def _proxies_of_its_own() -> None:
    """urllib keeps the proxies of the first caller in a process; another test's may be gone by now."""
    nobody: Any = None
    urllib.request.install_opener(nobody)


class Issuer:
    """An identity provider: signs tokens, and publishes its keys where `url` says once it serves."""

    def __init__(self) -> None:
        from cryptography.hazmat.primitives.asymmetric import rsa

        self.key: Any = rsa.generate_private_key(public_exponent=65537, key_size=2048)
        keys = json.dumps(self._keys()).encode()

        class Keys(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                self.send_response(200)
                self.end_headers()
                self.wfile.write(keys)

            def log_message(self, *_: object) -> None:
                return

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Keys)
        self._serving = threading.Thread(target=self._server.serve_forever, args=(0.05,), daemon=True)
        self.url = f"https://127.0.0.1:{self._server.server_port}/"

    def serve(self, settings: Settings) -> None:
        """Over TLS, with the certificate that this embedded AWS trusts."""
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(settings.certificate, settings.private_key)
        self._server.socket = context.wrap_socket(self._server.socket, server_side=True)
        self._serving.start()

    def close(self) -> None:
        if self._serving.is_alive():
            self._server.shutdown()
        self._server.server_close()

    def token(self, key: Any = None, algorithm: str = "RS256", **claims: Any) -> str:
        """Good for a minute, unless the claims say otherwise; None leaves one out."""
        import jwt

        now = int(time.time())
        said = {"iss": self.url, "aud": AUDIENCE, "sub": "a-service", "iat": now, "exp": now + 60, **claims}
        said = {name: value for name, value in said.items() if value is not None}
        return jwt.encode(said, self.key if key is None else key, algorithm, headers={"kid": "1"})

    def _keys(self) -> dict[str, Any]:
        import jwt

        public = json.loads(jwt.algorithms.RSAAlgorithm.to_jwk(self.key.public_key()))
        return {"keys": [{**public, "kid": "1", "use": "sig", "alg": "RS256"}]}


@pytest.fixture(scope="session")
def new_issuer() -> Iterator[Callable[[], Issuer]]:
    made: list[Issuer] = []

    def new() -> Issuer:
        made.append(Issuer())
        return made[-1]

    yield new
    for issuer in made:
        issuer.close()
