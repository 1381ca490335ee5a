"""Do other engines load an exported file and answer alike?

    effnet export MODEL -o model.onnx
    effnet run MODEL --input x.npy --output y.npy
    python scripts/onnx_check.py model.onnx x.npy y.npy

Checks the file by onnx.checker (with shape inference), runs it on x.npy
[N,C,H,W] with onnxruntime and OpenVINO, once as a batch and once image by
image, and compares the logits with y.npy: the largest difference over the
largest logit. Exit status 1 if one is above 1e-4, or above a third argument.
"""

import json
import sys

import numpy as np
import onnx


def onnxruntime_logits(path, batches):
    import onnxruntime as ort

    s = ort.InferenceSession(path, providers=["CPUExecutionProvider"])
    return np.concatenate([s.run(["logits"], {"input": x})[0] for x in batches])


def openvino_logits(path, batches):
    import openvino as ov

    net = ov.Core().compile_model(path, "CPU", {"INFERENCE_PRECISION_HINT": "f32"})
    return np.concatenate([net({"input": x})["logits"] for x in batches])


def main(path, inputs, logits, limit="1e-4"):
    model = onnx.load(path)
    onnx.checker.check_model(model, full_check=True)
    meta = {p.key: p.value for p in model.metadata_props}
    ops = {}
    for node in model.graph.node:
        ops[node.op_type] = ops.get(node.op_type, 0) + 1
    print(f"{path}: IR {model.ir_version}, opset {model.opset_import[0].version}, metadata {', '.join(meta)}")
    print("  ops:", ", ".join(f"{k} {v}" for k, v in sorted(ops.items())))
    if "effnet.preprocessing" in meta:
        print("  preprocessing:", json.loads(meta["effnet.preprocessing"]))
    x, want = np.load(inputs).astype(np.float32), np.load(logits)
    worst = 0
    for name, run in [("onnxruntime", onnxruntime_logits), ("openvino", openvino_logits)]:
        for how, batches in [("batch", [x]), ("one by one", [x[i : i + 1] for i in range(len(x))])]:
            got = run(path, batches)
            assert got.shape == want.shape, (got.shape, want.shape)
            diff = np.abs(got - want).max() / np.abs(want).max()
            same = (got.argmax(1) == want.argmax(1)).mean()
            print(f"  {name:12} {how:10}  largest difference {diff:.2e}  same class {same:.0%}")
            worst = max(worst, diff)
    if not worst <= float(limit):
        sys.exit(f"{path}: {worst:.2e} is above {limit}")


if __name__ == "__main__":
    main(*sys.argv[1:])
