#!/usr/bin/env bash
# Compares decoding and preprocessing with Pillow (Debian: python3-pil, python3-numpy): random images of many sizes,
# kinds (JPEG grey, RGB, CMYK, subsampled, progressive; PNG grey, palette, alpha, 1 and 16 bits) and all named
# preprocessings plus random ones. Prints the largest difference per kind; exit code 3 if pixels differ by more than
# a decoder may (lossless and resizing: 0).
# Usage: scripts/compare_with_pillow.sh [IMAGES_PER_CASE [SEED]]
#   PYTHON: the interpreter with Pillow and numpy (default /usr/bin/python3)
set -euo pipefail
here="$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)"
python="${PYTHON:-/usr/bin/python3}"
"$python" -c 'import PIL, numpy' 2> /dev/null || {
  echo "compare_with_pillow: expected Pillow and numpy for $python; install python3-pil and python3-numpy" >&2
  exit 2
}
exec "$python" "$here/compare_with_pillow.py" "$here/igd" "${1:-12}" "${2:-1}"
