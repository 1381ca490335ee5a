"""Goldens of the loss of mixed images: python mixup.py > train/testdata/mixup.json

The targets are timm's (mixup_target), the loss is its SoftTargetCrossEntropy,
in float64.
"""

import json

import torch
from timm.data.mixup import mixup_target
from timm.loss import SoftTargetCrossEntropy

import sequence as seq


def case(classes, labels, smoothing, share):
    """Images are mixed with the batch reversed, as timm does it."""
    n = len(labels)
    logits = torch.from_numpy(4 * seq.uniform("mixup", n * classes)).reshape(n, classes)
    logits.requires_grad_()
    target = mixup_target(torch.tensor(labels), classes, share, smoothing).double()
    loss = SoftTargetCrossEntropy()(logits, target)
    loss.backward()
    return dict(
        classes=classes, labels=labels, smoothing=smoothing, share=share,
        logits=logits.detach().flatten().tolist(),
        loss=round(loss.item(), 7), gradient=[round(v, 8) for v in logits.grad.flatten().tolist()],
    )


cases = [
    case(classes, labels, smoothing, share)
    for classes, labels in [(2, [0, 1]), (5, [3, 0, 4, 3]), (10, [7, 7, 2])]
    for smoothing in (0.0, 0.1)
    for share in (0.0, 0.25, 0.5, 0.9, 1.0)
]
print("[\n" + ",\n".join(json.dumps(c) for c in cases) + "\n]")
