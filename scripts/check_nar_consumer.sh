#!/usr/bin/env bash
# Builds, links and runs a C++ project (src/it/nar-consumer) against the NAR artifacts in target/, which are
# put into a scratch local repository first. Usage: scripts/check_nar_consumer.sh   (after ./mvnw package)
# MAVEN_REPOSITORY names the local repository that has the plugins (default ~/.m2/repository).
set -euo pipefail
root="$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)"
version="$(sed -n 's:^  <version>\(.*\)</version>$:\1:p' "$root/pom.xml" | head -n 1)"
base="$root/target/igdefense-$version"
for artifact in "$base.nar" "$base-noarch.nar" "$base-amd64-Linux-gpp-shared.nar"; do
  if [ ! -f "$artifact" ]; then
    echo "expected $artifact, found none: run ./mvnw -DskipTests package first" >&2
    exit 1
  fi
done
scratch="$(mktemp -d "${TMPDIR:-/tmp}/igdefense-nar.XXXXXX")"
trap 'rm -rf -- "$scratch"' EXIT
folder="$scratch/repository/io/github/igdefense/igdefense/$version"
mkdir -p "$folder"
cp "$root/pom.xml" "$folder/igdefense-$version.pom"
cp "$base.nar" "$base-noarch.nar" "$base-amd64-Linux-gpp-shared.nar" "$folder/"
cp -r "$root/src/it/nar-consumer" "$scratch/project"

# Plugins come from the usual repository behind the scratch one (Maven 3.9; an older Maven downloads them).
if ! "$root/mvnw" -B -f "$scratch/project/pom.xml" -Digdefense.version="$version" \
    -Dmaven.repo.local="$scratch/repository" \
    -Dmaven.repo.local.tail="${MAVEN_REPOSITORY:-$HOME/.m2/repository}" \
    test > "$scratch/build.log" 2>&1; then
  cat "$scratch/build.log" >&2
  echo "the NAR consumer did not build or run (log above)" >&2
  exit 1
fi
# The plugin has run the program: its closing line must be there.
if ! grep -o 'nar consumer: OK.*' "$scratch/build.log"; then
  cat "$scratch/build.log" >&2
  echo "the NAR consumer was built but did not run (log above)" >&2
  exit 1
fi
