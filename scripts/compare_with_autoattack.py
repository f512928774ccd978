"""AutoAttack standard by its published Python code, on the points and the model that igd uses.

Called by compare_with_autoattack.sh. Needs numpy and PyTorch; the AutoAttack checkout is given, not part of this project.
The network and the defended forward pass are defined here, as anyone would write them in PyTorch: the defended model
runs the network twice, as the published evaluation does.
"""
import argparse
import json
import os
import struct
import sys
import time

import numpy as np
import torch
import torch.nn as nn
import torch.nn.functional as F

parser = argparse.ArgumentParser()
parser.add_argument("--autoattack", required=True, help="checkout of AutoAttack")
parser.add_argument("--checkpoint", required=True, help="safetensors file of a CIFAR ResNet-18")
parser.add_argument("--points", required=True, help="npz with x and y")
parser.add_argument("--rankings", help="folder of unit<u>.npy: attack the defended model")
parser.add_argument("--keep", type=int, default=50)
parser.add_argument("--eps", type=float, default=8 / 255)
parser.add_argument("--norm", default="Linf")
parser.add_argument("--seed", type=int, default=0)
parser.add_argument("--batch-size", type=int, default=128)
parser.add_argument("--threads", type=int, default=2)
parser.add_argument("--out", required=True, help="npz to write")
args = parser.parse_args()

torch.set_num_threads(args.threads)
sys.path.insert(0, args.autoattack)
from autoattack import AutoAttack  # noqa: E402


def safetensors(path):
    with open(path, "rb") as file:
        header = json.loads(file.read(struct.unpack("<Q", file.read(8))[0]))
        data = file.read()
    types = {"F32": np.float32, "F64": np.float64, "I64": np.int64}
    return {
        name: torch.from_numpy(
            np.frombuffer(data[slice(*entry["data_offsets"])], types[entry["dtype"]]).reshape(entry["shape"]).copy())
        for name, entry in header.items() if name != "__metadata__"
    }


class Block(nn.Module):
    def __init__(self, inputs, outputs, stride):
        super().__init__()
        self.conv1 = nn.Conv2d(inputs, outputs, 3, stride, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(outputs)
        self.conv2 = nn.Conv2d(outputs, outputs, 3, 1, 1, bias=False)
        self.bn2 = nn.BatchNorm2d(outputs)
        self.shortcut = nn.Sequential()
        if stride != 1 or inputs != outputs:
            self.shortcut = nn.Sequential(nn.Conv2d(inputs, outputs, 1, stride, bias=False), nn.BatchNorm2d(outputs))

    def forward(self, x):
        out = F.relu(self.bn1(self.conv1(x)))
        return F.relu(self.bn2(self.conv2(out)) + self.shortcut(x))


class ResNet18(nn.Module):
    def __init__(self, width, classes):
        super().__init__()
        self.conv1 = nn.Conv2d(3, width, 3, 1, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(width)
        inputs = width
        for i, stride in enumerate((1, 2, 2, 2)):
            outputs = width << i
            setattr(self, f"layer{i + 1}", nn.Sequential(Block(inputs, outputs, stride), Block(outputs, outputs, 1)))
            inputs = outputs
        self.linear = nn.Linear(inputs, classes)

    def forward(self, x, weights=None):
        out = F.relu(self.bn1(self.conv1(x)))
        out = self.layer4(self.layer3(self.layer2(self.layer1(out))))
        if weights is not None:
            out = out * weights[:, :, None, None]
        return self.linear(out.mean((2, 3)))


class Defended(nn.Module):
    """Pseudo-label from a first pass, class-weighted mask on layer4 in the second, no smoothing."""

    def __init__(self, model, masks, temperature=0.01):
        super().__init__()
        self.model = model
        self.register_buffer("masks", masks)
        self.temperature = temperature

    def forward(self, x):
        weights = F.softmax(self.model(x) / self.temperature, 1) @ self.masks
        return self.model(x, weights)


state = safetensors(args.checkpoint)
model = ResNet18(state["conv1.weight"].shape[0], state["linear.weight"].shape[0])
missing, unexpected = model.load_state_dict(state, strict=False)
assert not unexpected and all(name.endswith("num_batches_tracked") for name in missing), (missing, unexpected)
if args.rankings:
    units = len([name for name in os.listdir(args.rankings) if name.startswith("unit") and name.endswith(".npy")])
    importance = np.stack([np.load(os.path.join(args.rankings, f"unit{u}.npy")) for u in range(units)])
    masks = np.zeros((importance.shape[1], units), np.float32)
    for c in range(importance.shape[1]):
        masks[c, np.argsort(-importance[:, c], kind="stable")[: args.keep]] = 1
    model = Defended(model, torch.from_numpy(masks))
model.eval()

points = np.load(args.points)
x = torch.from_numpy(points["x"].astype(np.float32))
y = torch.from_numpy(points["y"].astype(np.int64))
with torch.no_grad():
    clean = torch.cat([model(b).argmax(1) for b in x.split(args.batch_size)]) == y

attack = AutoAttack(model, norm=args.norm, eps=args.eps, version="standard", seed=args.seed, device="cpu")
start = time.time()
adversarial = attack.run_standard_evaluation(x, y, bs=args.batch_size)
seconds = time.time() - start
with torch.no_grad():
    robust = torch.cat([model(b).argmax(1) for b in adversarial.split(args.batch_size)]) == y
temporary = args.out + ".tmp.npz"
np.savez(temporary, clean=clean.numpy(), robust=(clean & robust).numpy(), x_adv=adversarial.numpy(), seconds=np.array([seconds]))
os.replace(temporary, args.out)
print(json.dumps({
    "images": len(y), "clean": clean.double().mean().item(), "robust": robust.double().mean().item(),
    "seconds": seconds, "torch": torch.__version__, "threads": torch.get_num_threads(),
}))
