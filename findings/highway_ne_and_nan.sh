#!/bin/bash
# Guess: Highway's operations on vectors give the same lanes on every target, so Ne(x, x) is the portable test for NaN: an
# unordered comparison, as != is in C++, and the opposite of Eq.
#
# Truth (libhwy-dev 1.0.3-3+deb12u1, g++ 12): Ne(NaN, NaN) is true on AVX2 and on NEON and false on AVX-512, where Not(Eq(NaN,
# NaN)) is true. The same source, compiled for a newer CPU, stops finding NaN. Other operations differ as well: Max(1, NaN) is
# NaN on x86 and 1 on NEON, whose MaxOfLanes of the same numbers is NaN where x86 has 1; ConvertTo makes 2147483647 of NaN on
# x86 and 0 on NEON.
#
# Why it matters: a program that promises the same bits on every CPU loses them exactly where something has gone wrong
# already, and a check for NaN that was tested on AVX2 passes everything on AVX-512. IsNaN is the same everywhere.
#
#   findings/highway_ne_and_nan.sh      # Debian 12, x86-64; needs g++, g++-aarch64-linux-gnu and qemu-user
set -euo pipefail

folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"

version=1.0.3-3+deb12u1
apt-get download -qq "libhwy-dev=$version" 2>/dev/null
dpkg -x libhwy-dev_*.deb package
echo "libhwy-dev $version, $(g++ --version | head -1)"

cat >nan.cc <<'END'
#include <hwy/highway.h>

#include <cstdio>
#include <limits>

namespace hn = hwy::HWY_NAMESPACE;
HWY_BEFORE_NAMESPACE();
int main() {
  const hn::CappedTag<float, 4> d;
  const hn::RebindToSigned<decltype(d)> integers;
  volatile float hidden = std::numeric_limits<float>::quiet_NaN();  // so that nothing is computed by the compiler
  const auto nan = hn::Set(d, hidden), one = hn::Set(d, 1.0f);
  const auto second = hn::IfThenElse(hn::FirstN(d, 2), hn::IfThenElse(hn::FirstN(d, 1), one, nan), one);
  std::printf("%d %d %d %g %g %d", hn::AllTrue(d, hn::Ne(nan, nan)), hn::AllTrue(d, hn::Not(hn::Eq(nan, nan))),
              hn::AllTrue(d, hn::IsNaN(nan)), hn::GetLane(hn::Max(one, nan)), hn::GetLane(hn::MaxOfLanes(d, second)),
              hn::GetLane(hn::ConvertTo(integers, nan)));
}
HWY_AFTER_NAMESPACE();
END

# check NAME EXPECTED COMMAND...: Ne, Not(Eq), IsNaN, Max(1, NaN), MaxOfLanes(1, NaN, 1, 1), ConvertTo(NaN).
failed=0
check() {
  local name=$1 expected=$2 found
  found=$("${@:3}")
  echo "$name: $found"
  [ "$found" = "$expected" ] || { echo "$name: expected $expected"; failed=1; }
}

headers=package/usr/include
g++ -std=c++17 -O2 -march=haswell -maes -mpclmul -I$headers nan.cc -o avx2
check "AVX2" "1 1 1 nan 1 2147483647" ./avx2
if grep -qw avx512vl /proc/cpuinfo; then
  g++ -std=c++17 -O2 -march=skylake-avx512 -I$headers nan.cc -o avx512
  check "AVX-512" "0 1 1 nan 1 2147483647" ./avx512
else
  echo "AVX-512: not run, this CPU has none"
fi
aarch64-linux-gnu-g++ -std=c++17 -O2 -static -I$headers nan.cc -o neon
check "NEON" "1 1 1 1 nan 0" qemu-aarch64 ./neon
exit $failed
