#!/bin/bash
# instructions_test.sh DECODE TVL PLUGIN CHECKPOINT TOKENIZER: neon_handwritten takes at most a third of the instructions
# that scalar_reference takes for a token of stories260K in f32.
set -euo pipefail

decode="${TVL_RUN:?no emulator to count the instructions} $1"
tvl="$TVL_RUN $2"
plugin=$3
model=$TEST_TMPDIR/stories260K.tvl

$tvl convert "$4" "$model" --tokenizer "$5" --dtype f32

# count BACKEND TOKENS: instructions of decoding so many tokens.
count() {
  QEMU_PLUGIN="$plugin,out=$TEST_TMPDIR/count" $decode "$1" "$model" "$2"
  cat "$TEST_TMPDIR/count"
  rm "$TEST_TMPDIR/count"
}

# per_token BACKEND: the mean of the tokens at positions 16 to 79. Opening the model falls out of the difference.
per_token() {
  local few many
  few=$(count "$1" 16)
  many=$(count "$1" 80)
  echo $(((many - few) / 64))
}

scalar=$(per_token scalar_reference)
neon=$(per_token neon_handwritten)
echo "instructions per token: scalar_reference $scalar, neon_handwritten $neon"
# A multiply-add for each of the 259,328 weights at least, four of them to an instruction: less was not counted rightly.
[ "$scalar" -gt 259328 ] && [ "$neon" -gt 64832 ] || {
  echo "expected more than 259328 and 64832: these counts are wrong"
  exit 1
}
[ $((3 * neon)) -le "$scalar" ] || {
  echo "expected neon_handwritten to take at most a third of scalar_reference's"
  exit 1
}
