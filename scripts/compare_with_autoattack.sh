#!/usr/bin/env bash
# AutoAttack standard (Linf, 8/255) by igd and by the published Python code, one after the other on the same points of the
# shipped CIFAR-10 model: the base model, and the defended one (LO-IR, 50 units of layer4 per class, no smoothing).
# Prints a table: broken images, images judged differently, wall and CPU seconds; exit code 1 if the two differ by more
# than 2 images of 500 (at least 2). Parts whose results are in OUT_DIR are not run again: delete them to repeat.
# Usage: scripts/compare_with_autoattack.sh CIFAR10_FOLDER AUTOATTACK_CHECKOUT OUT_DIR [IMAGES [THREADS]]
#   CIFAR10_FOLDER holds class folders {train,test}/<class>; AUTOATTACK_CHECKOUT holds the package autoattack;
#   IMAGES (500) are the first of every class; THREADS (2) for both
# Environment: PYTHON with numpy and PyTorch (/usr/bin/python3), BATCH (128), SEED (0), ONLY "base defended" (both),
#   RANKINGS a folder unit<u>.npy of layer4 or the --out of igd rank loir (none: made from 5000 training images),
#   TOGETHER=1 both at the same time, with one thread on a core of its own each (on a shared machine whose speed changes by the minute)
set -euo pipefail
if [ $# -lt 3 ] || [ $# -gt 5 ]; then
  sed -n '2,12s/^# //p' "$0" >&2
  exit 2
fi
data="$1" autoattack="$2" out="$3" images="${4:-500}" threads="${5:-2}"
together="${TOGETHER:-0}" python="${PYTHON:-/usr/bin/python3}" batch="${BATCH:-128}" seed="${SEED:-0}" only=" ${ONLY:-base defended} "
here="$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)"
igd="${IGD:-$here/igd}" checkpoint="$here/../checkpoints/cifar10.safetensors"
fail() {
  printf 'compare_with_autoattack: %s\n' "$1" >&2
  exit 2
}
[ -d "$data/test" ] || fail "expected class folders in $data/test, found no such folder"
[ -d "$autoattack/autoattack" ] || fail "expected a checkout of AutoAttack, found no $autoattack/autoattack; clone https://github.com/fra31/auto-attack"
[ -f "$checkpoint" ] || fail "expected $checkpoint, found none"
"$python" -c 'import numpy, torch' 2> /dev/null || fail "expected numpy and PyTorch for $python; install python3-numpy and python3-torch, or name another by PYTHON"
case "$images$threads$batch" in *[!0-9]*) fail "expected whole numbers IMAGES, THREADS and BATCH" ;; esac
pin_igd=() pin_python=()
if [ "$together" = 1 ]; then
  [ "$threads" = 1 ] || fail "expected THREADS 1 with TOGETHER=1, got $threads: each has one core"
  [ "$(nproc)" -ge 2 ] || fail "expected 2 cores for TOGETHER=1, found $(nproc)"
  pin_igd=(taskset -c 0) pin_python=(taskset -c 1)
fi
"$igd" --version > /dev/null # builds where there is no build: not part of the time
mkdir -p "$out"

model=(--checkpoint embedded:cifar10 --threads "$threads")

# timed NAME COMMAND ...: runs it with its output in OUT_DIR/NAME.log; wall, user and system seconds in OUT_DIR/NAME.time.
timed() {
  local name="$1" TIMEFORMAT='%R %U %S'
  shift
  printf '== %s\n' "$name" >&2
  if ! { time "$@" > "$out/$name.log" 2>&1; } 2> "$out/$name.time.new"; then
    tail -n 20 "$out/$name.log" >&2
    printf 'compare_with_autoattack: %s failed (log: %s)\n' "$name" "$out/$name.log" >&2
    exit 3
  fi
  mv "$out/$name.time.new" "$out/$name.time"
}

# What is kept in OUT_DIR belongs to one set of points.
settings="images $images seed $seed batch $batch threads $threads together $together"
if [ -f "$out/settings.txt" ] && [ "$(cat "$out/settings.txt")" != "$settings" ]; then
  fail "$out holds results of '$(cat "$out/settings.txt")', not of '$settings'; choose another folder"
fi
printf '%s\n' "$settings" > "$out/settings.txt"

