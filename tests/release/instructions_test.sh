#!/bin/bash
# A program made for a device holds no instruction of an extension that it does not say it needs
# (tvl --version): what a CPU lacks, the libraries that are linked in must not use either. So a build
# for the Raspberry Pi 4 has no dot product, and one for the Pi 5 no matrix product.
. tests/cli/testing.sh "$1"

run $tvl --version
expect_code 0
isa=$(sed -n 's/^isa: *//p' "$out")
echo "isa: $isa"

# expect_none FEATURE PATTERN: without FEATURE there is no instruction like PATTERN, of a whole line
# of the disassembly: the mnemonic, a tab, the operands.
expect_none() {
  [[ " $isa " == *" $1 "* ]] && return
  grep -P "^($2)" "$scratch/instructions" | sort | uniq -c | head -5 >"$scratch/found"
  [ -s "$scratch/found" ] && failed "not built for $1, and yet it has: $(cat "$scratch/found")"
}

machine=$(readelf --file-header "$1" | sed -n 's/^ *Machine: *//p')
case $machine in
AArch64) objdump=$(command -v aarch64-linux-gnu-objdump || command -v objdump) ;;
*) objdump=$(command -v objdump) ;;
esac
# A line is the address, a tab, (x86-64: the bytes, a tab,) the instruction.
"$objdump" --disassemble --no-show-raw-insn "$1" | sed -n 's/^ *[0-9a-f]*:\t//p' >"$scratch/instructions"
count=$(wc -l <"$scratch/instructions")
echo "$count instructions"
[ "$count" -gt 10000 ] || failed "expected a program's worth of instructions, found $count"

case $machine in
AArch64)
  grep -qE '^fmla\s+v' "$scratch/instructions" || failed "expected NEON's fmla"
  expect_none asimddp '[su]dot\s'
  expect_none i8mm '(smmla|ummla|usmmla|usdot|sudot)\s'
  expect_none bf16 'bf(dot|mmla|cvt|mlal)'
  expect_none asimdhp 'f[a-z]+\s+v[0-9]+\.[48]h, v[0-9]+\.[48]h, v'
  expect_none aes '(aes[ed]|aesi?mc|pmull2?\s+v[0-9]+\.1q)'
  expect_none lrcpc 'ldapr'
  # Whatever the device has: the order of sums is made for 128 bits.
  expect_none sve '[a-z0-9]+\s+(\{ ?)?z[0-9]'
  ;;
*X86-64)
  grep -qE '^vfmadd' "$scratch/instructions" || failed "expected AVX's fused multiply-add"
  expect_none avx512f '.*%zmm'
  expect_none avx512_vnni 'vpdpbusd'
  # Conversions from and to f32 are older than arithmetic with f16.
  expect_none avx512_fp16 'v(?!cvtps2ph\s|cvtph2ps\s)[a-z0-9]+[ps]h\s'
  ;;
*) failed "unknown machine '$machine'" ;;
esac
finish
