#!/bin/bash
# files_test.sh TVL: what may be replaced, and names that are no files: standard streams and pipes.
. tests/cli/testing.sh "$1"

in=$scratch/small.bin
tok=$scratch/tok.bin
python3 tests/cli/make_checkpoint.py small "$in" "$tok"
model=$scratch/model.tvl
run $tvl convert "$in" "$model" --tokenizer "$tok"
expect_code 0
nothing_left() { ! compgen -G "$scratch/*.tmp*" >/dev/null || failed "a temporary file was left behind"; }

# Each writes to the file that is its first argument.
convert() { run $tvl convert "$in" --tokenizer "$tok" "$@"; }
bench() { run $tvl bench -m "$model" -t 1 -p 2 -n 1 --rounds 1 --json "$@"; }
inspect() { run $tvl inspect "$model" --json "$@"; }
trace() { run $tvl generate -m "$model" -n 2 --trace "$@"; }

# Files that tvl did not write.
python3 tests/support/make_gguf.py "$scratch/other.gguf" F32
echo "notes of mine" >"$scratch/notes.txt"
echo '{"traceEvents":[]}' >"$scratch/others.json"
printf '\x89TVS\r\n\x1a\n%56s' "" >"$scratch/session"
head -c 5000 /dev/urandom | sed 's/^/\xee/' >"$scratch/noise"

# What tvl did not write stays, also behind a link, and goes with --force.
for write in convert bench inspect trace; do
  for kind in "other.gguf:a GGUF file:direct link hard" "notes.txt:a text, 'notes of mine':link" \
    "others.json:a JSON file:direct" "session:a session:hard" "noise:a file of another kind:direct"; do
    IFS=: read -r name found targets <<<"$kind"
    for target in $targets; do
      cp "$scratch/$name" "$scratch/kept"
      rm -f "$scratch/target" "$scratch/other-name"
      case $target in
        direct) cp "$scratch/$name" "$scratch/target" ;;
        link) cp "$scratch/$name" "$scratch/other-name" && ln -s other-name "$scratch/target" ;;
        hard) cp "$scratch/$name" "$scratch/other-name" && ln "$scratch/other-name" "$scratch/target" ;;
      esac
      $write "$scratch/target"
      expect_refused "$scratch/target: expected a "
      expect_error "found $found;"
      expect_error "name another file, or add --force to replace this one"
      cmp -s "$scratch/target" "$scratch/kept" || failed "expected the file to be unharmed"
    done
  done
  nothing_left
  $write "$scratch/target" --force
  expect_code 0
  cmp -s "$scratch/target" "$scratch/kept" && failed "expected the file to be replaced"
  # What it wrote itself, what is empty, and what is not there need no word.
  $write "$scratch/target"
  expect_code 0
  : >"$scratch/target"
  $write "$scratch/target"
  expect_code 0
  [ -s "$scratch/target" ] || failed "expected the empty file to be replaced"
  rm "$scratch/target"
  $write "$scratch/target"
  expect_code 0
  ln -sf missing "$scratch/dangling"
  rm -f "$scratch/missing"
  $write "$scratch/dangling"
  expect_code 0
  [ -L "$scratch/dangling" ] && [ -s "$scratch/missing" ] || failed "expected the file that the link leads to"
done
# Of one kind to another is no less a loss; between the two reports there is none.
cp "$model" "$scratch/target"
for write in bench inspect trace; do
  $write "$scratch/target"
  expect_refused "found a .tvl file"
done
bench "$scratch/report"
expect_code 0
inspect "$scratch/report"
expect_code 0
for write in convert trace; do
  $write "$scratch/report"
  expect_refused "found a report of tvl"
done
trace "$scratch/a_trace"
convert "$scratch/a_trace"
expect_refused "found a trace of tvl"
# A model is not replaced by what is said of it, with or without --force.
for write in bench inspect trace; do
  $write "$model" --force
  expect_refused "would replace the model"
done

# Standard output, and what is no file.
bench -
expect_code 0
python3 -c 'import json, sys; assert json.load(open(sys.argv[1]))["runs"]' "$out" || failed "expected JSON and nothing else"
inspect -
expect_code 0
python3 -c 'import json, sys; assert json.load(open(sys.argv[1]))["format"] == "tvl"' "$out" || failed "expected JSON and nothing else"
inspect /dev/stdout
python3 -c 'import json, sys; json.load(open(sys.argv[1]))' "$out" || failed "expected JSON and nothing else"
for write in bench inspect trace; do
  $write /dev/null
  expect_code 0
  [ -s "$out" ] || failed "expected what is printed otherwise"
  [ -c /dev/null ] || failed "expected the device to stay"
  mkfifo "$scratch/pipe"
  python3 -c 'import json, sys; json.load(open(sys.argv[1]))' "$scratch/pipe" &
  $write "$scratch/pipe"
  expect_code 0
  wait $! || failed "expected JSON through the pipe"
  rm "$scratch/pipe"
