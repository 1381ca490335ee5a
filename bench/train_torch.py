"""Trains what an effnet run trained, by the run's recipe, in PyTorch.

    python train_torch.py RUN IDX_FOLDER [--threads N] [--seed N]

RUN/config.yaml has the network and every value of the recipe. timm builds the
network and its starting weights (the same rules as effnet's, other random
numbers), PyTorch trains it in channels_last on grey images in IDX files, and one
line of JSON says how well it does on the test images, which are looked at once.
Recipes with more than shifts and mirrors are refused.
"""

import argparse
import gzip
import importlib.util
import math
import os
import sys
import time

import numpy as np
import torch
import yaml
from torch import nn

HERE = os.path.dirname(os.path.abspath(__file__))


def bench_peer():
    spec = importlib.util.spec_from_file_location("bench_peer", os.path.join(HERE, "..", "cmd", "effnet", "bench_peer.py"))
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def read_idx(folder, name):
    for path, open_ in ((name, open), (name + ".gz", gzip.open)):
        path = os.path.join(folder, path)
        if os.path.exists(path):
            with open_(path, "rb") as f:
                data = f.read()
            dims = data[3]
            shape = [int.from_bytes(data[4 + 4 * i : 8 + 4 * i], "big") for i in range(dims)]
            return torch.from_numpy(np.frombuffer(data, np.uint8, offset=4 + 4 * dims).reshape(shape).copy())
    sys.exit(f"train_torch: {folder} has no {name}")


def describe(n):
    """The network as bench_peer.py takes it."""
    return dict(
        name=n["name"], resolution=n["resolution"], channels=n["channels"], classes=n["classes"],
        stem=n["stem"]["width"], stem_kernel=n["stem"]["kernel"], stem_stride=n["stem"]["stride"],
        stages=n["blocks"], head=n["head"], act=n["act"], padding=n["padding"], eps=n["bn"]["eps"], momentum=n["bn"]["momentum"],
        se=dict(
            from_expanded=n["se"]["base"] == "expanded", divisor=n["se"]["divisor"],
            act="" if n["se"]["act"] == "block" else n["se"]["act"], gate=n["se"]["gate"],
        ),
    )


# What the values of a recipe must be, beside those that are read below. Others
# are what this script does not do.
NAMES = {"name", "epochs", "batch", "seed", "optimizer", "momentum", "rms_decay", "beta1", "beta2", "eps", "weight_decay",
         "decay_rule", "lr", "schedule", "warmup_epochs", "label_smoothing", "flip", "pad_crop", "validation"}

KINDS = {"rmsprop": "rmsprop-tf", "sgd": "sgd", "adamw": "adamw"}


def check(network, recipe, data):
    for key, value in recipe.items():
        if key not in NAMES and value not in (0, 0.0, False, None, "", "none"):
            sys.exit(f"train_torch: {key} is {value!r}, which is not done here")
    if recipe["optimizer"] not in KINDS:
        sys.exit(f"train_torch: the optimizer is {recipe['optimizer']}, have {', '.join(KINDS)}")
    if recipe["schedule"] != "cosine" or recipe["validation"] or data.get("subset"):
        sys.exit("train_torch: wants the schedule cosine and all images for training: --schedule cosine --validation 0")
    if network["channels"] != 1 or network["stem"]["pool"]:
        sys.exit("train_torch: wants a network for grey images without a max pool")


def augmented(images, mirrored, recipe, draw):
    """Images [N,H,W] moved over black, each in its own way, and mirrored where mirrored [N] says so."""
    n, h, w = images.shape
    pad = recipe["pad_crop"]
    padded = nn.functional.pad(images, (pad, pad, pad, pad))
    y = torch.randint(2 * pad + 1, (n, 1), generator=draw) + torch.arange(h)
    x = torch.randint(2 * pad + 1, (n, 1), generator=draw) + torch.arange(w)
    if recipe["flip"]:
        x = torch.where(mirrored[:, None], x.flip(1), x)
    return padded[torch.arange(n)[:, None, None], y[:, :, None], x[:, None, :]]


