"""A classifier behind HTTP, as one would write it in Python: python serve_peer.py JOB.json

Starlette under uvicorn (uvloop, httptools); a JPEG as the body of POST
/v1/classify, its most probable classes as JSON. GET /ready answers with the
process's id. The job names the ONNX file, the engine (ort or openvino), the
decoder (pillow or cv2), and how requests meet the engine:

  batch    one engine with all threads; pictures that have come while it ran
           are run together, at most max_batch; decoding has threads of its own
  streams  as many threads as the engine would have, each of which decodes and
           runs a picture by itself, on an engine of one thread
  workers  as many processes, each of which decodes and runs one picture at a
           time

Pillow prepares pictures as effnet does, to the same pixels. OpenCV is quicker:
it averages areas where the others filter, so that its answers differ a little.
"""

import asyncio
import io
import json
import os
import sys
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import uvicorn
from starlette.applications import Starlette
from starlette.responses import JSONResponse
from starlette.routing import Route

with open(os.environ.get("SERVE_PEER_JOB") or sys.argv[1]) as f:
    JOB = json.load(f)
THREADS, MODE, SIZE = JOB["threads"], JOB["mode"], JOB["size"]
MEAN = np.float32(JOB["mean"]).reshape(3, 1, 1) * 255
SCALE = 1 / (np.float32(JOB["std"]).reshape(3, 1, 1) * 255)


def fit(width, height):
    """The size to which a picture is resized, and where its middle is cut."""
    short = JOB["resize"]
    w, h = (short, int(short * height / width)) if width <= height else (int(short * width / height), short)
    return w, h, round((w - SIZE) / 2), round((h - SIZE) / 2)


def with_pillow(data):
    from PIL import Image

    im = Image.open(io.BytesIO(data)).convert("RGB")
    w, h, left, top = fit(*im.size)
    filter = Image.Resampling.BILINEAR if JOB["filter"] == "bilinear" else Image.Resampling.BICUBIC
    return np.asarray(im.resize((w, h), filter).crop((left, top, left + SIZE, top + SIZE)))


def with_cv2(data):
    import cv2

    im = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_COLOR_RGB)
    if im is None:
        raise ValueError("no image")
    h, w = im.shape[:2]
    to_w, to_h, left, top = fit(w, h)
    im = cv2.resize(im, (to_w, to_h), interpolation=cv2.INTER_AREA if to_w < w else cv2.INTER_CUBIC)
    return im[top : top + SIZE, left : left + SIZE]


DECODE = dict(pillow=with_pillow, cv2=with_cv2)[JOB["decoder"]]


def prepare(data):
    x = DECODE(data).transpose(2, 0, 1).astype(np.float32, order="C")
    x -= MEAN
    x *= SCALE
    return x


def ort_engine(threads, streams):
    import onnxruntime as ort

    options = ort.SessionOptions()
    options.intra_op_num_threads, options.inter_op_num_threads = threads, 1
    session = ort.InferenceSession(JOB["onnx"], options, providers=["CPUExecutionProvider"])
    return lambda x: session.run(["logits"], {"input": x})[0]


def openvino_engine(threads, streams):
    import threading

    import openvino as ov

    core = ov.Core()
    model = core.read_model(JOB["onnx"])
    if MODE != "batch":
        model.reshape({"input": [1, 3, SIZE, SIZE]})
    compiled = core.compile_model(model, "CPU", {
        "INFERENCE_NUM_THREADS": threads * streams,
        "NUM_STREAMS": streams,
        "INFERENCE_PRECISION_HINT": "f32",
    })
    here = threading.local()

    def run(x):
        if not hasattr(here, "request"):
            here.request = compiled.create_infer_request()
        here.request.set_input_tensor(ov.Tensor(x, shared_memory=True))
        here.request.infer()
        return here.request.get_output_tensor().data.copy()

    return run


class Direct:
    """A thread takes a picture from its bytes to its logits."""

    def __init__(self, streams):
        self.run = ENGINE(1, streams)
        self.pool = ThreadPoolExecutor(streams)
        self.run(np.zeros((1, 3, SIZE, SIZE), np.float32))

    async def start(self):
        pass

    async def logits(self, data):
        return await asyncio.get_running_loop().run_in_executor(self.pool, lambda: self.run(prepare(data)[None])[0])


class Batched:
    """Pictures are decoded by a pool and run together by one thread."""

    def __init__(self):
        self.run = ENGINE(THREADS, 1)
        self.decoders, self.runner = ThreadPoolExecutor(THREADS), ThreadPoolExecutor(1)
        for n in range(1, JOB["max_batch"] + 1):
            self.run(np.zeros((n, 3, SIZE, SIZE), np.float32))

    async def start(self):
        self.waiting = asyncio.Queue()
        self.loop = asyncio.create_task(self.batches())

    async def batches(self):
        loop = asyncio.get_running_loop()
        while True:
            batch = [await self.waiting.get()]
            while len(batch) < JOB["max_batch"] and not self.waiting.empty():
                batch.append(self.waiting.get_nowait())
            try:
                y = await loop.run_in_executor(self.runner, lambda: self.run(np.stack([x for x, _ in batch])))
            except Exception as e:
                for _, done in batch:
                    done.set_exception(e)
                continue
            for row, (_, done) in zip(y, batch):
                if not done.done():
                    done.set_result(row)

    async def logits(self, data):
        loop = asyncio.get_running_loop()
        x = await loop.run_in_executor(self.decoders, prepare, data)
        done = loop.create_future()
        self.waiting.put_nowait((x, done))
        return await done


async def classify(request):
    data = await request.body()
    top = int(request.query_params.get("top", 5))
    try:
        y = await PATH.logits(data)
    except (OSError, ValueError) as e:
        return JSONResponse(dict(error=str(e)), 400)
    p = np.exp(y - y.max())
    p /= p.sum()
    best = np.argpartition(p, -top)[-top:]
    best = best[np.argsort(-p[best])]
    return JSONResponse(dict(results=[dict(predictions=[{"class": int(i), "probability": float(p[i])} for i in best])]))


async def ready(request):
    return JSONResponse(dict(pid=os.getpid()))


class Lifespan:
    def __init__(self, app):
        pass

    async def __aenter__(self):
        global PATH
        PATH = Batched() if MODE == "batch" else Direct(THREADS if MODE == "streams" else 1)
        await PATH.start()

    async def __aexit__(self, *_):
        pass


ENGINE = dict(ort=ort_engine, openvino=openvino_engine)[JOB["engine"]]
app = Starlette(routes=[Route("/v1/classify", classify, methods=["POST"]), Route("/ready", ready)], lifespan=Lifespan)

if __name__ == "__main__":
    os.environ["SERVE_PEER_JOB"] = os.path.abspath(sys.argv[1])
    os.chdir(os.path.dirname(os.path.abspath(__file__)))
    uvicorn.run("serve_peer:app", port=JOB["port"], workers=THREADS if MODE == "workers" else None, log_level="warning", loop="uvloop", http="httptools")
