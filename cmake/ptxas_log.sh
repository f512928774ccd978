#!/usr/bin/env bash
# ptxas_log.sh FOLDER NVCC ARGUMENT...: compiles, and keeps what ptxas says of the source's kernels in FOLDER.
set -uo pipefail
folder=$1
shift
source=
for argument in "$@"; do
  case $argument in *.cu) source=$(basename "$argument") ;; esac
done
log=$folder/${source:-link}.log
"$@" 2> "$log.part"
status=$?
if [ $status -eq 0 ]; then
  mv "$log.part" "$log"
  grep -v -E "^ptxas info|bytes stack frame|^$" "$log" >&2 || true
else
  cat "$log.part" >&2
  rm -f "$log" "$log.part"
fi
exit $status
