#!/usr/bin/env python3
"""Does TensorBoard itself show what run folders hold?

    python scripts/tensorboard-check.py RUN...

Starts TensorBoard on a free loopback port over the folder that the RUNs lie in,
asks its HTTP API for scalars, hyperparameters and images, and compares: every
number of metrics.jsonl is a scalar at its step, every value of the recipe a
hyperparameter with its session's status, and the image is a PNG with more than
one colour. Prints a line a run; exit status 1 if anything is missing or another.
"""
import argparse
import io
import json
import os
import subprocess
import sys
import tempfile
import time
import urllib.parse
import urllib.request

import yaml
from PIL import Image


def numbers(run):
    """(tag, step, value) of every number of metrics.jsonl."""
    for line in open(os.path.join(run, "metrics.jsonl")):
        r = json.loads(line)
        for k, v in r.items():
            if k not in ("type", "step", "epoch", "elapsed_s") and isinstance(v, (int, float)):
                yield f"{r['type']}/{k}", r["step"], v


class TensorBoard:
    def __init__(self, logdir):
        self.log = tempfile.TemporaryFile("w+")
        self.process = subprocess.Popen(
            [sys.executable, "-m", "tensorboard.main", "--logdir", logdir, "--host", "127.0.0.1", "--port", "0",
             "--samples_per_plugin", "scalars=100000", "--reload_interval", "1"],
            stdout=self.log, stderr=subprocess.STDOUT)
        until = time.time() + 120
        while True:
            self.log.seek(0)
            text = self.log.read()
            if "http://" in text:
                break
            if time.time() > until or self.process.poll() is not None:
                sys.exit("TensorBoard did not start:\n" + text)
            time.sleep(0.2)
        self.url = text[text.index("http://"):].split()[0].rstrip("/")

    def get(self, path, **query):
        if query:
            path += "?" + urllib.parse.urlencode(query)
        with urllib.request.urlopen(self.url + path, timeout=60) as r:
            return r.read()

    def json(self, path, **query):
        return json.loads(self.get(path, **query))

    def post(self, path, body):
        r = urllib.request.Request(self.url + path, json.dumps(body).encode(), {"Content-Type": "application/json"})
        with urllib.request.urlopen(r, timeout=60) as f:
            return json.loads(f.read())


def check(tb, run, sessions):
    name = os.path.basename(os.path.normpath(run))
    problems = []
    want = list(numbers(run))
    shown = {}
    for tag in sorted({t for t, _, _ in want}):
        shown.update({(tag, step): v for _, step, v in tb.json("/data/plugin/scalars/scalars", run=name, tag=tag)})
    for tag, step, v in want:
        got = shown.pop((tag, step), None)
        if got is None or abs(got - v) > 1e-6 * abs(v):
            problems.append(f"{tag} at step {step} is {got}, metrics.jsonl has {v}")
    problems += [f"{tag} at step {step} is not in metrics.jsonl" for tag, step in shown]

    recipe = yaml.safe_load(open(os.path.join(run, "config.yaml")))["recipe"]
    recipe["recipe"] = recipe.pop("name")
    session = sessions.get(name)
    if session is None:
        problems.append("there is no session of hyperparameters")
        session = {"hparams": {}, "status": None, "metrics": 0}
    for k, v in recipe.items():
        if isinstance(v, (bool, int, float, str)) and session["hparams"].get(k) != v:
            problems.append(f"hyperparameter {k} is {session['hparams'].get(k)}, config.yaml has {v}")
    ended = {"model.safetensors": "STATUS_SUCCESS", "diverged.json": "STATUS_FAILURE"}
    for file, status in ended.items():
        if os.path.exists(os.path.join(run, file)) and session["status"] != status:
            problems.append(f"the session's status is {session['status']}, want {status}")

    size = None
    for i in tb.json("/data/plugin/images/images", run=name, tag="train/first_batch", sample=0):
        image = Image.open(io.BytesIO(tb.get("/data/plugin/images/individualImage?" + i["query"])))
        size, colours = image.size, image.convert("RGB").getcolors(1 << 24)
        if len(colours) < 2:
            problems.append("the image has one colour")
    if size is None:
        problems.append("there is no image")
    for p in problems[:10]:
        print(f"{name}: {p}")
    print(f"{'FAIL' if problems else 'ok  '} {name}: {len(want)} scalars, {len(session['hparams'])} hyperparameters, "
          f"{session['metrics']} metrics in its row, {session['status']}, image {size}")
    return not problems


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("runs", nargs="+", metavar="RUN")
    runs = parser.parse_args().runs
    parents = {os.path.dirname(os.path.abspath(r)) for r in runs}
    if len(parents) != 1:
        sys.exit("the runs must lie in one folder")
    tb = TensorBoard(parents.pop())
    try:
        names = {os.path.basename(os.path.normpath(r)) for r in runs}
        until = time.time() + 120
        while not names <= set(tb.json("/data/runs")):
            if time.time() > until:
                sys.exit(f"TensorBoard shows the runs {sorted(tb.json('/data/runs'))}, want {sorted(names)}")
            time.sleep(1)
        time.sleep(3)  # the rest of what was found
        experiment = tb.post("/data/plugin/hparams/experiment", {"experimentName": "", "includeMetrics": True})
        request = {
            "experimentName": "", "startIndex": 0, "sliceSize": 1000,
            "allowedStatuses": ["STATUS_UNKNOWN", "STATUS_SUCCESS", "STATUS_FAILURE", "STATUS_RUNNING"],
            "colParams": [{"hparam": h["name"]} for h in experiment.get("hparamInfos", [])]
            + [{"metric": m["name"]} for m in experiment.get("metricInfos", [])],
        }
        sessions = {}
        for group in tb.post("/data/plugin/hparams/session_groups", request).get("sessionGroups", []):
            for s in group["sessions"]:
                sessions[s["name"]] = {"hparams": group["hparams"], "status": s.get("status"), "metrics": len(s.get("metricValues", []))}
        # every run, also after one that fails
        ok = all([check(tb, r, sessions) for r in runs])
    finally:
        tb.process.terminate()
        tb.process.wait()
    sys.exit(0 if ok else 1)


if __name__ == "__main__":
    main()
