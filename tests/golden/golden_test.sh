#!/bin/bash
# golden_test.sh TVL CHECKPOINT TOKENIZER: as the embedded and per-backend tests, but through the program itself.
set -euo pipefail

tvl="${TVL_RUN:-} $1"
model=$TEST_TMPDIR/stories260K.tvl

$tvl convert "$2" "$model" --tokenizer "$3" --dtype f32
$tvl generate -m "$model" --temperature 0 -n 200 >"$TEST_TMPDIR/text"
cmp "$TEST_TMPDIR/text" tests/golden/stories260K.txt

for dtype in f32 bf16 q8 q4 q4m; do
  $tvl convert "$2" "$model" --tokenizer "$3" --dtype $dtype
  expected=$(sed -n "s/^stories260K-$dtype //p" tests/golden/fingerprints.txt)
  actual=$($tvl fingerprint -m "$model")
  [ "$actual" = "$expected" ] || {
    echo "tvl fingerprint of $dtype weights: expected $expected, found $actual"
    exit 1
  }
done
