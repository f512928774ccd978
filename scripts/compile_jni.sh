#!/usr/bin/env bash
# Compiles and links the JNI libraries from the C++ that JavaCPP has generated.
# Usage: scripts/compile_jni.sh GENERATED_DIR OUTPUT_DIR NATIVE_LIB_DIR JAVA_HOME
#
# JavaCPP could do it itself, but writes the functions in the order in which the JVM happens to list a class's
# methods, which changes from run to run. Here they are sorted first, so that equal sources give equal bytes.
set -euo pipefail
generated="$1" output="$2" native_libs="$3" java_home="$4"
root="$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)"
compiler="${CXX:-g++}"
mkdir -p "$output" "$generated/sorted"

sort_functions() { # FILE: to stdout, its JNIEXPORT functions in the order of their names
  awk '
    /^JNIEXPORT .* Java_.*{$/ { inside = 1; count++; key[count] = $0; sub(/.*JNICALL /, "", key[count]) }
    inside { body[count] = body[count] $0 "\n"; if ($0 == "}") inside = 0; next }
    count == 0 { print; next }
    { tail = tail $0 "\n" }
    END {
      for (i = 2; i <= count; i++) {
        k = key[i]; b = body[i]
        for (j = i - 1; j >= 1 && key[j] > k; j--) { key[j + 1] = key[j]; body[j + 1] = body[j] }
        key[j + 1] = k; body[j + 1] = b
      }
      for (i = 1; i <= count; i++) printf "%s", body[i]
      printf "%s", tail
    }' "$1"
}

compile() { # NAME [LIBRARY]
  local name="$1" source="$generated/sorted/$1.cpp" library="$output/lib$1.so"
  if grep -q 'JavaCPP_handleException(env' "$generated/$name.cpp"; then
    echo "$name.cpp handles C++ exceptions: declare the functions behind it noexcept (in native/jni, or" \
      "@NoException in Java). Their order would otherwise decide the numbers of the classes in it." >&2
    exit 1
  fi
  sort_functions "$generated/$name.cpp" > "$source.new"
  if [ -f "$library" ] && cmp -s "$source.new" "$source" \
      && [ -z "$(find "$root/native/include" "$root/native/jni" "${BASH_SOURCE[0]}" -newer "$library" -type f)" ]; then
    rm -f "$source.new"
    return
  fi
  mv -f "$source.new" "$source"
  sort_functions "$generated/jnijavacpp.cpp" > "$generated/sorted/jnijavacpp.cpp"
  (cd "$generated/sorted" && "$compiler" -std=c++17 -march=x86-64 -O3 -Wall -fPIC -pthread -shared -s \
    -ffile-prefix-map="$root=." \
    -I"$root/native/include" -I"$root/native/jni" -I"$java_home/include" -I"$java_home/include/linux" \
    "$name.cpp" jnijavacpp.cpp -o "$library.new" \
    -Wl,-soname,"lib$name.so" '-Wl,-rpath,$ORIGIN/' -Wl,-z,noexecstack -Wl,-Bsymbolic -Wl,--as-needed \
    -L"$native_libs" ${2:+"-l$2"} -ldl)
  mv -f "$library.new" "$library"
}

compile jniIgdKernels igd_kernels
compile jniigd_env
