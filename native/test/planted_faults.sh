#!/usr/bin/env bash
# planted_faults.sh COMPILER FOLDER FLAGS LIBRARIES OBJECT...: plants one fault at a time into a copy of native/cuda,
# compiles it for the emulation and runs the table of kernel_cases.h. Passes only if every fault is caught: by a wrong
# or poisoned result, by the emulation (a barrier that not all reach, a race between blocks), or by a sanitizer.
# A fault: name | source that is compiled | operation of the table | file | sed expression
set -uo pipefail
compiler=$1 folder=$2 flags=$3 libraries=$4
shift 4
native=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
faults=(
  'no fault|masked_activation|masked_activation|masked_activation.cuh|'
  'removed barrier (masked activation, sums of a tile)|masked_activation|masked_activation|masked_activation.cuh|/^  __syncthreads();$/d'
  'removed barrier (sum over a block)|apgd_step|apgd_step|common.cuh|/^__device__.*block_sum/,/^}/{0,/__syncthreads/{/__syncthreads/d}}'
  'removed barrier (list of images)|loo_penultimate|loo_penultimate|loo_penultimate.cuh|/if (mine) list/{n;d}'
  'removed barrier (log-mean-exp)|cdir_score|cdir_score|cdir_score.cuh|/shared\[threadIdx.x\] = total;/{n;d}'
  'removed barrier (taps of a tile)|loo_interior|loo_interior|loo_interior.cuh|/^  __syncthreads();$/d'
  'off by one (last row of a convolution)|loo_interior|loo_interior|loo_interior.cuh|s/row < k\.h/row <= k.h/'
  'off by one (ranks of a chunk)|cdir_score|cdir_score|cdir_score.cuh|s/r < count; r += parts/r + 1 < count; r += parts/'
  'uninitialised shared word (sums of a warp)|loo_penultimate|loo_penultimate|loo_penultimate.cuh|/own\[lane\] = 0;/d'
  'unwritten output (last elements)|masked_activation|masked_activation|masked_activation.cuh|s/i < k\.total; ++i/i + 1 < k.total; ++i/'
  'unwritten output (importance of the last unit)|loo_penultimate|loo_penultimate|loo_penultimate.cuh|s/if (index >= units \* k) return;/if (index + 1 >= units * k) return;/'
  'vote that not all lanes reach|masked_activation|masked_activation|masked_activation.cuh|s/^  sum = group_sum(sum, width);/  if (valid) sum = group_sum(sum, width);/'
  'race between blocks|cdir_score|cdir_score|cdir_score.cuh|s/double highest = valid ? get_raw(column) : 0;/double highest = get_raw(scores);/'
  'wrong stream|apgd_step|apgd_step|launch.cuh|s/blocks, shared, stream_, arguments/blocks, shared, nullptr, arguments/'
  'unchecked launch|apgd_step|apgd_step|launch.cuh|s/if (error != cudaSuccess) failed(kernel_name, error);/(void)error;/'
)

# plant NUMBER OBJECT...: prints the verdict of one fault.
plant() {
  local number=$1 name source operation file expression
  shift
  IFS='|' read -r name source operation file expression <<< "${faults[$number]}"
  local copy=$folder/$number
  rm -rf "$copy"
  mkdir -p "$copy"
  cp -r "$native/cuda" "$copy/cuda"
  ln -s "$native/cpu" "$copy/cpu"
  if [ -n "$expression" ]; then
    sed -i "$expression" "$copy/cuda/$file"
    if cmp -s "$copy/cuda/$file" "$native/cuda/$file"; then
      echo "FAILED $name: the fault was not planted, native/cuda/$file has changed"
      return
    fi
  fi
  printf '#include "cuda_emulation.h"\n\n#include "%s.cu"\n' "$source" > "$copy/fault.cpp"
  # shellcheck disable=SC2086
  if ! "$compiler" -std=c++17 $flags -w -DIGD_CUDA_EMULATION -I"$copy/cuda" -I"$native/include" -I"$native/test" \
    -o "$copy/fault" "$copy/fault.cpp" "$@" $libraries > "$copy/log" 2>&1; then
    echo "FAILED $name: does not compile"
    tail -n 5 "$copy/log"
    return
  fi
  local status=0
  IGD_EMULATION_CASE=$operation timeout 300 "$copy/fault" cuda_emulated > "$copy/log" 2>&1 || status=$?
  local by
  by=$(grep -m 1 -E 'ThreadSanitizer|AddressSanitizer|^emulation:|^FAILED' "$copy/log" | cut -c 1-110)
  if [ -z "$expression" ]; then
    if [ $status -eq 0 ]; then echo "passed  $name"; else echo "FAILED $name: $by"; fi
  elif [ $status -eq 0 ] || [ $status -eq 124 ]; then
    echo "FAILED $name: not caught (status $status)"
  else
    echo "caught  $name: $by"
  fi
  rm -f "$copy/fault"
}

mkdir -p "$folder"
for worker in 0 1; do
  for ((i = worker; i < ${#faults[@]}; i += 2)); do plant "$i" "$@"; done > "$folder/verdicts.$worker" &
done
wait
cat "$folder"/verdicts.?
caught=$(cat "$folder"/verdicts.? | grep -c '^caught')
echo "$caught of $((${#faults[@]} - 1)) faults caught"
[ "$caught" -eq $((${#faults[@]} - 1)) ] && grep -q '^passed' "$folder"/verdicts.?
