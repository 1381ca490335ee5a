"""Goldens of timm's models at full width: python zoo.py FOLDER

One training pass with batch norm's momentum 1 sets the running statistics to
those of the batch, so that evaluation of the same images is well conditioned
for any weights. Logits are kept in part, gradients as probes.
"""

import json
import sys
from pathlib import Path

import timm
import torch
from torch import nn

import sequence as seq
from networks import SMOOTHING, probe, reset, values

MODELS = [("efficientnet_b0", 64), ("tf_efficientnet_b0", 75), ("tf_efficientnet_lite0", 64)]
BATCH = 2
KEEP = 8  # logits of each image


def logits(y):
    return dict(first=values(y[:, :KEEP]), probe=probe(y))


def main(folder):
    torch.set_num_threads(1)
    lines = []
    for name, size in MODELS:
        net = timm.create_model(name).double()
        for m in net.modules():
            if isinstance(m, nn.BatchNorm2d):
                m.momentum = 1.0
        reset(net)
        x = torch.from_numpy(seq.images(0, BATCH, size, 3)).permute(0, 3, 1, 2).contiguous()
        net.train()
        y = net(x)
        loss = nn.CrossEntropyLoss(label_smoothing=SMOOTHING)(y, torch.from_numpy(seq.labels(0, BATCH, y.shape[1])))
        loss.backward()
        net.eval()
        with torch.no_grad():
            evaluated = net(x)
        lines.append(json.dumps(dict(
            model=name, resolution=size, batch=BATCH, smoothing=SMOOTHING,
            train=logits(y), loss=loss.item(), eval=logits(evaluated),
            grads={k: probe(p.grad) for k, p in net.named_parameters()},
        ), separators=(",", ":")))
    (Path(folder) / "zoo.json").write_text("[\n" + ",\n".join(lines) + "\n]\n")


if __name__ == "__main__":
    main(*sys.argv[1:])
