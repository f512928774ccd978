#!/usr/bin/env bash
# LO-IR over a training set with the published settings: the layer before the classifier (layer4 of a CIFAR
# ResNet-18 or an ImageNet ResNet-50, block3 of a WRN-34-10), sums divided by images and multiplied by classes.
# Usage: [ARCH=rn18] scripts/get_loir_rankings.sh CHECKPOINT DATA [OUT_DIR] [further options of igd rank loir]
#   e.g. scripts/get_loir_rankings.sh Addepalli2022Efficient_RN18.pt cifar10:DIR:train saved_loir_rankings
#        ARCH=wrn-34-10 scripts/get_loir_rankings.sh TRADES-AWP_cifar10_linf_wrn34-10.pt cifar10:DIR:train
#        ARCH=imagenet-rn50 scripts/get_loir_rankings.sh imagenet_model_weights_4px.pth.tar folder:DIR
# An interior layer: add --layer layer3 (docs/rankings.md: cost, shards, resuming, early stopping).
# Writes OUT_DIR/<checkpoint>/<layer>/unit<u>.npy and OUT_DIR/<checkpoint>/<layer>.npz.
set -euo pipefail
if [ $# -lt 2 ]; then
  sed -n '2,9s/^# //p' "$0" >&2
  exit 2
fi
checkpoint="$1" data="$2" out="${3:-saved_loir_rankings}"
shift $(($# < 3 ? $# : 3))
exec "$(dirname "${BASH_SOURCE[0]}")/igd" rank loir --arch "${ARCH:-rn18}" --checkpoint "$checkpoint" \
  --data "$data" --normalization reference --batch-size 100 --out "$out" "$@"
