#!/usr/bin/env bash
# Builds the native library and its tests under the sanitizers and runs them:
#   native/test/run_sanitizers.sh [address,undefined|thread]...     (default: both)
# address,undefined runs the OpenMP code. thread replaces OpenMP by std::thread (IGD_STD_THREADS), because
# libgomp is not instrumented and its barriers would look like races; the kernels and their sharing of work
# are the same code. The CUDA kernels run under the emulation in both; thread sees races within a block there, whatever
# the order of the threads. In either build the test sanitizer_sees_fault plants a fault in the library and passes
# only if it is reported.
set -euo pipefail
root=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)
sanitizers=("$@")
if [ ${#sanitizers[@]} -eq 0 ]; then sanitizers=(address,undefined thread); fi

export ASAN_OPTIONS="detect_stack_use_after_return=1:strict_string_checks=1${ASAN_OPTIONS:+:$ASAN_OPTIONS}"
export UBSAN_OPTIONS="print_stacktrace=1${UBSAN_OPTIONS:+:$UBSAN_OPTIONS}"
export TSAN_OPTIONS="halt_on_error=1${TSAN_OPTIONS:+:$TSAN_OPTIONS}"

for sanitizer in "${sanitizers[@]}"; do
  build="$root/target/sanitizer-${sanitizer//,/-}"
  echo "== $sanitizer ($build)"
  cmake -S "$root/cmake" -B "$build" -DCMAKE_BUILD_TYPE=Release -DIGD_SANITIZER="$sanitizer" -DIGD_CUDA=off \
    -DIGD_BUILD_TESTS=ON >"$build.log" 2>&1 || { cat "$build.log"; exit 1; }
  cmake --build "$build" --parallel 2 >>"$build.log" 2>&1 || { tail -50 "$build.log"; exit 1; }
  ctest --test-dir "$build" --output-on-failure
done
