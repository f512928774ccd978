#!/usr/bin/env bash
# The same work in PyTorch and in igd, in turns, on this machine: ResNet-18 (CIFAR, full width, random weights) forward at
# batch 1, 32 and 64, the defended forward pass, the input gradient, the smoothed defense. Prints a table and, last, one
# line of JSON.
#   scripts/bench_vs_pytorch.sh [--rounds N] [--threads N] [--batches 1,32] [--quick]
# Needs python3 with PyTorch (Debian: python3-torch). Exit code 2 without it.
set -euo pipefail
root="$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)"
python="${PYTHON:-/usr/bin/python3}"
if ! command -v "$python" > /dev/null || ! "$python" -c 'import torch' 2> /dev/null; then
  echo "bench_vs_pytorch: expected a Python with PyTorch as $python, found none: install it (apt-get install" \
    "python3-torch, or pip install torch) or set PYTHON" >&2
  exit 2
fi
exec "$python" "$root/scripts/bench_vs_pytorch.py" --igd "${IGD:-$root/scripts/igd}" "$@"
