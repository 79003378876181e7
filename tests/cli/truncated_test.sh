#!/bin/bash
# truncated_test.sh TVL: files that somebody truncates while they are mapped.
. tests/cli/testing.sh "$1"
set -m

in=$scratch/slow.bin
tok=$scratch/tok.bin
model=$scratch/slow.tvl
python3 tests/cli/make_checkpoint.py slow "$in" "$tok"
run $tvl convert "$in" "$scratch/whole.tvl" --tokenizer "$tok" --dtype f16
expect_code 0

# truncate_and_wait FILE: while the last background job stands still; then its exit code is in $code.
truncate_and_wait() {
  kill -STOP %%
  truncate -s 8192 "$1"
  kill -CONT %%
  wait_for_job %%
}

# In the middle of a text, by the calling thread and by others: what was written stays, and a newline ends it.
some_text() { grep -q "<unk><unk><unk>" "$out"; }
for threads in 1 3; do
  cp "$scratch/whole.tvl" "$model"
  ran="generate -t $threads"
  : >"$out"
  $tvl generate -m "$model" -p "Say" -n 60000 -t $threads >"$out" 2>"$err" &
  wait_for some_text
  truncate_and_wait "$model"
  expect_code 1
  expect_error "slow.tvl: the file was truncated while in use"
  [ "$(tail -c 6 "$out" && echo .)" = $'<unk>\n.' ] || failed "expected the text to end with a newline"
done

# Where nothing is written yet.
cp "$scratch/whole.tvl" "$model"
ran="fingerprint"
: >"$out"
$tvl fingerprint -m "$model" -n 60000 >"$out" 2>"$err" &
mapped() { grep -qF "$model" "/proc/$(jobs -p %%)/maps"; }
wait_for mapped
truncate_and_wait "$model"
expect_refused "slow.tvl: the file was truncated while in use"
rm "$model"

# An input of a conversion: no output, and nothing beside it.
truncate_input() { truncate -s 8192 "$in"; }
amid_conversion truncate_input "$in" "$model" "$tok"
expect_refused "slow.bin: the file was truncated while in use"
temporary_file "$model" && failed "a temporary file was left behind"
[ ! -e "$model" ] || failed "expected no output"

# A file that is short from the start is another matter: its size is checked.
run $tvl convert "$in" "$model" --tokenizer "$tok"
expect_refused "slow.bin"

finish
