"""What timm's models cost: python counts.py > arch/testdata/timm_counts.txt

A line a model: name, pixels, trainable parameters, batch-norm statistics,
multiply-accumulates of convolutions and linear layers, those of depthwise
convolutions, elements of all convolution outputs. Nothing is computed: tensors
on the meta device have shapes only.
"""

import timm
import torch
from torch import nn

from models import MODELS


def count(name, px):
    with torch.device("meta"):
        net = timm.create_model(name).eval()
    macs = depthwise = acts = 0

    def hook(m, args, y):
        nonlocal macs, depthwise, acts
        if isinstance(m, nn.Linear):
            macs += m.in_features * m.out_features
            return
        n = y.numel() * m.kernel_size[0] * m.kernel_size[1] * (m.in_channels // m.groups)
        macs += n
        acts += y.numel()
        if 1 < m.groups == m.in_channels:
            depthwise += n

    for m in net.modules():
        if isinstance(m, (nn.Conv2d, nn.Linear)):
            m.register_forward_hook(hook)
    net(torch.empty(1, 3, px, px, device="meta"))
    stats = sum(b.numel() for k, b in net.named_buffers() if "running_" in k)
    return sum(p.numel() for p in net.parameters()), stats, macs, depthwise, acts


for name, px in MODELS.items():
    print(name, px, *count(name, px))
