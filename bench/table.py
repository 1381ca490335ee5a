"""One table of reports of 'effnet bench --json': python table.py FILE..."""

import json
import sys


def number(x):
    return f"{x:.0f}" if x >= 100 else f"{x:.1f}" if x >= 10 else f"{x:.2f}"


def inference(reports, engines):
    """Times, and effnet's over each engine's."""
    fastest = len(engines) > 1
    head = ["network", "pixels", "batch", "threads", "effnet ms", "GFLOP/s", "MB"]
    for e in engines:
        head += [f"{e} ms", "MB", "effnet takes"]
    lines = [head + ["of the fastest"] * fastest]
    for r, others in reports:
        line = [r["net"], r["resolution"], r["batch"], r["threads"], number(r["p50_ms"]), f"{r['gflops']:.0f}", f"{r['peak_rss_mb']:.0f}"]
        for e in engines:
            o = others.get(e)
            line += [number(o["p50_ms"]), f"{o['peak_rss_mb']:.0f}", f"{o['ratio']:.2f}"] if o else ["-"] * 3
        if fastest:
            line.append(f"{max(o['ratio'] for o in others.values()):.2f}" if others else "-")
        lines.append(line)
    return lines


def training(reports, engines):
    """Rates, and how many times that of each engine effnet's is.

    "x best" is beside the fastest of the others, "MB/best" its memory and "MB/least" the leanest's.
    """
    single, engines = "effnet-1", [e for e in engines if e != "effnet-1"]
    head = ["network", "pixels", "batch", "threads", "effnet img/s", "GFLOP/s", "MB"]
    for e in engines:
        head += [f"{e} img/s", "MB", "x"]
    lines = [head + ["fastest other", "x best", "MB/best", "MB/least", "x 1 thread"]]
    for r, others in reports:
        one = others.get(single)
        others = {e: o for e, o in others.items() if e != single}
        failed = {f["engine"] for f in r.get("failed", [])}
        line = [r["net"], r["resolution"], r["batch"], r["threads"], number(r["images_per_s"]), f"{r['gflops']:.0f}", f"{r['peak_rss_mb']:.0f}"]
        for e in engines:
            o = others.get(e)
            line += [number(o["images_per_s"]), f"{o['peak_rss_mb']:.0f}", f"{1 / o['ratio']:.2f}"] if o else ["failed" if e in failed else "-", "-", "-"]
        if others:
            name, best = max(others.items(), key=lambda item: item[1]["ratio"])
            least = min(o["peak_rss_mb"] for o in others.values())
            line += [name, f"{1 / best['ratio']:.2f}", f"{r['peak_rss_mb'] / best['peak_rss_mb']:.2f}", f"{r['peak_rss_mb'] / least:.2f}"]
        else:
            line += ["-"] * 4
        lines.append(line + [f"{1 / one['ratio']:.2f}" if one else "-"])
    return lines


def main(files):
    reports, engines, versions, machine, peaks = [], [], {}, None, {}
    for name in files:
        with open(name) as f:
            r = json.load(f)
        machine = r["machine"]
        versions |= machine["versions"]
        peaks[r["threads"]] = max(peaks.get(r["threads"], 0), r["peak_gflops"])
        others = {e["engine"]: e for e in r["engines"][1:]}
        engines += [e for e in [*others, *(f["engine"] for f in r.get("failed", []))] if e not in engines]
        reports.append((r, others))
    print(f"{machine['cpu']}, {machine['cores']} cores; " + ", ".join(f"{k} {v}" for k, v in versions.items()))
    print("multiply-adds at best: " + ", ".join(f"{peaks[t]:.0f} GFLOP/s with {t} thread(s)" for t in sorted(peaks)))
    trains = any("optimizer" in r for r, _ in reports)
    lines = [[str(c) for c in line] for line in (training if trains else inference)(reports, engines)]
    width = [max(len(line[i]) for line in lines) for i in range(len(lines[0]))]
    for line in lines:
        print("  ".join(c.rjust(w) if i else c.ljust(w) for i, (c, w) in enumerate(zip(line, width))))
    for r, _ in reports:
        for f in r.get("failed", []):
            print(f"{r['net']}, batch {r['batch']}, {r['threads']} thread(s): {f['engine']} failed: {f['error']}")


if __name__ == "__main__":
    main(sys.argv[1:])
