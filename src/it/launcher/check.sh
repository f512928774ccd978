#!/usr/bin/env bash
# Checks scripts/igd with a build and a JVM that only take notes: when it builds, what it runs, what it passes on.
set -euo pipefail
root="$(cd "$(dirname "${BASH_SOURCE[0]}")/../../.." && pwd)"
scratch="$(mktemp -d "${TMPDIR:-/tmp}/igdefense-launcher.XXXXXX")"
trap 'rm -rf -- "$scratch"' EXIT
project="$scratch/a project"
mkdir -p "$project/scripts" "$project/src/main/java" "$project/native" "$project/cmake" "$scratch/jdk/bin"
cp "$root/scripts/igd" "$project/scripts/igd"
cp "$root/scripts/compile_jni.sh" "$project/scripts/"
printf '<project>\n  <version>7.8</version>\n</project>\n' > "$project/pom.xml"
cat > "$project/mvnw" <<'SH'
#!/usr/bin/env bash
echo "$*" >> "$(dirname "$0")/../builds"
sleep 1
if [ -f fail-the-build ]; then echo "no such symbol"; exit 1; fi
mkdir -p target
date +%N > target/igdefense-7.8.jar
printf '%s' "$PWD/pom.xml" > target/classpath.txt
touch target/igd.stamp
SH
cat > "$scratch/jdk/bin/java" <<'SH'
#!/usr/bin/env bash
printf '<%s>' "$@"
echo
exit "${JVM_EXIT:-0}"
SH
chmod +x "$project/mvnw" "$scratch/jdk/bin/java"
ln -s "$project/scripts/igd" "$scratch/link"
export JAVA_HOME="$scratch/jdk"

builds() { if [ -f "$scratch/builds" ]; then wc -l < "$scratch/builds"; else echo 0; fi; }
expect() { # WHAT EXPECTED ACTUAL
  if [ "$2" != "$3" ]; then
    printf '%s: expected %s, got %s\n' "$1" "$2" "$3" >&2
    exit 1
  fi
}

cd "$scratch"
./link first > out1 2> err1 &
one=$!
./link second > out2 2> err2 &
two=$!
wait "$one"
wait "$two"
expect "builds by two first uses at once" 1 "$(builds)"
out="$(IGD_JAVA_OPTS='-Da=1 -Db=2' ./link predict 'a b' '' 2> err)"
expect "builds when nothing changed" 1 "$(builds)"
expect "notes when nothing changed" "" "$(cat err)"
case "$out" in
  *'<-Da=1><-Db=2>'*'.jar:'*'<io.github.igdefense.cli.Igd><predict><a b><>') ;;
  *) expect "arguments" "... <io.github.igdefense.cli.Igd><predict><a b><>" "$out" ;;
esac
jar_before="$(cat "$project/target/run/current")"

status=0
JVM_EXIT=3 ./link > out 2> err || status=$?
expect "exit code" 3 "$status"

sleep 0.1
touch "$project/src/main/java/New.java"
./link > out 2> err
expect "builds after a source changed" 2 "$(builds)"
if [ "$jar_before" = "$(cat "$project/target/run/current")" ]; then
  echo "expected another name for another jar, got $jar_before again" >&2
  exit 1
fi

sleep 0.1
touch "$project/pom.xml" "$project/fail-the-build"
status=0
./link > out 2> err || status=$?
expect "exit code of a failed build" 1 "$status"
expect "standard output of a failed build" "" "$(cat out)"
grep -q 'no such symbol' err || expect "standard error of a failed build" "its log" "$(cat err)"
IGD_NO_BUILD=1 ./link > out 2> err
expect "builds in all" 3 "$(builds)"
echo "launcher: OK"
