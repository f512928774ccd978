#!/usr/bin/env python3
"""Writes the TorchScript archives that the tests read, with values computed by Python's torch.

Usage: make_torchscript_samples.py [DIRECTORY]    (default src/test/resources/torchscript)
Written once with torch 1.13; the archives are part of the repository, so neither building nor testing needs Python.
"""
import sys
import numpy
import torch
from torch import Tensor, nn


class Small(nn.Module):
    """Two convolutions with batch normalisation, 12 units of 8x8, 5 classes; images [N,3,16,16]."""

    def __init__(self):
        super().__init__()
        self.conv1 = nn.Conv2d(3, 8, 3, padding=1, bias=False)
        self.bn1 = nn.BatchNorm2d(8)
        self.conv2 = nn.Conv2d(8, 12, 3, stride=2, padding=1, bias=False)
        self.bn2 = nn.BatchNorm2d(12)
        self.drop = nn.Dropout(0.5)
        self.linear = nn.Linear(12, 5)

    @torch.jit.export
    def prefix(self, x: Tensor) -> Tensor:
        return self.bn2(self.conv2(self.bn1(self.conv1(x)).relu())).relu()

    @torch.jit.export
    def suffix(self, a: Tensor) -> Tensor:
        return self.linear(self.drop(a.mean((2, 3))))

    def forward(self, x: Tensor) -> Tensor:
        return self.suffix(self.prefix(x))


class Flat(nn.Module):
    """A layer without space, [N,7]: images [N,1,4,4], 3 classes."""

    def __init__(self):
        super().__init__()
        self.first = nn.Linear(16, 7)
        self.second = nn.Linear(7, 3)

    @torch.jit.export
    def prefix(self, x: Tensor) -> Tensor:
        return self.first(x.flatten(1)).relu()

    @torch.jit.export
    def suffix(self, a: Tensor) -> Tensor:
        return self.second(a)

    @torch.jit.export
    def pair(self, x: Tensor):
        return x, x

    def forward(self, x: Tensor) -> Tensor:
        return self.suffix(self.prefix(x))


class InPlace(nn.Module):
    """Both parts write into their input, as exported networks with nn.ReLU(inplace=True) may; images [N,1,4,4]."""

    def __init__(self):
        super().__init__()
        self.first = nn.Linear(16, 7)
        self.second = nn.Linear(7, 3)
        self.relu = nn.ReLU(inplace=True)

    @torch.jit.export
    def prefix(self, x: Tensor) -> Tensor:
        return self.first(x.sub_(0.5).flatten(1))

    @torch.jit.export
    def suffix(self, a: Tensor) -> Tensor:
        return self.second(self.relu(a))

    def forward(self, x: Tensor) -> Tensor:
        return self.suffix(self.prefix(x))


class FixedBatch(nn.Module):
    """A prefix that only takes one image at a time."""

    def forward(self, x: Tensor) -> Tensor:
        return x.reshape(1, 12, 8, 8)


class Prefix(nn.Module):
    def __init__(self, net):
        super().__init__()
        self.net = net

    def forward(self, x: Tensor) -> Tensor:
        return self.net.prefix(x)


class Suffix(nn.Module):
    def __init__(self, linear):
        super().__init__()
        self.linear = linear

    def forward(self, a: Tensor) -> Tensor:
        return self.linear(a.mean((2, 3)))


def main(directory):
    torch.manual_seed(7)
    net = Small()
    for bn in (net.bn1, net.bn2):
        bn.running_mean.normal_(0, 0.1)
        bn.running_var.uniform_(0.5, 1.5)
        nn.init.uniform_(bn.weight, 0.5, 1.5)
        nn.init.normal_(bn.bias, 0, 0.1)
    # Saved in training mode on purpose: a reader has to switch dropout and batch statistics off.
    torch.jit.script(net.train()).save(f"{directory}/small.pt")
    net.eval()
    x = torch.rand(5, 3, 16, 16)
    torch.jit.trace(Prefix(net).eval(), x).save(f"{directory}/small_prefix.pt")
    torch.jit.script(Suffix(net.linear).eval()).save(f"{directory}/small_suffix.pt")
    torch.jit.script(Flat().eval()).save(f"{directory}/flat.pt")
    torch.jit.script(InPlace().eval()).save(f"{directory}/inplace.pt")
    torch.jit.script(FixedBatch().eval()).save(f"{directory}/fixed_batch.pt")
    torch.save(net.state_dict(), f"{directory}/small_state.pt")

    net = net.double()
    x = x.double().requires_grad_(True)
    a = net.prefix(x)
    logits = net.suffix(a)
    y = torch.arange(5)
    nn.functional.cross_entropy(logits, y, reduction="sum").backward()
    drop = []
    with torch.no_grad():
        for unit in range(12):
            less = a.clone()
            less[:, unit] = 0
            drop.append((net.suffix(less) - logits).abs())
    numpy.savez(f"{directory}/small_expected.npz", x=x.detach().numpy(), y=y.numpy(), activation=a.detach().numpy(),
                logits=logits.detach().numpy(), gradient=x.grad.numpy(), leave_one_out=torch.stack(drop).numpy())


if __name__ == "__main__":
    main(sys.argv[1] if len(sys.argv) > 1 else "src/test/resources/torchscript")
