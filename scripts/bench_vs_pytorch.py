"""Times the same work in PyTorch's eager mode and in igd, in turns; see bench_vs_pytorch.sh.

PyTorch runs the model below as the published code of the defense runs it: eager, and the defended forward pass twice
through the network. igd answers requests on its standard input (igd bench --on-request). Every round asks both for every
work, a few calls each; while one computes, the other waits. Ratios are medians over rounds.
"""

import argparse
import json
import os
import statistics
import subprocess
import sys
import time

# Before libtorch is loaded: the threads of OpenBLAS fight those of OpenMP, and igd sets the same.
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")

import torch  # noqa: E402
from torch import nn  # noqa: E402
import torch.nn.functional as functional  # noqa: E402

CLASSES = 10
UNITS = 512
KEEP = 50
TEMPERATURE = 0.01
SIGMA = 4 / 255


class Block(nn.Module):
    """Two 3x3 convolutions and a shortcut."""

    def __init__(self, channels_in, channels, stride):
        super().__init__()
        self.conv1 = nn.Conv2d(channels_in, channels, 3, stride, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(channels)
        self.conv2 = nn.Conv2d(channels, channels, 3, 1, 1, bias=False)
        self.bn2 = nn.BatchNorm2d(channels)
        self.shortcut = nn.Sequential()
        if stride != 1 or channels_in != channels:
            self.shortcut = nn.Sequential(
                nn.Conv2d(channels_in, channels, 1, stride, bias=False), nn.BatchNorm2d(channels)
            )

    def forward(self, x):
        out = functional.relu(self.bn1(self.conv1(x)))
        return functional.relu(self.bn2(self.conv2(out)) + self.shortcut(x))


class ResNet18(nn.Module):
    """The CIFAR form: a 3x3 stem, no pooling before the stages."""

    def __init__(self):
        super().__init__()
        self.conv1 = nn.Conv2d(3, 64, 3, 1, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(64)
        blocks, channels_in = [], 64
        for channels, stride in ((64, 1), (128, 2), (256, 2), (512, 2)):
            blocks += [Block(channels_in, channels, stride), Block(channels, channels, 1)]
            channels_in = channels
        self.stages = nn.Sequential(*blocks)
        self.linear = nn.Linear(512, CLASSES)

    def forward(self, x, mask=None):
        out = self.stages(functional.relu(self.bn1(self.conv1(x))))
        if mask is not None:
            out = out * mask[:, :, None, None]
        return self.linear(functional.avg_pool2d(out, out.shape[-1]).flatten(1))


def works():
    """Name, batch, and the PyTorch side as a function of (model, masks, x, labels)."""

    def forward(model, masks, x, labels):
        with torch.no_grad():
            return model(x)

    def defended(model, masks, x, labels):
        with torch.no_grad():
            soft = functional.softmax(model(x) / TEMPERATURE, 1) @ masks
            return model(x, soft)

    def smoothed(model, masks, x, labels):
        with torch.no_grad():
            soft = functional.softmax(model(x + SIGMA * torch.randn_like(x)) / TEMPERATURE, 1) @ masks
            return model(x, soft)

    def gradient(model, masks, x, labels):
        x = x.clone().requires_grad_(True)
        loss = functional.cross_entropy(model(x), labels, reduction="sum")
        return torch.autograd.grad(loss, x)[0]

    # Work of igd, name, batch, PyTorch's work.
    return [
        ("forward", "forward", 1, forward),
        ("forward", "forward", 32, forward),
        ("forward", "forward", 64, forward),
        ("bfloat16", "forward, igd in bfloat16", 1, forward),
        ("bfloat16", "forward, igd in bfloat16", 32, forward),
        ("defended", "defended", 1, defended),
        ("defended", "defended", 32, defended),
        ("smoothed", "smoothed", 1, smoothed),
        ("smoothed", "smoothed", 32, smoothed),
        ("smoothed-bf16", "smoothed, igd's pseudo-labels in bfloat16", 32, smoothed),
        ("gradient", "forward and input gradient", 1, gradient),
        ("gradient", "forward and input gradient", 32, gradient),
    ]


class Igd:
    """igd bench --on-request as a process."""

    def __init__(self, command, threads):
        self.process = subprocess.Popen(
            [command, "bench", "--on-request", "--arch", "rn18", "--threads", str(threads)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        self.facts = self.line()

    def line(self):
        text = self.process.stdout.readline()
        if not text:
            sys.exit("bench_vs_pytorch: igd ended before it answered (its message is above)")
        return json.loads(text)

    def times(self, work, batch, calls):
        self.process.stdin.write(f"{work} {batch} {calls}\n")
        self.process.stdin.flush()
        return self.line()["seconds"]

    def close(self):
        self.process.stdin.close()
        self.process.wait()


def timed(function, calls):
    seconds = []
    for _ in range(calls):
        start = time.perf_counter()
        function().flatten()[0].item()
        seconds.append(time.perf_counter() - start)
    return seconds


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--igd", default="scripts/igd")
    parser.add_argument("--rounds", type=int, default=11)
    parser.add_argument("--threads", type=int, default=len(os.sched_getaffinity(0)))
    parser.add_argument("--quick", action="store_true", help="three rounds")
    parser.add_argument("--batches", type=lambda text: [int(b) for b in text.split(",")], default=[1, 32, 64])
    options = parser.parse_args()
    rounds = 3 if options.quick else options.rounds
    if rounds < 3 or options.threads < 1:
        parser.error("expected at least 3 rounds and 1 thread")

    torch.manual_seed(0)
    torch.set_num_threads(options.threads)
    model = ResNet18().eval()
    for parameter in model.parameters():
        parameter.requires_grad_(False)
    masks = torch.zeros(CLASSES, UNITS)
    for row in masks:
        row[torch.randperm(UNITS)[:KEEP]] = 1
    igd = Igd(options.igd, options.threads)

    prepared = []
    for request, name, batch, work in works():
        if batch not in options.batches:
            continue
        x = torch.rand(batch, 3, 32, 32)
        labels = torch.arange(batch) % CLASSES

        def call(work=work, x=x, labels=labels):
            return work(model, masks, x, labels)

        calls = 10 if batch == 1 else 1
        timed(call, 2)
        igd.times(request, batch, 2)
        prepared.append((request, name, batch, calls, call, [], []))
    for number in range(rounds):
        for request, _, batch, calls, call, ours, theirs in prepared:
            sides = [
                lambda: ours.append(statistics.median(igd.times(request, batch, calls))),
                lambda: theirs.append(statistics.median(timed(call, calls))),
            ]
            for side in sides if number % 2 == 0 else reversed(sides):
                side()
    igd.close()

    print(f"{igd.facts['cpu']}, {options.threads} threads, torch {torch.__version__}, {rounds} rounds")
    print(f"{'work':44} {'batch':>5} {'PyTorch ms':>11} {'igd ms':>9} {'PyTorch / igd':>14}")
    result = {"torch": torch.__version__, "threads": options.threads, "rounds": rounds, "cpu": igd.facts["cpu"]}
    for request, name, batch, _, _, ours, theirs in prepared:
        ratio = statistics.median(t / o for t, o in zip(theirs, ours))
        print(
            f"{name:44} {batch:5} {1e3 * statistics.median(theirs):11.2f} {1e3 * statistics.median(ours):9.2f} {ratio:14.2f}"
        )
        key = f"{request}_b{batch}"
        result[f"ratio_{key}"] = ratio
        result[f"torch_{key}_ms"] = 1e3 * statistics.median(theirs)
        result[f"igd_{key}_ms"] = 1e3 * statistics.median(ours)
    print(json.dumps(result))


if __name__ == "__main__":
    main()
