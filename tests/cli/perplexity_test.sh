#!/bin/bash
# perplexity_test.sh TVL: tvl perplexity.
. tests/cli/testing.sh "$1"

model=models/pretrained/tales3M.tvl
text=$scratch/text
for _ in {1..10}; do
  echo "Once upon a time, there was a little girl named Lily. She had a red ball. One day, Tom took the ball and ran."
done >"$text"

# value ROW: the first number of a row; two spaces at least end its name.
value() { sed -n "s/^$1   *\([^ ]*\).*/\1/p" "$out"; }

run $tvl perplexity --file "$text"
expect_code 0
expect_no_stderr
[ "$(wc -l <"$out")" = 4 ] || failed "expected four lines"
grep -qE '^tokens +[0-9]+ in 1 window of up to 512$' "$out" || failed "expected the tokens"
grep -qE '^nats per token +[0-9]+\.[0-9]{6}$' "$out" || failed "expected the nats"
grep -qE '^standard error +0\.[0-9]{6}$' "$out" || failed "expected the standard error"
grep -qE '^perplexity +[0-9]+\.[0-9]{6} \+/- [0-9]+\.[0-9]{6}$' "$out" || failed "expected the perplexity"
awk -v nats="$(value "nats per token")" -v ppl="$(value perplexity)" \
  'BEGIN { r = exp(nats) / ppl; exit !(r > 0.99999 && r < 1.00001) }' || failed "expected the exponential"
cp "$out" "$scratch/alone"

# Every machine prints these digits: they follow from the numeric contract, as the fingerprint does.
printf 'Once upon a time, there was a little girl named Lily.' >"$scratch/known"
run $tvl perplexity --file "$scratch/known"
expect_stdout "$(printf '%-19s %s\n' tokens "13 in 1 window of up to 512" "nats per token" 0.236845 "standard error" 0.086166 \
  perplexity "1.267245 +/- 0.109193")"
run $tvl perplexity --file "$scratch/known" --kv-dtype f32
expect_stdout_has 0.236829

# The same digits, whatever does not matter.
for options in "-t 1" "-t 2" "-t 3" "-m $model" "--context 512"; do
  run $tvl perplexity --file "$text" $options
  expect_code 0
  cmp -s "$out" "$scratch/alone" || failed "expected the same digits"
done

# A shorter window knows less. Each token is predicted once, whatever the window.
tokens=$(value tokens)
for window in 100 2; do
  run $tvl perplexity --file "$text" --context $window
  expect_code 0
  expect_stdout_has "$tokens in $(((tokens + window - 2) / (window - 1))) windows of up to $window"
  cmp -s "$out" "$scratch/alone" && failed "expected other digits"
done

# One token has no standard error.
printf 'a' >"$scratch/short"
run $tvl perplexity --file "$scratch/short" --context 2
expect_code 0
expect_stdout_has "1 in 1 window of up to 2"
expect_stdout_has "unknown"
grep -q '+/-' "$out" && failed "expected no error of one number"

# Beside itself: nothing differs. Beside another: something does, and the other way round it is the inverse.
run $tvl perplexity --file "$text" --against $model
expect_code 0
expect_no_stderr
[ "$(head -4 "$out")" = "$(cat "$scratch/alone")" ] || failed "expected the lines of the model alone first"
[ "$(value "its perplexity")" = "$(value perplexity)" ] || failed "expected equal perplexities"
[ "$(value "perplexity ratio")" = 1.000000 ] || failed "expected a ratio of 1"
[ "$(value "KL divergence")" = 0.000000000 ] || failed "expected no divergence"
[ "$(value "same top token")" = 100.0000% ] || failed "expected full agreement"
expect_stdout_has "D(other || model)"

for version in 0 1; do
  python3 tests/cli/make_checkpoint.py $([ $version = 0 ] && echo small || echo untied) "$scratch/$version.bin" "$scratch/tok.bin"
  run $tvl convert "$scratch/$version.bin" "$scratch/$version.tvl" --tokenizer "$scratch/tok.bin"
  expect_code 0
done
run $tvl perplexity -m "$scratch/0.tvl" --against "$scratch/1.tvl" --file "$text"
expect_code 0
cp "$out" "$scratch/there"
for row in "its perplexity" "perplexity ratio" "KL divergence" "same top token"; do
  [ -n "$(value "$row")" ] || failed "expected a row: $row"
done
[ "$(value "KL divergence")" != 0.000000000 ] || failed "expected a divergence"
its=$(value "its perplexity")
run $tvl perplexity -m "$scratch/1.tvl" --against "$scratch/0.tvl" --file "$text" -t 1
[ "$(value perplexity)" = "$its" ] || failed "expected the perplexity that it had as the other one"
run $tvl perplexity -m "$scratch/0.tvl" --against "$scratch/1.tvl" --file "$text" -t 2
cmp -s "$out" "$scratch/there" || failed "expected the same digits"

# Texts that are none, windows that do not fit, and models that have no token in common.
: >"$scratch/empty"
run $tvl perplexity --file "$scratch/empty"
expect_refused "empty: expected a text of at least 1 token, found 0"
run $tvl perplexity --file "$scratch/missing"
expect_refused "missing: No such file"
run $tvl perplexity --file "$scratch"
expect_refused "a directory"
run $tvl perplexity --file "$text" --context 513
expect_refused "expected at most the model's 512 positions, found 513"
run $tvl perplexity --file "$text" --context 1
expect_code 2
expect_error "--context: expected a whole number from 2 to "
run $tvl perplexity
expect_code 2
expect_error "--file is required"
run $tvl perplexity --file "$text" -m "$scratch/missing.tvl"
expect_refused "missing.tvl"
run $tvl perplexity --file "$text" --against "$scratch/missing.tvl"
expect_refused "missing.tvl"
run $tvl perplexity --file "$text" --against ""
expect_code 2
expect_error "--against: expected the name of a file, found ''"
run $tvl perplexity --file "$text" --against "$scratch/0.tvl"
expect_refused "0.tvl: expected the vocabulary of the embedded model (2048 pieces), found 300 pieces"
python3 - "$scratch/tok.bin" "$scratch/other.tok" <<'END'
import sys
data = open(sys.argv[1], "rb").read()
open(sys.argv[2], "wb").write(data[:-1] + b"~")
END
run $tvl convert "$scratch/0.bin" "$scratch/other.tvl" --tokenizer "$scratch/other.tok"
run $tvl perplexity -m "$scratch/0.tvl" --file "$text" --against "$scratch/other.tvl"
expect_refused "other.tvl: expected the vocabulary of $scratch/0.tvl (300 pieces), found another piece 299"
run $tvl perplexity -m "$scratch/0.tvl" --file "$text" --context 65
expect_refused "0.tvl: --context: expected at most the model's 64 positions, found 65"
run bash -c "exec $tvl perplexity --file $text >/dev/full"
expect_refused "cannot write to standard output"

finish
