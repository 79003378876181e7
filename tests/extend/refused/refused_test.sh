#!/bin/bash
# Each source compiles as it is. With an operation missing, or flags that change the numbers, it must not, and the
# compiler's first lines say why. README.md shows what gcc says of the kernel.
set -uo pipefail
export LC_ALL=C # plain quotes

tvl=../tvl
readme=$tvl/README.md
said=$TEST_TMPDIR/said
program=$TEST_TMPDIR/program
status=0

fail() {
  echo "FAILED: $*"
  cat "$said"
  status=1
}

compile() { "$compiler" -std=c++20 -I $tvl -o "$program" "$@" >"$said" 2>&1; }

# refuses SOURCE FLAG WORDS...: `compiler` does not compile SOURCE with FLAG, and says WORDS.
refuses() {
  local source=refused/$1 flag=$2
  shift 2
  compile -fsyntax-only "$source" || fail "$compiler does not compile $source as it is"
  ! compile -fsyntax-only "$flag" "$source" || fail "$compiler compiles $source with $flag"
  for words; do
    head -n 10 "$said" | grep -qF -- "$words" || fail "$compiler $flag $source: expected within 10 lines: $words"
  done
  [ "$(wc -l <"$said")" -le 20 ] || fail "$compiler $flag $source: more than 20 lines"
}

# Flags of which no macro tells: the program finds out.
check_fusing() {
  local fma=
  [ "$(uname -m)" != x86_64 ] || fma=-mfma
  # shellcheck disable=SC2086  # none or one
  compile -O2 $fma -ffp-contract=off refused/flags.cc || fail "$compiler does not compile flags.cc"
  "$program" || fail "$compiler fuses although told not to"
  # shellcheck disable=SC2086
  compile -O2 $fma -ffp-contract=fast refused/flags.cc || fail "$compiler does not compile flags.cc to fuse"
  ! "$program" || fail "$compiler fuses, and nobody sees"
}

# The README leaves out folders, lines and columns.
check_readme() {
  local plain shown
  plain=$(sed -E 's#^[^ ]*/##; s#:[0-9]+:[0-9]+:#:#; s#: +#: #' "$said")
  # shellcheck disable=SC2016  # these are no expressions
  shown=$(sed -n '/^## Extend it/,/^## /p' "$readme" | sed -n '/^```text$/,/^```$/p' | grep -v '^```')
  [ -n "$shown" ] || fail "README.md shows no message"
  while IFS= read -r line; do
    grep -qxF -- "$line" <<<"$plain" || fail "g++ does not say what README.md shows: $line"
  done <<<"$shown"
}

tried=0
for compiler in g++ clang++; do
  if ! command -v $compiler >/dev/null; then
    echo "without $compiler, which is not installed"
    continue
  fi
  tried=$((tried + 1))
  refuses sampler.cc -DMISSING Sampler 'sampler.Reset(seed)'
  refuses view.cc -DMISSING ModelView 'm.layer(i)'
  refuses flags.cc -std=c++17 'tvl needs C++20'
  refuses flags.cc -ffast-math 'tvl promises the same bits'
  refuses flags.cc -Ofast 'tvl promises the same bits'
  check_fusing
  refuses kernel.cc -DMISSING RmsNormKernel 'K::RmsNorm(x, x, n, epsilon, y)'
  # Apple's g++ is clang.
  if [ $compiler = g++ ] && ! $compiler --version | grep -q clang; then check_readme; fi
done
[ $tried != 0 ] || fail "there is no compiler to ask"
exit $status
