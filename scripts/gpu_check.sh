#!/usr/bin/env bash
# Runs everything of igdefense that needs a GPU, on this machine's, and writes one report file to send back:
# the native table of kernels, the Java tests tagged gpu, compute-sanitizer, timings against the processor.
# Usage: scripts/gpu_check.sh [REPORT]        (default target/gpu-report.txt)
# Exit code: 0 all passed, 1 something failed, 2 no GPU (the report then says what was found).
set -uo pipefail
root="$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)"
cd "$root" || exit 1
report="${1:-target/gpu-report.txt}"
mkdir -p "$(dirname "$report")" target
: > "$report" || exit 1
logs="$(mktemp -d "${TMPDIR:-/tmp}/igdefense-gpu.XXXXXX")"
trap 'rm -rf -- "$logs"' EXIT
ran=() failed=() left=()

say() { printf '%s\n' "$*" | tee -a "$report"; }
section() { printf '\n== %s\n' "$1" | tee -a "$report"; }

# step NAME COMMAND...: runs it; its last lines go into the report.
step() {
  local name="$1" start="$SECONDS" status=0
  shift
  section "$name"
  say "\$ $*"
  "$@" > "$logs/out" 2>&1 || status=$?
  tail -n "${lines:-60}" "$logs/out" >> "$report"
  if [ "$status" = 0 ]; then
    ran+=("$name")
    say "passed after $((SECONDS - start)) s"
  else
    failed+=("$name (exit code $status)")
    say "FAILED with exit code $status after $((SECONDS - start)) s"
  fi
  return "$status"
}

skip() {
  left+=("$1: $2")
  section "$1"
  say "not run: $2"
}

end() { # EXIT_CODE
  section "result"
  say "run on a GPU and passed: ${#ran[@]}"
  [ "${#ran[@]}" = 0 ] || printf '  %s\n' "${ran[@]}" | tee -a "$report"
  say "failed: ${#failed[@]}"
  [ "${#failed[@]}" = 0 ] || printf '  %s\n' "${failed[@]}" | tee -a "$report"
  say "not run on a GPU: ${#left[@]}"
  [ "${#left[@]}" = 0 ] || printf '  %s\n' "${left[@]}" | tee -a "$report"
  printf 'report: %s\n' "$report"
  exit "$1"
}

section "machine"
say "igdefense $(git describe --always --dirty=+ 2> /dev/null || echo 'without git'), $(date -u +%Y-%m-%dT%H:%MZ)"
say "$(uname -srm), $(nproc) processors: $(sed -n 's/^model name[^:]*: //p' /proc/cpuinfo | head -n 1)"
nvcc="$(command -v nvcc || ls /usr/local/cuda/bin/nvcc 2> /dev/null || true)"
say "nvcc: ${nvcc:-none}${nvcc:+ ($("$nvcc" --version | grep -o 'release [0-9.]*'))}"
say "driver: $(head -n 1 /proc/driver/nvidia/version 2> /dev/null || echo none)"
if command -v nvidia-smi > /dev/null; then
  nvidia-smi >> "$report" 2>&1 || say "nvidia-smi fails"
else
  say "nvidia-smi: none"
fi

gpu=yes
if ! ls /dev/nvidia[0-9]* /dev/dxg > /dev/null 2>&1 && ! nvidia-smi -L > /dev/null 2>&1; then gpu=no; fi

if [ "$gpu" = no ]; then
  section "igd doctor"
  if [ -f target/classpath.txt ]; then
    IGD_NO_BUILD=1 scripts/igd doctor >> "$report" 2>&1 || say "igd doctor ended with $?"
  else
    say "not run: there is no build"
  fi
  left+=("everything: there is no GPU here")
  say ""
  say "no GPU: neither /dev/nvidia* nor nvidia-smi lists one. Install the NVIDIA driver (580 or newer), or run this on"
  say "a machine with a card; docs/cuda.md says what it needs."
  end 2
fi
if [ -z "$nvcc" ]; then
  left+=("everything: there is no nvcc to build with")
  say "no nvcc: install CUDA 13's toolkit; see docs/cuda.md"
  end 1
fi

step "build with CUDA" ./mvnw -q -B -ntp -Pcuda -DskipTests package || { left+=("everything else: the build failed"); end 1; }
lines=200 step "igd doctor" bash -c 'scripts/igd doctor || [ $? = 3 ]'

build=target/cmake-gpu
if step "build the native tests" bash -c "cmake -S cmake -B $build -DCMAKE_BUILD_TYPE=Release -DIGD_CUDA=on \
    -DIGD_CUDA_ARCHITECTURES=\"\${IGD_GPU_ARCHITECTURES:-80;86;89;90;100;120}\" -DIGD_BUILD_TESTS=ON \
    && cmake --build $build --parallel --target igd_device_tests"; then
  step "table of kernels, native" "$build/igd_device_tests" --large
  if command -v compute-sanitizer > /dev/null; then
    for tool in memcheck racecheck synccheck initcheck; do
      step "compute-sanitizer $tool" compute-sanitizer --tool "$tool" --error-exitcode 9 "$build/igd_device_tests"
    done
  else
    skip "compute-sanitizer" "it is not on the PATH (it comes with CUDA's toolkit)"
  fi
else
  skip "table of kernels, native" "it was not built"
  skip "compute-sanitizer" "there is nothing to run it on"
fi

step "Java tests tagged gpu" ./mvnw -B -ntp -Pcuda -Dgroups=gpu -Dsurefire.failIfNoSpecifiedTests=false test
# A skipped test has not run.
if grep -q 'Tests run: [0-9]*, Failures: 0, Errors: 0, Skipped: [1-9]' "$logs/out"; then
  failed+=("Java tests tagged gpu: some were skipped")
  grep -h 'Skipped: [1-9]' "$logs/out" >> "$report"
fi

attack=(scripts/igd attack --arch auto --checkpoint embedded:fashion-mnist --data embedded:test --attack apgd-ce
  --steps 50 --batch-size 500)
step "Auto-PGD on the GPU, timed" bash -c 'time "$@"' - "${attack[@]}" --device cuda:0 --out "$logs/gpu"
step "Auto-PGD on the processor, timed" bash -c 'time "$@"' - "${attack[@]}" --device cpu --out "$logs/cpu"
step "leave-one-out on the GPU, timed" bash -c 'time "$@"' - scripts/igd rank loir --arch auto \
  --checkpoint embedded:fashion-mnist --data embedded:train --device cuda:0 --out "$logs/rank"

[ "${#failed[@]}" = 0 ] || end 1
end 0
