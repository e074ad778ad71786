"""The part of the docker command that a build needs: login, buildx, build, push, inspect. Else exit code 64.

State is in $HOME/.docker, as docker's own. The registry is reached at AWS_ENDPOINT_URL.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import NoReturn

from local.images import builder, push
from local.images.dockerfile import DockerfileError

USAGE = 64


class _Parser(argparse.ArgumentParser):
    def error(self, message: str) -> NoReturn:
        sys.stderr.write(f"docker (embedded): {message}\n")
        raise SystemExit(USAGE)


def main(words: Sequence[str]) -> int:
    """Run one docker command line and return its exit code."""
    given = list(words)
    if given[:2] == ["buildx", "create"]:
        return _create(given[2:])
    if given[:1] == ["buildx"]:
        given = given[1:]
    if given[:1] == ["image"] and given[1:2] in (["inspect"], ["push"], ["build"]):
        given = given[1:]
    commands = {"login": _login, "build": _build, "push": _push, "inspect": _inspect}
    if not given or given[0] not in commands:
        sys.stderr.write(f"docker (embedded): {' '.join(words) or 'no command'} is not supported here; ")
        sys.stderr.write(f"expected one of {', '.join(commands)}\n")
        return USAGE
    try:
        return commands[given[0]](given[1:])
    except (DockerfileError, push.RegistryError, ValueError, OSError) as error:
        sys.stderr.write(f"ERROR: {error}\n")
        return 1


def _create(words: list[str]) -> int:
    """A builder: there is one here, and it is none of those that can be asked for."""
    parser = _Parser(prog="docker buildx create")
    parser.add_argument("--driver", choices=["docker-container"])
    parser.add_argument("--driver-opt")
    parser.add_argument("--use", action="store_true")
    parser.parse_args(words)
    _say_not_performed(["docker buildx create: images are built by the embedded AWS itself"])
    return 0


def _login(words: list[str]) -> int:
    parser = _Parser(prog="docker login")
    parser.add_argument("--username", "-u", required=True, choices=["AWS"])
    parser.add_argument("--password-stdin", action="store_true", required=True)
    parser.add_argument("host")
    host = parser.parse_args(words).host.removeprefix("https://")
    token = sys.stdin.read().strip()
    if not token:
        raise ValueError("password is empty")
    tokens = _read("tokens.json")
    _write("tokens.json", {**tokens, host: token})
    sys.stdout.write("Login Succeeded\n")
    return 0


def _build(words: list[str]) -> int:
    parser = _Parser(prog="docker build")
    parser.add_argument("--file", "-f")
    parser.add_argument("--build-arg", action="append", default=[])
    parser.add_argument("--label", action="append", default=[])
    parser.add_argument("--tag", "-t")
    parser.add_argument("--output", "-o")
    parser.add_argument("--platform", default="linux/amd64")
    parser.add_argument("--provenance", choices=["false"])
    parser.add_argument("--sbom", choices=["false"])
    parser.add_argument("--push", action="store_true")
    parser.add_argument("--metadata-file")
    parser.add_argument("context")
    given = parser.parse_args(words)
    context = Path(given.context)
    dockerfile = Path(given.file) if given.file else context / "Dockerfile"
    build = builder.build(dockerfile.read_text(), context, _pairs(given.build_arg), _pairs(given.label), given.platform)
    for what in build.not_performed:
        sys.stdout.write(f"not performed here: {what}\n")
    _say_not_performed([f"docker build: {what.splitlines()[0]}" for what in build.not_performed])
    tag, pushed = _destination(parser, given)
    if not tag:
        return 0
    push.store(build, _layout(tag))
    sys.stdout.write(f"{build.digest} {tag}\n")
    if pushed:
        _push_tag(tag)
    if given.metadata_file:
        found = {"containerimage.digest": build.digest, "image.name": tag}
        Path(given.metadata_file).write_text(json.dumps(found, indent=2))
    return 0


def _destination(parser: _Parser, given: argparse.Namespace) -> tuple[str, bool]:
    """Name of what is built, "" when it is only built, and whether it is pushed. --output as buildx reads it."""
    if not given.output:
        if not given.tag:
            parser.error("--tag or --output is missing")
        return given.tag, given.push
    wanted = dict(part.partition("=")[::2] for part in given.output.split(","))
    if wanted == {"type": "cacheonly"}:
        return "", False
    # Times are 0 here whether or not they are rewritten.
    unknown = set(wanted) - {"type", "name", "push", "rewrite-timestamp"}
    if wanted.get("type") != "image" or unknown or not wanted.get("name"):
        parser.error(f"--output {given.output} is not supported here")
    return wanted["name"], wanted.get("push") == "true"


def _say_not_performed(what: Sequence[str]) -> None:
    if notes := os.environ.get("LOCKGATE_NOT_PERFORMED"):
        with Path(notes).open("a") as file:
            file.writelines(f"{line}\n" for line in what)


def _push(words: list[str]) -> int:
    parser = _Parser(prog="docker push")
    parser.add_argument("tag")
    _push_tag(parser.parse_args(words).tag)
    return 0


def _push_tag(tag: str) -> None:
    to = push.reference(tag)
    build = _stored(tag)
    token = _read("tokens.json").get(to.host)
    if token is None:
        raise push.RegistryError(f"no basic auth credentials for {to.host}: docker login first")
    push.push(build, to, os.environ["AWS_ENDPOINT_URL"], os.environ["AWS_CA_BUNDLE"], token)
    _write("pushed.json", {**_read("pushed.json"), tag: f"{to.host}/{to.repository}@{build.digest}"})
    sys.stdout.write(f"{to.tag}: digest: {build.digest} size: {len(build.manifest)}\n")


def _inspect(words: list[str]) -> int:
    parser = _Parser(prog="docker inspect")
    parser.add_argument("--format", "-f", required=True)
    parser.add_argument("tag")
    given = parser.parse_args(words)
    build = _stored(given.tag)
    pushed = _read("pushed.json").get(given.tag)
    config = json.loads(build.manifest)["config"]["digest"]
    if given.format == "{{.Id}}":
        sys.stdout.write(f"{config}\n")
    elif given.format == "{{index .RepoDigests 0}}" and pushed:
        sys.stdout.write(f"{pushed}\n")
    elif given.format == "{{index .RepoDigests 0}}":
        raise ValueError(f"{given.tag} has no digest in a registry: push it first")
    else:
        parser.error(f"--format {given.format} is not supported here")
    return 0


def _pairs(words: Sequence[str]) -> dict[str, str]:
    """`K=V` options; `K` alone takes its value from the environment, as in docker."""
    return {
        key: value if equals else os.environ.get(key, "") for key, equals, value in (w.partition("=") for w in words)
    }


def _stored(tag: str) -> builder.BuiltImage:
    if not _layout(tag).exists():
        raise ValueError(f"No such image: {tag}")
    return push.load(_layout(tag))


def _home() -> Path:
    folder = Path.home() / ".docker"
    folder.mkdir(mode=0o700, exist_ok=True)
    return folder


def _layout(tag: str) -> Path:
    return _home() / hashlib.sha256(tag.encode()).hexdigest()


def _read(name: str) -> dict[str, str]:
    file = _home() / name
    found: dict[str, str] = json.loads(file.read_text()) if file.exists() else {}
    return found


def _write(name: str, content: dict[str, str]) -> None:
    (_home() / name).write_text(json.dumps(content))
