#!/bin/bash
# sampled_text_test.sh TVL: texts of the embedded model that are drawn, through the program itself.
set -euo pipefail

tvl="${TVL_RUN:-} $1"

# expect_text FILE OPTION...
expect_text() {
  local file=$1
  shift
  $tvl generate -n 256 "$@" >"$TEST_TMPDIR/text"
  cmp "$TEST_TMPDIR/text" "tests/golden/$file"
}

for threads in 1 2; do
  expect_text sampled_top_p.txt -t $threads --temperature 0.8 --top-p 0.9 --seed 12
done
expect_text sampled_top_k_min_p.txt -t 1 -p "Lily and Tom" --temperature 1.2 --top-k 40 --min-p 0.05 --seed 2026
