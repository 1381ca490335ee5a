"""Goldens of a training recipe: python recipe.py > train/testdata/recipe.json

Steps of timm's RMSpropTF under timm's schedules, with label smoothing, weight
decay of EfficientNet and of EfficientNetV2, and a moving average of weights and
batch-norm statistics, in float64 on one of the networks of networks.py. The time
scale is small, so that a few steps see all of the schedule.
"""

import copy
import json

import torch
from timm.scheduler import CosineLRScheduler, StepLRScheduler
from torch import nn

import networks as nets

NETWORK = "swish_symmetric"
STEPS, PER_EPOCH = 24, 4
WARMUP, EVERY, RATE = 1.5, 2.4, 0.9  # epochs, epochs, factor
BASE, DECAY, EMA = 0.02, 0.02, 0.7


def exponential(opt):
    """Staircase from step 0, under a warm-up from 0 that does not shift it."""
    return StepLRScheduler(
        opt, decay_t=EVERY * PER_EPOCH, decay_rate=RATE, warmup_t=int(WARMUP * PER_EPOCH), warmup_lr_init=0,
        warmup_prefix=False, t_in_epochs=False)


def cosine(opt):
    """From the end of the warm-up to 0 at the end."""
    warmup = int(WARMUP * PER_EPOCH)
    return CosineLRScheduler(
        opt, t_initial=STEPS - warmup, lr_min=0, warmup_t=warmup, warmup_lr_init=0, warmup_prefix=True, t_in_epochs=False)


def average(avg, net, t):
    """TensorFlow's ExponentialMovingAverage with num_updates, of parameters and buffers."""
    keep = min(EMA, (1 + t) / (10 + t))
    with torch.no_grad():
        for a, v in zip(avg.state_dict().values(), net.state_dict().values()):
            if a.is_floating_point():
                a.copy_(keep * a + (1 - keep) * v)


def run(schedule, weights_only):
    case = nets.NETWORKS[NETWORK]
    net = nets.build(case["spec"])
    opt = nets.optimiser(net, nets.RMSPROP | dict(lr=BASE, weight_decay=DECAY, weights_only=weights_only))
    scheduler = schedule(opt)
    criterion = nn.CrossEntropyLoss(label_smoothing=nets.SMOOTHING)
    avg = copy.deepcopy(net)
    rates, losses = [], []
    for step in range(STEPS):
        net.train()
        scheduler.step_update(step)
        rates.append(opt.param_groups[0]["lr"])
        x, y = nets.batch(case, step)
        opt.zero_grad()
        loss = criterion(net(x), y)
        loss.backward()
        opt.step()
        average(avg, net, step)
        losses.append(loss.item())
    return dict(
        schedule=schedule.__name__, weights_only=weights_only, rates=rates, losses=losses,
        average={k: nets.probe(t) for k, t in nets.tensors(avg).items()},
        average_logits=nets.evaluate(avg, nets.batch(case, 0)[0]),
    )


torch.set_num_threads(1)
out = dict(
    network=NETWORK, per_epoch=PER_EPOCH, warmup=WARMUP, every=EVERY, rate=RATE, base=BASE, decay=DECAY, ema=EMA,
    runs=[run(exponential, False), run(cosine, True)],
)
print(json.dumps(out, indent=1))
