#!/usr/bin/env bash
# check_ptx.sh FILE.ptx...: what the headers of native/cuda claim, searched in the PTX of every kernel: 16-byte loads
# and stores in the kernels that work on vectors, no local memory, no atomics. (That ptxas adds no local memory is in
# cuda_resources.tsv.)
set -euo pipefail
[ $# -gt 0 ] || { echo "usage: check_ptx.sh FILE.ptx..." >&2; exit 2; }
awk '
  /\.entry/ { name = $0; sub(/.*\.entry /, "", name); sub(/\(.*/, "", name); order[++count] = name }
  /ld\.global[.a-zA-Z0-9:]*\.v4\./ { ++loads[name] }
  /st\.global[.a-zA-Z0-9:]*\.v4\./ { ++stores[name] }
  /bar\.sync|barrier\.sync/ { ++barriers[name] }
  /\.local|ld\.local|st\.local/ { ++local[name] }
  /(atom|red)\.(global|shared)/ { ++atomics[name] }
  END {
    for (i = 1; i <= count; ++i) {
      name = order[i]
      print name "\t" loads[name] + 0 "\t" stores[name] + 0 "\t" barriers[name] + 0 "\t" local[name] + 0 "\t" \
        atomics[name] + 0
    }
  }' "$@" | c++filt | sed -E 's/^void //; s/igd::cuda:://g; s/\([^\t]*\)\t/\t/' | awk -F '\t' '
  function fail(text) { print "FAILED " $1 ": " text; bad = 1 }
  { ++seen; base = $1; sub(/<.*/, "", base); vector = 0
    if (match($1, /, [0-9]+>$/)) vector = substr($1, RSTART + 2, RLENGTH - 3) + 0
    if ($5 > 0) fail("local memory")
    if ($6 > 0) fail("atomics")
    reads = writes = 0
    if (base ~ /^(masked_activation|masked_activation_rows|masked_activation_columns|apgd_step_linf|apgd_step_l2|ablate_convolution|ablate_identity)$/) reads = writes = vector > 1
    if (base ~ /^(cdir_rows|cdir_units|loo_columns)$/) reads = vector > 1
    if (base ~ /^(masked_head_forward|loo_rows)$/) reads = 1
    if (base == "masked_head_backward") reads = writes = 1
    if (reads && $2 == 0) fail("no 16-byte loads")
    if (writes && $3 == 0) fail("no 16-byte stores")
    if (reads) ++vectors
    if (base ~ /^(masked_head_forward|masked_head_backward|loo_rows|loo_columns|apgd_step_l2|cdir_units|cdir_prior|check_labels|masked_activation_columns|ablate_convolution)$/ && $4 == 0) fail("no barrier")
  }
  END {
    if (seen < 60) { print "FAILED: " seen " kernels found, expected at least 60"; bad = 1 }
    print seen " kernels, " vectors " of them with 16-byte accesses"
    exit bad
  }'
