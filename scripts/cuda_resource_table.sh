#!/usr/bin/env bash
# Writes the tables of docs/cuda-kernels.md from a build with nvcc whose tests have run:
#   scripts/cuda_resource_table.sh [BUILD]          (default: target/cmake-tests)
#   scripts/cuda_resource_table.sh --check [BUILD]  (changes nothing, fails if a table differs)
# Reads BUILD/cuda_resources.tsv (what ptxas said of every kernel and architecture) and BUILD/cuda_traffic.tsv (what
# the emulation counted per operation).
set -euo pipefail
root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
check=0
if [ "${1:-}" = --check ]; then
  check=1
  shift
fi
build=${1:-$root/target/cmake-tests}
page=$root/docs/cuda-kernels.md
for file in "$build/cuda_resources.tsv" "$build/cuda_traffic.tsv"; do
  [ -s "$file" ] || {
    echo "cuda_resource_table.sh: $file: expected a table; build with nvcc (-DIGD_CUDA=on) and run ctest there" >&2
    exit 2
  }
done

resources() {
  local architectures
  architectures=$(awk -F '\t' 'NR > 1 { print $3 }' "$build/cuda_resources.tsv" | sort -u -V | tr '\n' ' ')
  awk -F '\t' -v names="$architectures" '
    BEGIN {
      count = split(names, order, " ")
      printf "| kernel |"
      for (i = 1; i <= count; ++i) printf " %s |", order[i]
      print " static shared (bytes) | spills, local (bytes) |"
      printf "|---|"
      for (i = 1; i <= count; ++i) printf "---:|"
      print "---:|---:|"
    }
    NR > 1 {
      if (!($2 in seen)) { seen[$2] = 1; list[++kernels] = $2 }
      registers[$2, $3] = $4
      if ($5 > shared[$2]) shared[$2] = $5
      wasted[$2] += $6 + $7 + $8
    }
    END {
      for (k = 1; k <= kernels; ++k) {
        name = list[k]
        printf "| `%s` |", name
        for (i = 1; i <= count; ++i) printf " %s |", registers[name, order[i]]
        printf " %d | %d |\n", shared[name], wasted[name]
      }
    }' "$build/cuda_resources.tsv"
}

traffic() {
  awk -F '\t' '
    BEGIN {
      print "| operation | element type | shape | launches | minimum (bytes) | moved / minimum | requested / minimum | by 16-byte accesses |"
      print "|---|---|---|---:|---:|---:|---:|---:|"
    }
    NR > 1 { printf "| `%s` | %s | %s | %d | %d | %.3f | %.2f | %.0f %% |\n", $1, $2, $3, $4, $5, $7, $8 / $5, 100 * $9 }
  ' "$build/cuda_traffic.tsv"
}

# replace NAME < TABLE: what stands between the marks of that name.
fresh=$(mktemp "${TMPDIR:-/tmp}/cuda-kernels.XXXXXX")
trap 'rm -f -- "$fresh" "$fresh".*' EXIT
resources > "$fresh.resources"
traffic > "$fresh.traffic"
awk -v base="$fresh" '
  /^<!-- begin / { print; name = $3; while ((getline line < (base "." name)) > 0) print line; skip = 1; next }
  /^<!-- end / { skip = 0 }
  !skip { print }' "$page" > "$fresh"
if [ $check -eq 1 ]; then
  diff -u "$page" "$fresh" || {
    echo "cuda_resource_table.sh: docs/cuda-kernels.md differs from the build; run scripts/cuda_resource_table.sh" >&2
    exit 1
  }
elif ! cmp -s "$fresh" "$page"; then
  cat "$fresh" > "$page"
fi
