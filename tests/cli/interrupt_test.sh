#!/bin/bash
# interrupt_test.sh TVL: Ctrl-C, with a model that is slow and never ends.
. tests/cli/testing.sh "$1"
set -m  # background jobs of a script ignore SIGINT otherwise

in=$scratch/slow.bin
tok=$scratch/tok.bin
model=$scratch/slow.tvl
python3 tests/cli/make_checkpoint.py slow "$in" "$tok"

# In the middle of a conversion.
interrupt() { kill -INT %%; }
amid_conversion interrupt "$in" "$model" "$tok"
expect_code 130
expect_no_stdout
expect_no_stderr
temporary_file "$model" && failed "a temporary file was left behind"
[ ! -e "$model" ] || failed "expected no output"

# A second interrupt does not wait for anything, and leaves nothing behind either.
interrupt_twice() {
  kill -INT %%
  kill -TERM %%
}
amid_conversion interrupt_twice "$in" "$model" "$tok"
[ "$code" = 130 ] || expect_code 143  # the kernel chooses which comes first
temporary_file "$model" && failed "a temporary file was left behind"
[ ! -e "$model" ] || failed "expected no output"

run $tvl convert "$in" "$model" --tokenizer "$tok" --dtype f16
expect_code 0

# In the middle of a long prompt: between two chunks, not at its end.
ran="generate, prompt"
printf 'a%.0s' {1..60000} >"$scratch/long"
$tvl generate -m "$model" -p - --prefill-chunk 8 --stats <"$scratch/long" >"$out" 2>"$err" &
prompt_echoed() { [ -s "$out" ]; }
wait_for prompt_echoed
kill -INT %%
wait %%
code=$?
expect_code 130
expect_stdout "$(cat "$scratch/long")"
grep -q "^prefill " "$err" || failed "expected the statistics of what was done"

# In the middle of a text: what was written stays, and a newline ends it.
ran="generate"
$tvl generate -m "$model" -p "Say" -n 60000 --stats >"$out" 2>"$err" &
some_text() { grep -q "<unk><unk><unk>" "$out"; }
wait_for some_text
kill -INT %%
wait %%
code=$?
expect_code 130
[ "$(tail -c 6 "$out" && echo .)" = $'<unk>\n.' ] || failed "expected the text to end with a newline"
grep -q "tokens/s" "$err" || failed "expected the statistics of what was done"

# Where there is nothing to finish: waiting for the prompt.
ran="generate -p -"
mkfifo "$scratch/prompt"
$tvl generate -p - <"$scratch/prompt" >"$out" 2>"$err" &
exec 3>"$scratch/prompt"
sleep 1
kill -INT %%
wait %%
code=$?
expect_code 130
exec 3>&-

finish
