#!/bin/bash
# convert_test.sh TVL: tvl convert.
. tests/cli/testing.sh "$1"

in=$scratch/small.bin
tok=$scratch/tok.bin
python3 tests/cli/make_checkpoint.py small "$in" "$tok"
python3 tests/cli/make_checkpoint.py untied "$scratch/untied.bin" "$scratch/tok2.bin"
model=$scratch/model.tvl

nothing_left() { ! compgen -G "$scratch/*.tmp*" >/dev/null || failed "a temporary file was left behind"; }

# A line of summary on stderr, nothing on stdout, the same bytes every time.
for dtype in f32 f16 bf16 q8 q4 q4m; do
  run $tvl convert "$in" "$scratch/$dtype.tvl" --tokenizer "$tok" --dtype $dtype
  expect_code 0
  expect_no_stdout
  [ "$(wc -l <"$err")" = 1 ] || failed "expected one line on stderr"
  grep -q "small.bin (.* kB) -> .*/$dtype.tvl (.* kB: $dtype; .* bits per weight) in " "$err" ||
    failed "expected a summary"
  run $tvl convert "$in" "$scratch/again.tvl" --tokenizer "$tok" --dtype $dtype -t 3
  expect_code 0
  cmp -s "$scratch/$dtype.tvl" "$scratch/again.tvl" || failed "expected the same bytes again"
  run $tvl verify "$scratch/$dtype.tvl"
  expect_code 0
  run $tvl generate -m "$scratch/$dtype.tvl" -n 5
  expect_code 0
done
cmp -s "$scratch/f32.tvl" "$scratch/f16.tvl" && failed "expected f32 and f16 to differ"
cmp -s "$scratch/f16.tvl" "$scratch/bf16.tvl" && failed "expected f16 and bf16 to differ"
for dtype in bf16 q4m; do
  run $tvl inspect "$scratch/$dtype.tvl"
  expect_stdout_has " $dtype "
done
run $tvl convert "$in" "$scratch/default.tvl" --tokenizer "$tok"
cmp -s "$scratch/default.tvl" "$scratch/f32.tvl" || failed "expected f32 by default"
run $tvl convert "$scratch/untied.bin" "$scratch/untied.tvl" --tokenizer "$tok"
expect_code 0
run $tvl inspect "$scratch/untied.tvl"
expect_stdout_has "its own"
nothing_left

# K-quants, of rows that are whole superblocks; of others the type that is nearest, and a note.
python3 tests/support/make_gguf.py "$scratch/wide.gguf" F32
for types in q4k:q4m q5k:q8 q6k:q8; do
  dtype=${types%:*}
  run $tvl convert "$scratch/wide.gguf" "$scratch/$dtype.tvl" --dtype $dtype
  expect_code 0
  grep -q "wide.gguf (.* MB) -> .*/$dtype.tvl (.*: $dtype; .* bits per weight) in " "$err" || failed "expected a summary"
  # Of wo, whose rows are as long as four heads.
  grep -qx "  note: $dtype takes rows of a multiple of 256 weights: 2 matrices with rows of 128 became ${types#*:}" "$err" ||
    failed "expected a note on wo"
  grep -q "  F32: 14 matrices as $dtype, requantised" "$err" || failed "expected the type everywhere else"
  run $tvl verify "$scratch/$dtype.tvl"
  expect_code 0
  run $tvl inspect "$scratch/$dtype.tvl"
  expect_stdout_has " $dtype "
  run $tvl generate -m "$scratch/$dtype.tvl" -n 5
  expect_code 0
done
run $tvl convert "$in" "$scratch/narrow.tvl" --tokenizer "$tok" --dtype q4 --recipe w2=q6k,wo=q4k
expect_code 0
grep -qx "  note: q4k takes rows of a multiple of 256 weights: 2 matrices with rows of 32 became q4m" "$err" || failed "expected a note on wo"
grep -qx "  note: q6k takes rows of a multiple of 256 weights: 2 matrices with rows of 72 became q8" "$err" || failed "expected a note on w2"
run $tvl inspect "$scratch/narrow.tvl"
for row in "layers.0.wo  *q4m" "layers.1.w2  *q8" "layers.0.wq  *q4"; do
  grep -q "^  $row " "$out" || failed "expected within stdout: $row"
done
nothing_left

# Types by role: --dtype, then --embedding-dtype, then --recipe. The note says what became of it.
run $tvl convert "$in" "$scratch/mixed.tvl" --tokenizer "$tok" --recipe attention=q8,wo=f16 --embedding-dtype bf16 --dtype q4
expect_code 0
grep -q "kB: f16 wo; bf16 embedding; q8 wq, wk, wv; q4 w13, w2; .* bits per weight) in " "$err" ||
  failed "expected the recipe in the summary"
run $tvl inspect "$scratch/mixed.tvl"
for row in "token_embedding  *bf16" "layers.0.wq  *q8" "layers.0.wo  *f16" "layers.0.w13  *q4"; do
  grep -q "^  $row " "$out" || failed "expected within stdout: $row"
