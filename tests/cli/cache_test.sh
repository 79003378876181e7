#!/bin/bash
# cache_test.sh TVL: GGUF files where .tvl files can be named, and the cache that they are converted into.
. tests/cli/testing.sh "$1"
set -m

gguf=$scratch/small.gguf
cache=$XDG_CACHE_HOME/tvl
python3 tests/support/make_gguf.py "$gguf" Q4_0 Q8_0
run $tvl convert "$gguf" "$scratch/small.tvl"
expect_code 0

# holding FILE COMMAND...: as if another process had it locked.
holding() {
  exec 9<"$1"
  python3 -c "import fcntl; fcntl.flock(9, fcntl.LOCK_EX)"
  "${@:2}"
  exec 9<&-
}
entries() { compgen -G "$cache/small-*.tvl" | wc -l; }
expect_entries() { [ "$(entries)" = "$1" ] || failed "expected $1 models in the cache, found $(ls "$cache")"; }
# Nothing but whole entries.
expect_tidy() {
  local file
  for file in "$cache"/*; do
    [ -e "$file" ] || continue
    [ -e "${file%.*}.tvl" ] && [ -e "${file%.*}.source" ] || failed "expected whole entries, found $file"
  done
}
fingerprint() { run $tvl fingerprint -m "$1" -n 4; }

# The first run converts, and says so; others find the result, from any folder. No name tells what a file is.
fingerprint "$scratch/small.tvl"
digits=$(cat "$out")
fingerprint "$gguf"
expect_code 0
expect_stdout "$digits"
grep -q "^tvl: converted, for all further uses: $gguf (.*) -> $cache/small-[0-9a-f]*.tvl (.*$" "$err" ||
  failed "expected to be told"
grep -q "Q8_0: .* lossless" "$err" || failed "expected the summary of the conversion"
[ "$(stat -c %a "$cache")" = 700 ] || failed "expected a folder for the user alone"
expect_entries 1
cmp -s "$cache"/small-*.tvl "$scratch/small.tvl" || failed "expected what tvl convert makes"
again() {
  fingerprint "$1"
  expect_code 0
  expect_no_stderr
  expect_stdout "$digits"
  expect_entries 1
}
(cd "$scratch" && mkdir elsewhere && ln -s ../small.gguf elsewhere/small.gguf)
again "$scratch/elsewhere/small.gguf"
mv "$gguf" "$scratch/moved"
again "$scratch/moved"
run $tvl cache list
grep -qE "^small-.* unchanged +$scratch/moved$" "$out" || failed "expected the name of the last use"
expect_stdout_has "1 model, "
mv "$scratch/moved" "$gguf"

# Every command; what they print names what the user named.
run $tvl generate -m "$gguf" -n 3 --stats
expect_code 0
grep -q "^model  *$gguf, " "$err" || failed "expected the model's name"
run $tvl inspect --residency "$gguf"
expect_code 0
expect_no_stderr
expect_stdout_has "$gguf: as $cache/small-"
expect_stdout_has "layers.0.wq"
run $tvl verify "$gguf"
expect_code 0
grep -q "^OK $gguf, as $cache/small-.*.tvl: " "$out" || failed "expected OK"
run $tvl bench -m "$gguf" -p 4 -n 2 --rounds 1 -t 1
expect_code 0
expect_stdout_has "$gguf"
run $tvl bench --startup -m "$gguf" -p 4 --rounds 1
expect_code 0
printf 'ab a ab b aab%.0s' {1..20} >"$scratch/text"
run $tvl perplexity -m "$gguf" --against "$scratch/small.tvl" --file "$scratch/text"
expect_code 0
expect_stdout_has "KL"
run $tvl generate -m "$gguf" -p "a" -n 3 --session "$scratch/session"
expect_code 0
run $tvl generate -m "$scratch/small.tvl" -n 3 --session "$scratch/session"
expect_code 0
run $tvl generate -m "$gguf" -n 3 --context 100000
expect_refused "$gguf: --context"
expect_entries 1

# The list.
run $tvl cache list
expect_code 0
expect_no_stderr
grep -qE "^small-[0-9a-f]{16} .* unchanged +$gguf$" "$out" || failed "expected a row"
expect_stdout_has "1 model, $(sed -n '2s/^[^ ]*  \([^ ]* [^ ]*\) .*/\1/p' "$out") in $cache"

# What others have put there is text, on the line of its entry, and names are those that tvl makes.
entry=$(echo "$cache"/small-*.tvl)
printf '/a\e[31m\nforged' >"${entry%.tvl}.source"
echo mine >"$cache/"$'a\e[31m\nb-0123456789abcdef.tvl'
echo mine >"$cache/"$'a\e[31m\nb-0123456789abcdef.source'
run $tvl cache list
grep -qE '^small-.* stale: gone +/a\\x1b\[31m\\nforged$' "$out" || failed "expected a row without control characters"
[ "$(wc -l <"$out")" = 3 ] || failed "expected one row"
rm "$cache"/a*
again "$gguf"

# A file that has changed is converted anew; so is one that another has replaced.
touch -d "2020-02-02 02:02:02.123456789" "$gguf"
run $tvl cache list
grep -qE " stale: changed +$gguf$" "$out" || failed "expected a stale row"
stale=$(basename "$cache"/small-*.tvl .tvl)
holding "$cache/$stale.source" fingerprint "$gguf"
expect_stdout "$digits"
expect_entries 2
touch -d "2020-02-02 02:02:02.123456780" "$gguf"
fingerprint "$scratch/elsewhere/../small.gguf"
expect_stdout "$digits"
grep -q "^tvl: removed .*B that the file was converted to before it, or tvl, changed$" "$err" || failed "expected to be told of what is removed"
expect_entries 1
again "$gguf"
python3 tests/support/make_gguf.py "$scratch/gone.gguf" F16
run $tvl verify "$scratch/gone.gguf"
expect_code 0
rm "$scratch/gone.gguf"
run $tvl cache list
grep -qE "^gone-.* stale: gone +$scratch/gone.gguf$" "$out" || failed "expected a row of what is gone"
expect_tidy

# Clearing: what is stale, what is named, all; files that are not the cache's stay.
echo mine >"$cache/mine.tvl"
echo mine >"$cache/tvl-1-0.tmp" # of a process that lives
run $tvl cache clear --stale
expect_code 0
expect_no_stderr
grep -qE "^removed 1 model, [0-9.]+ [kM]B, from $cache$" "$out" || failed "expected what was removed"
again "$gguf"
name=$(basename "$cache"/small-*.tvl .tvl)
run $tvl cache clear "$name" nothing
expect_refused "$cache: there is no model nothing"
expect_entries 1
holding "$cache/$name.source" run $tvl cache clear "$name"
expect_refused "$cache: $name is left, as a process is making it just now; try again"
holding "$cache/$name.source" run $tvl cache clear
expect_code 0
expect_error "$name is left, as a process is making it just now"
expect_stdout "removed 0 models, 0 bytes, from $cache"
expect_entries 1
run $tvl cache clear "$name"
expect_code 0
expect_stdout_has "removed 1 model, "
expect_entries 0
fingerprint "$gguf"
echo unknown >"$cache/unknown-0123456789abcdef.tvl"
echo theirs >"$scratch/theirs"
ln -s "$scratch/theirs" "$cache/link-0123456789abcdef.tvl"
ln -s "$scratch/theirs" "$cache/link-0123456789abcdef.source"
run $tvl cache list
[ "$(grep -cE "^(unknown|link)-0123456789abcdef .* unknown +-$" "$out")" = 2 ] || failed "expected what has no source, too"
run $tvl cache clear --stale
expect_stdout_has "removed 0 models, "
run $tvl cache clear
expect_stdout_has "removed 3 models, "
[ "$(cat "$scratch/theirs")" = theirs ] || failed "expected what a link leads to to stay"
[ "$(ls "$cache" | tr '\n' ' ')" = "mine.tvl tvl-1-0.tmp " ] ||
  failed "expected the files of others to stay, found $(ls "$cache")"
rm -r "$cache"
run $tvl cache clear
expect_stdout "removed 0 models, 0 bytes, from $cache"
run $tvl cache list
expect_stdout "0 models, 0 bytes in $cache"
[ ! -e "$cache" ] || failed "expected no folder to be made"

# Damaged entries are made anew: cut short, empty, of other bytes, without a record.
fingerprint "$gguf"
entry=$(echo "$cache"/small-*.tvl)
damage() {
  fingerprint "$gguf"
  expect_code 0
  expect_stdout "$digits"
  cmp -s "$entry" "$scratch/small.tvl" || failed "expected the entry to be whole again"
  expect_tidy
}
truncate -s -1 "$entry"
damage
grep -q "^tvl: $entry: .*; this file of the cache is made anew$" "$err" || failed "expected a note"
: >"$entry"
damage
head -c 100000 /dev/zero >"$entry"
damage
rm "${entry%.tvl}.source"
damage
expect_no_stderr
# Links are replaced, and what they lead to is left alone; a directory is in the way.
echo theirs >"$scratch/victim"
touch -d "2020-02-02 02:02:02" "$scratch/victim"
replaced() {
  damage
  [ ! -L "$entry" ] && [ ! -L "${entry%.tvl}.source" ] || failed "expected the links to be replaced"
}
ln -sf "$scratch/victim" "${entry%.tvl}.source"
replaced
ln -sf "$scratch/nothing" "$entry"
ln -sf "$scratch/nothing" "${entry%.tvl}.source"
replaced
[ "$(stat -c %Y "$scratch/victim")" = "$(date -d "2020-02-02 02:02:02" +%s)" ] && [ "$(cat "$scratch/victim")" = theirs ] ||
  failed "expected what a link leads to to be left alone"
[ ! -e "$scratch/nothing" ] || failed "expected nothing to be made where a link leads"
rm "${entry%.tvl}".*
for suffix in tvl source; do
  mkdir "${entry%.tvl}.$suffix"
  fingerprint "$gguf"
  expect_refused "$gguf: ${entry%.tvl}.$suffix: expected a file of the cache, found a directory; remove it"
  rmdir "${entry%.tvl}.$suffix"
  [ -z "$(ls -A "$cache")" ] || failed "expected nothing to be left, found $(ls -A "$cache")"
done
fingerprint "$gguf"
# Where only the weights are, verify finds it.
printf '\1\2\3\4' | dd of="$entry" bs=1 seek=$(($(stat -c %s "$entry") - 1000)) conv=notrunc status=none
run $tvl verify "$gguf"
expect_refused "$gguf: "
expect_error "remove $entry and it is made anew"
run $tvl cache clear

# Two at once: the second waits for the first and converts nothing.
python3 - "$scratch/large.gguf" <<'END'
import random, sys
sys.path.insert(0, "tests/support")
import make_gguf
shape = make_gguf.Shape(dim=512, hidden=1024, layers=2, heads=4, kv_heads=2, head_dim=128)
block = make_gguf.TYPES["Q5_1"][2](random.Random(1))
make_gguf.Gguf.draw = lambda self, rng, name, shape, kind: self.tensors.append(make_gguf.Tensor(
    name, shape, kind, bytes(4 * shape[0]) if kind == "F32" else block[0] * (shape[0] * shape[1] // 32), None))
open(sys.argv[1], "wb").write(make_gguf.llama(["Q5_1"], shape).bytes())
END
large=$scratch/large.gguf
converting() { temporary_file "$cache/x" || ! kill -0 $first 2>/dev/null; }
# Begins a conversion that stands still in the middle.
begin_conversion() {
  local try
  for ((try = 0; try < 20; try++)); do
    rm -rf "$cache"
    $tvl verify "$large" >"$scratch/first" 2>"$scratch/first_err" &
    first=$!
    until converting; do sleep 0.001; done
    kill -STOP $first 2>/dev/null && ! compgen -G "$cache/large-*.tvl" >/dev/null && return
    kill -CONT $first 2>/dev/null
    wait_for_job $first
  done
  failed "the conversion was over before it could be disturbed"
}
begin_conversion
ran="two at once"
$tvl verify "$large" >"$out" 2>"$err" &
second=$!
waits() { grep -q "another process is converting it: waiting" "$err"; }
wait_for waits
[ "$($tvl cache clear 2>&1)" = "removed 0 models, 0 bytes, from $cache" ] || failed "expected nothing to be removed"
kill -CONT $first
wait $second
code=$?
expect_code 0
[ "$(wc -l <"$err")" = 1 ] || failed "expected the second to convert nothing"
wait_for_job $first
[ "$code" = 0 ] || failed "expected the first to succeed"
grep -q "Q5_1: .*requantised" "$scratch/first_err" || failed "expected the first to convert"
expect_tidy

# Ctrl-C leaves nothing; what a killed process held is in nobody's way.
for ((try = 0; try < 20; try++)); do
  begin_conversion
  kill -INT $first
  kill -CONT $first
  wait_for_job $first
  [ "$code" = 0 ] || break # it stood still after the last look at interrupts
done
ran="interrupted"
expect_code 130
[ -z "$(ls -A "$cache")" ] || failed "expected nothing in the cache, found $(ls -A "$cache")"
begin_conversion
kill -KILL $first
wait_for_job $first
run $tvl cache clear
expect_code 0
[ -z "$(ls -A "$cache")" ] || failed "expected the leftovers to go, found $(ls -A "$cache")"
begin_conversion
kill -KILL $first
wait_for_job $first
run $tvl verify "$large"
expect_code 0
expect_tidy
rm -rf "$cache" "$large"

# What users have in their caches was made by other versions of tvl: where the bytes change, so must kConversionVersion.
types="F32 F16 BF16 Q4_0 Q4_1 Q5_0 Q5_1 Q8_0 Q2_K Q3_K Q4_K Q5_K Q6_K IQ4_NL IQ4_XS"
python3 tests/support/make_gguf.py "$scratch/all.gguf" $types
run $tvl convert "$scratch/all.gguf" "$scratch/all.tvl"
expect_code 0
sum() { sha256sum "$1" | head -c 16; }
if [ "$(sum "$scratch/all.gguf")" = a42a2ac395240bf6 ]; then
  [ "$(sum "$scratch/all.tvl")" = c7ade79f4b7c395c ] ||
    failed "a conversion gives other bytes: raise kConversionVersion in tools/conversion.h, and note $(sum "$scratch/all.tvl") here"
else
  failed "make_gguf.py makes another file: note $(sum "$scratch/all.gguf") here, and $(sum "$scratch/all.tvl")"
fi

# Split files: the first part is named, and every part counts.
python3 - "$scratch" <<'END'
import sys
sys.path.insert(0, "tests/support")
import make_gguf
for i, part in enumerate(make_gguf.llama(["Q4_0", "Q8_0"]).split(3)):
    open("%s/split-%05d-of-00003.gguf" % (sys.argv[1], i + 1), "wb").write(part)
END
fingerprint "$scratch/split-00001-of-00003.gguf"
expect_code 0
expect_stdout "$digits"
fingerprint "$scratch/split-00001-of-00003.gguf"
expect_no_stderr
touch -d "2020-02-02" "$scratch/split-00003-of-00003.gguf"
run $tvl cache clear --stale
expect_stdout_has "removed 1 model, "
fingerprint "$scratch/split-00001-of-00003.gguf"
grep -q "^tvl: converted" "$err" || failed "expected it to be converted anew"
rm "$scratch/split-00002-of-00003.gguf"
fingerprint "$scratch/split-00001-of-00003.gguf"
expect_refused "split-00002-of-00003.gguf"
run $tvl cache clear

# What cannot be converted leaves nothing behind, not even the folder.
rm -r "$cache"
head -c 1000 "$gguf" >"$scratch/cut.gguf"
run $tvl generate -m "$scratch/cut.gguf"
expect_refused "$scratch/cut.gguf: "
for suffix in part crdownload; do
  cp "$scratch/cut.gguf" "$scratch/cut.gguf.$suffix"
  run $tvl generate -m "$scratch/cut.gguf.$suffix"
  expect_refused "is its download complete? (the file's name says that its download has not come to its end)"
done
[ ! -e "$cache" ] || failed "expected no folder"

# Nowhere to keep it. (File modes mean nothing to root.)
refused() {
  run "$@"
  expect_refused "$gguf: "
  expect_error "TVL_CACHE_DIR"
}
: >"$scratch/file"
TVL_CACHE_DIR=$scratch/file refused $tvl generate -m "$gguf"
expect_error "cannot make the folder $scratch/file: "
TVL_CACHE_DIR=$scratch/file/below refused $tvl generate -m "$gguf"
XDG_CACHE_HOME="" HOME="" refused $tvl generate -m "$gguf"
expect_error "none of TVL_CACHE_DIR, XDG_CACHE_HOME and HOME names a folder to keep converted models in; set TVL_CACHE_DIR to one, or make a .tvl file with 'tvl convert'"
XDG_CACHE_HOME="" HOME="" run $tvl cache list
expect_refused "none of TVL_CACHE_DIR"
# A disk that is full.
for limit in 1 16; do
  refused bash -c "ulimit -f $limit; exec $tvl generate -m $gguf"
  expect_error "File too large"
  [ -z "$(ls -A "$cache")" ] || failed "expected nothing in the cache"
done

# The folder that the variable names.
TVL_CACHE_DIR=$scratch/own/models fingerprint "$gguf"
expect_code 0
[ "$(ls "$scratch/own/models" | wc -l)" = 2 ] || failed "expected the model in its folder"
[ -z "$(ls -A "$cache")" ] || failed "expected nothing in the other"

finish
