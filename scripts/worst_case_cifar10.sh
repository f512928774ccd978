#!/usr/bin/env bash
# The image-wise worst case (nine attacks) of the shipped CIFAR-10 model: base, LO-IR masks and random masks, without and with
# smoothing, in one table. Interrupted, it goes on where it was when called again.
# Usage: scripts/worst_case_cifar10.sh CIFAR10_FOLDER OUT_DIR [IMAGES] [further options of igd eval]
#   CIFAR10_FOLDER holds class folders {train,test}/<class>; IMAGES defaults to 1000
#   a screening of 50 images:  scripts/worst_case_cifar10.sh cifar10 out 50 --worst-case-preset screening
# Environment: PART=loir or PART=random runs the masks of that ranking alone, for two processes at a time: one thread each
#   wastes less of a busy machine than one process of two. Start the second when the first is done with the base model.
# Writes OUT_DIR/worst_case/{result.json,report.html,worst_case.csv,worst_case.npz,per_image.csv}, of a part in
# OUT_DIR/worst_case-PART; the base model's adversarial images stay in OUT_DIR/cache for further defenses.
set -euo pipefail
if [ $# -lt 2 ]; then
  sed -n '2,12s/^# //p' "$0" >&2
  exit 2
fi
data="$1" out="$2" images="${3:-1000}"
shift $(($# < 3 ? $# : 3))
igd="$(dirname "${BASH_SOURCE[0]}")/igd"
[ -d "$out/rankings" ] || "$igd" rank loir --data "folder:$data/train" --limit 5000 --checkpoint embedded:cifar10 --out "$out/rankings"
case "${PART:-all}" in
  all) defenses=(--ranking "$out/rankings" --also-ranking random) to="$out/worst_case" ;;
  loir) defenses=(--ranking "$out/rankings") to="$out/worst_case-loir" ;;
  random) defenses=(--ranking random) to="$out/worst_case-random" ;;
  *)
    printf 'worst_case_cifar10: expected PART loir or random, or none for both, got %s\n' "$PART" >&2
    exit 2
    ;;
esac
exec "$igd" eval --data "folder:$data/test" --limit "$images" --checkpoint embedded:cifar10 \
  "${defenses[@]}" --keep 50 --smoothing-sigma 0 --also-sigma 4/255 \
  --norm Linf --eps 8/255 --worst-case --per-image --cache "$out/cache" --resume --out "$to" "$@"
