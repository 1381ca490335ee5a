"""Goldens of whole networks: python networks.py FOLDER [NAME...]

Every network is built by timm from the rows in the JSON file itself and runs
in float64; weights, images, labels and masks come from sequence.py.
"""

import json
import re
import sys
from functools import partial
from pathlib import Path

import torch
from torch import nn
from timm.layers import get_act_layer
from timm.models._efficientnet_builder import decode_arch_def
from timm.models._efficientnet_blocks import SqueezeExcite
from timm.models._efficientnet_builder import round_channels
from timm.models.efficientnet import EfficientNet
from timm.models.resnet import BasicBlock, Bottleneck, ResNet, make_blocks
from timm.optim import RMSpropTF

import sequence as seq

SMOOTHING = 0.1

SMALL = dict(
    channels=3, classes=10, stem=8, stem_kernel=3, head=16, act="swish", padding="symmetric",
    eps=1e-5, momentum=0.1, drop_path=0.0, dropout=0.0,
    stages=[
        "ds_r1_k3_s1_e1_c8_se0.25",
        "ir_r2_k3_s2_e2_c8_se0.25",
        "ir_r1_k5_s2_e3_c16_se0.25",
    ],
)

RMSPROP = dict(kind="rmsproptf", lr=0.016, alpha=0.9, eps=1e-3, momentum=0.9, weight_decay=1e-5)
SGD = dict(kind="sgd", lr=0.05, momentum=0.9, weight_decay=0.02)
# A large eps, so that gradients that are zero but for rounding stay without effect.
MUON = dict(kind="muon", lr=0.004, momentum=0.95, betas=[0.9, 0.999], eps=1e-4, weight_decay=0.1)
ADAMW = dict(kind="adamw", lr=0.004, betas=[0.9, 0.999], eps=1e-4, weight_decay=0.1)

NETWORKS = {
    "swish_symmetric": dict(
        batch=4, spec=SMALL | dict(resolution=16),
        runs=[RMSPROP | dict(steps=10, keep=True), SGD | dict(steps=5), ADAMW | dict(steps=5), MUON | dict(steps=5)],
    ),
    "swish_same_even": dict(
        batch=5, spec=SMALL | dict(
            resolution=14, channels=1, padding="same", eps=1e-3, momentum=0.01,
            stages=[
                "ds_r2_k5_s1_e1_c8_se0.25",
                "ir_r1_k3_s2_e2.5_c8_se0.25",
                "ir_r1_k5_s2_e2_c16_se0.25",
            ]),
        runs=[RMSPROP | dict(steps=10, weight_decay=0.02), SGD | dict(steps=5, weights_only=True)],
    ),
    "relu6_same_odd": dict(
        batch=6, spec=SMALL | dict(
            resolution=15, padding="same", act="relu6", eps=1e-3, head=24,
            stages=[
                "ds_r1_k3_s2_e1_c8",
                "ir_r2_k3_s1_e2_c8",
                "ir_r1_k3_s1_e2_c8_noskip",
                "ir_r1_k5_s2_e3_c16_nsw",
            ]),
        runs=[RMSPROP | dict(steps=10), SGD | dict(steps=5, momentum=0.0), ADAMW | dict(steps=5)],
    ),
    "masks": dict(
        batch=4, spec=SMALL | dict(
            resolution=16, eps=1e-3, drop_path=0.5, dropout=0.25, head=0,
            stages=[
                "ds_r2_k3_s1_e1_c8_se0.25",
                "ir_r3_k3_s2_e2_c8_se0.25",
            ]),
        runs=[
            RMSPROP | dict(steps=10, weight_decay=0.02, weights_only=True),
            SGD | dict(steps=5, weights_only=True),
            ADAMW | dict(steps=5, weights_only=True),
        ],
    ),
    "fused": dict(
        batch=5, spec=SMALL | dict(
            resolution=16, act="relu",
            stages=[
                "er_r1_k3_s1_e2_c8_fc12_noskip",
                "cn_r2_k3_s1_e1_c8_skip",
                "er_r2_k3_s2_e1.5_c8_se0.25",
                "dsa_r2_k3_s1_c16_nsw",
                "cn_r1_k3_s2_c8",
            ]),
        runs=[RMSPROP | dict(steps=5), MUON | dict(steps=5, weights_only=True)],
    ),
    "hard": dict(
        batch=5, spec=SMALL | dict(
            resolution=15, padding="same", act="hard_swish", eps=1e-3, momentum=0.01,
            se=dict(divisor=8, act="relu", gate="hard_sigmoid"),
            stages=[
                "ds_r1_k3_s1_e1_c8_se0.5_nre",
                "ir_r2_k3_s2_e2_c8_se0.25",
                "cn_r2_k3_s1_e1_c8_skip",
                "ir_r1_k5_s2_e3_c16_se0.25_nhs",
            ]),
        runs=[RMSPROP | dict(steps=5)],
    ),
    "resnet": dict(
        batch=4, spec=SMALL | dict(
            resolution=33, act="relu", stem=4, stem_kernel=7, stem_pool=3, head=0,
            stages=[
                "basic_r2_k3_s1_e1_c8",
                "bottle_r2_k3_s2_e0.25_c32",
                "basic_r1_k3_s2_e1_c8",
                "bottle_r1_k3_s2_e0.25_c32",
            ]),
        runs=[RMSPROP | dict(steps=5)],
    ),
}