points="$out/points/adversarial.npz" # x and y; the images of a cheap attack beside them are not used
[ -f "$points" ] || "$igd" attack "${model[@]}" --data "folder:$data/test" --limit "$images" --attack fgsm --out "$out/points" \
  > "$out/points.log"

run() {
  local name="$1"
  shift
  local ours=() theirs=()
  if [ $# -gt 0 ]; then
    ours=(--ranking "$1" --layer layer4 --keep 50 --smoothing-sigma 0 --temperature 0.01)
    theirs=(--rankings "$1" --keep 50)
  fi
  local published=
  if [ ! -f "$out/$name-python.time" ]; then
    timed "$name-python" "${pin_python[@]}" env OMP_NUM_THREADS="$threads" "$python" -W ignore "$here/compare_with_autoattack.py" \
      --autoattack "$autoattack" --checkpoint "$checkpoint" --points "$points" "${theirs[@]}" --seed "$seed" \
      --batch-size "$batch" --threads "$threads" --out "$out/$name-python.npz" &
    published=$!
    if [ "$together" = 0 ]; then
      wait "$published"
      published=
    fi
  fi
  if [ ! -f "$out/$name-igd.time" ]; then
    rm -rf "${out:?}/$name-igd"
    timed "$name-igd" "${pin_igd[@]}" "$igd" attack "${model[@]}" --data "npz:$points" "${ours[@]}" --attack autoattack --norm Linf \
      --eps 8/255 --seed "$seed" --batch-size "$batch" --per-image --out "$out/$name-igd"
  fi
  if [ -n "$published" ]; then wait "$published"; fi
}

case "$only" in *" base "*) run base ;; esac
case "$only" in
  *" defended "*)
    rankings="${RANKINGS:-$out/rankings}"
    if [ -z "${RANKINGS:-}" ] && [ ! -d "$rankings/cifar10/layer4" ]; then
      "$igd" rank loir "${model[@]}" --data "folder:$data/train" --limit 5000 --layer layer4 --out "$rankings" > "$out/rankings.log"
    fi
    [ ! -d "$rankings/cifar10/layer4" ] || rankings="$rankings/cifar10/layer4"
    [ -f "$rankings/unit0.npy" ] || fail "expected unit<u>.npy in $rankings, found no unit0.npy"
    run defended "$rankings"
    ;;
esac

"$python" - "$out" <<'PYTHON' | tee "$out/table.txt"
import csv
import os
import sys

import numpy as np

out = sys.argv[1]
print(f"{'model':<10}{'by':<8}{'images':>7}{'clean':>7}{'broken':>7}{'differ':>7}{'wall s':>10}{'CPU s':>10}{'wall':>8}{'CPU':>8}")
worst = 0
for name in ("base", "defended"):
    if not all(os.path.exists(f"{out}/{name}-{by}.time") for by in ("igd", "python")):
        continue
    with open(f"{out}/{name}-igd/per_image.csv") as file:
        rows = sorted(csv.DictReader(file), key=lambda row: int(row["image"]))
    clean = {"igd": np.array([row["label"] == row["clean_prediction"] for row in rows])}
    robust = {"igd": np.array([row["robust"] == "1" for row in rows])}
    with np.load(f"{out}/{name}-python.npz") as saved:
        clean["python"], robust["python"] = saved["clean"], saved["robust"]
    differ = int((robust["igd"] != robust["python"]).sum())
    broken, wall, cpu = {}, {}, {}
    for by in ("igd", "python"):
        with open(f"{out}/{name}-{by}.time") as file:
            times = [float(word) for word in file.read().split()]
        broken[by], wall[by], cpu[by] = int((clean[by] & ~robust[by]).sum()), times[0], times[1] + times[2]
    for by in ("igd", "python"):
        ratio = f"{wall['python'] / wall[by]:>7.2f}x{cpu['python'] / cpu[by]:>7.2f}x" if by == "igd" else ""
        print(f"{name:<10}{by:<8}{len(rows):>7}{int(clean[by].sum()):>7}{broken[by]:>7}{differ:>7}{wall[by]:>10.1f}{cpu[by]:>10.1f}{ratio}")
    allowed = max(2, 2 * len(rows) // 500)
    if abs(broken["igd"] - broken["python"]) > allowed:
        worst = 1
        print(f"{name}: broken images differ by more than {allowed} of {len(rows)}")
sys.exit(worst)
PYTHON
