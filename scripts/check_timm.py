"""Do effnet and timm answer alike, network by network?

    go build -o bin/effnet ./cmd/effnet
    python scripts/check_timm.py bin/effnet [NAME...]

Every network gets random weights and batch-norm statistics. Compared with timm
in float64 are, as the largest difference over the largest value:

  native, odd, wide  logits of 'effnet run' with timm's: 3 images of the native
                     resolution, of an odd one, of one that is not square
  maps               pooled embedding and reduction_i of 'effnet features'
  back               logits of timm with the file that 'effnet export' wrote,
                     loaded strictly
  onnx               logits of onnxruntime with the ONNX file
  torch              logits of timm itself in float32

Exit status 1 if one is above 1e-4.
"""

import os
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np
import onnxruntime
import timm
import torch
from safetensors.torch import load_file, save_file

NAMES = [
    "efficientnet_b0", "efficientnet_b3", "tf_efficientnet_b0", "tf_efficientnet_b4",
    "efficientnet_lite0", "tf_efficientnet_lite0", "tf_efficientnet_lite3",
    "efficientnet_es", "tf_efficientnet_es", "tf_efficientnet_el",
    "efficientnetv2_s", "tf_efficientnetv2_s", "tf_efficientnetv2_b0", "tf_efficientnetv2_b3", "efficientnetv2_rw_t", "efficientnetv2_rw_s",
    "tinynet_a", "tinynet_c", "tinynet_e",
    "mobilenetv1_100", "mobilenetv2_100", "resnet50",
]
LIMIT = 1e-4


def randomise(model, size):
    """Batch norms at random, their statistics of the order of what they meet:
    with others, most networks forget their input or blow it up."""
    g = torch.Generator().manual_seed(1)

    def fit(bn, args):
        n, s = bn.num_features, args[0].std()
        bn.weight.copy_(1 + 0.2 * torch.randn(n, generator=g))
        bn.bias.copy_(0.2 * torch.randn(n, generator=g))
        bn.running_mean.copy_(args[0].mean((0, 2, 3)) + 0.1 * s * torch.randn(n, generator=g))
        bn.running_var.copy_(s * s * (0.5 + torch.rand(n, generator=g)))

    hooks = [m.register_forward_pre_hook(fit) for m in model.modules() if isinstance(m, torch.nn.BatchNorm2d)]
    model(torch.randn(2, 3, size, size, generator=g))
    for h in hooks:
        h.remove()


def effnet(binary, *args):
    out = subprocess.run([binary, *map(str, args)], capture_output=True, text=True)
    if out.returncode:
        raise SystemExit(f"effnet {' '.join(map(str, args))}: {out.stderr}")


def difference(got, want):
    want = np.asarray(want)
    if got.shape != want.shape:
        return float("inf")
    return float(np.abs(got - want).max() / np.abs(want).max())


def check(binary, name, dir):
    torch.manual_seed(0)
    model = timm.create_model(name).eval()
    r = model.default_cfg["input_size"][1]
    small = min(r, 160)
    randomise(model, small)
    file = dir / f"{name}.safetensors"
    save_file({k: v.contiguous() for k, v in model.state_dict().items()}, file)
    exact = timm.create_model(name).eval()
    exact.load_state_dict(model.state_dict())
    exact.double()
    maps = timm.create_model(name, features_only=True).eval()
    maps.load_state_dict({k: model.state_dict()[k] for k in maps.state_dict()})
    maps.double()

    result = {}
    rng = np.random.default_rng(2)
    for what, h, w in [("native", r, r), ("odd", small // 2 * 2 - 7, small // 2 * 2 - 7), ("wide", small // 2 + 3, small + 10)]:
        x = torch.from_numpy(rng.standard_normal((3, 3, h, w)).astype(np.float32))
        np.save(dir / "x.npy", x.numpy())
        want = exact(x.double()).numpy()
        effnet(binary, "run", file, "--net", name, "--input", dir / "x.npy", "--output", dir / "y.npy")
        result[what] = difference(np.load(dir / "y.npy"), want)
    # x is the wide one from here on
    result["torch"] = difference(model(x).numpy(), want)

    effnet(binary, "features", file, "--net", name, "--input", dir / "x.npy", "-o", dir / "maps")
    pooled = exact.forward_head(exact.forward_features(x.double()), pre_logits=True)
    result["maps"] = difference(np.load(dir / "maps/pooled.npy"), pooled)
    maps = maps(x.double())
    files = sorted((dir / "maps").glob("reduction_*.npy"))
    assert len(files) == len(maps), (len(files), len(maps))
    for path, value in zip(files, maps):
        result["maps"] = max(result["maps"], difference(np.load(path), value))

    effnet(binary, "export", file, "--net", name, "-o", dir / "back.safetensors")
    again = timm.create_model(name).eval()
    again.load_state_dict(load_file(dir / "back.safetensors"), strict=True)
    result["back"] = difference(again(x).numpy(), want)
    effnet(binary, "export", file, "--net", name, "-o", dir / "m.onnx", "--free-size")
    session = onnxruntime.InferenceSession(dir / "m.onnx", providers=["CPUExecutionProvider"])
    result["onnx"] = difference(session.run(None, {"input": x.numpy()})[0], want)
    for f in dir.rglob("*"):
        if f.is_file():
            f.unlink()
    return r, result


def main(binary, *names):
    torch.set_grad_enabled(False)
    binary = os.path.abspath(binary)
    worst = 0
    with tempfile.TemporaryDirectory() as dir:
        for name in names or NAMES:
            r, result = check(binary, name, Path(dir))
            worst = max(worst, *result.values())
            print(f"{name:22} {r:4}  " + "  ".join(f"{k} {v:.1e}" for k, v in result.items()), flush=True)
    if not worst <= LIMIT:
        sys.exit(f"{worst:.1e} is above {LIMIT}")


if __name__ == "__main__":
    main(*sys.argv[1:])
