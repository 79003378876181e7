#!/bin/bash
# generate_test.sh TVL: tvl generate, with the embedded model.
. tests/cli/testing.sh "$1"

# The prompt is echoed; text goes to stdout, a newline ends it, and nothing else is said.
run $tvl generate -p "Once upon a time" -n 20
expect_code 0
expect_no_stderr
expect_stdout "Once upon a time, there was a little girl named Lily. She loved to play with her toys and run around outside"
text=$(cat "$out")

# The same, whatever does not matter.
for options in "-t 1" "-t 3" "--prefill-chunk 1" "--prefill-chunk 2" "--context 30" "--seed 5" "--temperature 0"; do
  run $tvl generate -p "Once upon a time" -n 20 $options
  expect_stdout "$text"
done
run $tvl generate --prompt="Once upon a time" --max-tokens=20 --threads=2
expect_stdout "$text"

# -p - is standard input, less the newline at its end; otherwise it is not read.
ran="stdin"
for input in "Once upon a time" "Once upon a time"$'\n'; do
  printf '%s' "$input" | $tvl generate -p - -n 20 >"$out" 2>"$err"
  code=$?
  expect_code 0
  expect_stdout "$text"
done
echo "Tom" | $tvl generate -n 5 >"$out" 2>"$err"
expect_stdout_has "Once"

# Prompts that look like something else.
for prompt in "" "-n" "[a,b]" " Once" "€ 5" "%1"; do
  run $tvl generate -p "$prompt" -n 0
  expect_code 0
  expect_stdout "$prompt"
done
run $tvl generate -n 0
expect_code 0
expect_stdout ""

# Sampling: the seed decides.
run $tvl generate -n 30 --temperature 1 --seed 1
expect_code 0
cp "$out" "$scratch/first"
run $tvl generate -n 30 --temperature 1 --seed 1 -t 1
cmp -s "$out" "$scratch/first" || failed "expected the same text for the same seed"
run $tvl generate -n 30 --temperature 1 --seed 2
cmp -s "$out" "$scratch/first" && failed "expected another text for another seed"

# The context's end is a note, not an error; one more token comes from its last position.
run $tvl generate -p "Once upon a time" -n 20 --context 8
expect_code 0
expect_error "end of the context (8 positions)"
expect_stdout "Once upon a time, there was a"
run $tvl generate -p "Once upon a time" -n 4 --context 8
expect_code 0
expect_no_stderr
expect_stdout "Once upon a time, there was a"

# A prompt that does not fit, and one that just does.
run $tvl generate -p "Once upon a time" --context 4
expect_refused "the prompt of 5 tokens does not fit the context of 4 positions"
run $tvl generate -p "Once upon a time" --context 5 -n 1
expect_code 0
run $tvl generate -p "$(printf 'word %.0s' {1..600})"
expect_refused "does not fit the context of 512 positions"
run $tvl generate --context 513
expect_refused "expected at most the model's 512 positions, found 513"

# --stats goes to stderr and leaves stdout alone.
run $tvl generate -p "Once upon a time" -n 20 --stats -t 2
expect_code 0
expect_stdout "$text"
for word in "load" "first token" "prefill" "5 tokens" "decode" "19 tokens" "tokens/s" "p50" "p99" "GB/s" "2 threads" \
  "backend" "model"; do
  grep -qF -- "$word" "$err" || failed "expected within stderr: $word"
done
run $tvl generate -n 0 --stats
expect_code 0

# Models that are none.
run $tvl generate -m "$scratch/missing.tvl"
expect_refused "missing.tvl"
run $tvl generate -m "$scratch"
expect_refused "a directory"
: >"$scratch/empty.tvl"
run $tvl generate -m "$scratch/empty.tvl"
expect_refused "empty.tvl: the file is empty"
echo "this is no model" >"$scratch/text.tvl"
run $tvl generate -m "$scratch/text.tvl"
expect_refused "text.tvl: magic"

# Output that cannot be written: a full disk, a reader that has gone, a stream that is closed.
run bash -c "exec $tvl generate -n 20 >/dev/full"
expect_refused "cannot write to standard output: No space left on device"
mkfifo "$scratch/pipe"
run bash -c ": <$scratch/pipe & exec 3>$scratch/pipe; wait; exec $tvl generate -n 20 >&3"
expect_refused "cannot write to standard output: Broken pipe"
run bash -c "exec $tvl generate -n 20 >&-"
expect_refused "cannot write to standard output"

finish
