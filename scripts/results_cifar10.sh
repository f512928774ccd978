#!/usr/bin/env bash
# The numbers of docs/results.md: the shipped CIFAR-10 model, without and with smoothing, on 500 test images.
# Usage: scripts/results_cifar10.sh CIFAR10_FOLDER OUT_DIR   (class folders CIFAR10_FOLDER/{train,test}/<class>)
set -euo pipefail
if [ $# -ne 2 ]; then
  sed -n '2,3s/^# //p' "$0" >&2
  exit 2
fi
data="$1" out="$2"
igd="$(dirname "${BASH_SOURCE[0]}")/igd"
"$igd" rank loir --data "folder:$data/train" --limit 5000 --checkpoint embedded:cifar10 --out "$out/rankings"
for sigma in 0 4/255; do
  name=plain
  [ "$sigma" = 0 ] || name=smoothed
  "$igd" eval --data "folder:$data/test" --limit 500 --checkpoint embedded:cifar10 --ranking "$out/rankings" \
    --keep 50 --smoothing-sigma "$sigma" --norm Linf --eps 8/255 --attack apgd-ce,apgd-t --steps 30 --targets 3 \
    --threads 1 --out "$out/$name"
done
