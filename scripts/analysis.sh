#!/usr/bin/env bash
# How attacks change important and unimportant units (paper Sec. 3, Fig. 2), with the published settings: 50 units
# per class of a CIFAR ResNet-18's last stage, L-inf, eps 8/255, 1000 test images. ATTACK: gama-pgd (100 steps, as in
# the published script; the default) or pgd (50 steps).
# Usage: scripts/analysis.sh CHECKPOINT DATA RANKING_DIR [OUT_DIR] [further options of igd analyze]
#   e.g. scripts/analysis.sh Addepalli2022Efficient_RN18.pt cifar10:DIR:test saved_loir_rankings out
# Writes OUT_DIR/result.json and OUT_DIR/report.html.
set -euo pipefail
if [ $# -lt 3 ]; then
  sed -n '2,7s/^# //p' "$0" >&2
  exit 2
fi
checkpoint="$1" data="$2" ranking="$3" out="${4:-igd-analysis}"
shift $(($# < 4 ? $# : 4))
attack="${ATTACK:-gama-pgd}"
steps=100
[ "$attack" != pgd ] || steps=50
exec "$(dirname "${BASH_SOURCE[0]}")/igd" analyze --arch rn18 --checkpoint "$checkpoint" --data "$data" --limit 1000 \
  --ranking "$ranking" --layer layer4 --top-k 50 --attack "$attack" --eps 8/255 --steps "$steps" --out "$out" "$@"
