"""timm's augmentation policies: python timm_policies.py > autoaugment/testdata/timm.json

"policies": the steps [operation, probability, magnitude] of each, in sub-policies;
"arguments": what an operation is called with at a magnitude, to either side.
"""

import json

from timm.data import auto_augment as aa

HPARAMS = dict(translate_const=100, img_mean=(128, 128, 128))


def steps(ops):
    return [[op.name, op.prob, op.magnitude] for op in ops]


def policy(text):
    hparams = dict(HPARAMS)
    if text.startswith("rand"):
        t = aa.rand_augment_transform(text, hparams)
        subs, layers, ops = [steps([op]) for op in t.ops], t.num_layers, t.ops
    else:
        t = aa.auto_augment_transform(text, hparams)
        subs, layers, ops = [steps(sub) for sub in t.policy], 1, t.policy[0]
    return dict(text=text, layers=layers, std=float(min(ops[0].magnitude_std, 101)), max=ops[0].magnitude_max or 10, subs=subs)


def argument(name, m, negate):
    aa.random.random = lambda: 0.9 if negate else 0.1
    f = aa.LEVEL_TO_ARG[name]
    return f(m, HPARAMS)[0] if f else 0


names = sorted(set(aa._RAND_TRANSFORMS + aa._RAND_INCREASING_TRANSFORMS))
out = dict(
    policies=[policy(t) for t in [
        "v0", "v0-mstd0.5", "rand", "rand-m9-n2-mstd0.5", "rand-m7-n3-mstd101-inc1", "rand-n1-p0.8-m15-mmax30-inc1",
    ]],
    arguments=[
        [name, m, argument(name, m, False), argument(name, m, True)]
        for name in names for m in (0, 0.7, 1, 2.3, 4, 5, 7.5, 9, 10, 15)
    ],
)
rows = lambda items: "[\n  " + ",\n  ".join(json.dumps(i) for i in items) + "\n ]"
print("{\n" + ",\n".join(f' "{k}": {rows(v)}' for k, v in out.items()) + "\n}")
