"""Trains with effnet and with PyTorch, seed by seed, and compares the results.

    python accuracy.py EFFNET OUT IDX_FOLDER SEEDS THREADS -- FLAG...

FLAGs go to 'effnet train', whose run folders are OUT/seed-N; PyTorch then does
what they say (train_torch.py). Prints a table of test accuracy, time of
training, processor time and peak memory of the whole process.
"""

import json
import os
import shutil
import statistics
import subprocess
import sys
import time

HERE = os.path.dirname(os.path.abspath(__file__))


def measured(command, environment):
    """The output of a program, its processor time in s, and the most memory it held in MB."""
    began = time.perf_counter()
    child = subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=environment)
    text = child.stdout.read()
    _, status, used = os.wait4(child.pid, 0)
    child.returncode = os.waitstatus_to_exitcode(status)
    if child.returncode:
        sys.exit(f"accuracy: {command[0]} {command[1]} failed: exit status {child.returncode}")
    return dict(json.loads(text), wall_s=time.perf_counter() - began, cpu_s=used.ru_utime + used.ru_stime, peak_mb=used.ru_maxrss * 1024 / 1e6)


def summary(values, digits):
    mean = f"{statistics.mean(values):.{digits}f}"
    return f"{mean} ± {statistics.stdev(values):.{digits}f}" if len(values) > 1 else mean


def main():
    split = sys.argv.index("--")
    effnet, out, data, seeds, threads = sys.argv[1:split]
    flags, seeds = sys.argv[split + 1 :], [int(s) for s in seeds.split(",")]
    # What tunes OpenBLAS for other machines than this one reaches neither.
    environment = {k: v for k, v in os.environ.items() if k not in ("OPENBLAS_CORETYPE", "OPENBLAS_L2_SIZE")}
    results = dict(effnet=[], torch=[])
    for seed in seeds:
        run = os.path.join(out, f"seed-{seed}")
        shutil.rmtree(run, ignore_errors=True)
        print(f"effnet, seed {seed}", file=sys.stderr, flush=True)
        results["effnet"].append(measured(
            [effnet, "train", *flags, "--data", data, "--validation", "0", "--seed", str(seed), "--threads", threads, "--out", run, "--json"], environment))
        print(f"PyTorch, seed {seed}", file=sys.stderr, flush=True)
        results["torch"].append(measured([sys.executable, os.path.join(HERE, "train_torch.py"), run, data, "--threads", threads], environment))
        with open(os.path.join(out, "results.json.part"), "w") as f:
            json.dump(results, f, indent=1)
        os.replace(os.path.join(out, "results.json.part"), os.path.join(out, "results.json"))
    print(f"{len(seeds)} seeds, {threads} thread(s), {' '.join(flags)}: mean ± standard deviation")
    lines = [["", "test accuracy, %", "each", "test loss", "training s", "processor s", "peak MB"]]
    for name, list_ in results.items():
        accuracy = [100 * r["test"]["accuracy"] for r in list_]
        lines.append([
            {"torch": "PyTorch"}.get(name, name), summary(accuracy, 2), " ".join(f"{a:.2f}" for a in accuracy), summary([r["test"]["loss"] for r in list_], 4),
            summary([r["seconds"] for r in list_], 1), summary([r["cpu_s"] for r in list_], 1), f"{max(r['peak_mb'] for r in list_):.0f}",
        ])
    width = [max(len(line[i]) for line in lines) for i in range(len(lines[0]))]
    for line in lines:
        print("  ".join(c.rjust(w) if i else c.ljust(w) for i, (c, w) in enumerate(zip(line, width))))


if __name__ == "__main__":
    main()
