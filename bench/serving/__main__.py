"""`python -m bench.serving`: measure, print the table, write serving.json, serving.txt and serving.png."""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import numpy as np

from bench.serving import exactness, report
from bench.serving import load as loads
from bench.serving.environments import PEERS, environment
from bench.serving.load import LOADS, Load
from bench.serving.models import CENSUS, ROOT, declared
from bench.serving.servers import Contender, RunningServer, running
from lockgate import canonical

HERE = Path(__file__).parent
# One thread to compute with for every server, as ours has: two that wait for each other are slower on a busy machine.
ONE_THREAD = {"OMP_NUM_THREADS": "1"}
WARM_SECONDS = 5  # BentoML finds out meanwhile how long batches take
AGREED = 1e-6  # largest difference of a peer's predictions from ours
OURS, HELLO = "ours", "uvicorn hello"
KINDS = ("categorical", "logistic", "multiclass", "regression")
FALLBACK_LOADS = tuple(load for load in LOADS if load.key == "16")
LIMIT_BESIDE = ("16", "batch_100", "batch_1000")
KIND_LOADS = tuple(load for load in LOADS if load.key in ("16", "batch_1000"))


def main() -> None:
    parser = argparse.ArgumentParser(prog="bench-serving")
    parser.add_argument("--seconds", type=float, default=4, help="of one load in one round")
    parser.add_argument("--rounds", type=int, default=3, help="interleaved rounds, of which medians are taken")
    parser.add_argument("--build", type=Path, default=ROOT / "build" / "bench")
    given = parser.parse_args()
    loads.require_wrk()
    begin = time.monotonic()
    build = given.build.resolve()
    for name in ("models", "bodies", "logs"):
        (build / name).mkdir(parents=True, exist_ok=True)
    bench = Bench(build, given.seconds, given.rounds, {name: environment(build / "envs", name) for name in PEERS})
    result = bench.result()
    result["took_seconds"] = round(time.monotonic() - begin)
    (build / "serving.json").write_text(json.dumps(result, indent=1) + "\n")
    text = report.text(result)
    (build / "serving.txt").write_text(text)
    print(text)
    subprocess.run([bench.pythons["plot"], str(HERE / "plot.py"), str(build / "serving.json")], check=True)
    print(f"written: {build / 'serving.json'}, serving.txt and serving.png")


