#!/bin/bash
# fingerprint_test.sh TVL: tvl fingerprint, with the embedded model.
. tests/cli/testing.sh "$1"

expected=$(sed -n 's/^embedded //p' tests/golden/fingerprints.txt)

run $tvl fingerprint
expect_code 0
expect_no_stderr
expect_stdout "$expected"
grep -qxE '[0-9a-f]{16}' "$out" || failed "expected 16 hexadecimal digits"
[ "$(wc -c <"$out")" = 17 ] || failed "expected 17 bytes"

# The defaults, spelt out; the file in place of the copy in the program.
run $tvl fingerprint -m models/pretrained/tales3M.tvl --prompt "Once upon a time" --tokens 64
expect_stdout "$expected"

# Neither threads nor chunks change anything.
prompt="One day, a little dog named Tim"
run $tvl fingerprint --prompt "$prompt" --tokens 4
expect_code 0
short=$(cat "$out")
for threads in 1 2 3; do
  for chunk in 512 5 1; do
    run $tvl fingerprint --prompt "$prompt" --tokens 4 --threads $threads --prefill-chunk $chunk
    expect_code 0
    expect_stdout "$short"
  done
done

# The prompt and the number of tokens do.
run $tvl fingerprint --prompt "$prompt" --tokens 3
[ "$(cat "$out")" != "$short" ] || failed "expected another fingerprint"
run $tvl fingerprint --prompt "Two days" --tokens 4
[ "$(cat "$out")" != "$short" ] || failed "expected another fingerprint"

# Up to the context's end, and beyond; end tokens do not stop it.
python3 tests/cli/make_checkpoint.py small "$scratch/small.bin" "$scratch/tok.bin"
run $tvl convert "$scratch/small.bin" "$scratch/small.tvl" --tokenizer "$scratch/tok.bin"
run $tvl fingerprint -m "$scratch/small.tvl" --prompt "" --tokens 63
expect_code 0
run $tvl fingerprint -m "$scratch/small.tvl" --prompt "" --tokens 64
expect_refused "the prompt of 1 token and 64 more do not fit the context of 64 positions"
run $tvl fingerprint -m "$scratch/missing.tvl"
expect_refused "missing.tvl"

finish
