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

# Filters: those that leave one token are greedy, those that are off change nothing, the others do something.
cp "$scratch/first" "$scratch/unfiltered"
for options in "--top-k 1" "--top-p 0" "--top-p 1e-6" "--min-p 1" "--top-k 50 --top-p 0.00001"; do
  run $tvl generate -p "Once upon a time" -n 20 --temperature 1 --seed 1 $options
  expect_stdout "$text"
done
run $tvl generate -p "Once upon a time" -n 20 --top-k 3 --top-p 0.5 --min-p 0.1 --seed 3
expect_stdout "$text"
for options in "--top-k 0" "--top-p 1" "--min-p 0" "--top-k 4294967295" "--top-k 0 --top-p 1.0 --min-p 0.0"; do
  run $tvl generate -n 30 --temperature 1 --seed 1 $options
  expect_code 0
  cmp -s "$out" "$scratch/unfiltered" || failed "expected the text that no filter gives"
done
for options in "--top-k 2" "--top-p 0.3" "--min-p 0.5"; do
  run $tvl generate -n 30 --temperature 1 --seed 1 $options --stats
  expect_code 0
  cmp -s "$out" "$scratch/unfiltered" && failed "expected another text than without the filter"
  grep -qF -- "sampling         ${options#--}, temperature 1, seed 1" "$err" || failed "expected the filter among the statistics"
done
for value in -0.1 1.1 nan inf x ""; do
  for option in --top-p --min-p; do
    run $tvl generate $option "$value"
    expect_code 2
    expect_no_stdout
    expect_error "$option: expected a number from 0 to 1, found '$value'"
  done
done
for value in -1 1.5 4294967296 x ""; do
  run $tvl generate --top-k "$value"
  expect_code 2
  expect_no_stdout
  expect_error "--top-k: expected a whole number from 0 to 4294967295, found '$value'"
done

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
for word in "load" "sampling         greedy" "first token" "prefill" "5 tokens" "decode" "19 tokens" "tokens/s" "p50" "p99" "GB/s" "2 threads" \
  "backend" "model"; do
  grep -qF -- "$word" "$err" || failed "expected within stderr: $word"
done
run $tvl generate -n 0 --stats
expect_code 0
run $tvl generate -n 2 --stats
for row in "prefill  *1 token in" "decode  *1 token in"; do grep -q "^$row" "$err" || failed "expected on stderr: $row"; done

# How the weights come into memory changes no text, of a file and of the embedded model.
for options in "--populate" "--no-read-ahead" "--populate --no-read-ahead -t 2"; do
  for model in "" "-m models/pretrained/tales3M.tvl"; do
    run $tvl generate -p "Once upon a time" -n 20 $model $options
    expect_code 0
    expect_no_stderr
    expect_stdout "$text"
  done
done
run $tvl generate -m models/pretrained/tales3M.tvl -p "Once upon a time" -n 20 --huge-pages --populate
expect_code 0
expect_stdout "$text"
expect_error "tvl: copied the model's 5.73 MB into memory, "
grep -qE "memory, ([0-9.]+ MB|0 bytes) of it in huge pages$" "$err" || failed "expected it to say how much is in huge pages"
# Memory that may be locked, and memory that may not: root may lock all, unless it is a sandbox's.
ran="generate --mlock"
(
  ulimit -l unlimited 2>/dev/null || ulimit -l "$(ulimit -H -l)"
  run $tvl generate -m models/pretrained/tales3M.tvl -p "Once upon a time" -n 20 --mlock
  expect_code 0
  expect_stdout "$text"
  exit $((failures > 0))
) || failures=$((failures + 1))
(
  ulimit -l 64
  run $tvl generate -m models/pretrained/tales3M.tvl -p "Once upon a time" -n 20 --mlock
  if [ "$code" = 0 ]; then
    expect_stdout "$text"
  else
    expect_refused "tales3M.tvl: cannot lock it in memory: expected a limit of locked memory (RLIMIT_MEMLOCK) of "
    expect_error "bytes at least, found 65536; raise it with 'ulimit -l "
  fi
  exit $((failures > 0))
) || failures=$((failures + 1))

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
expect_refused "text.tvl: expected a .tvl or GGUF file, found a text, 'this is no model'; "

# Output that cannot be written: a full disk, a stream that is closed.
run bash -c "exec $tvl generate -n 20 >/dev/full"
expect_refused "cannot write to standard output: No space left on device"
run bash -c "exec $tvl generate -n 20 >&-"
expect_refused "cannot write to standard output"

# A reader that has gone: the end, without a word, as of a program that SIGPIPE ends (128 + 13).
mkfifo "$scratch/pipe"
for command in "generate -n 20" "--help" "inspect models/pretrained/tales3M.tvl" "verify models/pretrained/tales3M.tvl"; do
  run bash -c ": <$scratch/pipe & exec 3>$scratch/pipe; wait; exec $tvl $command >&3"
  expect_code 141
  expect_no_stderr
done
ran="tvl generate | head -1"
$tvl generate -n 100000 2>"$err" | head -n 1 >"$out"
code=${PIPESTATUS[0]}
expect_code 141
expect_no_stderr
expect_stdout_has "Once upon a time"

finish
