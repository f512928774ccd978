#!/usr/bin/env bash
# cuda_resources.sh LOGS TABLE: what ptxas said of every kernel (LOGS/*.log, by ptxas_log.sh) as a table: source,
# kernel, architecture, registers, bytes of static shared memory, of spill stores, of spill loads and of stack (local
# memory). Fails if a kernel spills or has local memory, or if there is nothing to read.
set -euo pipefail
logs=$1 table=$2
part=$table.part
{
  printf 'source\tkernel\tarchitecture\tregisters\tshared\tspill_stores\tspill_loads\tlocal\n'
  for log in "$logs"/*.cu.log; do
    awk -v source="$(basename "$log" .cu.log)" -v OFS='\t' '
      /Compiling entry function/ {
        split($0, quoted, "\x27"); kernel = quoted[2]; architecture = quoted[4]
      }
      /bytes stack frame/ { stack = $1; stores = $5; loads = $9 }
      /Used [0-9]+ registers/ {
        shared = 0; local = 0; registers = 0
        for (i = 1; i <= NF; ++i) {
          if ($i == "Used") registers = $(i + 1)
          if ($i == "bytes" && $(i + 1) ~ /^smem/) shared = $(i - 1)
          if ($i == "bytes" && $(i + 1) ~ /^lmem/) local = $(i - 1)
        }
        print source, kernel, architecture, registers, shared, stores, loads, stack + local
      }' "$log"
  done | c++filt | sed -E 's/\tvoid /\t/; s/igd::cuda:://g; s/\([^\t]*\)\t/\t/' | sort -t "$(printf '\t')" -k1,1 -k2,2 -k3,3V
} > "$part"
awk -F '\t' 'NR > 1 && ($6 + $7 + $8 > 0) { bad = 1; print "spills or local memory: " $0 }
  END { if (NR < 2) { print "no kernels found"; bad = 1 } exit bad }' "$part" >&2
mv "$part" "$table"
