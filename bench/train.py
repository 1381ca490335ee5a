"""Training speed of effnet and of PyTorch on the same CPU, measured in turns.

Every contender trains the same network from the same weights on the same
Fashion-MNIST batches with TensorFlow's RMSProp; the losses of the first steps
must agree, or the comparison stops. Run it through train.sh.
"""

import argparse
import gzip
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
from PIL import Image

HERE = Path(__file__).resolve().parent
CHECKED_STEPS = 5
TOLERANCE = 1e-3  # relative, of the loss of each checked step


def read_idx(path):
    raw = gzip.decompress(path.read_bytes()) if path.suffix == ".gz" else path.read_bytes()
    dims = raw[3]
    shape = [int.from_bytes(raw[4 + 4 * i : 8 + 4 * i], "big") for i in range(dims)]
    return np.frombuffer(raw, np.uint8, offset=4 + 4 * dims).reshape(shape)


def find(folder, stem):
    for name in (stem, stem + ".gz"):
        if (folder / name).exists():
            return folder / name
    sys.exit(f"train.py: no {stem}[.gz] in {folder}; give the folder of Fashion-MNIST's IDX files with --data")


def write_batches(spec, batch, count, data, folder):
    """The first images of the training part, at the network's size and channels."""
    n, size, channels = batch * count, spec["resolution"], spec["channels"]
    pixels = read_idx(find(data, "train-images-idx3-ubyte"))[:n]
    labels = read_idx(find(data, "train-labels-idx1-ubyte"))[:n]
    if size != pixels.shape[1]:
        pixels = np.stack([np.asarray(Image.fromarray(p).resize((size, size), Image.BILINEAR)) for p in pixels])
    x = np.repeat(pixels[..., None].astype(np.float32) / 255, channels, axis=3)
    x = (x - np.float32(spec["mean"])) / np.float32(spec["std"])
    x.astype("<f4").tofile(folder / "images")
    labels.astype("<i4").tofile(folder / "labels")


class Contender:
    """A process that answers lines on stdin with JSON on stdout."""

    def __init__(self, name, command):
        self.name, self.rates, self.rss = name, [], 0
        env = {k: v for k, v in os.environ.items() if not k.startswith("OPENBLAS_")}
        self.process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=env)

    def read(self):
        line = self.process.stdout.readline()
        if not line:
            raise RuntimeError(f"{self.name} ended with status {self.process.wait()}")
        return json.loads(line)

    def ask(self, line):
        self.process.stdin.write(line + "\n")
        self.process.stdin.flush()
        return self.read()

    def measure(self, seconds):
        answer = self.ask(f"time {seconds}")
        self.rates.append(answer["images_per_s"])
        self.rss = answer["peak_rss_mb"]

    def close(self):
        self.process.stdin.close()
        self.process.wait()


def start(name, command):
    """A contender that is ready and its first losses; None if it cannot run here."""
    c = Contender(name, command)
    try:
        c.params = c.read()["params"]
        c.losses = c.ask(f"losses {CHECKED_STEPS}")["losses"]
        return c
    except (RuntimeError, BrokenPipeError) as e:
        print(f"train.py: left out: {e}", file=sys.stderr)
        return None


def check(contenders):
    ours = contenders[0]
    for c in contenders[1:]:
        if c.params != ours.params:
            sys.exit(f"train.py: {c.name} has {c.params} parameters, {ours.name} {ours.params}: not the same network")
        off = max(abs(a - b) / abs(b) for a, b in zip(ours.losses, c.losses))
        if not off <= TOLERANCE:
            sys.exit(f"train.py: losses of {ours.name} {ours.losses} and {c.name} {c.losses} differ by {off:.1e}")


def compare(a, spec_file, files, threads):
    """Rows of the table for one number of threads."""
    images, labels = files / "images", files / "labels"
    contenders = [start("effnet", [
        a.trainspeed, "-serve", f"-net={a.net}", f"-batch={a.batch}", f"-threads={threads}", f"-kernel={a.kernel}",
        f"-images={images}", f"-labels={labels}",
    ])]
    if contenders[0] is None:
        sys.exit(1)
    for mode in a.modes.split(","):
        contenders.append(start(f"torch {mode}", [
            sys.executable, HERE / "train_torch.py", f"--mode={mode}", f"--threads={threads}", f"--batch={a.batch}",
            f"--spec={spec_file}", f"--images={images}", f"--labels={labels}",
        ]))
    contenders = [c for c in contenders if c]
    check(contenders)
    for r in range(a.rounds + 1):  # the first round only warms up
        for c in contenders[r % len(contenders) :] + contenders[: r % len(contenders)]:
            c.measure(a.seconds)
            time.sleep(0.3)  # until the threads of this one sleep
    rows = []
    ours = statistics.median(contenders[0].rates[1:])
    for c in contenders:
        rate = statistics.median(c.rates[1:])
        rows.append(dict(
            net=a.net, batch=a.batch, threads=threads, contender=c.name, images_per_s=rate,
            low=min(c.rates[1:]), high=max(c.rates[1:]), effnet_ratio=ours / rate, peak_rss_mb=c.rss,
        ))
        c.close()
    return rows


def main():
    ap = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    ap.add_argument("--net", default="small_1m", help="name or spec file")
    ap.add_argument("--batch", type=int, default=128)
    ap.add_argument("--threads", default="1,2")
    ap.add_argument("--modes", default="eager,channels_last,compile", help="of PyTorch")
    ap.add_argument("--rounds", type=int, default=5)
    ap.add_argument("--seconds", type=float, default=2, help="of each measurement")
    ap.add_argument("--kernel", default="", help="effnet's kernels; empty: the best")
    ap.add_argument("--data", type=Path, default=Path(os.environ.get("EFFNET_DATA", "/usr/share/datasets/fashion-mnist")))
    ap.add_argument("--trainspeed", required=True, help="the built bench/trainspeed")
    ap.add_argument("--json", type=Path, help="also write the rows here")
    a = ap.parse_args()

    text = subprocess.run([a.trainspeed, "-describe", f"-net={a.net}"], check=True, capture_output=True, text=True).stdout
    rows = []
    with tempfile.TemporaryDirectory() as tmp:
        spec_file = Path(tmp) / "spec.json"
        spec_file.write_text(text)
        write_batches(json.loads(text), a.batch, max(1, 4096 // a.batch), a.data, Path(tmp))
        print(f"{a.net}, batch {a.batch}: medians of {a.rounds} rounds of {a.seconds:g} s, in turns")
        print(f"{'threads':>7}  {'':20} {'images/s':>9} {'(low..high)':>17} {'effnet is':>10} {'peak MB':>8}")
        for threads in map(int, a.threads.split(",")):
            for r in compare(a, spec_file, Path(tmp), threads):
                spread = f"({r['low']:.0f}..{r['high']:.0f})"
                print(f"{threads:7}  {r['contender']:20} {r['images_per_s']:9.0f} {spread:>17} {r['effnet_ratio']:9.2f}x {r['peak_rss_mb']:8.0f}", flush=True)
                rows.append(r)
    if a.json:
        a.json.write_text(json.dumps(rows, indent=1) + "\n")


if __name__ == "__main__":
    main()