def learning_rate(recipe, step, per_epoch):
    warmup = round(recipe["warmup_epochs"] * per_epoch)
    if step < warmup:
        return recipe["lr"] * step / warmup
    return recipe["lr"] * (1 + math.cos(math.pi * (step - warmup) / (recipe["epochs"] * per_epoch - warmup))) / 2


def main():
    args = argparse.ArgumentParser()
    args.add_argument("run")
    args.add_argument("data")
    args.add_argument("--threads", type=int, default=1)
    args.add_argument("--seed", type=int)
    args = args.parse_args()
    peer = bench_peer()
    with open(os.path.join(args.run, "config.yaml")) as f:
        config = yaml.safe_load(f)
    network, recipe = config["network"], {k: float(v) if k in ("weight_decay", "lr", "eps") else v for k, v in config["recipe"].items()}
    check(network, recipe, config["data"])
    torch.set_num_threads(args.threads)
    seed = recipe["seed"] if args.seed is None else args.seed
    torch.manual_seed(seed)
    draw = torch.Generator().manual_seed(seed)

    x, y = read_idx(args.data, "train-images-idx3-ubyte"), read_idx(args.data, "train-labels-idx1-ubyte").long()
    if x.shape[1] != network["resolution"]:
        sys.exit(f"train_torch: the images are {x.shape[1]} pixels wide, the network wants {network['resolution']}")
    mean, std = network["preprocessing"]["mean"][0], network["preprocessing"]["std"][0]

    def prepared(images):
        t = ((images.float() / 255 - mean) / std)[:, None]
        return peer.laid_out(t, torch.channels_last)

    net = peer.timm_from_rows(describe(network)).to(memory_format=torch.channels_last).train()
    optimizer = peer.torch_optimizer(net, dict(lr=recipe["lr"], optimizer=dict(
        Kind=KINDS[recipe["optimizer"]], Alpha=recipe.get("rms_decay"), Momentum=recipe.get("momentum"), Eps=recipe.get("eps"),
        Beta1=recipe.get("beta1"), Beta2=recipe.get("beta2"), WeightDecay=recipe["weight_decay"], Decay=recipe["decay_rule"],
    )))
    criterion = nn.CrossEntropyLoss(label_smoothing=recipe["label_smoothing"])
    batch, step, began = recipe["batch"], 0, time.perf_counter()
    per_epoch = len(x) // batch
    mirrored = torch.rand(len(x), generator=draw) < 0.5  # in the first epoch, then in turns
    for epoch in range(recipe["epochs"]):
        order, losses = torch.randperm(len(x), generator=draw), 0.0
        for i in range(per_epoch):
            at = order[i * batch : (i + 1) * batch]
            for group in optimizer.param_groups:
                group["lr"] = learning_rate(recipe, step, per_epoch)
            optimizer.zero_grad(set_to_none=True)
            loss = criterion(net(prepared(augmented(x[at], mirrored[at] ^ (epoch % 2 == 1), recipe, draw))), y[at])
            loss.backward()
            optimizer.step()
            losses += loss.item()
            step += 1
        print(f"epoch {epoch + 1}/{recipe['epochs']}  train loss {losses / per_epoch:.4f}", file=sys.stderr, flush=True)
    seconds = time.perf_counter() - began

    net.eval()
    x, y = read_idx(args.data, "t10k-images-idx3-ubyte"), read_idx(args.data, "t10k-labels-idx1-ubyte").long()
    loss = correct = 0.0
    with torch.inference_mode():
        for images, labels in zip(x.split(500), y.split(500)):
            logits = net(prepared(images))
            loss += nn.functional.cross_entropy(logits, labels, reduction="sum").item()
            correct += (logits.argmax(1) == labels).sum().item()
    peer.say(dict(seconds=seconds, steps=step, test=dict(images=len(y), loss=loss / len(y), accuracy=correct / len(y))))


if __name__ == "__main__":
    main()
