#!/usr/bin/env bash
# How the noise of the pseudo-label pass decides what the defense is worth: igd eval at several sigmas.
# Usage: scripts/sweep_sigma.sh CHECKPOINT DATA RANKING_DIR OUT_DIR "SIGMA ..." [further options of igd eval]
# Prints a table of clean accuracy, direct attacks and worst case; the reports are in OUT_DIR/sigma-*/.
set -euo pipefail
if [ $# -lt 5 ]; then
  sed -n '2,4s/^# //p' "$0" >&2
  exit 2
fi
checkpoint="$1" data="$2" ranking="$3" out="$4" sigmas="$5"
shift 5
igd="$(dirname "${BASH_SOURCE[0]}")/igd"
printf '%-10s %8s %8s %8s %8s\n' sigma clean apgd-ce apgd-t worst
for sigma in $sigmas; do
  mkdir -p "$out"
  folder="$out/sigma-${sigma//\//_}"
  "$igd" eval --quiet --checkpoint "$checkpoint" --data "$data" --ranking "$ranking" \
    --smoothing-sigma "$sigma" --out "$folder" "$@" > "$folder.txt" 2>&1 || { cat "$folder.txt" >&2; exit 1; }
  # The numbers of the evaluated classifier stand at the top level, two spaces in.
  awk -v sigma="$sigma" '
    function value(line) { sub(/.*: */, "", line); sub(/,.*/, "", line); return 100 * line }
    /^  "clean" *:/ { clean = value($0) }
    /^  "attacks" *:/ { inside = 1 }
    inside && /"apgd-ce" *:/ { ce = value($0) }
    inside && /"apgd-t" *:/ { t = value($0); }
    /^  "transfer" *:/ { inside = 0 }
    /^  "worst_case" *:/ { worst = value($0) }
    END { printf "%-10s %8.1f %8.1f %8.1f %8.1f\n", sigma, clean, ce, t, worst }' "$folder/result.json"
done
