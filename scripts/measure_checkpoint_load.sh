#!/usr/bin/env bash
# Memory and time of loading a checkpoint of about 1 GB (a WideResNet-70-16 with random weights, 267 million float32
# values) against plainly reading the file: scripts/measure_checkpoint_load.sh [ARCHITECTURE [FOLDER]]
# "plain": the file read in blocks. "read": tensors found, every checksum and the file's hash computed, nothing converted.
# "network": that, and the network built in libtorch's memory. Each in a process of its own, with the options of scripts/igd, twice: the second time with
# the file in the page cache for certain. Needs compiled tests: ./mvnw -q test-compile; 2.2 GB of disk, 3 GB of memory.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
architecture="${1:-wrn-70-16}"
folder="${2:-target/checkpoint-load}"
mkdir -p "$folder"
path=target/test-classpath.txt
if [ ! -s "$path" ] || [ pom.xml -nt "$path" ]; then
  ./mvnw -q -B dependency:build-classpath -DincludeScope=test -Dmdep.outputFile="$PWD/$path"
fi
probe() {
  java -XX:+UseSerialGC -Xshare:auto -Dorg.bytedeco.javacpp.nopointergc=true -cp "target/test-classes:target/classes:$(cat "$path")" \
    io.github.igdefense.model.CheckpointLoadProbe "$@" "$architecture"
}
for form in zip safetensors; do
  file="$folder/$architecture.$form"
  probe "write-$form" "$file"
  for round in 1 2; do
    echo "round $round"
    for work in plain read network; do
      probe "$work" "$file"
    done
  done
  rm "$file"
done
