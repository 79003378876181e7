#!/bin/bash
# session_test.sh TVL: tvl generate --session.
. tests/cli/testing.sh "$1"

session=$scratch/session.tvs

# In one go, and in four: the same text. The last program of each has its newline.
in_parts() {
  local tokens
  for tokens in 1 99 7 93; do
    $tvl generate -n $tokens --session "$session" "$@" | head -c -1
  done
  echo
}
for kv_dtype in f32 f16 q8; do
  for sampling in "--temperature 0" "--temperature 0.9 --top-p 0.95 --seed 3"; do
    run $tvl generate -n 200 --kv-dtype $kv_dtype $sampling
    expect_code 0
    rm -f "$session"
    in_parts --kv-dtype $kv_dtype $sampling >"$scratch/parts"
    cmp "$out" "$scratch/parts" || failed "expected the same text in parts ($kv_dtype, $sampling)"
  done
done

# The file knows its type; a prompt follows what is there.
run $tvl generate -n 3 --session "$session" -p " One day"
expect_code 0
expect_no_stderr
expect_stdout_has " One day"

# Cut where tokens meet, a prompt in parts is the prompt: no space gets between.
for prompt in "Once upon a time, there was a cat" "Once upon a time"; do
  rm -f "$session"
  run $tvl generate -n 40 -p "$prompt"
  cp "$out" "$scratch/whole"
  $tvl generate -n 0 --session "$session" -p "Once upon a time" | head -c -1 >"$scratch/parts"
  $tvl generate -n 40 --session "$session" -p "${prompt#Once upon a time}" >>"$scratch/parts"
  cmp "$scratch/whole" "$scratch/parts" || failed "expected the same text for a prompt in parts"
done

# At the model's end and at the context's, what to do is said. A full disk behind the text loses nothing.
rm -f "$session"
run $tvl generate -n 512 --session "$session"
run $tvl generate -n 9 --session "$session"
expect_code 0
grep -qF "session.tvs: the model has ended its text; give a prompt to go on" "$err" || failed "expected a note"
rm -f "$session"
run $tvl generate --context 20 -n 100 --session "$session"
run $tvl generate --context 20 -n 100 --session "$session"
expect_refused "session.tvs: expected room for 1 more of 20 positions, found 0; use a larger --context"
rm -f "$session"
if [ -w /dev/full ]; then
  $tvl generate -n 5 --session "$session" >/dev/full 2>/dev/null
  [ -s "$session" ] || failed "expected a session in spite of the full disk"
fi
run $tvl generate -n 5 --session "$session" --trace "$session"
expect_refused "session.tvs: the trace would replace the session"
rm -f "$session"
in_parts --kv-dtype q8 >/dev/null

# Sessions that cannot go on are refused, and stay as they are.
cp "$session" "$scratch/kept"
run $tvl generate --session "$session" --kv-dtype f32
expect_refused "session.tvs: expected a KV cache of f32, found q8; use --kv-dtype q8"
run $tvl generate --session "$session" --context 64
expect_refused "session.tvs: expected at most 64 positions"
python3 tests/cli/make_checkpoint.py small "$scratch/small.bin" "$scratch/tok.bin"
run $tvl convert "$scratch/small.bin" "$scratch/small.tvl" --tokenizer "$scratch/tok.bin"
run $tvl generate -m "$scratch/small.tvl" --session "$session"
expect_refused "session.tvs: expected a session of this model"
cmp "$session" "$scratch/kept" || failed "expected the session to stay as it was"

head -c 3000 "$session" >"$scratch/short.tvs"
run $tvl generate --session "$scratch/short.tvs"
expect_refused "short.tvs: expected"
printf 'no session' >"$scratch/other.tvs"
run $tvl generate --session "$scratch/other.tvs"
expect_refused "other.tvs: expected a session that tvl wrote"
run $tvl generate -m "$scratch/small.tvl" --session "$scratch/small.tvl"
expect_refused "small.tvl: the session would replace the model"
run $tvl generate --session "$scratch/no_folder/session.tvs"
expect_refused "no_folder/session.tvs: No such file"
run $tvl generate --session ""
expect_code 2

finish
