"""Writes imageprep/testdata/timm.json: what timm's evaluation transform makes
of images that the Go test makes itself.

    python scripts/golden/timm_prep.py > imageprep/testdata/timm.json
"""

import hashlib
import json
import sys

import numpy as np
import timm
from PIL import Image
from timm.data import create_transform


def noise(seed, h, w):
    """High bytes of a linear congruential generator."""
    out = bytearray(h * w * 3)
    x = seed
    for i in range(len(out)):
        x = (x * 1664525 + 1013904223) & 0xFFFFFFFF
        out[i] = x >> 24
    return Image.fromarray(np.frombuffer(bytes(out), np.uint8).reshape(h, w, 3))


# Shares of real configurations, on images scaled down to keep the test short.
CROPS = [0.875, 0.882, 0.890, 0.904, 0.922, 0.934, 0.942, 0.949, 0.954, 0.95, 0.9, 1.0]
SIZES = [(40, 53), (53, 40), (61, 61), (200, 77), (31, 160), (30, 29)]

cases = []
for i, crop in enumerate(CROPS):
    for j, (h, w) in enumerate(SIZES):
        for mode in ["center", "squash"]:
            filter = ["bicubic", "bilinear"][(i + j) % 2]
            size = 32 + (5 * i + 3 * j) % 17
            t = create_transform((3, size, size), crop_pct=crop, crop_mode=mode, interpolation=filter, use_prefetcher=True)
            x = np.asarray(t(noise(10 * i + j, h, w)))  # uint8 [C,H,W]
            assert x.dtype == np.uint8 and x.shape == (3, size, size), x.shape
            digest = hashlib.sha256(np.ascontiguousarray(x.transpose(1, 2, 0)).tobytes()).hexdigest()
            cases.append(dict(seed=10 * i + j, h=h, w=w, size=size, crop=crop, mode=mode, filter=filter, sha256=digest))
json.dump(dict(timm=timm.__version__, cases=cases), sys.stdout)
print()
