#!/usr/bin/env bash
# Feeds every reader of files at least a million mutated inputs: scripts/fuzz.sh [RUNS [READER ...]]
# RUNS defaults to 1000000, READER to all of them (Class#method of the tests named *FuzzTest).
# A reader may only return or throw InputException; it gets 256 MiB of heap and 25 s per input (the first one loads classes). What breaks that rule is
# written to target/fuzz/crash-*; move it to the seeds (src/test/resources/…Inputs) once it is fixed.
# Needs compiled tests: ./mvnw -q test-compile
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
runs="${1:-1000000}"
shift || true
readers=("$@")
if [ ${#readers[@]} -eq 0 ]; then
  for class in src/test/java/io/github/igdefense/*/*FuzzTest.java; do
    name="${class#src/test/java/}"
    name="${name%.java}"
    while read -r method; do
      readers+=("${name//\//.}#$method")
    done < <(sed -n '/@FuzzTest/{n;s/.* void \([A-Za-z0-9_]*\)(.*/\1/p}' "$class")
  done
fi
out=target/fuzz
mkdir -p "$out"
path="$out/classpath.txt"
if [ ! -s "$path" ] || [ pom.xml -nt "$path" ]; then
  ./mvnw -q -B dependency:build-classpath -DincludeScope=test -Dmdep.outputFile="$path"
fi
printf '%-60s %12s %8s %10s %8s\n' reader inputs seconds 'RSS MB' result
failed=0
for reader in "${readers[@]}"; do
  class="${reader%#*}"
  method="${reader#*#}"
  seeds="src/test/resources/${class//.//}Inputs/$method"
  corpus="$out/corpus/$class/$method"
  log="$out/$class.$method.log"
  mkdir -p "$corpus"
  started=$SECONDS
  result=sound
  java -Xmx256m -Xss1m -XX:+UseSerialGC -Djava.awt.headless=true \
    -cp "target/test-classes:target/classes:$(cat "$path")" com.code_intelligence.jazzer.Jazzer \
    "--target_class=$class" "--target_method=$method" \
    '--instrumentation_includes=io.github.igdefense.**:com.twelvemonkeys.**' \
    '--custom_hook_includes=io.github.igdefense.nothing' "--reproducer_path=$out" \
    "-artifact_prefix=$out/" "-runs=$runs" -timeout=25 -rss_limit_mb=1024 -print_final_stats=1 \
    "$corpus" "$seeds" > "$log" 2>&1 || result=FAILED
  inputs="$(sed -n 's/^stat::number_of_executed_units: *//p' "$log")"
  rss="$(sed -n 's/^stat::peak_rss_mb: *//p' "$log")"
  [ "${inputs:-0}" -ge "$runs" ] || result=FAILED
  [ "$result" = sound ] || failed=1
  printf '%-60s %12s %8d %10s %8s\n' "${reader#io.github.igdefense.}" "${inputs:-?}" "$((SECONDS - started))" \
    "${rss:-?}" "$result"
done
exit $failed
