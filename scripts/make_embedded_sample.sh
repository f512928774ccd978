#!/bin/sh
# Makes the embedded sample of Fashion-MNIST (6,000 train and 1,000 test images, class-balanced, seeded) from the
# whole set, which Debian's package dataset-fashion-mnist installs. Needs only a JDK.
#
# usage: scripts/make_embedded_sample.sh [FASHION_MNIST_DIR [OUTPUT_DIR]]
set -eu
root=$(cd "$(dirname "$0")/.." && pwd)
source=${1:-/usr/share/datasets/fashion-mnist}
target=${2:-$root/src/main/resources/io/github/igdefense/data/fashion-mnist}
classes=$(mktemp -d)
trap 'rm -rf "$classes"' EXIT
javac --release 17 -proc:none -d "$classes" -sourcepath "$root/src/main/java" \
  "$root/src/main/java/io/github/igdefense/data/EmbeddedSample.java"
java -cp "$classes" io.github.igdefense.data.EmbeddedSample "$source" "$target"
ls -l "$target"