done
convert /dev/null
expect_refused "/dev/null: expected a regular file or none as the output, found a special file"

# Texts from pipes are those from files.
seq 60 | tr '\n' ' ' >"$scratch/text"
same() {
  local expected
  expected=$("$@" "$scratch/text") || failed "expected the text to be read: $*"
  [ "$("$@" - <"$scratch/text")" = "$expected" ] || failed "expected the same from -: $*"
  [ "$("$@" - < <(cat "$scratch/text"))" = "$expected" ] || failed "expected the same from a pipe: $*"
  [ "$("$@" <(cat "$scratch/text"))" = "$expected" ] || failed "expected the same from a substituted process: $*"
  [ "$("$@" /dev/stdin < <(cat "$scratch/text"))" = "$expected" ] || failed "expected the same from /dev/stdin: $*"
}
same $tvl tokenize --file
same $tvl perplexity -m "$model" --file
same $tvl generate -n 3 -c 512 --file
ids=$($tvl tokenize "a b c")
[ "$(echo "$ids" | $tvl tokenize --decode -)" = "a b c" ] || failed "expected ids from standard input"
[ "$(echo "Once" | $tvl generate -n 3 -p -)" = "$($tvl generate -n 3 -p Once)" ] || failed "expected a prompt from a pipe"
run $tvl tokenize --file /dev/null
expect_code 0
run $tvl perplexity --file /dev/null
expect_refused "/dev/null: expected a text of at least 1 token, found 0"
run $tvl tokenize --file "$scratch"
expect_refused "$scratch: expected a text, found a directory"

# A text without end has one.
endless="expected a text of at most 64 MB, found more; name a file for a longer one"
run bash -c "yes | $tvl tokenize -"
expect_refused "standard input: $endless"
run bash -c "yes | $tvl perplexity --file -"
expect_refused "standard input: $endless"
run $tvl generate -f /dev/zero
expect_refused "/dev/zero: $endless"
run $tvl tokenize --file <(yes)
expect_refused "$endless"

# A model cannot be a pipe.
run $tvl generate -m <(cat "$model")
expect_refused "expected a regular file, found a special file; a model is mapped into memory"
run $tvl generate -n 1 -m /dev/stdin
expect_refused "a model is mapped into memory"
[ "$($tvl generate -n 3 -p ab -m /dev/stdin <"$model")" = "$($tvl generate -n 3 -p ab -m "$model")" ] ||
  failed "expected a file to be a file by whatever name"

# The last of several values counts; flags may be said again; lists add up.
run $tvl generate -n 1 -n 0 --threads 9 -t 1 --seed 1 -s 2 --stats --stats -p no --prompt Yes
expect_code 0
expect_stdout "Yes"
grep -q "^threads  *1 (as asked)" "$err" || failed "expected one thread"
bench "$scratch/first" --json "$scratch/second"
expect_code 0
[ ! -e "$scratch/first" ] && [ -s "$scratch/second" ] || failed "expected the last file only"
run $tvl inspect "$scratch/none" --json x "$model"
expect_code 2
run $tvl convert "$in" "$scratch/mixed.tvl" --tokenizer "$scratch/none" --tokenizer "$tok" --dtype q4 --dtype q8 --recipe wq=f16 --recipe w2=f16
expect_code 0
grep -q ": f16 wq, w2; q8 " "$err" || failed "expected both recipes and the last type"
run $tvl convert "$in" "$scratch/mixed.tvl" --tokenizer "$tok" --recipe wq=f16 --recipe wq=q8
grep -q "; q8 wq; " "$err" || failed "expected the later recipe to win, found $(cat "$err")"

# Names of options that people know from llama.cpp.
for pair in "--n-predict:-n" "--predict:--max-tokens"; do
  [ "$($tvl generate ${pair%:*} 7 --temp 1 -s 3)" = "$($tvl generate ${pair#*:} 7 --temperature 1 --seed 3)" ] ||
    failed "expected ${pair%:*} to be ${pair#*:}"
done
for name in -c --ctx-size --context; do
  run $tvl generate $name 5
  expect_code 0
  expect_error "stopped at the end of the context (5 positions)"
done

finish
