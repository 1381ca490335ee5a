"""Names and shapes of every tensor of timm's models: python names.py FOLDER

Writes one file a model for some, "name d0 d1 ..." a line in order of the state
dict, and the SHA-256 of that text for all.
"""

import hashlib
import sys
from pathlib import Path

import timm
import torch

from models import MODELS

WHOLE = ["efficientnet_b0", "tf_efficientnet_lite0", "resnet18"]


def listing(model):
    with torch.device("meta"):
        state = timm.create_model(model).state_dict()
    return "".join(
        " ".join([name, *map(str, t.shape)]) + "\n" for name, t in state.items() if not name.endswith("num_batches_tracked")
    )


def main(folder):
    for model in WHOLE:
        (Path(folder) / f"names_{model}.txt").write_text(listing(model))
    sums = ""
    for model in MODELS:
        text = listing(model)
        sums += f"{model} {text.count(chr(10))} {hashlib.sha256(text.encode()).hexdigest()}\n"
    (Path(folder) / "names.txt").write_text(sums)


if __name__ == "__main__":
    main(*sys.argv[1:])
