"""One table of reports of 'effnet bench --json': python table.py FILE..."""

import json
import sys


def number(x):
    return f"{x:.0f}" if x >= 100 else f"{x:.1f}" if x >= 10 else f"{x:.2f}"


def main(files):
    rows, engines, machine, peaks = [], [], None, {}
    for name in files:
        with open(name) as f:
            r = json.load(f)
        machine = r["machine"]
        peaks[r["threads"]] = max(peaks.get(r["threads"], 0), r["peak_gflops"])
        others = {e["engine"]: e for e in r["engines"][1:]}
        engines += [e for e in others if e not in engines]
        rows.append((r, others))
    fastest = len(engines) > 1
    head = ["network", "pixels", "batch", "threads", "effnet ms", "GFLOP/s", "MB"]
    for e in engines:
        head += [f"{e} ms", "MB", "effnet takes"]
    lines = [head + ["of the fastest"] * fastest]
    for r, others in rows:
        line = [r["net"], r["resolution"], r["batch"], r["threads"], number(r["p50_ms"]), f"{r['gflops']:.0f}", f"{r['peak_rss_mb']:.0f}"]
        for e in engines:
            o = others.get(e)
            line += [number(o["p50_ms"]), f"{o['peak_rss_mb']:.0f}", f"{o['ratio']:.2f}"] if o else ["-"] * 3
        if fastest:
            line.append(f"{max(o['ratio'] for o in others.values()):.2f}" if others else "-")
        lines.append([str(c) for c in line])
    print(f"{machine['cpu']}, {machine['cores']} cores; " + ", ".join(f"{k} {v}" for k, v in machine["versions"].items()))
    print("multiply-adds at best: " + ", ".join(f"{peaks[t]:.0f} GFLOP/s with {t} thread(s)" for t in sorted(peaks)))
    width = [max(len(line[i]) for line in lines) for i in range(len(lines[0]))]
    for line in lines:
        print("  ".join(c.rjust(w) if i else c.ljust(w) for i, (c, w) in enumerate(zip(line, width))))


if __name__ == "__main__":
    main(sys.argv[1:])
