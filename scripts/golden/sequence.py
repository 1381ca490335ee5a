"""Pseudo-random tensors that Python and Go make alike, exact in float32.

The numbers of a tensor depend only on its name. The Go twin is
internal/ref/golden/sequence.go.
"""

import numpy as np


def fnv1a(name: str) -> int:
    h = 0x811C9DC5
    for b in name.encode():
        h = ((h ^ b) * 0x01000193) & 0xFFFFFFFF
    return h


def uniform(name: str, n: int) -> np.ndarray:
    """n multiples of 1/2048 in [-1, 1): the top 12 bits of a 32-bit LCG.

    Number i of s -> a*s + c is a^i*s + c*(a^i - 1)/(a - 1), all modulo 2^32.
    """
    a = np.full(n, 1664525, np.uint32)
    np.multiply.accumulate(a, out=a)  # a, a^2, a^3, ...
    sums = np.ones(n, np.uint32)  # 1, 1 + a, 1 + a + a^2, ...
    np.add.accumulate(np.concatenate([sums[:1], a[:-1]]), out=sums)
    s = a * np.uint32(fnv1a(name)) + sums * np.uint32(1013904223)
    return ((s >> np.uint32(20)).astype(np.float64) - 2048) / 2048


def scale(fan_in: int) -> float:
    """The largest power of two p with p*p*fan_in <= 6."""
    p = 2.0
    while p * p * fan_in > 6:
        p /= 2
    return p


def parameter(name: str, shape) -> np.ndarray:
    """Value of a tensor of a timm state dict."""
    u = uniform(name, int(np.prod(shape))).reshape(shape)
    if name.endswith("running_mean"):
        return u / 4
    if name.endswith("running_var"):
        return 1 + u * 3 / 4
    if len(shape) == 1 and name.endswith("weight"):
        return 1 + u / 2  # gamma
    if len(shape) == 1:
        return u / 4  # beta, bias
    return u * scale(int(np.prod(shape[1:])))


def images(step: int, n: int, size: int, channels: int) -> np.ndarray:
    """[n, size, size, channels] in [-2, 2)."""
    return 2 * uniform(f"images.{step}", n * size * size * channels).reshape(n, size, size, channels)


def labels(step: int, n: int, classes: int) -> np.ndarray:
    return ((uniform(f"labels.{step}", n) + 1) / 2 * classes).astype(np.int64)


def mask(op: str, step: int, n: int, rate: float) -> np.ndarray:
    """Multipliers of drop path or dropout: 0, or 1/(1-rate)."""
    kept = (uniform(f"mask.{op}.{step}", n) + 1) / 2 >= rate
    return kept / (1 - rate)


def probe(t: np.ndarray) -> float:
    """A fixed projection of a tensor, which no permutation of it shares."""
    return float(np.dot(t.reshape(-1), uniform("probe", t.size)))
