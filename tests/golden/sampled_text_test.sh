#!/bin/bash
# sampled_text_test.sh TVL: texts of the embedded model that are drawn, through the program itself.
set -euo pipefail

tvl="${TVL_RUN:-} $1"

# expect_text FILE OPTION...: this text, with any number of threads.
expect_text() {
  local file=$1 threads
  shift
  for threads in 1 2; do
    $tvl generate -n 256 -t $threads "$@" >"$TEST_TMPDIR/text"
    cmp "$TEST_TMPDIR/text" "tests/golden/$file"
  done
}

expect_text sampled_top_p.txt --temperature 0.8 --top-p 0.9 --seed 12
expect_text sampled_top_k_min_p.txt -p "Lily and Tom" --temperature 1.2 --top-k 40 --min-p 0.05 --seed 2026
