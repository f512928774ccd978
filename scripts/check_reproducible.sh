#!/usr/bin/env bash
# Builds this tree twice, in two directories of different names, and compares every artifact byte for byte.
# Usage: scripts/check_reproducible.sh [MAVEN_ARGUMENT...]
set -euo pipefail
root="$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)"
scratch="$(mktemp -d "${TMPDIR:-/tmp}/igdefense-repro.XXXXXX")"
trap 'rm -rf -- "$scratch"' EXIT

build() { # DIRECTORY [MAVEN_ARGUMENT...]
  local directory="$1"
  shift
  mkdir -p "$directory"
  # What git knows or would add: no build output.
  (cd "$root" && git ls-files -z --cached --others --exclude-standard | while IFS= read -r -d '' file; do
    if [ -e "$file" ]; then printf '%s\0' "$file"; fi
  done | tar -c --null -T - ) | tar -x -C "$directory"
  if ! (cd "$directory" && ./mvnw -q -B -DskipTests "$@" verify) > "$directory.log" 2>&1; then
    cat "$directory.log" >&2
    echo "the build in $directory failed (log above)" >&2
    exit 1
  fi
}

first="$scratch/first"
second="$scratch/another place"
build "$first" "$@"
build "$second" "$@"

status=0
count=0
while IFS= read -r file; do
  name="$(basename "$file")"
  count=$((count + 1))
  if [ ! -f "$second/target/$name" ]; then
    echo "differs: $name is made in one directory only" >&2
    status=1
  elif cmp -s "$file" "$second/target/$name"; then
    echo "equal: $name ($(stat -c %s "$file") bytes)"
  else
    echo "differs: $name" >&2
    status=1
    # Which entries, for those who have to find out.
    mkdir -p "$scratch/a/$name" "$scratch/b/$name"
    unzip -q -o "$file" -d "$scratch/a/$name" && unzip -q -o "$second/target/$name" -d "$scratch/b/$name" \
      && diff -rq "$scratch/a/$name" "$scratch/b/$name" >&2 || true
  fi
done < <(find "$first/target" -maxdepth 1 -type f \( -name '*.jar' -o -name '*.nar' -o -name 'bom.json' \) | sort)
if [ "$count" -lt 4 ]; then
  echo "expected at least 4 artifacts, got $count" >&2
  status=1
fi
exit "$status"
