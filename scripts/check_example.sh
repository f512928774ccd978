#!/usr/bin/env bash
# Builds and runs docs/examples/embedding against the jar in target/, which is put into a scratch local
# repository first; the bundle is exported from the shipped model. Usage: scripts/check_example.sh
# (after ./mvnw package). MAVEN_REPOSITORY names the local repository that has plugins and dependencies
# (default ~/.m2/repository).
set -euo pipefail
root="$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)"
version="$(sed -n 's:^  <version>\(.*\)</version>$:\1:p' "$root/pom.xml" | head -n 1)"
jar="$root/target/igdefense-$version.jar"
if [ ! -f "$jar" ]; then
  echo "expected $jar, found none: run ./mvnw -DskipTests package first" >&2
  exit 1
fi
scratch="$(mktemp -d "${TMPDIR:-/tmp}/igdefense-example.XXXXXX")"
trap 'rm -rf -- "$scratch"' EXIT
# Under a version of its own: JavaCPP unpacks native libraries once per jar name.
own="$version-$(sha256sum "$jar" | cut -c 1-12)"
folder="$scratch/repository/io/github/igdefense/igdefense/$own"
mkdir -p "$folder"
sed "s:^  <version>.*</version>\$:  <version>$own</version>:" "$root/pom.xml" > "$folder/igdefense-$own.pom"
cp "$jar" "$folder/igdefense-$own.jar"
cp -r "$root/docs/examples/embedding" "$scratch/project"

printf '%s\n' t-shirt trouser pullover dress coat sandal shirt sneaker bag boot > "$scratch/names.txt"
"$root/scripts/igd" rank loir -q --checkpoint embedded:fashion-mnist --data embedded:train --limit 200 \
  --out "$scratch/rankings"
"$root/scripts/igd" export -q --checkpoint embedded:fashion-mnist --ranking "$scratch/rankings" \
  --preprocessing Res32 --class-names "$scratch/names.txt" --smoothing-sigma 4/255 --out "$scratch/model.igd"

# Plugins and dependencies come from the usual repository behind the scratch one (Maven 3.9).
image="$root/src/test/resources/io/github/igdefense/data/DataFuzzTestInputs/image/rgb.png"
if ! "$root/mvnw" -B -f "$scratch/project/pom.xml" -Digdefense.version="$own" \
    -Dbundle="$scratch/model.igd" -Dimage="$image" \
    -Dmaven.repo.local="$scratch/repository" \
    -Dmaven.repo.local.tail="${MAVEN_REPOSITORY:-$HOME/.m2/repository}" \
    compile exec:exec > "$scratch/build.log" 2>&1; then
  cat "$scratch/build.log" >&2
  echo "the example did not build or run (log above)" >&2
  exit 1
fi
# A class and its probability must be there.
names="$(paste -sd '|' "$scratch/names.txt")"
if ! grep -E "^($names) (0\.[0-9]+|1\.0)(E-[0-9]+)?$" "$scratch/build.log"; then
  cat "$scratch/build.log" >&2
  echo "the example was built but printed no class (log above)" >&2
  exit 1
fi
