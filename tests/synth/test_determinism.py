"""The same commit gives the same assembly, byte for byte, whatever differs around the synth.

Beside it stands what would break it, run through the same comparison and seen.
"""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import pytest

PROJECT = Path(__file__).parents[2]
FARTHEST = "Pacific/Kiritimati"  # from UTC
LATER_PYTHON = """\
import datetime, time

SHIFT = 34_560_000
_time, _gmtime, _localtime = time.time, time.gmtime, time.localtime
time.time = lambda: _time() + SHIFT
time.gmtime = lambda at=None: _gmtime(time.time() if at is None else at)
time.localtime = lambda at=None: _localtime(time.time() if at is None else at)


class Like(type):
    def __instancecheck__(cls, value):
        return isinstance(value, cls.__mro__[1])


class Date(datetime.date, metaclass=Like):
    @classmethod
    def today(cls):
        return cls.fromtimestamp(time.time())


class DateTime(datetime.datetime, metaclass=Like):
    @classmethod
    def now(cls, tz=None):
        return cls.fromtimestamp(time.time(), tz)


datetime.date, datetime.datetime = Date, DateTime
"""
LATER_NODE = """\
const Real = Date;
globalThis.Date = class extends Real {
  constructor(...given) { given.length ? super(...given) : super(Real.now() + 34560000000); }
  static now() { return Real.now() + 34560000000; }
};
"""
# Who asks for a connection or a name, even for one he could do without, ends there.
OFFLINE_PYTHON = """\
import os, sys

def refuse(event, arguments):
    if event in ("socket.connect", "socket.getaddrinfo", "socket.gethostbyname", "socket.sendto"):
        os.write(2, f"{event} {arguments}".encode())
        os._exit(70)

sys.addaudithook(refuse)
"""
OFFLINE_NODE = """\
const refuse = () => process.abort();
require("net").Socket.prototype.connect = refuse;
require("dns").lookup = refuse;
require("dgram").Socket.prototype.send = refuse;
"""


@dataclass(frozen=True)
class Around:
    """What stands around a synth: its folder, and variables beyond those of every run."""

    folder: Path = PROJECT
    variables: dict[str, str] = field(default_factory=dict)


def hooked(folder: Path, python: str, node: str) -> dict[str, str]:
    """Variables with which every Python and every Node of a run begins with these lines."""
    folder.mkdir()
    (folder / "sitecustomize.py").write_text(python)
    (folder / "first.js").write_text(node)
    return {"PYTHONPATH": str(folder), "NODE_OPTIONS": f"--require={folder / 'first.js'}"}


def another_folder(folder: Path) -> Around:
    """The project's files, with other modes and times: readable by their owner only, unless they are so."""
    listed = subprocess.run(["git", "ls-files", "-z"], cwd=PROJECT, capture_output=True, text=True, check=True)
    for name in filter(None, listed.stdout.split("\0")):
        source, target = PROJECT / name, folder / name
        if source.is_file():
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_bytes(source.read_bytes())
            target.chmod(0o600 if source.stat().st_mode & 0o077 else 0o640)
    return Around(folder, {"PYTHONPATH": os.pathsep.join((str(folder), str(folder / "constructs")))})


def another_time(folder: Path) -> Around:
    """400 days later, in the time zone that is farthest away."""
    return Around(variables={**hooked(folder, LATER_PYTHON, LATER_NODE), "TZ": FARTHEST})


