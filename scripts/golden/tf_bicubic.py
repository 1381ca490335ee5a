#!/usr/bin/env python3
"""Writes imageprep/testdata/tf_bicubic.json: what TensorFlow's evaluation of the
first EfficientNets makes of images that the Go tests make themselves, as
'tf_preprocessing' of geffnet and timm does it from the decoded pixels on.

    python scripts/golden/tf_bicubic.py > imageprep/testdata/tf_bicubic.json

Needs tensorflow-cpu and numpy, in an environment of their own.
"""
import hashlib
import json

import numpy as np
import tensorflow as tf


def noise(seed, h, w, c):
    """The test image: high bytes of a linear congruential generator."""
    out = bytearray(h * w * c)
    x = seed
    for i in range(len(out)):
        x = (x * 1664525 + 1013904223) & 0xFFFFFFFF
        out[i] = x >> 24
    return np.frombuffer(bytes(out), np.uint8).reshape(h, w, c)


def evaluate(image, size, crop):
    h, w = image.shape[:2]
    side = int(tf.cast(crop * tf.cast(tf.minimum(h, w), tf.float32), tf.int32))
    y, x = (h - side + 1) // 2, (w - side + 1) // 2
    out = tf.compat.v1.image.resize_bicubic(image[None, y : y + side, x : x + side], [size, size])[0].numpy()
    return out.round().clip(0, 255).astype(np.uint8)


cases = []
for i, (h, w, c, size, crop) in enumerate(
    [
        (28, 28, 1, 40, 1.0), (28, 28, 1, 56, 1.0), (28, 28, 3, 14, 1.0), (97, 61, 3, 32, 0.875), (61, 97, 3, 224, 0.875),
        (375, 500, 3, 224, 224 / 256), (333, 499, 3, 240, 240 / 272), (500, 334, 3, 260, 0.89), (64, 64, 3, 56, 0.875),
        (224, 224, 3, 224, 1.0), (1, 1, 3, 7, 1.0), (3, 200, 1, 17, 1.0), (431, 287, 3, 97, 0.923),
    ]
):
    pixels = evaluate(noise(i, h, w, c), size, crop)
    cases.append({"seed": i, "h": h, "w": w, "c": c, "size": size, "crop": crop, "sha256": hashlib.sha256(pixels.tobytes()).hexdigest()})
lines = ",\n".join("  " + json.dumps(c) for c in cases)
print(f'{{\n "tensorflow": "{tf.__version__}",\n "evaluate": [\n{lines}\n ]\n}}')
