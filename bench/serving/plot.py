"""python plot.py serving.json: a picture of the ratios beside it. Runs in an environment of its own."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import matplotlib as mpl

mpl.use("Agg")
from matplotlib import pyplot as plt

file = Path(sys.argv[1])
ratios = json.loads(file.read_text())["ratios"]
peers = [peer for peer in ratios["16"] if peer != "best"]
figure, axes = plt.subplots(figsize=(9, 4.5))
width = 0.8 / len(peers)
for place, peer in enumerate(peers):
    heights = [ratios[key].get(peer, float("nan")) for key in ratios]
    bars = axes.bar(
        [index + (place - len(peers) / 2 + 0.5) * width for index in range(len(ratios))], heights, width, label=peer
    )
    axes.bar_label(bars, [f"{height:.3g}" if height == height else "" for height in heights], fontsize=7)
axes.axhline(1, color="black", linewidth=0.8)
axes.set_yscale("log")
axes.set_xticks(range(len(ratios)), [key.replace("_", " of ") if "_" in key else f"{key} conn." for key in ratios])
axes.set_ylabel("ours / peer, answers a second")
axes.set_title("Times the peer's throughput (single rows by connections; batches of rows)")
axes.legend(fontsize=8)
figure.tight_layout()
figure.savefig(file.with_suffix(".png"), dpi=120)
