#!/usr/bin/env python3
"""Writes imageprep/testdata/pillow.json: what Pillow and torchvision make of
images that the Go tests make or find themselves.

    python scripts/golden/pillow.py [IMAGE_FOLDER...] > imageprep/testdata/pillow.json

The folders are image/testdata, image/png/testdata and image/png/testdata/pngsuite
of the Go tree, and testdata of golang.org/x/image; without them the decode part
stays empty. Needs pillow, numpy and torchvision.
"""
import hashlib
import json
import os
import sys
import warnings

import numpy as np
import PIL
import torchvision
from PIL import Image
from torchvision.transforms import InterpolationMode
from torchvision.transforms import functional as TF

warnings.simplefilter("ignore")


def noise(seed, h, w, c):
    """The test image: high bytes of a linear congruential generator."""
    out = bytearray(h * w * c)
    x = seed
    for i in range(len(out)):
        x = (x * 1664525 + 1013904223) & 0xFFFFFFFF
        out[i] = x >> 24
    a = np.frombuffer(bytes(out), np.uint8).reshape(h, w, c)
    return Image.fromarray(a[:, :, 0] if c == 1 else a)


def digest(im):
    return hashlib.sha256(np.asarray(im).tobytes()).hexdigest()


FILTERS = {"bilinear": Image.BILINEAR, "bicubic": Image.BICUBIC}
MODES = {"bilinear": InterpolationMode.BILINEAR, "bicubic": InterpolationMode.BICUBIC}

resize = []
for i, ((h, w), (oh, ow)) in enumerate([
    ((28, 28), (40, 40)), ((28, 28), (28, 28)), ((28, 28), (31, 33)), ((28, 28), (20, 20)),
    ((28, 28), (14, 57)), ((28, 28), (28, 45)), ((28, 28), (45, 28)), ((32, 32), (224, 224)),
    ((1, 1), (5, 7)), ((1, 9), (3, 4)), ((9, 1), (4, 3)), ((7, 5), (1, 1)), ((2, 3), (64, 65)),
    ((101, 67), (33, 50)), ((67, 101), (100, 100)), ((333, 211), (32, 32)), ((240, 320), (224, 299)),
    ((400, 100), (200, 50)), ((401, 100), (200, 50)), ((399, 100), (200, 50)), ((13, 600), (7, 60)), ((97, 89), (97, 88)), ((97, 89), (96, 89)), ((255, 257), (256, 256)),
]):
    for c in (1, 3):
        for f in FILTERS:
            im = noise(i, h, w, c).resize((ow, oh), FILTERS[f])
            resize.append(dict(seed=i, h=h, w=w, c=c, oh=oh, ow=ow, filter=f, sha256=digest(im)))

# Short side to `short`, then the centre `crop`.
evaluate = []
for i, (h, w, short, crop) in enumerate([
    (75, 100, 64, 56), (100, 75, 64, 56), (91, 77, 64, 57), (77, 91, 65, 56), (50, 50, 64, 56),
    (33, 190, 40, 40), (190, 61, 40, 40), (120, 121, 36, 31),
]):
    for f in MODES:
        im = TF.center_crop(TF.resize(noise(i, h, w, 3), short, MODES[f]), [crop, crop])
        evaluate.append(dict(seed=i, h=h, w=w, short=short, crop=crop, filter=f, sha256=digest(im)))

grey = [dict(seed=i, h=37, w=41, sha256=digest(noise(i, 37, 41, 3).convert("L"))) for i in range(3)]

# Files.
decode = []
for folder in sys.argv[1:]:
    for name in sorted(os.listdir(folder)):
        if not name.endswith((".png", ".gif", ".jpeg", ".webp", ".bmp")):
            continue
        if name.startswith("invalid"):
            continue
        try:
            im = Image.open(os.path.join(folder, name))
            im.load()
        except Exception:
            continue
        if im.mode.startswith("I;16"):
            continue  # Pillow saturates 16-bit grey
        rgb = im.convert("RGB")
        decode.append(dict(file=name, h=im.height, w=im.width, sha256=digest(rgb)))


def rows(name, items):
    return f' "{name}": [\n' + ",\n".join("  " + json.dumps(i) for i in items) + "\n ]"


print("{")
print(f' "pillow": "{PIL.__version__}",')
print(f' "torchvision": "{torchvision.__version__}",')
print(",\n".join([rows("resize", resize), rows("evaluate", evaluate), rows("grey", grey), rows("decode", decode)]))
print("}")
