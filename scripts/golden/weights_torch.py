"""Small files of torch.save, and what is in them: python weights_torch.py FOLDER

Each NAME.pt has its values beside it in NAME.json, {"tensor": [shape, values]},
as torch.load reads them. The folder is weights/testdata/torch.
"""

import argparse
import io
import json
import sys
import zipfile
from collections import OrderedDict
from pathlib import Path

import torch
from torch import nn


def seq(*shape, dtype=torch.float32):
    n = 1
    for d in shape:
        n *= d
    return ((torch.arange(n, dtype=torch.float64) * 37 % 101 - 50) / 8).to(dtype).reshape(shape)


def layouts():
    """Views of every kind: permuted, sliced, shared, expanded, empty, scalar."""
    base = seq(4, 6)
    conv = seq(3, 3, 2, 5)  # [k, k, in, out], TensorFlow's order
    return OrderedDict(
        plain=base,
        column=base[:, 2],
        rows=base[1:3],
        steps=base[::2, 1::3],
        transposed=base.t(),
        conv=conv.permute(3, 2, 0, 1),
        channels_last=seq(2, 3, 4, 5).contiguous(memory_format=torch.channels_last),
        expanded=seq(1, 3).expand(4, 3),
        ones=seq(1, 1, 7)[:, :, ::3],
        scalar=torch.tensor(2.5),
        empty=torch.zeros(3, 0),
    )


def types():
    return {
        name: seq(2, 3, dtype=getattr(torch, name))
        for name in ["float32", "float16", "bfloat16", "float64", "int64", "int32", "int16"]
    }


def module():
    torch.manual_seed(1)
    m = nn.Sequential(nn.Conv2d(1, 2, 3, bias=False), nn.BatchNorm2d(2))
    m[1].running_mean += 0.25
    return m


def checkpoint():
    """What a training script keeps: settings, an optimiser, two sets of weights."""
    m = module()
    opt = torch.optim.SGD(m.parameters(), lr=0.1, momentum=0.9)
    m(torch.ones(1, 1, 5, 5)).sum().backward()
    opt.step()
    ema = OrderedDict(("module." + k, v * 2) for k, v in m.state_dict().items())
    return dict(
        epoch=3, arch="some_net", args=argparse.Namespace(lr=0.1, opt="sgd"), best_acc1=torch.tensor(71.5),
        state_dict=m.state_dict(), state_dict_ema=ema, optimizer=opt.state_dict(), seen={1, 2}, device=torch.device("cpu"),
        dtype=torch.float16, size=torch.Size([2, 3]), big=1 << 80, note=b"raw", metric=-1.5, done=False, none=None,
    )


def main(folder):
    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    m = module()
    files = dict(
        layouts=layouts(), types=types(), module=m.state_dict(), checkpoint=checkpoint(),
        parameters=dict(m.named_parameters()),
        wrapped={"model": {"module._orig_mod." + k: v for k, v in m.state_dict().items()}},
        many=OrderedDict((f"layer{i}.weight", seq(1)) for i in range(60)),
    )
    for name, value in files.items():
        shown = value
        for key in ["model", "state_dict_ema", "state_dict"]:
            shown = shown.get(key, shown) if isinstance(shown, dict) else shown
        shown = {k.removeprefix("module.").removeprefix("_orig_mod."): v for k, v in shown.items() if "num_batches" not in k}
        text = json.dumps({k: [list(v.shape), v.detach().to(torch.float64).flatten().tolist()] for k, v in shown.items()})
        (folder / f"{name}.json").write_text(text + "\n")
        torch.save(value, folder / f"{name}_zip.pt")
        torch.save(value, folder / f"{name}_legacy.pt", _use_new_zipfile_serialization=False)
    torch.save(layouts(), folder / "layouts_protocol4.pt", pickle_protocol=4)
    torch.save(layouts(), folder / "layouts_legacy5.pt", pickle_protocol=5, _use_new_zipfile_serialization=False)
    torch.serialization.set_crc32_options(False)
    torch.save(layouts(), folder / "layouts_nocrc.pt")
    torch.serialization.set_crc32_options(True)
    # What is refused: a whole model, a program.
    torch.save(m, folder / "refused_model.pt")
    program = io.BytesIO()
    torch.jit.save(torch.jit.script(m), program)
    with zipfile.ZipFile(program) as src, zipfile.ZipFile(folder / "refused_script.pt", "w") as dst:
        for entry in src.infolist():
            if not entry.filename.endswith(".debug_pkl"):  # where this machine keeps PyTorch
                dst.writestr(entry.filename, src.read(entry))


if __name__ == "__main__":
    main(*sys.argv[1:])
