"""Every step of a pipeline for each model of an image's folder, in one process: `python steps_of_all.py JOBS`."""

from __future__ import annotations

import io
import json
import shutil
import sys
import tarfile
import time
from pathlib import Path

from runtime.evaluate import evaluate
from runtime.job import Job
from runtime.predict import predict, predict_as_champion
from runtime.prepare import prepare
from runtime.train import train


def steps(jobs: Path, model: str, snapshot: str) -> None:
    image = "1.dkr.ecr.us-east-1.amazonaws.com/lockgate-models@sha256:" + "a" * 64
    execution = "arn:aws:sagemaker:us-east-1:111111111111:pipeline/lockgate/execution/1"
    environment = {"MODEL": model, "SNAPSHOT": snapshot, "COMMIT": "c" * 40, "IMAGE": image, "EXECUTION": execution}

    def processing(step: str, **inputs: Path) -> Job:
        job = Job(jobs / step, {**environment, "ACTOR": "ana"})
        for name, source in inputs.items():
            target = job.inputs / name
            if source.is_dir():
                shutil.copytree(source, target)
            else:
                target.mkdir(parents=True)
                shutil.copy(source, target)
        return job

    published = jobs / "snapshot"
    prepared = processing("prepare", snapshot=published / "data")
    prepare(prepared)
    training = Job(jobs / "train", environment)
    shutil.copytree(prepared.outputs / "prepared", training.root / "input" / "data" / "train")
    train(training)
    archive = jobs / "model.tar.gz"
    with tarfile.open(archive, "w:gz") as packed:
        for file in sorted((training.root / "model").rglob("*")):
            if file.is_file():
                member = tarfile.TarInfo(file.relative_to(training.root / "model").as_posix())
                member.size = file.stat().st_size
                packed.addfile(member, io.BytesIO(file.read_bytes()))
    predicted = processing("predict", model=archive, prepared=prepared.outputs / "prepared")
    predict(predicted)
    champion = processing("champion", model=archive, snapshot=published / "data")
    predict_as_champion(champion)
    predictions, served = predicted.outputs / "predictions", champion.outputs / "champion"
    parts = {"snapshot": published / "data", "labels": published / "labels", "model": archive}
    more = {"predictions": predictions, "champion": served, "champion-model": archive}
    evaluate(processing("evaluate", **parts, **more))


def main(arguments: list[str]) -> int:
    seconds = {}
    for folder in sorted(Path(arguments[0]).iterdir()):
        begun = time.monotonic()
        steps(folder, folder.name, (folder / "snapshot" / "id").read_text())
        seconds[folder.name] = round(time.monotonic() - begun, 2)
    sys.stdout.write(json.dumps(seconds))
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
