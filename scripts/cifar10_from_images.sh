#!/usr/bin/env bash
# Converts CIFAR-10 kept as image files (one folder per class in each of train and test) into both published forms,
# OUT/cifar-10-batches-bin and OUT/cifar-10-batches-py, in the order of the sorted folders and files. Everything
# written is read back by its own reader and compared with the images, all of them.
# Usage: scripts/cifar10_from_images.sh IMAGES OUT
#   IMAGES: folder with train/CLASS/*.jpg (or .png) and test/CLASS/*, or an archive of it that tar reads
set -euo pipefail
if [ $# -ne 2 ]; then
  sed -n '2,6s/^# //p' "$0" >&2
  exit 2
fi
images="$1" out="$2"
igd="$(dirname "${BASH_SOURCE[0]}")/igd"
if [ -f "$images" ]; then
  unpacked="$(mktemp -d)"
  trap 'rm -rf "$unpacked"' EXIT
  tar -xf "$images" -C "$unpacked"
  train="$(find "$unpacked" -type d -name train -print -quit)"
  images="$(dirname "${train:-$unpacked/train}")"
fi
for part in train test; do
  "$igd" export -q --data "folder:$images/$part" --form cifar10_binary --part "$part" --out "$out/cifar-10-batches-bin"
  "$igd" export -q --data "folder:$images/$part" --form cifar10_python --part "$part" --out "$out/cifar-10-batches-py"
done
