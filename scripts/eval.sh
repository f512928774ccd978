#!/usr/bin/env bash
# The evaluation of the paper's settings on CIFAR: L-inf, eps 8/255, 50 units kept in layer4, pseudo-label
# smoothed with sigma 4/255, against APGD-CE and targeted APGD, directly and by transfer.
# Usage: scripts/eval.sh CHECKPOINT DATA RANKING_DIR [OUT_DIR] [further options of igd eval]
#   e.g. scripts/eval.sh Addepalli2022Efficient_RN18.pt cifar10:DIR:test saved_loir_rankings results
# Writes OUT_DIR/result.json and OUT_DIR/report.html. A model of fewer than 500 units needs its own --keep.
set -euo pipefail
if [ $# -lt 3 ]; then
  sed -n '2,6s/^# //p' "$0" >&2
  exit 2
fi
checkpoint="$1" data="$2" ranking="$3" out="${4:-igd-eval}"
shift $(($# < 4 ? $# : 4))
exec "$(dirname "${BASH_SOURCE[0]}")/igd" eval --arch rn18 --checkpoint "$checkpoint" --data "$data" \
  --ranking "$ranking" --layer layer4 --smoothing-sigma 4/255 --smoothing-samples 1 \
  --norm Linf --eps 8/255 --steps 100 --targets 9 --attack apgd-ce,apgd-t --out "$out" "$@"
