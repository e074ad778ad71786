"""What the test images run; the first argument says what to do."""

import json
import os
import pathlib
import sys
import time

ml = pathlib.Path(os.environ["ML_ROOT"])
what = sys.argv[1]
sys.stdout.write(f"running {what} with {sys.argv[2:]}\n")
if what == "prepare":
    config = json.loads((ml / "config/processingjobconfig.json").read_text())
    rows = (ml / "processing/input/rows.csv").read_text().split()
    (ml / "processing/train/rows.csv").write_text("\n".join(rows))
    assert config["AppSpecification"]["ContainerArguments"] == sys.argv[1:]
elif what == "train":
    parameters = json.loads((ml / "input/config/hyperparameters.json").read_text())
    rows = (ml / "input/data/train/rows.csv").read_text().split()
    access = "AWS_ACCESS_KEY_ID" in os.environ
    (ml / "model/model.json").write_text(json.dumps({"rows": len(rows), "access": access, **parameters}))
elif what == "evaluate":
    assert (ml / "processing/model/model.tar.gz").is_file()
    (ml / "processing/evidence/evidence.json").write_text(json.dumps({"metrics": [{"accuracy": float(sys.argv[2])}]}))
elif what == "break":
    (ml / "output/message").write_text("column age is missing in rows 3 and 4")
    sys.exit(1)
elif what == "sleep":
    (ml.parent.parent.parent.parent / f"pid-{sys.argv[2]}").write_text(str(os.getpid()))
    time.sleep(60)