class Bench:
    """One run: models trained once, then every server in every round."""

    def __init__(self, build: Path, seconds: float, rounds: int, pythons: Mapping[str, Path]) -> None:
        self.build, self.seconds, self.rounds, self.pythons = build, seconds, rounds, pythons
        self.log = build / "logs"
        code = [*ROOT.glob("runtime/**/*.*"), ROOT / "bench/serving/models.py", *ROOT.glob("model/*/*.*")]
        files = {str(file): file.read_bytes() for file in code if file.suffix in (".py", ".c", ".toml")}
        self._code = canonical.contents_sha256(files)
        self._expected: dict[str, Any] = {}

    def result(self) -> dict[str, Any]:
        census = self._rounds(self._servers(CENSUS, "trees"), LOADS, CENSUS, LIMIT_BESIDE)
        fallback = self._rounds(
            [server for server in self._servers("fallback", "mixed") if server.name in (OURS, "LitServe")],
            FALLBACK_LOADS,
            "fallback",
        )
        kinds = {kind: self._rounds([self._ours(kind)], KIND_LOADS, kind)[OURS] for kind in KINDS}
        return report.assemble(census, fallback, kinds, self._exactness())

    def _rounds(
        self, servers: Sequence[Contender], load: Sequence[Load], model: str, limit_beside: Sequence[str] = ()
    ) -> dict[str, Any]:
        """Server -> medians over the rounds; limit_beside: loads of ours behind which the same is done in process.

        All servers stand by while one is under load: the loads alternate every few seconds, and the order turns from
        round to round, so that what else the machine does falls on all alike.
        """
        found: dict[str, dict[str, list[dict[str, float]]]] = {server.name: {} for server in servers}
        with ExitStack() as stack:
            standing = {server.name: stack.enter_context(self._ready(server, model)) for server in servers}
            for turn in range(self.rounds):
                for each in load:
                    for server in [*servers[turn % len(servers) :], *servers[: turn % len(servers)]]:
                        bodies = self._bodies(server, model)
                        if each.rows > 1 and not bodies:
                            continue
                        measured = self._measured(standing[server.name], each, bodies)
                        if server.name == OURS and each.key in limit_beside:
                            measured |= self._limit(model, each, bodies, measured["a_second"])
                        found[server.name].setdefault(each.key, []).append(measured)
                        shown = (
                            f"round {turn + 1} {model} {each.key}, {server.name}: {measured['a_second']:,.0f} a second"
                        )
                        print(shown, file=sys.stderr, flush=True)
            memory = {name: process.memory_mb() for name, process in standing.items()}
        return {
            name: {
                "ready_seconds": standing[name].ready_seconds,
                "memory_mb": memory[name],
                "loads": {key: report.medians(runs) for key, runs in loads.items()},
            }
            for name, loads in found.items()
        }

    @contextmanager
    def _ready(self, server: Contender, model: str) -> Iterator[RunningServer]:
        """Started, found to predict what scikit-learn predicts, and warm."""
        bodies = self._bodies(server, model)
        body = bodies[100].read_bytes().splitlines()[0] if bodies else None
        log = self.log / f"{model}-{server.name.replace(' ', '-')}.log"
        with running(server, ROOT, log, body) as process:
            if body:
                self._refuse_disagreement(server.name, model, process.first)
            loads.run(process.url, LOADS[1], bodies.get(1), WARM_SECONDS)
            yield process

    def _measured(self, process: RunningServer, load: Load, bodies: Mapping[int, Path]) -> dict[str, float]:
        before = process.cpu_seconds()
        measured = loads.run(process.url, load, bodies.get(load.rows), self.seconds)
        used = process.cpu_seconds() - before
        return {
            **vars(measured),
            "a_second": measured.a_second,
            "a_cpu_second": (measured.requests - measured.refused) / max(used, 0.01),
        }

    def _bodies(self, server: Contender, model: str) -> dict[int, Path]:
        if not server.key:
            return {}
        return loads.write_bodies(self.build / "bodies" / model, self._instances(model), server.key)

    def _servers(self, model: str, kind: str) -> list[Contender]:
        saved = self._peer_model(model, kind)
        common = {**ONE_THREAD, "PEER_MODEL": str(saved), "DECLARATION": str(ROOT / "model" / CENSUS / "model.toml")}
        peers = HERE / "peers"
        mlflow = self.build / "models" / f"{model}.mlflow"
        if model == CENSUS and not mlflow.exists():
            self._run("mlflow", peers / "mlflow_save.py", saved, mlflow)
        beside = {**ONE_THREAD, "PATH": f"{self.pythons['mlflow'].parent}{os.pathsep}{os.environ['PATH']}"}
        serve = ("-m", "mlflow", "models", "serve", "-m", str(mlflow), "-h", "127.0.0.1", "-p", "{port}")
        bento = ("-m", "bentoml", "serve", "bento:Service", "--working-dir", str(peers), "-p", "{port}")
        return [
            self._ours(model),
            Contender("FastAPI + pandas", self._command("fastapi", str(peers / "fastapi_pandas.py")), common),
            Contender(
                "MLflow",
                self._command("mlflow", *serve, "--env-manager", "local", "--workers", "1"),
                beside,
                key="dataframe_records",
            ),
            Contender("BentoML", self._command("bentoml", *bento, "--host", "127.0.0.1"), common),
            Contender("LitServe", self._command("litserve", str(peers / "lit.py")), common),
            Contender(HELLO, self._command("hello", str(peers / "hello.py")), path="/", key=""),
        ]

    def _ours(self, model: str) -> Contender:
        root = self.build / "models" / f"{model}.root"
        environment = {
            "MODEL": model,
            "MODEL_ARCHIVE": str(self._archive(model)),
            "ML_ROOT": str(root),
            "TASK_CPU": "1024",
        }
        command = (sys.executable, "-m", "bench.serving.ours")
        return Contender(OURS, command, environment)

    def _command(self, name: str, *arguments: str) -> tuple[str, ...]:
        return (str(self.pythons[name]), *arguments)

    def _run(self, name: str, *arguments: object) -> None:
        with (self.log / "preparation.log").open("ab") as log:
            command = [str(self.pythons.get(name, sys.executable)), *map(str, arguments)]
            subprocess.run(command, cwd=ROOT, env={**os.environ, **ONE_THREAD}, check=True, stdout=log, stderr=log)

    def _archive(self, model: str) -> Path:
        """Trained once as long as the code that trains and serves is the same."""
        archive = self.build / "models" / self._code[:12] / f"{model}.tar.gz"
        if not archive.exists():
            archive.parent.mkdir(exist_ok=True)
            self._run("ours", "-m", "bench.serving.models", model, archive.parent)
        return archive

    def _peer_model(self, model: str, kind: str) -> Path:
        import pyarrow.csv
        import pyarrow.parquet as pq

        saved = self.build / "models" / f"{model}.joblib"
        if not saved.exists():
            rows = saved.with_suffix(".csv")
            census = declared(CENSUS)
            pyarrow.csv.write_csv(pq.read_table(ROOT / census.train_data), rows)
            declaration = ROOT / "model" / CENSUS / "model.toml"
            self._run("fastapi", HERE / "peers" / "train.py", declaration, rows, census.target.name, kind, saved)
        return saved

    def _instances(self, model: str) -> list[dict[str, Any]]:
        """Rows of the holdout, as a caller would send them."""
        import pyarrow.parquet as pq

        declaration = declared(model)
        table = pq.read_table(ROOT / declaration.holdout_data).slice(0, 4000)
        rows: list[dict[str, Any]] = table.select([feature.name for feature in declaration.features]).to_pylist()
        return rows

    def _refuse_disagreement(self, name: str, model: str, answer: Any) -> None:
        """A peer that predicts something else would make the comparison worthless."""
        if model not in self._expected:
            self._expected[model] = exactness.of_scikit_learn(model, self._archive(model), self._instances(model)[:100])
        expected = self._expected[model]
        found = np.array(answer["predictions"] if isinstance(answer, dict) else answer)
        if found.ndim == 2 and expected.ndim == 1:  # both classes of two
            found = found[:, 1]
        worst = float(np.abs(found - expected).max()) if found.shape == expected.shape else float("inf")
        if not worst <= AGREED:
            raise RuntimeError(f"{name} on {model}: predictions differ from scikit-learn's by {worst}")

    def _limit(self, model: str, load: Load, bodies: Mapping[int, Path], a_second: float) -> dict[str, float]:
        """What one core does in process with the bodies of a load, and the share of it that was just served."""
        limit = self._module("limit", model, self._archive(model), bodies[load.rows], self.seconds)
        return {**limit, "share_of_limit": report.share(a_second * load.rows, limit)}

    def _exactness(self) -> list[dict[str, Any]]:
        table = []
        for kind in (CENSUS, *KINDS, "fallback"):
            case = self.build / "models" / f"{kind}.case.joblib"
            served = self._module("exactness", kind, self._archive(kind), case)
            table.append({"kind": kind, **served, "verdict": "serves"})
            check = HERE / "peers" / "onnx_check.py"
            onnx = self._output([str(self.pythons["onnx"]), str(check), str(case)])
            refused = onnx.get("refused") or f"{onnx['off']:,} rows off by more than 0.01"
            tried = {"engine": "ONNX Runtime (skl2onnx)", "rows": served["rows"], "difference": onnx.get("difference")}
            table.append({"kind": kind, **tried, "verdict": refused})
        return table

    def _module(self, name: str, *arguments: object) -> dict[str, Any]:
        return self._output([sys.executable, "-m", f"bench.serving.{name}", *map(str, arguments)])

    def _output(self, command: Sequence[str]) -> dict[str, Any]:
        """The last line that a command prints, as JSON."""
        with (self.log / "preparation.log").open("ab") as log:
            done = subprocess.run(command, cwd=ROOT, stdout=subprocess.PIPE, stderr=log, check=True)
        found: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
        return found


if __name__ == "__main__":
    main()