class Mask(nn.Module):
    """Drop path whose mask of each step is known."""

    def __init__(self, op, rate):
        super().__init__()
        self.op, self.rate, self.step = op, rate, 0

    def forward(self, x):
        if not self.training:
            return x
        m = torch.from_numpy(seq.mask(self.op, self.step, x.shape[0], self.rate))
        return x * m.reshape(-1, 1, 1, 1)


class Net(EfficientNet):
    """timm's EfficientNet with known masks for drop path and dropout."""

    step = 0

    def forward_head(self, x):
        x = self.global_pool(x)
        if self.drop_rate and self.training:
            x = x * torch.from_numpy(seq.mask("drop", self.step, x.numel(), self.drop_rate)).reshape(x.shape)
        return self.classifier(x)

    def set_step(self, step):
        self.step = step
        for m in self.modules():
            if isinstance(m, Mask):
                m.step = step


class SmallResNet(ResNet):
    """timm's ResNet with a stem as narrow as the rows say."""

    def __init__(self, spec, norm_layer, act_layer):
        rows = [re.fullmatch(r"(basic|bottle)_r(\d+)_k3_s[12]_e([\d.]+)_c(\d+)", row).groups() for row in spec["stages"]]
        fns = tuple(dict(basic=BasicBlock, bottle=Bottleneck)[kind] for kind, *_ in rows)
        planes = tuple(int(c) // fn.expansion for fn, (*_, c) in zip(fns, rows))
        layers = tuple(int(r) for _, r, *_ in rows)
        layout = dict(norm_layer=norm_layer, act_layer=act_layer)
        super().__init__(fns, layers, channels=planes, num_classes=spec["classes"], in_chans=spec["channels"], **layout)
        self.conv1 = nn.Conv2d(spec["channels"], spec["stem"], 7, 2, 3, bias=False)
        self.bn1 = norm_layer(spec["stem"])
        for name, stage in make_blocks(fns, planes, layers, spec["stem"], **layout)[0]:
            setattr(self, name, stage)

    def set_step(self, step):
        pass


def squeeze_excite(se):
    if not se:
        return None
    return partial(
        SqueezeExcite, gate_layer=se["gate"], force_act_layer=get_act_layer(se["act"]),
        rd_round_fn=partial(round_channels, divisor=se["divisor"]),
    )


def build(spec):
    act_layer = get_act_layer(spec["act"])
    norm_layer = partial(nn.BatchNorm2d, eps=spec["eps"], momentum=spec["momentum"])
    if spec["stages"][0].startswith("b"):
        net = SmallResNet(spec, norm_layer, act_layer).double()
        reset(net)
        return net
    net = Net(
        decode_arch_def([[row] for row in spec["stages"]]),
        num_classes=spec["classes"],
        num_features=spec["head"],
        in_chans=spec["channels"],
        stem_size=spec["stem"],
        stem_kernel_size=spec["stem_kernel"],
        pad_type="same" if spec["padding"] == "same" else "",
        act_layer=act_layer,
        norm_layer=norm_layer,
        se_layer=squeeze_excite(spec.get("se")),
        round_chs_fn=int,  # widths are as the rows say, whatever their divisor
        drop_rate=spec["dropout"],
        drop_path_rate=spec["drop_path"],
    ).double()
    net.conv_stem.stride = (spec.get("stem_stride", 2),) * 2
    for i, stage in enumerate(net.blocks):
        for j, block in enumerate(stage):
            if getattr(block, "has_skip", False) and not isinstance(block.drop_path, nn.Identity):
                block.drop_path = Mask(f"blocks.{i}.{j}.add", block.drop_path.drop_prob)
    reset(net)
    return net


def reset(net):
    for name, t in net.state_dict().items():
        if not name.endswith("num_batches_tracked"):
            t.copy_(torch.from_numpy(seq.parameter(name, t.shape)))


def batch(case, step):
    spec, n = case["spec"], case["batch"]
    x = seq.images(step, n, spec["resolution"], spec["channels"])
    y = seq.labels(step, n, spec["classes"])
    return torch.from_numpy(x).permute(0, 3, 1, 2).contiguous(), torch.from_numpy(y)


class Muon(torch.optim.Optimizer):
    """torch.optim.Muon with its iterations in the type of the weight and not in
    bfloat16, for weights of any number of dimensions."""

    def __init__(self, params, lr, weight_decay, momentum):
        super().__init__(params, dict(lr=lr, weight_decay=weight_decay, momentum=momentum))

    @torch.no_grad()
    def step(self):
        for group in self.param_groups:
            for p in group["params"]:
                m = self.state[p].setdefault("momentum_buffer", torch.zeros_like(p))
                m.lerp_(p.grad, 1 - group["momentum"])
                u = p.grad.lerp(m, group["momentum"]).flatten(1)
                u = orthogonal(u).reshape(p.shape)
                p.mul_(1 - group["lr"] * group["weight_decay"])
                p.add_(u, alpha=-group["lr"] * 0.2 * max(p.shape[0], p[0].numel()) ** 0.5)


def orthogonal(x):
    a, b, c = 3.4445, -4.7750, 2.0315
    wide = x.shape[0] <= x.shape[1]
    if not wide:
        x = x.T
    x = x / x.norm().clamp(min=1e-7)
    for _ in range(5):
        gram = x @ x.T
        x = a * x + (b * gram + c * gram @ gram) @ x
    return x if wide else x.T


def check_muon():
    """Muon above against torch's own, as far as bfloat16 goes."""
    from torch.optim import Muon as Known

    for shape in ((8, 24), (24, 8), (16, 16)):
        torch.manual_seed(1)
        p, q = (torch.nn.Parameter(torch.ones(shape)) for _ in range(2))
        mine = Muon([p], lr=0.01, weight_decay=0.1, momentum=0.95)
        known = Known([q], lr=0.01, weight_decay=0.1, momentum=0.95, adjust_lr_fn="match_rms_adamw")
        for _ in range(4):
            p.grad = torch.randn(shape)
            q.grad = p.grad.clone()
            mine.step(), known.step()
        assert (p - q).norm() < 0.03 * (p - 1).norm(), shape


class Both:
    """Muon for weights of convolutions that mix channels, AdamW for the rest."""

    def __init__(self, net, groups, run):
        known = {id(m.weight) for m in net.modules() if isinstance(m, nn.Conv2d) and m.groups == 1}
        parts = [[dict(g, params=[p for p in g["params"] if (id(p) in known) == own]) for g in groups] for own in (True, False)]
        self.parts = [
            Muon([g for g in parts[0] if g["params"]], lr=run["lr"], weight_decay=0, momentum=run["momentum"]),
            torch.optim.AdamW(parts[1], lr=run["lr"], betas=run["betas"], eps=run["eps"]),
        ]

    def zero_grad(self):
        for o in self.parts:
            o.zero_grad()

    def step(self):
        for o in self.parts:
            o.step()


def optimiser(net, run):
    """Weight decay reaches all but batch norm, as in the TF code; with weights_only no bias either."""
    spared = {id(p) for m in net.modules() if isinstance(m, nn.BatchNorm2d) for p in m.parameters()}
    if run.get("weights_only"):
        spared |= {id(p) for k, p in net.named_parameters() if k.endswith("bias")}
    groups = [
        dict(params=[p for p in net.parameters() if id(p) not in spared], weight_decay=run["weight_decay"]),
        dict(params=[p for p in net.parameters() if id(p) in spared], weight_decay=0.0),
    ]
    if run["kind"] == "rmsproptf":
        return RMSpropTF(groups, lr=run["lr"], alpha=run["alpha"], eps=run["eps"], momentum=run["momentum"])
    if run["kind"] == "sgd":
        return torch.optim.SGD(groups, lr=run["lr"], momentum=run["momentum"])
    if run["kind"] == "muon":
        return Both(net, groups, run)
    return torch.optim.AdamW(groups, lr=run["lr"], betas=run["betas"], eps=run["eps"])


def values(t):
    return [float(f"{v:.10g}") for v in t.detach().reshape(-1).tolist()]


def probe(t):
    return float(f"{seq.probe(t.detach().numpy()):.10g}")


def tensors(net):
    return {k: v for k, v in net.state_dict().items() if not k.endswith("num_batches_tracked")}


def is_running(name):
    return "running_" in name


def evaluate(net, x):
    net.eval()
    with torch.no_grad():
        return values(net(x))


def one_step(case, net, out):
    """Logits, loss, gradients and running statistics of the first batch."""
    criterion = nn.CrossEntropyLoss(label_smoothing=SMOOTHING)
    x, y = batch(case, 0)
    out["eval_logits"] = evaluate(net, x)
    net.train()
    x.requires_grad_(True)
    logits = net(x)
    loss = criterion(logits, y)
    loss.backward()
    out["train_logits"] = values(logits)
    out["loss"] = loss.item()
    nhwc = x.grad.permute(0, 2, 3, 1).contiguous()
    out["input_grad_probe"] = probe(nhwc)
    if nhwc.numel() < 1000:
        out["input_grad"] = values(nhwc)
    out["grads"] = {k: values(p.grad) for k, p in net.named_parameters()}
    out["running"] = {k: values(t) for k, t in tensors(net).items() if is_running(k)}


def train(case, net, run):
    """Steps of an optimiser, each on its own batch."""
    criterion = nn.CrossEntropyLoss(label_smoothing=SMOOTHING)
    reset(net)
    opt = optimiser(net, run)
    losses = []
    net.train()
    for step in range(run["steps"]):
        net.set_step(step)
        x, y = batch(case, step)
        opt.zero_grad()
        loss = criterion(net(x), y)
        loss.backward()
        opt.step()
        losses.append(loss.item())
    out = {k: v for k, v in run.items() if k != "keep"}
    out["losses"] = losses
    out["probes"] = {k: probe(t) for k, t in tensors(net).items()}
    if run.get("keep"):
        out["final"] = {k: values(t) for k, t in tensors(net).items()}
    out["eval_logits"] = evaluate(net, batch(case, 0)[0])
    return out


def dump(path, name, out):
    """JSON with one tensor a line."""

    def lines(v, indent):
        if isinstance(v, dict):
            pad = " " * (indent + 1)
            return "{\n" + ",\n".join(f"{pad}{json.dumps(k)}: {lines(w, indent + 1)}" for k, w in v.items()) + "\n" + " " * indent + "}"
        if isinstance(v, list) and v and isinstance(v[0], dict):
            return "[" + ", ".join(lines(w, indent) for w in v) + "]"
        return json.dumps(v, separators=(",", ":"))

    text = lines(out, 0) + "\n"
    (path / f"{name}.json").write_text(text)
    print(f"{name}.json: {len(text)} bytes")


def main(folder, *only):
    torch.set_num_threads(1)
    check_muon()
    for name, case in NETWORKS.items():
        if only and name not in only:
            continue
        net = build(case["spec"])
        out = dict(
            made_with=f"torch {torch.__version__.split('+')[0]}, timm {__import__('timm').__version__}, float64",
            spec=case["spec"], batch=case["batch"], smoothing=SMOOTHING,
        )
        one_step(case, net, out)
        out["runs"] = [train(case, net, run) for run in case["runs"]]
        dump(Path(folder), name, out)


if __name__ == "__main__":
    main(*sys.argv[1:])
