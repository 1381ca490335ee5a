#!/usr/bin/env python3
"""Keras weights as a safetensors file that effnet and timm read.

    python3 scripts/keras-to-safetensors.py NET IN.h5 OUT.safetensors

NET is timm's name of the network: tf_efficientnet_b0 for EfficientNetB0,
tf_efficientnetv2_s for EfficientNetV2S, tf_efficientnetv2_b0 for
EfficientNetV2B0. IN.h5 is what Model.save_weights or Model.save of Keras 2
writes, or the file that keras.applications downloads. The scaling of pixels
that Keras builds into these networks is left out: effnet does it itself.

It needs the Python packages h5py, numpy and safetensors.
"""

import re
import sys

import h5py
import numpy as np
from safetensors.numpy import save_file

BN = {"gamma": "weight", "beta": "bias", "moving_mean": "running_mean", "moving_variance": "running_var"}
OUTSIDE = {
    "stem_conv": "conv_stem", "stem_bn": "bn1", "top_conv": "conv_head", "top_bn": "bn2",
    "predictions": "classifier", "probs": "classifier",
}
# by the layers that a block has: Keras' name of a layer and timm's
KINDS = {
    # depthwise separable, inverted residual, fused, fused without expansion
    (False, True): {"dwconv": "conv_dw", "bn": "bn1", "project_conv": "conv_pw", "project_bn": "bn2"},
    (True, True): {
        "expand_conv": "conv_pw", "expand_bn": "bn1", "dwconv": "conv_dw", "bn": "bn2",
        "project_conv": "conv_pwl", "project_bn": "bn3",
    },
    (True, False): {"expand_conv": "conv_exp", "expand_bn": "bn1", "project_conv": "conv_pwl", "project_bn": "bn2"},
    (False, False): {"project_conv": "conv", "project_bn": "bn1"},
}
SE = {"se_reduce": "se.conv_reduce", "se_expand": "se.conv_expand"}


def layers(path):
    """{layer: {weight: array}}"""
    found = {}

    def visit(name, item):
        if isinstance(item, h5py.Dataset) and "optimizer" not in name and name.count("/") > 0:
            layer, weight = name.split("/")[-2:]
            found.setdefault(layer, {})[weight.split(":")[0]] = item[()]

    with h5py.File(path) as f:
        f.visititems(visit)
    return found


def rename(names):
    """{Keras' layer: timm's module}"""
    blocks = {}
    out = {}
    for name in names:
        if name in OUTSIDE:
            out[name] = OUTSIDE[name]
        elif m := re.fullmatch(r"block(\d+)([a-z])_(\w+)", name):
            blocks.setdefault((int(m[1]), m[2]), {})[m[3].replace("dwconv2", "dwconv")] = name
        elif not name.startswith(("normalization", "rescaling")):
            raise SystemExit(f"layer {name} is of no EfficientNet that this script knows")
    for (stage, letter), parts in blocks.items():
        kind = KINDS["expand_conv" in parts, "dwconv" in parts] | SE
        for part, name in parts.items():
            if part not in kind:
                raise SystemExit(f"layer {name} is of no EfficientNet that this script knows")
            out[name] = f"blocks.{stage - 1}.{ord(letter) - ord('a')}.{kind[part]}"
    return out


def convert(found):
    tensors = {}
    for layer, module in rename(found).items():
        for weight, value in found[layer].items():
            if weight in BN:
                tensors[f"{module}.{BN[weight]}"] = value
            elif weight == "bias":
                tensors[f"{module}.bias"] = value
            elif weight == "depthwise_kernel":  # (k, k, C, 1) to (C, 1, k, k)
                tensors[f"{module}.weight"] = value.transpose(2, 3, 0, 1)
            elif weight == "kernel" and value.ndim == 4:  # (k, k, in, out) to (out, in, k, k)
                tensors[f"{module}.weight"] = value.transpose(3, 2, 0, 1)
            elif weight == "kernel":
                tensors[f"{module}.weight"] = value.T
            else:
                raise SystemExit(f"layer {layer} has a weight {weight}, which no EfficientNet has")
    return {k: np.ascontiguousarray(v, dtype=np.float32) for k, v in tensors.items()}


def main(net, source, target):
    found = layers(source)
    if "stem_conv" not in found:
        raise SystemExit(f"{source} has no layer stem_conv; want weights of an EfficientNet as Keras 2 writes them")
    save_file(convert(found), target, {"format": "pt", "arch": net})


if __name__ == "__main__":
    if len(sys.argv) != 4:
        raise SystemExit(__doc__.strip())
    main(*sys.argv[1:])
