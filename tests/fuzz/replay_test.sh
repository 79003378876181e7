#!/bin/bash
# Every fuzz target, called with every seed.
. tests/cli/testing.sh "$1"
shift

# shellcheck disable=SC2086  # words of a command
run python3 tests/fuzz/make_seeds.py "$scratch/seeds" $tvl
expect_code 0
for replay; do
  target=$(basename "$replay" _replay)
  # shellcheck disable=SC2086
  run ${TVL_RUN:-} "$replay" "$scratch/seeds/$target"/*
  expect_code 0
  [ "$(wc -l <"$out")" -ge 2 ] || failed "expected two seeds at least"
done
finish
