#!/usr/bin/env python3
"""Do optuna-dashboard and TensorBoard show what a search found?

    python scripts/dashboards-check.py EXPORT REPORT.json

EXPORT is a folder of 'effnet report RUN --export', REPORT.json the output of
'effnet report RUN --json'. Starts both servers on free loopback ports, fetches
their pages and asks their HTTP APIs for every trial: its state, value, curve,
and what its network is; all must be the report's. Reads summary.csv, too.
Prints a line a program; exit status 1 if anything is missing or another.
"""
import csv
import importlib.util
import json
import os
import re
import socket
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request


def tensorboard():
    """The class that starts TensorBoard, from the check of training runs."""
    path = os.path.join(os.path.dirname(os.path.abspath(__file__)), "tensorboard-check.py")
    spec = importlib.util.spec_from_file_location("tensorboard_check", path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module.TensorBoard


class OptunaDashboard:
    def __init__(self, journal):
        with socket.socket() as s:
            s.bind(("127.0.0.1", 0))
            port = s.getsockname()[1]
        self.url = f"http://127.0.0.1:{port}"
        self.log = tempfile.TemporaryFile("w+")
        program = os.path.join(os.path.dirname(sys.executable), "optuna-dashboard")
        self.process = subprocess.Popen([program, journal, "--host", "127.0.0.1", "--port", str(port)], stdout=self.log, stderr=subprocess.STDOUT)
        until = time.time() + 120
        while True:
            try:
                self.get("/api/meta")
                return
            except (urllib.error.URLError, ConnectionError):
                if time.time() > until or self.process.poll() is not None:
                    self.log.seek(0)
                    sys.exit("optuna-dashboard did not start:\n" + self.log.read())
                time.sleep(0.2)

    def get(self, path):
        with urllib.request.urlopen(self.url + path, timeout=60) as r:
            return r.read().decode()

    def json(self, path):
        return json.loads(self.get(path))


def close(a, b, tolerance=1e-9):
    return a is not None and b is not None and abs(a - b) <= tolerance * max(1, abs(b))


def accuracy(score):
    return score["correct"] / score["total"]


def value(v):
    """An attribute's value, which the API may give as JSON text."""
    try:
        return json.loads(v) if isinstance(v, str) else v
    except ValueError:
        return v


def check_optuna(journal, report):
    networks = {n["id"]: n for n in report["networks"]}
    problems = []
    server = OptunaDashboard(journal)
    try:
        page = server.get("/dashboard")
        script = re.search(r'src="(/static/[^"]*)"', page)
        if not script or len(server.get(script.group(1))) < 10000:
            problems.append("the page or its script is empty")
        studies = server.json("/api/studies")["study_summaries"]
        if len(studies) != 1:
            problems.append(f"{len(studies)} studies, want 1")
        study = studies[0]["study_id"]
        detail = server.json(f"/api/studies/{study}")
        if [str(d).lower() for d in detail["directions"]] != ["maximize"]:
            problems.append(f"directions {detail['directions']}")
        shown = {}
        for t in detail["trials"]:
            attributes = {a["key"]: value(a["value"]) for a in t["user_attrs"]}
            shown[attributes["trial"]] = t | {"attributes": attributes, "parameters": {p["name"]: float(p["param_external_value"]) for p in t["params"]}}
        if len(shown) != len(detail["trials"]) or len(shown) != len(report["trials"]):
            problems.append(f"{len(detail['trials'])} trials with {len(shown)} names, the ledger has {len(report['trials'])}")
        best = None
        for want in report["trials"]:
            t, network = shown.get(want["id"]), networks[want["network"]]
            if t is None:
                problems.append(f"{want['id']} is not there")
                continue
            for name, key in ("depth", "depth"), ("width", "width"), ("resolution", "resolution"):
                if not close(t["parameters"].get(name), network[key]):
                    problems.append(f"{want['id']}: {name} is {t['parameters'].get(name)}, want {network[key]}")
            outcome = want.get("outcome")
            if outcome is None:
                if t["state"] != ("Fail" if want.get("error") else "Running"):
                    problems.append(f"{want['id']}: state {t['state']}, it has no outcome")
                continue
            if t["state"] != ("Pruned" if outcome.get("stopped") else "Complete"):
                problems.append(f"{want['id']}: state {t['state']}")
            if len(t["values"]) != 1 or not close(t["values"][0], accuracy(outcome["validation"])):
                problems.append(f"{want['id']}: values {t['values']}, want {accuracy(outcome['validation'])}")
            curve = {p["step"]: p["value"] for p in t["intermediate_values"]}
            for p in outcome.get("curve", []):
                if not close(curve.get(p["epoch"]), p["accuracy"]):
                    problems.append(f"{want['id']}: epoch {p['epoch']} is {curve.get(p['epoch'])}, want {p['accuracy']}")
            if "test" in outcome and not close(float(t["attributes"].get("test accuracy", "nan")), accuracy(outcome["test"]), 1e-6):
                problems.append(f"{want['id']}: test accuracy {t['attributes'].get('test accuracy')}, want {accuracy(outcome['test'])}")
            if not outcome.get("stopped") and (best is None or accuracy(outcome["validation"]) > best):
                best = accuracy(outcome["validation"])
        if best is not None and not (detail["best_trials"] and close(detail["best_trials"][0]["values"][0], best)):
            problems.append(f"the best trials are {[t.get('values') for t in detail['best_trials']]}, want {best}")
        if not detail["has_intermediate_values"]:
            problems.append("it shows no learning curves")
        table = list(csv.reader(server.get(f"/csv/{study}").splitlines()))
        if len(table) != len(report["trials"]) + 1:
            problems.append(f"its table has {len(table) - 1} rows")
    finally:
        server.process.terminate()
        server.process.wait()
    return problems, f"{len(shown)} trials of {detail['name']!r}, best {best}"


def check_tensorboard(folder, report):
    networks = {n["id"]: n for n in report["networks"]}
    problems = []
    server = tensorboard()(folder)
    try:
        if b"<html" not in server.get("/") or len(server.get("/index.js")) < 10000:
            problems.append("the page or its script is empty")
        names = {t["id"] for t in report["trials"]}
        until = time.time() + 120
        while not names <= set(server.json("/data/runs")):
            if time.time() > until:
                sys.exit(f"TensorBoard shows the runs {sorted(server.json('/data/runs'))}, want {sorted(names)}")
            time.sleep(1)
        time.sleep(3)  # the rest of what was found
        if set(server.json("/data/runs")) != names:
            problems.append(f"runs that no trial belongs to: {sorted(set(server.json('/data/runs')) - names)}")
        experiment = server.post("/data/plugin/hparams/experiment", {"experimentName": "", "includeMetrics": True})
        groups = server.post("/data/plugin/hparams/session_groups", {
            "experimentName": "", "startIndex": 0, "sliceSize": 10000,
            "allowedStatuses": ["STATUS_UNKNOWN", "STATUS_SUCCESS", "STATUS_FAILURE", "STATUS_RUNNING"],
            "colParams": [{"hparam": h["name"]} for h in experiment.get("hparamInfos", [])]
            + [{"metric": m["name"]} for m in experiment.get("metricInfos", [])],
        }).get("sessionGroups", [])
        sessions = {s["name"]: (g["hparams"], s) for g in groups for s in g["sessions"]}
        scalars = 0
        for want in report["trials"]:
            network, outcome = networks[want["network"]], want.get("outcome")
            if want["id"] not in sessions:
                problems.append(f"{want['id']} has no row of hyperparameters")
                continue
            params, session = sessions[want["id"]]
            for name in "depth", "width", "resolution":
                if not close(params.get(name), network[name]):
                    problems.append(f"{want['id']}: {name} is {params.get(name)}, want {network[name]}")
            if params.get("network") != want["network"] or not params.get("phase"):
                problems.append(f"{want['id']}: hyperparameters {params}")
            if outcome is None:
                continue
            if session.get("status") != "STATUS_SUCCESS":
                problems.append(f"{want['id']}: status {session.get('status')}")
            metrics = {m["name"]["tag"]: m["value"] for m in session.get("metricValues", [])}
            if not close(metrics.get("val/accuracy"), accuracy(outcome["validation"]), 1e-6):
                problems.append(f"{want['id']}: val/accuracy is {metrics.get('val/accuracy')}, want {accuracy(outcome['validation'])}")
            if "test" in outcome and not close(metrics.get("test/accuracy"), accuracy(outcome["test"]), 1e-6):
                problems.append(f"{want['id']}: test/accuracy is {metrics.get('test/accuracy')}, want {accuracy(outcome['test'])}")
            for tag, key in ("epoch/val_accuracy", "accuracy"), ("epoch/train_loss", "loss"):
                got = {step: v for _, step, v in server.json("/data/plugin/scalars/scalars", run=want["id"], tag=tag)}
                for p in outcome.get("curve", []):
                    scalars += 1
                    if not close(got.get(p["epoch"]), p[key], 1e-6):
                        problems.append(f"{want['id']}: {tag} of epoch {p['epoch']} is {got.get(p['epoch'])}, want {p[key]}")
    finally:
        server.process.terminate()
        server.process.wait()
    return problems, f"{len(sessions)} runs with hyperparameters, {scalars} points of curves"


def check_table(path, report):
    rows = {r["model"]: r for r in csv.DictReader(open(path, newline=""))}
    problems = []
    if len(rows) != len(report["networks"]):
        problems.append(f"{len(rows)} rows, want {len(report['networks'])}")
    for n in report["networks"]:
        r = rows.get(n["id"], {})
        for column, want in ("param_count", n["params"] / 1e6), ("infer_gmacs", n["macs"] / 1e9), ("infer_macts", n["activations"] / 1e6), ("img_size", n["resolution"]), ("top1", n.get("test_mean")), ("val_top1", n.get("validation_mean")):
            got = r.get(column) or None
            if want is None and got is not None or want is not None and not abs(float(got or "nan") - want) <= (5.1e-4 if "top1" in column else 1e-5 * want):
                problems.append(f"{n['id']}: {column} is {got}, want {want}")
    return problems, f"{len(rows)} networks"


def main():
    if len(sys.argv) != 3:
        sys.exit(__doc__)
    folder, report = sys.argv[1], json.load(open(sys.argv[2]))
    ok = True
    for name, (problems, summary) in {
        "summary.csv": check_table(os.path.join(folder, "summary.csv"), report),
        "optuna-dashboard": check_optuna(os.path.join(folder, "optuna.log"), report),
        "TensorBoard": check_tensorboard(os.path.join(folder, "tensorboard"), report),
    }.items():
        for p in problems[:10]:
            print(f"{name}: {p}")
        print(f"{'FAIL' if problems else 'ok  '} {name}: {summary}")
        ok = ok and not problems
    sys.exit(0 if ok else 1)


if __name__ == "__main__":
    main()