done
run $tvl generate -m "$scratch/mixed.tvl" -n 5
expect_code 0
run $tvl convert "$scratch/untied.bin" "$scratch/mixed.tvl" --tokenizer "$tok" --recipe embedding=q4,classifier=q8
expect_code 0
grep -q "f32 wq, wk, wv, wo, w13, w2; q8 classifier; q4 embedding; " "$err" || failed "expected the untied classifier"
nothing_left

# The same weights give the same bytes, whatever version of checkpoint brings them.
for version in 0 1 2; do
  python3 tests/cli/make_checkpoint.py grouped "$scratch/grouped$version.bin" "$scratch/grouped.tok" $version
  run $tvl convert "$scratch/grouped$version.bin" "$scratch/grouped$version.tvl" --tokenizer "$scratch/grouped.tok"
  expect_code 0
  cmp -s "$scratch/grouped0.tvl" "$scratch/grouped$version.tvl" || failed "expected the bytes of version 0"
done

# Groups of 8 are no blocks.
grep -q "bits per weight) in " "$err" || failed "expected no word of quants with f32"
run $tvl convert "$scratch/grouped2.bin" "$scratch/requantised.tvl" --tokenizer "$scratch/grouped.tok" --dtype q8
grep -q "(.*: q8; .* bits per weight; requantised) in " "$err" || failed "expected the quants' fate"
rm "$scratch/requantised.tvl"

# 17 million quantised weights, with memory of its own for 6 million floats: they are decoded while they are
# written. An emulator and a sanitizer need more for themselves.
python3 tests/cli/make_checkpoint.py slow "$scratch/large.bin" "$scratch/large.tok" 2
limit="ulimit -d 24000"
bash -c "$limit; exec $tvl --version" >/dev/null 2>&1 || limit=:
run bash -c "$limit; exec $tvl convert $scratch/large.bin $scratch/large.tvl --tokenizer $scratch/large.tok"
expect_code 0
rm "$scratch"/large.*

# Inputs that are missing, cut short, too long, or no checkpoint at all. The file is named, and nothing is written.
refuse() {
  local within=$1
  shift
  run $tvl convert "$@"
  expect_refused "$within"
  [ ! -e "$model" ] || failed "expected no output"
  nothing_left
}
refuse "missing.bin" "$scratch/missing.bin" "$model" --tokenizer "$tok"
refuse "missing.bin" "$in" "$model" --tokenizer "$scratch/missing.bin"
refuse "a directory" "$scratch" "$model" --tokenizer "$tok"
size=$(stat -c %s "$in")
head -c $((size - 1)) "$in" >"$scratch/cut.bin"
refuse "cut.bin: file size: expected $size bytes by the header, found $((size - 1))" "$scratch/cut.bin" "$model" --tokenizer "$tok"
head -c 20 "$in" >"$scratch/cut.bin"
refuse "cut.bin: file size" "$scratch/cut.bin" "$model" --tokenizer "$tok"
cat "$in" "$in" >"$scratch/long.bin"
refuse "long.bin: file size" "$scratch/long.bin" "$model" --tokenizer "$tok"
refuse "tok.bin: expected a GGUF file or a checkpoint of llama2.c, found a tokenizer of llama2.c" "$tok" "$model" --tokenizer "$tok"
head -c 100 "$tok" >"$scratch/cut.tok"
refuse "cut.tok: llama2.c tokenizer" "$in" "$model" --tokenizer "$scratch/cut.tok"

refuse "small.bin: --recipe: this model's classifier is its embedding" "$in" "$model" --tokenizer "$tok" --recipe classifier=q8
python3 - "$in" "$scratch/nan.bin" <<'END'
import sys
data = bytearray(open(sys.argv[1], "rb").read())
data[28:32] = b"\0\0\xc0\x7f"
open(sys.argv[2], "wb").write(data)
END
refuse "nan.bin: tensor token_embedding, row 0, column 0: q8 expects a finite number of magnitude up to 8.31901e+06, found nan" \
  "$scratch/nan.bin" "$model" --tokenizer "$tok" --dtype q8

# Outputs that cannot or must not be written.
refuse "no_folder" "$in" "$scratch/no_folder/model.tvl" --tokenizer "$tok"
refuse "tvl: $scratch: expected a regular file" "$in" "$scratch" --tokenizer "$tok"
refuse "a special file" "$in" /dev/null --tokenizer "$tok"
cp "$in" "$scratch/kept.bin"
ln "$in" "$scratch/hard.bin"
ln -s "$in" "$scratch/soft.bin"
for same in "$in" "$scratch/hard.bin" "$scratch/soft.bin" "$scratch/../${scratch##*/}/small.bin"; do
  refuse "would replace its own input" "$in" "$same" --tokenizer "$tok"
done
refuse "would replace its own input" "$in" "$tok" --tokenizer "$tok"
cmp -s "$in" "$scratch/kept.bin" || failed "expected the input to be unharmed"

# A symbolic link is followed.
echo "older" >"$scratch/older.tvl"
ln -s "$scratch/older.tvl" "$scratch/link.tvl"
run $tvl convert "$in" "$scratch/link.tvl" --tokenizer "$tok" --force
expect_code 0
[ -L "$scratch/link.tvl" ] || failed "expected the link to stay"
cmp -s "$scratch/older.tvl" "$scratch/f32.tvl" || failed "expected the link's target to be replaced"

finish
