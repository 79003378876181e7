#!/bin/bash
# vocabulary_test.sh TVL: vocabularies and pieces of any size.
. tests/cli/testing.sh "$1"

in=$scratch/model.bin
tok=$scratch/tok.bin
model=$scratch/model.tvl

# vocabulary PIECES LENGTH: a model whose piece 0 has this length, and that says nothing else.
vocabulary() {
  python3 tests/cli/make_vocabulary.py "$1" "$2" "$in" "$tok"
  run $tvl convert "$in" "$model" --tokenizer "$tok"
  expect_code 0
  run $tvl verify "$model"
  expect_code 0
}

for size in 1 3 258 259 100000 1000000; do
  vocabulary $size 5
  run $tvl generate -m "$model" -p "12 345" -n 3
  expect_code 0
  expect_stdout "12 345uuuuuuuuuuuuuuu"
done

# Without a BOS there is nothing to begin an empty prompt with.
vocabulary 1 5
run $tvl generate -m "$model"
expect_refused "the prompt is empty"

vocabulary 259 1
run $tvl generate -m "$model" -p "" -n 3
expect_stdout "uuu"
vocabulary 259 1000000
run $tvl generate -m "$model" -p "uu" -n 2
expect_code 0
expect_no_stderr
[ "$(wc -c <"$out")" = 2000003 ] || failed "expected two bytes, two pieces of a million and a newline"

# A prompt of half a million bytes is counted, and refused, in no time.
head -c 500000 /dev/zero | tr '\0' u >"$scratch/prompt"
run bash -c "exec $tvl generate -m $model -p - <$scratch/prompt"
expect_refused "the prompt of 500001 tokens does not fit the context of 16 positions"

finish
