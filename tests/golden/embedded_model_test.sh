#!/bin/bash
# embedded_model_test.sh TVL CHECKPOINT TOKENIZER: the embedded model is what its model card says it was
# made from, and quantised it has the fingerprints that it has by each backend.
set -euo pipefail

tvl="${TVL_RUN:-} $1"

$tvl convert "$2" "$TEST_TMPDIR/again.tvl" --tokenizer "$3" --dtype f16
cmp "$TEST_TMPDIR/again.tvl" models/pretrained/tales3M.tvl

for dtype in q8 q4 q4m; do
  $tvl convert "$2" "$TEST_TMPDIR/again.tvl" --tokenizer "$3" --dtype $dtype
  expected=$(sed -n "s/^tales3M-$dtype //p" tests/golden/fingerprints.txt)
  actual=$($tvl fingerprint -m "$TEST_TMPDIR/again.tvl")
  [ "$actual" = "$expected" ] || {
    echo "tvl fingerprint of $dtype weights: expected $expected, found $actual"
    exit 1
  }
done
