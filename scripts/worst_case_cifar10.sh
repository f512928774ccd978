#!/usr/bin/env bash
# The image-wise worst case (nine attacks) of the shipped CIFAR-10 model: base, LO-IR masks and random masks, without and with
# smoothing, in one table. Interrupted, it goes on where it was when called again.
# Usage: scripts/worst_case_cifar10.sh CIFAR10_FOLDER OUT_DIR [IMAGES] [further options of igd eval]
#   CIFAR10_FOLDER holds class folders {train,test}/<class>; IMAGES defaults to 1000
#   a screening of 50 images:  scripts/worst_case_cifar10.sh cifar10 out 50 --worst-case-preset screening
# Environment: PART=unsmoothed (both rankings), PART=loir-smoothed or PART=random-smoothed runs these rows alone, for several
#   processes at a time: one thread each wastes less of a busy machine than one process of many. The base model's attacks are
#   computed once, by whichever process comes to a batch first.
# Writes OUT_DIR/worst_case/{result.json,report.html,worst_case.csv,worst_case.npz,per_image.csv}, of a part in
# OUT_DIR/worst_case-PART; the base model's adversarial images stay in OUT_DIR/cache for further defenses.
set -euo pipefail
if [ $# -lt 2 ]; then
  sed -n '2,13s/^# //p' "$0" >&2
  exit 2
fi
data="$1" out="$2" images="${3:-1000}"
shift $(($# < 3 ? $# : 3))
igd="$(dirname "${BASH_SOURCE[0]}")/igd"
case "${PART:-all}" in
  all) defenses=(--ranking "$out/rankings" --also-ranking random --smoothing-sigma 0 --also-sigma 4/255) ;;
  unsmoothed) defenses=(--ranking "$out/rankings" --also-ranking random --smoothing-sigma 0) ;;
  loir-smoothed) defenses=(--ranking "$out/rankings" --smoothing-sigma 4/255) ;;
  random-smoothed) defenses=(--ranking random --smoothing-sigma 4/255) ;;
  *)
    printf 'worst_case_cifar10: expected PART unsmoothed, loir-smoothed or random-smoothed, or none for all, got %s\n' "$PART" >&2
    exit 2
    ;;
esac
to="$out/worst_case${PART:+-$PART}"
if [ "${PART:-}" != random-smoothed ] && [ ! -d "$out/rankings" ]; then
  "$igd" rank loir --data "folder:$data/train" --limit 5000 --checkpoint embedded:cifar10 --out "$out/rankings"
fi
exec "$igd" eval --data "folder:$data/test" --limit "$images" --checkpoint embedded:cifar10 \
  "${defenses[@]}" --keep 50 \
  --norm Linf --eps 8/255 --worst-case --per-image --cache "$out/cache" --resume --out "$to" "$@"
