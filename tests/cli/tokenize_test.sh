#!/bin/bash
# tokenize_test.sh TVL: tvl tokenize. That the tokens are right is for tests/tokenizer to say.
. tests/cli/testing.sh "$1"

text="Once upon a time, there was a cat."
run $tvl tokenize "$text"
expect_code 0
expect_no_stderr
grep -qE '^[0-9]+( [0-9]+)+$' "$out" || failed "expected ids with spaces between"
ids=$(cat "$out")
run $tvl tokenize --decode "$ids"
expect_stdout "$text"
run $tvl tokenize --bos "$text"
expect_stdout "1 $ids"
run $tvl tokenize --decode "1 $ids"
expect_stdout "$text"

# Text is text, unless special tokens are asked for.
run $tvl tokenize "<s>$text</s>"
expect_code 0
grep -qE '(^| )[12]( |$)' "$out" && failed "expected no control token"
run $tvl tokenize --parse-special "<s>$text</s>"
expect_stdout "1 $ids 2"

# From a file and from standard input, whole: a newline at the end is part of the text.
printf '%s\n' "$text" >"$scratch/text"
run $tvl tokenize --file "$scratch/text"
with_newline=$(cat "$out")
[ "$with_newline" != "$ids" ] || failed "expected a token for the newline"
[ "$($tvl tokenize - <"$scratch/text")" = "$with_newline" ] || failed "expected the same from standard input"
run $tvl tokenize ""
expect_code 0
expect_stdout ""

# Another model.
python3 tests/cli/make_checkpoint.py small "$scratch/small.bin" "$scratch/tok.bin"
run $tvl convert "$scratch/small.bin" "$scratch/small.tvl" --tokenizer "$scratch/tok.bin"
run $tvl tokenize -m "$scratch/small.tvl" "ab"
expect_code 0

run $tvl tokenize --decode "5 999999"
expect_refused "--decode: expected ids from 0 to 2047, found '999999'"
run $tvl tokenize --decode "five"
expect_refused "found 'five'"
run $tvl tokenize --file "$scratch/none"
expect_refused "none: No such file"
for arguments in "" "a --file b" "a -f b" "a --decode 1" "--decode 1 --bos" "--decode 1 --parse-special"; do
  run $tvl tokenize $arguments
  expect_code 2
done

finish
