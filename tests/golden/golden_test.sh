#!/bin/bash
# golden_test.sh TVL CHECKPOINT TOKENIZER: as the embedded and per-backend tests, but through the program itself.
set -euo pipefail

tvl="${TVL_RUN:-} $1"
model=$TEST_TMPDIR/stories260K.tvl

$tvl convert "$2" "$model" --tokenizer "$3" --dtype f32
$tvl generate -m "$model" --temperature 0 -n 200 >"$TEST_TMPDIR/text"
cmp "$TEST_TMPDIR/text" tests/golden/stories260K.txt

expected=$(sed -n 's/^stories260K-f32 //p' tests/golden/fingerprints.txt)
actual=$($tvl fingerprint -m "$model")
[ "$actual" = "$expected" ] || {
  echo "tvl fingerprint: expected $expected, found $actual"
  exit 1
}
