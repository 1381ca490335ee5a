"""The other engines of 'effnet bench': python bench_peer.py JOB.json

The job says what to do. With "start" the program classifies one image and
prints {"class": N}. Otherwise it loads the network, writes the logits of the
input, says hello with one line of JSON, and then answers lines on stdin:

  run SECONDS    {"times_ms": [...], "peak_rss_mb": N}
  losses STEPS   {"losses": [...]}, in training only
  state 0        {}, in training only: the weights and running statistics of
                 now and the logits of the first batch with them are written

{"missing": MODULE} in place of the hello names a module that is not installed.
"""

import json
import os
import sys
import time

# What libraries print goes to stderr, stdout is for answers.
ANSWERS = os.fdopen(os.dup(1), "w")
os.dup2(2, 1)


def say(answer):
    ANSWERS.write(json.dumps(answer) + "\n")
    ANSWERS.flush()


def peak_rss_mb():
    try:
        with open("/proc/self/status") as f:
            for line in f:
                if line.startswith("VmHWM:"):
                    return int(line.split()[1]) * 1024 / 1e6
    except OSError:
        pass
    return 0


def time_runs(run, seconds):
    """Times of runs in ms; those in the first tenth of the time do not count."""
    times, begin = [], time.perf_counter()
    while True:
        start = time.perf_counter()
        run()
        end = time.perf_counter()
        if start - begin >= seconds / 10 or end - start >= seconds:
            times.append(max(end - start, 1e-9) * 1e3)
            if end - begin >= seconds:
                return dict(times_ms=times, peak_rss_mb=peak_rss_mb())


# Engines: load(job, shape) gives a function from the input [N,C,H,W] to one
# that runs the network on it and returns logits [N,classes].


def onnxruntime_engine(job, shape):
    import onnxruntime as ort

    options = ort.SessionOptions()
    options.intra_op_num_threads, options.inter_op_num_threads = job["threads"], 1
    session = ort.InferenceSession(job["onnx"], options, providers=["CPUExecutionProvider"])
    return ort.__version__, lambda x: lambda: session.run(["logits"], {"input": x})[0]


def openvino_engine(job, shape):
    import openvino as ov

    core = ov.Core()
    model = core.read_model(job["onnx"])
    model.reshape({"input": list(shape)})
    compiled = core.compile_model(model, "CPU", {
        "INFERENCE_NUM_THREADS": job["threads"],
        "NUM_STREAMS": 1,
        "INFERENCE_PRECISION_HINT": "f32",
    })
    request = compiled.create_infer_request()

    def on(x):
        request.set_input_tensor(ov.Tensor(x, shared_memory=True))

        def run():
            request.infer()
            return request.get_output_tensor().data

        return run

    return ov.__version__.split("-")[0], on


def torch_engine(job, shape):
    import torch

    net = torch_net(job).eval()
    layout = torch_layout(job)
    net = net.to(memory_format=layout)
    if job["engine"] == "torch-compile":
        net = torch.compile(net)

    def on(x):
        x = laid_out(torch.from_numpy(x), layout)

        def run():
            with torch.inference_mode():
                return net(x).numpy()

        return run

    return torch.__version__, on


ENGINES = {
    "onnxruntime": onnxruntime_engine,
    "openvino": openvino_engine,
    "torch": torch_engine,
    "torch-eager": torch_engine,
    "torch-compile": torch_engine,
}


def torch_layout(job):
    import torch

    return torch.contiguous_format if job["engine"] in ("torch-eager", "torch-float64") else torch.channels_last


def laid_out(x, layout):
    # A tensor of one channel counts as channels_last already, so that
    # contiguous(memory_format=...) would leave strides that convolutions take
    # for NCHW; a copy into a fresh tensor has the right ones.
    import torch

    return torch.empty(x.shape, dtype=x.dtype, memory_format=layout).copy_(x)


def torch_net(job):
    """The network as timm has it, with the job's weights."""
    import torch

    torch.set_num_threads(job["threads"])
    torch.set_num_interop_threads(1)
    import timm
    from safetensors.torch import load_file

    net = job["net"]
    if timm.is_model(net["name"]):
        made = timm.create_model(net["name"], num_classes=net["classes"], in_chans=net["channels"], drop_rate=0.0)
    else:
        made = timm_from_rows(net)
    made.load_state_dict(load_file(job["model"]))
    return made


def timm_from_rows(net):
    from functools import partial

    from timm.layers import get_act_layer
    from timm.models._efficientnet_blocks import SqueezeExcite
    from timm.models._efficientnet_builder import decode_arch_def, round_channels
    from timm.models.efficientnet import EfficientNet
    from torch import nn

    se = net["se"]
    if net["stages"][0].startswith("b") or se["from_expanded"]:
        raise ValueError("a ResNet or MobileNetV3 that timm does not have by name cannot be built for torch")
    made = EfficientNet(
        decode_arch_def([[row] for row in net["stages"]]),
        num_classes=net["classes"],
        num_features=net["head"],
        in_chans=net["channels"],
        stem_size=net["stem"],
        stem_kernel_size=net["stem_kernel"],
        pad_type="same" if net["padding"] == "same" else "",
        act_layer=get_act_layer(net["act"]),
        norm_layer=partial(nn.BatchNorm2d, eps=net["eps"], momentum=net["momentum"]),
        se_layer=partial(
            SqueezeExcite,
            gate_layer=se["gate"] or "sigmoid",
            force_act_layer=get_act_layer(se["act"]) if se["act"] else None,
            rd_round_fn=partial(round_channels, divisor=se["divisor"]) if se["divisor"] > 1 else None,
        ),
        round_chs_fn=int,  # widths are as the rows say, whatever their divisor
        drop_rate=0.0,
        drop_path_rate=0.0,
    )
    made.conv_stem.stride = (net["stem_stride"],) * 2
    return made


