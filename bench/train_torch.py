"""PyTorch's side of train.py: whole training steps of one network on one CPU.

Speaks the same lines as bench/trainspeed: it prints {"params": N} when ready,
then answers 'losses N' and 'time SECONDS' from stdin with JSON.
"""

import argparse
import json
import sys
import time
from pathlib import Path

import numpy as np
import torch
from torch import nn

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "scripts" / "golden"))
import networks  # noqa: E402


def peak_rss_mb():
    for line in open("/proc/self/status"):
        if line.startswith("VmHWM:"):
            return int(line.split()[1]) / 1000
    return 0


def main():
    ap = argparse.ArgumentParser()
    ap.add_argument("--mode", choices=["eager", "channels_last", "compile"], required=True)
    ap.add_argument("--threads", type=int, required=True)
    ap.add_argument("--batch", type=int, required=True)
    ap.add_argument("--spec", required=True, help="JSON file from 'trainspeed -describe'")
    ap.add_argument("--images", required=True, help="float32, NHWC")
    ap.add_argument("--labels", required=True, help="int32")
    a = ap.parse_args()
    torch.set_num_threads(a.threads)
    torch.set_num_interop_threads(1)

    spec = json.loads(Path(a.spec).read_text())
    net = networks.build(spec).float()
    layout = torch.contiguous_format if a.mode == "eager" else torch.channels_last
    net = net.to(memory_format=layout).train()
    opt = networks.optimiser(net, networks.RMSPROP | dict(lr=0.016 * a.batch / 256))
    criterion = nn.CrossEntropyLoss(label_smoothing=networks.SMOOTHING)
    forward = torch.compile(net) if a.mode == "compile" else net

    size, channels = spec["resolution"], spec["channels"]
    def laid_out(t):
        # A tensor of one channel counts as channels_last already, so that
        # contiguous(memory_format=...) would leave strides the convolutions
        # take for NCHW; a copy into a fresh tensor has the right ones.
        return torch.empty(t.shape, dtype=t.dtype, memory_format=layout).copy_(t)

    x = np.fromfile(a.images, "<f4").reshape(-1, a.batch, size, size, channels)
    y = np.fromfile(a.labels, "<i4").reshape(-1, a.batch).astype(np.int64)
    batches = [
        (laid_out(torch.from_numpy(x[i]).permute(0, 3, 1, 2)), torch.from_numpy(y[i]))
        for i in range(len(x))
    ]
    step = 0

    def next_step():
        nonlocal step
        images, labels = batches[step % len(batches)]
        step += 1
        opt.zero_grad(set_to_none=True)
        loss = criterion(forward(images), labels)
        loss.backward()
        opt.step()
        return loss.item()

    def measure(seconds):
        start, images = time.perf_counter(), 0
        while time.perf_counter() - start < seconds:
            next_step()
            images += a.batch
        took = time.perf_counter() - start
        return dict(images_per_s=images / took, peak_rss_mb=peak_rss_mb())

    def say(answer):
        print(json.dumps(answer), flush=True)

    say(dict(params=sum(p.numel() for p in net.parameters())))
    for line in sys.stdin:
        command, number = line.split()
        if command == "losses":
            say(dict(losses=[next_step() for _ in range(int(number))]))
        else:
            say(measure(float(number)))


if __name__ == "__main__":
    main()
