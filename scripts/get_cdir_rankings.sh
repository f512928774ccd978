#!/usr/bin/env bash
# CD-IR (CLIP-Dissect) of a CIFAR ResNet-18's stages over a training set, with the published settings:
# soft_wpmi, average pooling, bare class names.
# Usage: scripts/get_cdir_rankings.sh CHECKPOINT DATA CLIP_MODEL VOCABULARY CLASSES [OUT_DIR] [further options of igd rank cdir]
#   e.g. scripts/get_cdir_rankings.sh Addepalli2022Efficient_RN18.pt cifar10:DIR:train ViT-B-16.pt \
#          bpe_simple_vocab_16e6.txt.gz cifar10_classes.txt saved_cdir_rankings
# Writes OUT_DIR/<checkpoint>/<layer>/unit<u>.npy and OUT_DIR/<checkpoint>/<layer>.npz for layer1 to layer4.
set -euo pipefail
if [ $# -lt 5 ]; then
  sed -n '2,7s/^# //p' "$0" >&2
  exit 2
fi
checkpoint="$1" data="$2" clip="$3" vocabulary="$4" classes="$5" out="${6:-saved_cdir_rankings}"
shift $(($# < 6 ? $# : 6))
exec "$(dirname "${BASH_SOURCE[0]}")/igd" rank cdir --arch rn18 --checkpoint "$checkpoint" --data "$data" \
  --layer layer1,layer2,layer3,layer4 --clip-model "$clip" --vocabulary "$vocabulary" --classes "$classes" \
  --similarity soft_wpmi --point reference --batch-size 200 --out "$out" "$@"
