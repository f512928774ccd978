#!/usr/bin/env bash
# JMH benchmarks of src/jmh/java, with the garbage of each call (-prof gc). Arguments go to JMH:
#   scripts/jmh.sh                          all of them, about 6 minutes
#   scripts/jmh.sh -f 1 -wi 1 -i 2 Kernel   a first look at the kernels
#   scripts/jmh.sh -l                       lists them
# Nothing else should run on the machine meanwhile. Writes target/jmh.json.
set -euo pipefail
root="$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)"
cd "$root"
./mvnw -q -B -Pjmh -DskipTests test-compile
[ -s target/jmh-classes/META-INF/BenchmarkList ] || {
  echo "jmh: expected target/jmh-classes/META-INF/BenchmarkList, found none: no benchmark was compiled" >&2
  exit 1
}
exec java -cp "target/jmh-classes:target/classes:$(cat target/jmh-classpath.txt)" org.openjdk.jmh.Main \
  -prof gc -rf json -rff target/jmh.json "$@"