def infer(job):
    import numpy as np

    x = np.load(job["input"])
    version, on = ENGINES[job["engine"]](job, x.shape)
    run = on(x)
    np.save(job["output"], np.asarray(run(), dtype=np.float32))
    say(dict(version=version))
    answer(dict(run=lambda seconds: time_runs(run, seconds)))


def train(job):
    import numpy as np
    import torch
    from safetensors.torch import save_file
    from torch import nn

    net = torch_net(job).train()
    layout, kind = torch_layout(job), torch.float64 if job["engine"] == "torch-float64" else torch.float32
    net = net.to(dtype=kind, memory_format=layout)
    forward = torch.compile(net) if job["engine"] == "torch-compile" else net
    optimizer = torch_optimizer(net, job["train"])
    criterion = nn.CrossEntropyLoss(label_smoothing=job["train"]["label_smoothing"])
    x, n = np.load(job["input"]), job["batch"]
    y = torch.from_numpy(np.load(job["train"]["labels"])).long()
    batches = [(laid_out(torch.from_numpy(x[i : i + n]).to(kind), layout), y[i : i + n]) for i in range(0, len(x), n)]
    del x
    step = 0

    def next_step():
        nonlocal step
        images, labels = batches[step % len(batches)]
        step += 1
        optimizer.zero_grad(set_to_none=True)
        loss = criterion(forward(images), labels)
        loss.backward()
        optimizer.step()
        return loss.item()

    def write_state():
        tensors = {k: v.to(torch.float32).contiguous() for k, v in net.state_dict().items() if v.is_floating_point()}
        save_file(tensors, job["weights"])
        net.eval()
        with torch.inference_mode():
            logits = net(batches[0][0])
        net.train()
        np.save(job["output"], logits.to(torch.float32).numpy())
        return {}

    say(dict(version=torch.__version__, params=sum(p.numel() for p in net.parameters())))
    answer(dict(
        run=lambda seconds: time_runs(next_step, seconds),
        losses=lambda steps: dict(losses=[next_step() for _ in range(int(steps))]),
        state=lambda _: write_state(),
    ))


def torch_optimizer(net, how):
    """Weight decay reaches all but batch norm, as in the code of EfficientNet; by another rule no bias either."""
    import torch
    from timm.optim import RMSpropTF
    from torch import nn

    o = how["optimizer"]
    spared = {id(p) for m in net.modules() if isinstance(m, nn.BatchNorm2d) for p in m.parameters()}
    if o["Decay"] != "all":
        spared |= {id(p) for k, p in net.named_parameters() if k.endswith("bias")}
    groups = [
        dict(params=[p for p in net.parameters() if id(p) not in spared], weight_decay=o["WeightDecay"]),
        dict(params=[p for p in net.parameters() if id(p) in spared], weight_decay=0.0),
    ]
    lr = how["lr"]
    if o["Kind"] == "rmsprop-tf":
        return RMSpropTF(groups, lr=lr, alpha=o["Alpha"], eps=o["Eps"], momentum=o["Momentum"])
    if o["Kind"] == "sgd":
        return torch.optim.SGD(groups, lr=lr, momentum=o["Momentum"])
    return torch.optim.AdamW(groups, lr=lr, betas=(o["Beta1"], o["Beta2"]), eps=o["Eps"])


def start(job):
    import numpy as np
    from PIL import Image, ImageOps

    prep, channels = job["start"]["prep"], job["net"]["channels"]
    size, resize = prep["size"], prep["resize"]
    shape = (1, channels, size, size)
    version, on = ENGINES[job["engine"]](job, shape)
    im = ImageOps.exif_transpose(Image.open(job["start"]["image"])).convert("RGB" if channels == 3 else "L")
    w, h = (resize, resize) if prep["squash"] else (
        (resize, int(resize * im.height / im.width)) if im.width <= im.height else (int(resize * im.width / im.height), resize)
    )
    im = im.resize((w, h), Image.Resampling.BILINEAR if prep["filter"] == "bilinear" else Image.Resampling.BICUBIC)
    left, top = round((w - size) / 2), round((h - size) / 2)
    im = im.crop((left, top, left + size, top + size))
    x = np.asarray(im, dtype=np.float32).reshape(size, size, channels) / 255
    x = (x - np.float32(prep["mean"])) / np.float32(prep["std"])
    x = np.ascontiguousarray(x.transpose(2, 0, 1)[None])
    say({"class": int(np.argmax(on(x)())), "version": version})


def answer(commands):
    for line in sys.stdin:
        name, number = line.split()
        say(commands[name](float(number)))


def main():
    with open(sys.argv[1]) as f:
        job = json.load(f)
    try:
        if job.get("start"):
            start(job)
        elif job.get("train"):
            train(job)
        else:
            infer(job)
    except ModuleNotFoundError as e:
        say(dict(missing=e.name))
    except KeyboardInterrupt:
        sys.exit(130)
    except Exception as e:  # one line for whoever started this
        say(dict(error=f"{type(e).__name__}: {e}"))
        sys.exit(1)


if __name__ == "__main__":
    main()
