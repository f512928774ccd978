#!/usr/bin/env bash
# Resident memory over a million inferences of one image and ten thousand attack steps, on a small network: some minutes.
#   scripts/soak.sh [INFERENCES] [further options of igd bench]
# Prints a line after every twentieth part, the growth, and last one line of JSON. Exit code 3 if memory at the end is more
# than 1 % above that after warm-up.
set -euo pipefail
root="$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)"
count=1000000
case "${1:-}" in
  '' | -*) ;;
  *)
    count="$1"
    shift
    ;;
esac
# A small heap, touched at the start: its first use must not look like growth.
export IGD_JAVA_OPTS="-Xms64m -Xmx64m -XX:+AlwaysPreTouch -XX:TieredStopAtLevel=1 ${IGD_JAVA_OPTS:-}"
json="$("${IGD:-$root/scripts/igd}" bench --soak "$count" --json "$@")"
printf '%s\n' "$json"
for what in inferences attack_steps; do
  growth="$(sed -n "s/.*\"soak_${what}_growth\":\([-0-9.eE]*\).*/\1/p" <<< "$json")"
  [ -n "$growth" ] || {
    echo "soak: expected soak_${what}_growth in the answer, found none" >&2
    exit 1
  }
  if awk -v growth="$growth" 'BEGIN { exit !(growth > 0.01) }'; then
    echo "soak: resident memory grew by $growth of itself over the $what" >&2
    exit 3
  fi
done
