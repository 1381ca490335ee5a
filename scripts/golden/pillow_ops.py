"""Goldens of the operations of AutoAugment and RandAugment:

    python pillow_ops.py > imageprep/testdata/pillow_ops.txt

A line is an operation with its arguments, an image that the Go test makes too
(kind, height, width, channels), and the CRC-32 of what Pillow makes of it.
Needs pillow 13 and numpy.
"""

import zlib

import numpy as np
import PIL
from PIL import Image, ImageEnhance, ImageOps

FILL = (128, 90, 200)
FILTERS = {"bilinear": Image.BILINEAR, "bicubic": Image.BICUBIC}


def image(kind, h, w, c):
    y, x, z = np.meshgrid(np.arange(h), np.arange(w), np.arange(c), indexing="ij")
    if kind == "ramp":  # smooth, every channel its own slope
        a = 20 + y * 3 + x * (4 + z) + 10 * z
    elif kind == "flat":
        a = 77 + 30 * z + 0 * x
    else:  # the high bytes of a linear congruential generator
        a = np.empty(h * w * c, np.int64)
        s = 7
        for i in range(a.size):
            s = (s * 1664525 + 1013904223) & 0xFFFFFFFF
            a[i] = s >> 24
        a = a.reshape(h, w, c)
        if kind == "dull":  # few values, not too far apart
            a = 90 + a // 32 * 5 + 9 * z
    a = (a & 255).astype(np.uint8)
    return Image.fromarray(a[:, :, 0] if c == 1 else a)


def affine(*m):
    def op(im, flt):
        fill = FILL[0] if im.mode == "L" else FILL  # Pillow refuses a colour for a grey image
        return im.transform(im.size, Image.AFFINE, m, resample=FILTERS[flt], fillcolor=fill)
    return op


def rotate(degrees):
    def op(im, flt):
        fill = FILL[0] if im.mode == "L" else FILL
        return im.rotate(degrees, resample=FILTERS[flt], fillcolor=fill)
    return op


def solarize_add(im, add):
    table = [min(255, i + add) if i < 128 else i for i in range(256)]
    return im.point(table * len(im.getbands()))


TONES = {
    "AutoContrast": (lambda im, _: ImageOps.autocontrast(im), [0]),
    "Equalize": (lambda im, _: ImageOps.equalize(im), [0]),
    "Invert": (lambda im, _: ImageOps.invert(im), [0]),
    "Solarize": (lambda im, v: ImageOps.solarize(im, v), [0, 1, 77, 128, 255, 256]),
    "SolarizeAdd": (solarize_add, [0, 33, 77, 110, 128]),
    "Posterize": (lambda im, v: ImageOps.posterize(im, v), [1, 2, 3, 4, 7, 8]),
    "Color": (lambda im, v: ImageEnhance.Color(im).enhance(v), [0, 0.1, 0.37, 0.73, 1, 1.18, 1.9, 3.5]),
    "Contrast": (lambda im, v: ImageEnhance.Contrast(im).enhance(v), [0, 0.1, 0.37, 0.73, 1, 1.18, 1.9, 3.5]),
    "Brightness": (lambda im, v: ImageEnhance.Brightness(im).enhance(v), [0, 0.1, 0.37, 0.73, 1, 1.18, 1.9, 3.5]),
    "Sharpness": (lambda im, v: ImageEnhance.Sharpness(im).enhance(v), [0, 0.1, 0.37, 0.73, 1, 1.18, 1.9, 3.5]),
}
SHIFTS = {
    "ShearX": (lambda v: affine(1, v, 0, 0, 1, 0), [-0.3, -0.11, 0, 0.12, 0.27]),
    "ShearY": (lambda v: affine(1, 0, 0, v, 1, 0), [-0.3, -0.11, 0, 0.12, 0.27]),
    "TranslateX": (lambda v: affine(1, 0, v, 0, 1, 0), [-100, -3.4, -1, 0, 2.5, 11.34]),
    "TranslateY": (lambda v: affine(1, 0, 0, 0, 1, v), [-100, -3.4, -1, 0, 2.5, 11.34]),
    "Rotate": (rotate, [-90, -30, -27, -12.5, -0.4, 0, 3, 15.15, 21, 30, 45, 90, 133, 180, 270, 359.9]),
}
KINDS = ["noise", "dull", "ramp", "flat"]
SIZES = [(1, 1), (1, 7), (6, 1), (2, 2), (3, 3), (28, 28), (33, 47)]

print(f"# pillow {PIL.__version__}")
for h, w in SIZES:
    for c in (1, 3):
        for kind in KINDS if h > 3 < w else KINDS[:1]:
            im = image(kind, h, w, c)

            def line(op, arg, flt, out):
                print(op, arg, flt, kind, h, w, c, f"{zlib.crc32(np.asarray(out).tobytes()):08x}")

            for op, (f, args) in TONES.items():
                for v in args:
                    line(op, v, "-", f(im, v))
            if kind in ("dull", "flat"):
                continue
            for op, (f, args) in SHIFTS.items():
                for v in args:
                    for flt in FILTERS:
                        line(op, v, flt, f(v)(im, flt))
