#!/bin/bash
# kill_test.sh TVL: kill -9 at random moments of a conversion leaves the older output whole, or none.
. tests/cli/testing.sh "$1"
set -m  # so that the shell reports killed jobs to us, not to the log

in=$scratch/slow.bin
tok=$scratch/tok.bin
folder=$scratch/folder
model=$folder/model.tvl
whole=$scratch/whole.tvl
python3 tests/cli/make_checkpoint.py slow "$in" "$tok" 2
mkdir "$folder"

seed=$((16#$(od -An -tx2 -N2 /dev/urandom | tr -d ' ')))
RANDOM=$seed
echo "seed $seed"

# How long it takes, in microseconds; twice, since the first time the program comes from the disk.
for _ in 1 2; do
  begin=${EPOCHREALTIME/./}
  run $tvl convert "$in" "$whole" --tokenizer "$tok"
  expect_code 0
  duration=$((${EPOCHREALTIME/./} - begin))
done

before=0
after=0
leftovers=0
for ((i = 0; i < 20; i++)); do
  # In turn with and without an older output.
  rm -f "$model"
  ((i % 2 == 0)) || echo "older" >"$model"
  delay=$((RANDOM * duration / 32768))
  ran="convert, killed after $delay of about $duration us"
  $tvl convert "$in" "$model" --tokenizer "$tok" --force >"$out" 2>"$err" </dev/null &
  sleep "$(printf '%d.%06d' $((delay / 1000000)) $((delay % 1000000)))"
  kill -9 $! 2>/dev/null
  wait $! 2>/dev/null
  code=$?
  if cmp -s "$model" "$whole"; then
    after=$((after + 1))
  else
    before=$((before + 1))
    [ "$code" = 137 ] || failed "expected it to be killed"
    if ((i % 2 == 0)); then
      [ ! -e "$model" ] || failed "expected no output"
    else
      [ "$(cat "$model")" = older ] || failed "expected the older output"
    fi
  fi
  # A file with a name can be left behind in the instant between its naming and the renaming, whole;
  # where the file system has no files without names, at any time.
  for leftover in "$folder"/*; do
    [ "$leftover" != "$model" ] && [ -e "$leftover" ] || continue
    leftovers=$((leftovers + 1))
    python3 -c "import os, sys; os.open(sys.argv[1], os.O_TMPFILE | os.O_WRONLY)" "$folder" 2>/dev/null || continue
    cmp -s "$leftover" "$whole" || failed "a part of a file was left behind: $leftover"
  done
done
echo "of 20 kills $before came before the end and $after after it; $leftovers files left over"
[ $before -gt 0 ] || failed "expected some kills to come before the end"

# None of this is in the way of the next one.
run $tvl convert "$in" "$model" --tokenizer "$tok" --force
expect_code 0
cmp -s "$model" "$whole" || failed "expected the whole output"

finish
