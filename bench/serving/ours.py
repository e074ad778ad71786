"""`python -m runtime serve` with a model archive of this machine, unpacked in <ML_ROOT>/model as SageMaker does it.

MODEL=... MODEL_ARCHIVE=model.tar.gz ML_ROOT=FOLDER BIND_HOST=127.0.0.1 BIND_PORT=... python -m bench.serving.ours
"""

from __future__ import annotations

import os
import shutil
import sys
from pathlib import Path

from bench.serving.models import declare
from lockgate import canonical
from runtime.archive import read_archive

RELEASE = {"RELEASE_VERSION": "7", "RELEASE_COMMIT": "c" * 40, "VERDICT_ID": "employment/12"}


def main() -> int:
    files = read_archive(Path(os.environ["MODEL_ARCHIVE"]).read_bytes())
    folder = Path(os.environ["ML_ROOT"]) / "model"
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    for name, content in files.items():
        (folder / name).write_bytes(content)
    for name, value in {**RELEASE, "MODEL_CONTENTS_SHA256": canonical.contents_sha256(files)}.items():
        os.environ.setdefault(name, value)
    declare(os.environ["MODEL"])
    from runtime.__main__ import main as entry_point

    return entry_point(["serve"])


if __name__ == "__main__":
    sys.exit(main())
