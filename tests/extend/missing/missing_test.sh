#!/bin/bash
# Each source compiles, and with MISSING it must not: the compiler then says in its first lines which part of which
# concept is missing. README.md shows what gcc says of the kernel. LC_ALL: quotes are plain in C.
set -uo pipefail
export LC_ALL=C

tvl=../tvl
readme=$tvl/README.md
said=$TEST_TMPDIR/said
status=0

fail() {
  echo "FAILED: $*"
  cat "$said"
  status=1
}

# expect COMPILER SOURCE WORDS...
expect() {
  local compiler=$1 source=$2
  shift 2
  "$compiler" -std=c++20 -fsyntax-only -I $tvl "missing/$source" >"$said" 2>&1 ||
    fail "$compiler does not compile $source with everything there"
  if "$compiler" -std=c++20 -fsyntax-only -I $tvl -DMISSING "missing/$source" >"$said" 2>&1; then
    fail "$compiler compiles $source with an operation missing"
  fi
  for words; do
    head -n 10 "$said" | grep -qF -- "$words" || fail "$compiler of $source: expected '$words' within 10 lines"
  done
  [ "$(wc -l <"$said")" -le 20 ] || fail "$compiler of $source: more than 20 lines"
}

tried=0
for compiler in g++ clang++; do
  if ! command -v $compiler >/dev/null; then
    echo "without $compiler, which is not installed"
    continue
  fi
  tried=$((tried + 1))
  expect $compiler sampler.cc Sampler 'sampler.Reset(seed)'
  expect $compiler view.cc ModelView 'm.layer(i)'
  expect $compiler kernel.cc "RmsNormKernel" 'K::RmsNorm(x, x, n, epsilon, y)'

  # The README leaves out folders and columns.
  if [ $compiler = g++ ] && $compiler -dM -E -xc++ /dev/null | grep -qv __clang__; then
    plain=$(sed -E 's#^[^ ]*/##; s#:[0-9]+:[0-9]+:#:#; s#: +#: #' "$said")
    shown=$(sed -n '/^```text$/,/^```$/p' "$readme" | grep -A 1 -B 3 "RmsNorm" | grep -v '^```')
    [ -n "$shown" ] || fail "README.md shows no message"
    while IFS= read -r line; do
      grep -qxF -- "$line" <<<"$plain" || fail "g++ does not say what README.md shows: $line"
    done <<<"$shown"
  fi
done
[ $tried != 0 ] || fail "there is no compiler to ask"
exit $status
