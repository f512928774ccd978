#!/usr/bin/env bash
# The image-wise worst case (nine attacks) of the shipped CIFAR-10 model: base, LO-IR masks and random masks, without and with
# smoothing, in one table. Interrupted, it goes on where it was when called again.
# Usage: scripts/worst_case_cifar10.sh CIFAR10_FOLDER OUT_DIR [IMAGES] [further options of igd eval]
#   CIFAR10_FOLDER holds class folders {train,test}/<class>; IMAGES defaults to 1000
#   a screening of 50 images:  scripts/worst_case_cifar10.sh cifar10 out 50 --worst-case-preset screening
# Writes OUT_DIR/worst_case/{result.json,report.html,worst_case.csv,worst_case.npz,per_image.csv}; the base model's adversarial
# images stay in OUT_DIR/cache for further defenses.
set -euo pipefail
if [ $# -lt 2 ]; then
  sed -n '2,8s/^# //p' "$0" >&2
  exit 2
fi
data="$1" out="$2" images="${3:-1000}"
shift $(($# < 3 ? $# : 3))
igd="$(dirname "${BASH_SOURCE[0]}")/igd"
[ -d "$out/rankings" ] || "$igd" rank loir --data "folder:$data/train" --limit 5000 --checkpoint embedded:cifar10 --out "$out/rankings"
exec "$igd" eval --data "folder:$data/test" --limit "$images" --checkpoint embedded:cifar10 \
  --ranking "$out/rankings" --keep 50 --smoothing-sigma 0 --also-ranking random --also-sigma 4/255 \
  --norm Linf --eps 8/255 --worst-case --per-image --cache "$out/cache" --resume --out "$out/worst_case" "$@"
