#!/usr/bin/env bash
# LO-IR of a CIFAR ResNet-18's last stage over a training set, as the published code computes it.
# Usage: scripts/get_loir_rankings.sh CHECKPOINT DATA [OUT_DIR] [further options of igd rank loir]
#   e.g. scripts/get_loir_rankings.sh Addepalli2022Efficient_RN18.pt cifar10:DIR:train saved_loir_rankings
# Writes OUT_DIR/<checkpoint>/layer4/unit<u>.npy and OUT_DIR/<checkpoint>/layer4.npz.
set -euo pipefail
if [ $# -lt 2 ]; then
  sed -n '2,5s/^# //p' "$0" >&2
  exit 2
fi
checkpoint="$1" data="$2" out="${3:-saved_loir_rankings}"
shift $(($# < 3 ? $# : 3))
exec "$(dirname "${BASH_SOURCE[0]}")/igd" rank loir --arch rn18 --checkpoint "$checkpoint" --data "$data" \
  --layer layer4 --normalization reference --batch-size 100 --out "$out" "$@"
