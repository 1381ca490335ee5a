"""Does 'effnet classify' answer as timm does, from image files on?

    sh scripts/fetch-weights.sh
    go build -o bin/effnet ./cmd/effnet
    python scripts/check_photos.py bin/effnet [PHOTO...]

For EfficientNet-Lite 0, 1 and 2 with their real weights, and EfficientNet-B0
with random ones, prints for each photograph (.cache/photos, or those given) the
largest difference of a logit over the largest logit:

  file    both programs read the file with their own decoder
  pixels  effnet reads a PNG of the pixels that Pillow decoded

Exit status 1 if one of the former is above 1e-4, of the latter above 1e-5, or
the most probable class differs.
"""

import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np
import timm
import torch
from PIL import Image
from safetensors.torch import save_file


def by_order(theirs, ours):
    """timm's names for the tensors of EfficientNet-Lite-PyTorch: both codes
    list modules in order of use."""
    theirs = {k: v for k, v in theirs.items() if "num_batches" not in k}
    return dict(zip([k for k in ours if "num_batches" not in k], theirs.values()))


def networks(dir):
    """(name, timm's model, effnet's arguments)"""
    for i in range(3):
        name = f"tf_efficientnet_lite{i}"
        (path,) = Path(".cache/weights").glob(f"efficientnet-lite{i}-*.pth")
        model = timm.create_model(name)
        model.load_state_dict(by_order(torch.load(path, weights_only=True), model.state_dict()), strict=False)
        yield name, model.eval(), [path]
    torch.manual_seed(0)
    model = timm.create_model("efficientnet_b0").eval()
    for m in model.modules():
        if isinstance(m, torch.nn.BatchNorm2d):
            m.running_mean.normal_(0, 0.3)
            m.running_var.uniform_(0.5, 1.5)
    path = Path(dir) / "b0.safetensors"
    save_file(model.state_dict(), path)
    yield "efficientnet_b0", model, [path, "--net", "efficientnet_b0"]


def classify(binary, args, paths):
    out = subprocess.run([binary, "classify", *map(str, args), "--json", "--top", "1000", *map(str, paths)], capture_output=True, text=True, check=True)
    rows = []
    for image in json.loads(out.stdout):
        row = np.zeros(1000, np.float32)
        for p in image["predictions"]:
            row[p["class"]] = p["logit"]
        rows.append(row)
    return np.stack(rows)


def main(binary, *photos):
    photos = [Path(p) for p in photos] or sorted(Path(".cache/photos").iterdir())
    failed = False
    with tempfile.TemporaryDirectory() as dir:
        pixels = []
        for p in photos:
            pixels.append(Path(dir) / (p.name + ".png"))
            Image.open(p).convert("RGB").save(pixels[-1])
        for name, model, args in networks(dir):
            transform = timm.data.create_transform(**timm.data.resolve_model_data_config(model), is_training=False)
            with torch.no_grad():
                want = np.concatenate([model(transform(Image.open(p).convert("RGB"))[None]).numpy() for p in photos])
            scale = np.abs(want).max(1)
            got = {what: classify(os.path.abspath(binary), args, paths) for what, paths in [("file", photos), ("pixels", pixels)]}
            print(f"{name}: {len(photos)} photographs")
            for i, p in enumerate(photos):
                rel = {what: np.abs(g[i] - want[i]).max() / scale[i] for what, g in got.items()}
                same = got["file"][i].argmax() == want[i].argmax()
                print(f"  {p.name:24} file {rel['file']:.1e}  pixels {rel['pixels']:.1e}  class {want[i].argmax()}{'' if same else ', effnet ' + str(got['file'][i].argmax())}")
                failed |= not (same and rel["pixels"] <= 1e-5 and rel["file"] <= 1e-4)
    if failed:
        sys.exit("above a limit")


if __name__ == "__main__":
    main(*sys.argv[1:])
