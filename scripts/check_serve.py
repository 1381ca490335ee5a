"""Do other programs get on with 'effnet serve'?

    go build -o bin/effnet ./cmd/effnet
    pip install "tritonclient[http]" schemathesis
    python scripts/check_serve.py bin/effnet

Serves EfficientNet-B0 with random weights and
  - has NVIDIA's client for the Open Inference Protocol ask for all there is, in
    JSON and in binary, compressed and not, alone and together: the answers have to
    be those of 'effnet run';
  - has schemathesis try every operation of /openapi.json, with what it allows and
    what it does not. (That all it allows is accepted is not asked for: a schema
    cannot say which bytes are a picture.)

Exit status 1 if anything differs.
"""

import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np
import tritonclient.http as http


def refused(status, call):
    try:
        call()
    except http.InferenceServerException as e:
        assert e.status() == str(status), e
    else:
        raise AssertionError(f"not refused with {status}")


def client(address, x, want):
    c = http.InferenceServerClient(address, concurrency=4)
    assert c.is_server_live() and c.is_server_ready()
    assert c.is_model_ready("b0") and c.is_model_ready("b0", "1") and not c.is_model_ready("none")
    assert c.get_server_metadata()["extensions"] == ["binary_tensor_data"]
    meta = c.get_model_metadata("b0")
    assert meta["inputs"] == [{"name": "input", "datatype": "FP32", "shape": [-1, 3, 224, 224]}], meta
    asked = 0
    for binary_in in True, False:
        given = http.InferInput("input", x.shape, "FP32")
        given.set_data_from_numpy(x, binary_data=binary_in)
        for binary_out in True, False:
            outputs = [http.InferRequestedOutput(n, binary_data=binary_out) for n in ("logits", "embedding")]
            for compression in None, "gzip", "deflate":
                r = c.infer("b0", [given], outputs=outputs, request_id="7", request_compression_algorithm=compression)
                assert r.get_response()["id"] == "7"
                assert np.array_equal(r.as_numpy("logits"), want), np.abs(r.as_numpy("logits") - want).max()
                assert r.as_numpy("embedding").shape == (len(x), 1280)
                asked += 1
    assert c.infer("b0", [given]).as_numpy("logits").shape == want.shape
    for r in [c.async_infer("b0", [given]) for _ in range(8)]:
        assert np.array_equal(r.get_result().as_numpy("logits"), want)
        asked += 1
    refused(400, lambda: c.infer("b0", [given], outputs=[http.InferRequestedOutput("none")]))
    refused(404, lambda: c.infer("none", [given]))
    print(f"tritonclient: {asked} answers equal those of 'effnet run'")


def main(effnet):
    with tempfile.TemporaryDirectory() as d:
        d = Path(d)
        model = d / "b0.safetensors"
        subprocess.run([effnet, "export", "efficientnet_b0", "-o", model], check=True)
        x = np.random.default_rng(0).standard_normal((3, 3, 224, 224)).astype(np.float32)
        np.save(d / "x.npy", x)
        subprocess.run([effnet, "run", model, "--input", d / "x.npy", "--output", d / "y.npy"], check=True)
        server = subprocess.Popen([effnet, "serve", model, "--addr", "127.0.0.1:0", "--log", "error"], stdout=subprocess.PIPE, text=True)
        try:
            url = server.stdout.readline().strip()
            client(url.removeprefix("http://"), x, np.load(d / "y.npy"))
            schemathesis = [Path(sys.executable).parent / "schemathesis", "run", url + "/openapi.json", "--max-examples", "50"]
            subprocess.run(schemathesis + ["--exclude-checks", "positive_data_acceptance", "--suppress-health-check", "all"], check=True, cwd=d)
        finally:
            server.terminate()
        assert server.wait() == 0, "the server did not end well"


if __name__ == "__main__":
    main(sys.argv[1])
