"""Logits of the real EfficientNet-Lite weights: python weights_real.py FOLDER

Run scripts/fetch-weights.sh before. timm runs the files of .cache/weights in
float64 on a synthetic image and on the photographs of .cache/photos, read with
Pillow and prepared by timm's own transform. Each liteN.npy is [images, 1000].
The folder is weights/testdata/real.
"""

import sys
from pathlib import Path

import numpy as np
import timm
import torch
from PIL import Image

PHOTOS = [
    "astronaut.png", "camera.png", "chelsea.png", "coffee.png", "coins.png", "motorcycle_left.png",
    "china.jpg", "flower.jpg", "hubble_deep_field.jpg", "rocket.jpg",
]


def by_order(theirs, ours):
    """Our names for their tensors: both codes list modules in order of use."""
    theirs = {k: v for k, v in theirs.items() if "num_batches" not in k}
    names = [k for k in ours if "num_batches" not in k]
    assert len(theirs) == len(names)
    mapped = dict(zip(names, theirs.values()))
    for k, v in mapped.items():
        assert v.shape == ours[k].shape, k
    return mapped


def synthetic(size):
    """[size, size, 3]: the element at i is (7919 i mod 4093) / 2048 - 1."""
    n = size * size * 3
    return ((np.arange(n, dtype=np.int64) * 7919 % 4093) / 2048 - 1).reshape(size, size, 3)


def main(folder):
    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    for i in range(3):
        model = timm.create_model(f"tf_efficientnet_lite{i}")
        (path,) = Path(".cache/weights").glob(f"efficientnet-lite{i}-*.pth")
        mapped = by_order(torch.load(path, weights_only=True), model.state_dict())
        missing = model.load_state_dict(mapped, strict=False)
        assert not missing.unexpected_keys and all("num_batches" in k for k in missing.missing_keys)
        model = model.double().eval()
        config = timm.data.resolve_model_data_config(model)
        transform = timm.data.create_transform(**config, is_training=False)
        size = config["input_size"][1]
        images = [torch.from_numpy(synthetic(size)).permute(2, 0, 1)]
        images += [transform(Image.open(Path(".cache/photos") / p).convert("RGB")).double() for p in PHOTOS]
        with torch.no_grad():
            logits = model(torch.stack(images)).numpy()
        np.save(folder / f"lite{i}.npy", logits.astype(np.float32))
        print(config["crop_pct"], config["interpolation"], dict(zip(["synthetic", *PHOTOS], logits.argmax(1).tolist())))


if __name__ == "__main__":
    main(*sys.argv[1:])
