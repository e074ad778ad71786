"""The project's pages as tests read them: their commands, the files they name, their links.

A command is a line of a block marked `sh`, or words in backticks that begin with the name of a program. A word in
capitals stands for something that the reader fills in: PLACEHOLDERS says what the tests take for it.
"""

from __future__ import annotations

import re
import shlex
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from markdown_it import MarkdownIt

ROOT = Path(__file__).parents[2]
PROGRAMS = ("aws", "base64", "cdk", "cosign", "curl", "git", "lockgate", "make", "openssl", "pip", "pytest", "python")
PLACEHOLDERS = {
    "ACCOUNT": "tools",
    "BASE": "cdk.out",
    "COMMIT": "HEAD",
    "DATE": "2030-01-31",
    "DIGEST": "0" * 64,
    "ENV": "prod",
    "FILE": "token",
    "HEAD": "cdk.out",
    "KEY": "alias/lockgate",
    "RECORD": "employment/7",
    "ROLE": "arn:aws:iam::111111111111:role/lockgate-prod-release-cfn",
    "RULE": "ranking",
    "SNAPSHOT": "0" * 16,
    "STACK": "lockgate-prod-release-employment",
    "STAGE": "dev",
    "VERSION": "2",
}
# It says what older versions had, so its commands may be gone.
HISTORY = "CHANGELOG.md"


@dataclass(frozen=True)
class Command:
    """A command, where it stands, and whether it is whole, as in a block, or only named in a sentence."""

    page: str
    line: int
    text: str
    whole: bool

    def __str__(self) -> str:
        return f"{self.page}:{self.line}: {self.text}"

    @property
    def words(self) -> list[str]:
        """Without variables in front and with something for each placeholder."""
        words = shlex.split(self.text, comments=True)
        while re.match(r"[A-Z_]+=", words[0]):
            words = words[1:]
        return [re.sub(r"\b[A-Z]+\b", lambda word: PLACEHOLDERS.get(word[0], word[0]), word) for word in words]

    @property
    def program(self) -> str:
        return Path(self.words[0]).name

    @property
    def said(self) -> str:
        """The whole of it, without variables, in one form."""
        return shlex.join([self.program, *self.words[1:]])

    @property
    def profile(self) -> str | None:
        """Whose credentials it takes, where it says so."""
        found = re.match(r"AWS_PROFILE=(\S+)", self.text)
        return found and found[1]


def pages() -> list[Path]:
    listed = subprocess.run(
        ["git", "ls-files", "--cached", "--others", "--exclude-standard", "*.md"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    )
    return [ROOT / name for name in listed.stdout.splitlines() if not name.startswith("tests/")]


def pieces(page: Path) -> Iterator[tuple[str, str, str, int]]:
    """(kind, content, info, line) of every block and inline piece of a page."""
    line = 1
    for token in MarkdownIt().enable("table").parse(page.read_text()):
        line = token.map[0] + 1 if token.map else line
        yield token.type, token.content, token.info, line
        for child in token.children or ():
            yield child.type, str(child.attrs.get("href") or child.attrs.get("src") or child.content), "", line


def commands() -> list[Command]:
    """Every command of README.md, CONTRIBUTING.md and docs/."""
    named = re.compile(rf"(?:[A-Z_]+=\S+ )*(?:\S*/)?(?:{'|'.join(PROGRAMS)}) ")
    found = []
    for page in pages():
        name = str(page.relative_to(ROOT))
        if name == HISTORY:
            continue
        for kind, content, info, line in pieces(page):
            if kind == "fence" and info == "sh":
                rows = re.sub(r"([|\\])\n\s*", r"\1 ", content).replace("\\ ", "").splitlines()
                parts = [part.strip() for row in rows for part in re.split(r" && | \| ", row)]
                found += [Command(name, line, part, True) for part in parts if part.split("#")[0].strip()]
            if kind == "code_inline" and named.match(content):
                found.append(Command(name, line, content, False))
    return found


# They ask and change nothing, so that they run on the demo that other tests look at: tests/e2e/test_main_job.py.
READERS = ("status", "explain", "verify", "replay", "policy")


def runs_on_the_demo(command: Command) -> bool:
    return any(command.said.startswith(f"lockgate {reader}") for reader in READERS)


_OTHER_WORDS = "it changes what other tests look at; tests of its own run it in other words"
_ADMINISTRATOR = "it needs an account of AWS, or the state of one that a test makes for itself"
# How a command begins: why no test runs it as it stands. Its words are checked all the same: test_commands.py.
SHOWN_ONLY = {
    "make demo": "tests/e2e/conftest.py runs the same module for all tests of its folder",
    "python -m examples.rows": "tests/integration/model/test_examples.py makes the rows by the same function",
    "make check": "`make test` begins with it",
    "make test": "it would run itself",
    "lockgate new": "tests/docs/test_make_it_yours.py runs it on the rows that the page shows",
    "lockgate import": "tests/integration/model/test_import.py imports files that it makes",
    "lockgate try": "tests/integration/model/test_try.py runs it on models of its own",
    "make down": "tests/e2e/conftest.py ends each embedded AWS in the same way",
    "make synth": "tests/synth synthesizes every stage, and the demo does it with the CDK's command line",
    "git add": "it would change the checkout that the tests run in",
    "git commit": "it would change the checkout that the tests run in",
    "git checkout": "it would change the checkout that the tests run in",
    "lockgate approve": _OTHER_WORDS,
    "lockgate break-glass": _OTHER_WORDS,
    "lockgate deliver": _OTHER_WORDS,
    "lockgate infrastructure": _OTHER_WORDS,
    "lockgate promote": _OTHER_WORDS,
    "lockgate reject": _OTHER_WORDS,
    "lockgate retire": _OTHER_WORDS,
    "lockgate rollback": _OTHER_WORDS,
    "lockgate snapshot": _OTHER_WORDS,
    "lockgate waive": _OTHER_WORDS,
    "cdk deploy": "the demo runs it for each stage, and tests of their own run it again",
    "lockgate bootstrap": _ADMINISTRATOR,
    "lockgate doctor": _ADMINISTRATOR,
    "aws ": "AWS's command line is not among what set-up installs; its operations are checked",
    "curl ": "it asks an address of your own; the row that it sends is checked, and tests/e2e ask the load balancers",
    "base64 ": "it is a step of a command whose first step asks AWS",
    "openssl ": "it is a step of a command whose first step asks AWS",
    "cosign ": "tests/image runs Debian's cosign, which set-up does not install, where it may",
}
