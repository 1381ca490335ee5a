"""Goldens of inference for the whole zoo: python logits.py FOLDER

Two files: logits.json at small odd resolutions, logits_full.json every model
at its own. Random weights make most networks forget their input, so each batch
norm's statistics are brought to the size of what it normalises (a power of
two, "norms", which is stored), and weights come in pairs that cancel, so that
no channel's mean grows. Only a part of the logits is kept.
"""

import json
import sys
from pathlib import Path

import numpy as np
import timm
import torch
from torch import nn

import sequence as seq
from models import MODELS
from networks import probe, values

KEEP = 8  # logits of each image

# pixels and images
SMALL = dict(
    efficientnet_b0=(75, 3), tf_efficientnet_b0=(75, 3), efficientnet_lite0=(75, 3), tf_efficientnet_lite0=(64, 1),
    efficientnet_es=(49, 3), tf_efficientnet_es=(64, 1),
    tf_efficientnetv2_b0=(75, 3), tf_efficientnetv2_b3=(64, 1),
    efficientnetv2_s=(49, 3), tf_efficientnetv2_s=(64, 1), efficientnetv2_rw_t=(49, 3),
    tinynet_c=(75, 3), tinynet_e=(106, 1),
    mobilenetv1_100=(75, 3), mobilenetv1_100h=(64, 1), mobilenetv2_100=(75, 3), mobilenetv2_035=(64, 1),
    resnet18=(49, 3), resnet50=(49, 3),
)

# L2 at the other size it is used with: at 800 pixels it does not fit the memory of this program.
NATIVE = MODELS | dict(efficientnet_l2=475, tf_efficientnet_l2=475)
ODD = [
    "efficientnet_b0", "tf_efficientnet_b0", "tf_efficientnet_lite0", "tf_efficientnet_es", "tf_efficientnetv2_b0",
    "efficientnetv2_s", "tf_efficientnetv2_s", "tinynet_a", "mobilenetv1_100", "mobilenetv2_100", "resnet50",
]


def pairs(name, t):
    """Weights of which every second one along a filter is the one before, negated."""
    w = seq.parameter(name, t.shape).reshape(t.shape[0], -1)
    n = w.shape[1] // 2 * 2
    w[:, 1:n:2] = -w[:, 0:n:2]
    return w.reshape(t.shape)


def logits(model, size, batch):
    net = timm.create_model(model).double().eval()
    for name, t in net.state_dict().items():
        if not name.endswith("num_batches_tracked"):
            t.copy_(torch.from_numpy(pairs(name, t) if t.dim() == 4 else seq.parameter(name, t.shape)))
    norms = {}

    def fit(name):
        def hook(bn, args):
            norms[name] = e = round(np.log2(args[0].std().item()))
            bn.running_mean *= 2.0**e
            bn.running_var *= 4.0**e

        return hook

    hooks = [m.register_forward_pre_hook(fit(k)) for k, m in net.named_modules() if isinstance(m, nn.BatchNorm2d)]
    x = torch.from_numpy(seq.images(0, batch, size, 3)).permute(0, 3, 1, 2).contiguous()
    net(x)
    for h in hooks:
        h.remove()
    y = net(x)
    top = y.abs().max().item()
    print(f"{model} {size}: the largest of {top:.3g}, images differ by {(y - y.mean(0)).abs().max().item() / top:.3g} of it", flush=True)
    order = [k for k, m in net.named_modules() if isinstance(m, nn.BatchNorm2d)]
    return dict(
        model=model, resolution=size, batch=batch, norms="".join(chr(ord("m") + norms[k]) for k in order),
        top=float(f"{top:.10g}"), logits=dict(first=values(y[:, :KEEP]), probe=probe(y)),
    )


def write(path, cases):
    path.write_text("[\n" + ",\n".join(json.dumps(logits(*c), separators=(",", ":")) for c in cases) + "\n]\n")


@torch.no_grad()
def main(folder):
    torch.set_num_threads(1)
    write(Path(folder) / "logits.json", [(k, *v) for k, v in SMALL.items()])
    odd = [(k, MODELS[k] + 1 - MODELS[k] % 2, 3) for k in ODD]
    write(Path(folder) / "logits_full.json", odd + [(k, px, 1) for k, px in NATIVE.items()])


if __name__ == "__main__":
    main(*sys.argv[1:])
