#!/bin/bash
# Guess: llvm-mca's model of Apple's M1 gives FMLA by a lane of a register the cost of FMLA by a whole register, since it is
# one instruction of the core with another operand; SDOT and FCVTL have costs of the core, too.
#
# Truth (LLVM 19.1.7 of Debian 12): -mcpu=apple-m1 knows none of the three. They get what the model says of anything that it
# does not list: latency 2, a third of a cycle. A plain FMLA has latency 8 and takes half a cycle, so a chain of a hundred
# takes 407 cycles by whole registers and 203 by lanes. apple-m4 is the same model.
#
# Why it matters: kernels for matrices are made of exactly these instructions. A loop that is rewritten to use lanes looks
# twice as fast in the model, whatever the core does, and int8 kernels are compared by a placeholder.
#
#   findings/llvm_mca_apple_m1_fmla_by_lane.sh      # Debian 12, any CPU
set -euo pipefail

folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"

version=1:19.1.7-3~deb12u1
apt-get download -qq "llvm-19=$version" "libllvm19=$version" 2>/dev/null
for package in ./*.deb; do dpkg -x "$package" package; done
mca() { LD_LIBRARY_PATH=$(dirname "$(find package -name 'libLLVM*.so*' | head -1)") package/usr/lib/llvm-19/bin/llvm-mca "$@"; }
mca --version | sed -n 's/^ *\(.*LLVM version.*\)/\1/p'

failed=0
# check CPU INSTRUCTION EXPECTED: micro-operations, latency and cycles per instruction, and cycles of a chain of 100.
check() {
  local out found
  out=$(echo "$2" | mca -mtriple=aarch64 -mcpu="$1" -mattr=+dotprod -iterations=100)
  found=$(awk '/^Total Cycles/ { cycles = $3 } /^ [0-9]/ && !done { info = $1 " " $2 " " $3; done = 1 } END { print info " " cycles }' <<<"$out")
  echo "$1: $2: $found"
  [ "$found" = "$3" ] || { echo "expected $3"; failed=1; }
}
for cpu in apple-m1 apple-m4; do
  check $cpu "fmla v0.4s, v1.4s, v2.4s" "1 8 0.50 407"
  check $cpu "fmla v0.4s, v1.4s, v2.s[1]" "1 2 0.33 203"
  check $cpu "sdot v0.4s, v1.16b, v2.16b" "1 2 0.33 203"
  check $cpu "fcvtl v0.4s, v1.4h" "1 2 0.33 38"
done
# A core whose model lists all of them.
check neoverse-v2 "fmla v0.4s, v1.4s, v2.4s" "1 4 0.25 205"
check neoverse-v2 "fmla v0.4s, v1.4s, v2.s[1]" "1 4 0.25 205"
exit $failed
