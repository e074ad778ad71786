"""What every command that asks AWS needs: the project's configuration, a session, and arguments they share."""

from __future__ import annotations

import argparse
import os
from collections.abc import Mapping, Sequence
from functools import cached_property
from pathlib import Path
from typing import Any

from cli.embedded_aws import running
from cli.terminal import progress
from lockgate import names
from lockgate.aws.deployed_policies import deployed_policies
from lockgate.aws.failures import FAILURES, told
from lockgate.aws.ledger import LedgerStore
from lockgate.aws.sessions import open_session
from lockgate.configuration.model import NAME
from lockgate.configuration.project import Configuration, read_configuration
from lockgate.errors import ConfigError, NotFoundError


class Context:
    """The project at `root` and the AWS that the environment's credentials lead to."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.configuration: Configuration = read_configuration(root)
        self.tools = self.configuration.tools
        self.join_embedded_aws()

    @staticmethod
    def join_embedded_aws() -> None:
        """Use the embedded AWS where it runs, unless the caller chose credentials of his own."""
        chosen = {"AWS_ACCESS_KEY_ID", "AWS_CONFIG_FILE", "AWS_WEB_IDENTITY_TOKEN_FILE"} & set(os.environ)
        session = None if chosen else running()
        if session is not None and os.environ.get("AWS_PROFILE", "ada") in session.profiles:
            os.environ.update({**session.environment(), **{k: v for k, v in os.environ.items() if k == "AWS_PROFILE"}})
            progress(f"lockgate: on the embedded AWS at {session.settings.endpoint}")

    @cached_property
    def session(self) -> Any:
        return open_session(self.tools.region)

    def client(self, service: str) -> Any:
        return self.session.client(service)

    @cached_property
    def ledger(self) -> LedgerStore:
        return LedgerStore(self.client("s3"), self.bucket("ledger"))

    @cached_property
    def deployed_policies(self) -> Mapping[str, Mapping[str, str]]:
        """Digests of the deployed gate's policies, by environment and model; nothing where nobody can say."""
        try:
            return deployed_policies(self.client("cloudformation"))
        except FAILURES as error:
            progress(f"the deployed policies are not known: {told(error)}; this checkout's are compared instead")
            return {}

    def bucket(self, purpose: str) -> str:
        return names.bucket(purpose, self.tools.account, self.tools.region)

    def models(self, chosen: str | None) -> tuple[str, ...]:
        return self.configuration.named(chosen)

    def model(self, chosen: str | None) -> str:
        return self.configuration.model(chosen)

    def model_with_history(self, chosen: str | None) -> str:
        """The same, or one whose folder is gone and whose records are not."""
        known = [model.name for model in self.configuration.models]
        if chosen and NAME.fullmatch(chosen) and chosen not in known and len(self.ledger.look(chosen).records):
            return chosen
        return self.model(chosen)

    def environment(self, chosen: str) -> str:
        known: Sequence[str] = self.tools.promotion
        if chosen not in known:
            raise NotFoundError(f"environment: found {chosen!r}, expected one of {', '.join(known)}")
        return chosen


def find_root(start: Path) -> Path:
    """The folder at or above `start` that holds environments/tools.toml."""
    for folder in (start, *start.parents):
        if (folder / "environments" / "tools.toml").is_file():
            return folder
    raise ConfigError(str(start), "environments/tools.toml", "no such file here or above", "to run inside the project")


def open_context() -> Context:
    return Context(find_root(Path.cwd()))


def model_argument(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--model", help="name of the model's folder below model/ (needed only when there are several)")


def json_argument(parser: argparse._ActionsContainer) -> None:
    parser.add_argument("--json", action="store_true", help="print facts as JSON on standard output")