def another_locale(folder: Path) -> Around:
    """Turkish; Python, which finds no such locale on most machines, then reads and writes ASCII."""
    variables = {"LC_ALL": "tr_TR.ISO-8859-9", "LANG": "tr_TR", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"}
    return Around(variables=variables)


def another_hash_seed(folder: Path) -> Around:
    return Around(variables={"PYTHONHASHSEED": "2"})


def no_network(folder: Path) -> Around:
    return Around(variables=hooked(folder, OFFLINE_PYTHON, OFFLINE_NODE))


def credentials(folder: Path) -> Around:
    """Somebody's, of another account and region; every other run has none."""
    (folder / ".aws").mkdir(parents=True)
    (folder / ".aws" / "config").write_text("[default]\nregion = eu-north-1\n")
    (folder / ".aws" / "credentials").write_text(
        "[default]\naws_access_key_id = 999999999999\naws_secret_access_key = x\n"
    )
    where = {"AWS_REGION": "eu-north-1", "CDK_DEFAULT_REGION": "eu-north-1", "CDK_DEFAULT_ACCOUNT": "9" * 12}
    return Around(variables={"HOME": str(folder), "AWS_ACCESS_KEY_ID": "9" * 12, "AWS_PROFILE": "default", **where})


AROUND: dict[str, Callable[[Path], Around]] = {
    "in another folder": another_folder,
    "at another time": another_time,
    "under another locale": another_locale,
    "with another hash seed": another_hash_seed,
    "without a network": no_network,
    "with or without credentials": credentials,
}
# What an app could write into a template that one of these would show.
PLANTED: list[tuple[str, str]] = [
    ("in another folder", "os.getcwd()"),
    ("in another folder", "os.stat('app.py').st_mode"),
    ("at another time", "datetime.date.today().year"),
    ("at another time", "datetime.datetime.now(datetime.UTC).year"),
    ("at another time", "time.time() // 10**7"),
    ("at another time", "time.strftime('%Y', time.gmtime())"),
    ("at another time", "node('new Date().getUTCFullYear()')"),
    ("under another locale", "open(os.devnull).encoding"),
    ("under another locale", "node('Intl.DateTimeFormat().resolvedOptions().locale')"),
    ("with another hash seed", "list({'a', 'b', 'c', 'd', 'e', 'f', 'g', 'h'})"),
    ("without a network", "socket.socket().connect_ex(('127.0.0.1', 9))"),
    ("without a network", "socket.getaddrinfo('127.0.0.1', 9)"),
    ("without a network", 'node(\'require("net").connect(9, "127.0.0.1").on("error", () => 0); 0\')'),
    ("with or without credentials", "os.environ.get('CDK_DEFAULT_ACCOUNT')"),
    ("with or without credentials", "pathlib.Path('~/.aws/config').expanduser().is_file()"),
]
SMALL_APP = """\
import datetime, json, os, pathlib, socket, subprocess, time
from stacks import app
node = lambda text: subprocess.check_output([os.environ["JSII_NODE"], "-p", text], text=True)
out = pathlib.Path(os.environ["CDK_OUTDIR"])
out.mkdir()
(out / "small.template.json").write_text(json.dumps({}))
"""


def synth(program: list[str], around: Around, folder: Path) -> dict[str, bytes]:
    """Every file that a program writes as its assembly, with nothing of this process's own surroundings."""
    home = folder / "home"
    home.mkdir(parents=True)
    ours = ("AWS_", "CDK_DEFAULT_", "LC_", "PYTHON", "NODE_")
    kept = {name: value for name, value in os.environ.items() if not name.startswith(ours)}
    fixed = {"HOME": str(home), "LANG": "C.UTF-8", "LC_ALL": "C.UTF-8", "PYTHONHASHSEED": "1", "TZ": "UTC"}
    out = folder / "out"
    variables = {**kept, **fixed, **around.variables, "CDK_OUTDIR": str(out)}
    subprocess.run([sys.executable, *program], cwd=around.folder, env=variables, check=True)
    return files(out)


def files(out: Path) -> dict[str, bytes]:
    return {path.relative_to(out).as_posix(): path.read_bytes() for path in out.rglob("*") if path.is_file()}


def differences(found: dict[str, bytes], expected: dict[str, bytes]) -> list[str]:
    """Names of the files that are in one assembly only, or have other contents there."""
    return [name for name in sorted({*found, *expected}) if found.get(name) != expected.get(name)]


@pytest.fixture(scope="module")
def everything(tmp_path_factory: pytest.TempPathFactory) -> Around:
    """All of AROUND at once."""
    folder = tmp_path_factory.mktemp("everything")
    elsewhere = another_folder(folder / "project")
    hooks = hooked(folder / "hooks", LATER_PYTHON + OFFLINE_PYTHON, LATER_NODE + OFFLINE_NODE)
    of_folders = {"PYTHONPATH": os.pathsep.join((hooks["PYTHONPATH"], elsewhere.variables["PYTHONPATH"]))}
    others = [another_locale(folder), another_hash_seed(folder), credentials(folder / "home")]
    variables = {name: value for around in others for name, value in around.variables.items()}
    return Around(elsewhere.folder, {**hooks, **of_folders, **variables, "TZ": FARTHEST})


def test_the_assembly_is_the_same_whatever_stands_around_the_synth(
    assembly: Path, everything: Around, tmp_path: Path
) -> None:
    """Everything at once first; only where that makes a difference, one after another says which it is."""
    expected = files(assembly)
    assert len([name for name in expected if name.endswith(".template.json")]) > 10
    if differences(synth(["app.py"], everything, tmp_path / "again"), expected):
        found = {
            where: differences(synth(["app.py"], around(tmp_path / where), tmp_path / f"{where}, again"), expected)
            for where, around in AROUND.items()
        }
        pytest.fail(f"files that differ, by what stood around the synth: {found}")


@pytest.mark.parametrize(("where", "planted"), PLANTED)
def test_an_app_that_depends_on_it_would_be_seen(everything: Around, tmp_path: Path, where: str, planted: str) -> None:
    program = ["-c", SMALL_APP.replace("{}", planted)]
    once = synth(program, Around(), tmp_path / "once")
    assert synth(program, Around(), tmp_path / "same") == once
    for around in (everything, AROUND[where](tmp_path / "around")):
        try:
            again = synth(program, around, tmp_path / f"again in {around.folder.name}")
        except subprocess.CalledProcessError as ended:
            assert (where, ended.returncode != 0) == ("without a network", True)
        else:
            assert again != once


def test_the_synth_asks_no_account_for_anything(assembly: Path) -> None:
    manifests = [text for name, text in files(assembly).items() if name.endswith("manifest.json")]
    assert manifests
    assert not [text for text in manifests if b'"missing"' in text]
