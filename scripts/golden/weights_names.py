"""Names and shapes of other codes' state dicts: python weights_names.py FOLDER

One file a model, "their name, timm's name, shape" a line. timm's comes from
the order of both state dicts, and is proven by equal outputs of both models.
The folder is weights/testdata/names.
"""

import sys
from pathlib import Path

import timm
import torch
import torchvision
from efficientnet_pytorch import EfficientNet

from weights_real import by_order

# file: their model, timm's
MODELS = {
    "torchvision_efficientnet_b0": (torchvision.models.efficientnet_b0, "efficientnet_b0"),
    "torchvision_efficientnet_b4": (torchvision.models.efficientnet_b4, "efficientnet_b4"),
    "torchvision_efficientnetv2_s": (torchvision.models.efficientnet_v2_s, "efficientnetv2_s"),
    "torchvision_mobilenetv2_100": (torchvision.models.mobilenet_v2, "mobilenetv2_100"),
    "torchvision_resnet50": (torchvision.models.resnet50, "resnet50"),
    "lukemelas_tf_efficientnet_b0": (lambda: EfficientNet.from_name("efficientnet-b0"), "tf_efficientnet_b0"),
}


def main(folder):
    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    for name, (make, timm_name) in MODELS.items():
        torch.manual_seed(0)
        model = make().eval()
        ours = timm.create_model(timm_name).eval()
        eps = {m.eps for m in model.modules() if isinstance(m, torch.nn.BatchNorm2d)}
        state = model.state_dict()
        for k, v in state.items():  # so that no two batch norms can stand for each other
            if k.endswith("running_var") or (v.ndim == 1 and k.endswith("weight")):
                v.uniform_(0.5, 2)
            elif v.ndim == 1:
                v.uniform_(-0.5, 0.5)
        mapped = by_order(state, ours.state_dict())
        ours.load_state_dict(mapped, strict=False)
        for m in ours.modules():
            if isinstance(m, torch.nn.BatchNorm2d):
                (m.eps,) = eps
        x = torch.randn(1, 3, 224, 224)
        with torch.no_grad():
            a, b = model(x), ours(x)
        assert (a - b).abs().max() <= 1e-4 * a.abs().max(), (name, (a - b).abs().max() / a.abs().max())
        theirs = [k for k in state if "num_batches" not in k]
        lines = [" ".join([t, o, *map(str, state[t].shape)]) for t, o in zip(theirs, mapped)]
        (folder / f"{name}.txt").write_text("\n".join(lines) + "\n")
        print(name, len(lines), eps, float((a - b).abs().max() / a.abs().max()))


if __name__ == "__main__":
    main(*sys.argv[1:])
