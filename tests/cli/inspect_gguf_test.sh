#!/bin/bash
# inspect_gguf_test.sh TVL: tvl inspect of GGUF files, from their own directories.
. tests/cli/testing.sh "$1"

python3 - "$scratch" <<'END'
import sys
sys.path.insert(0, "tests/support")
import make_gguf
from make_gguf import ARRAY, STRING, Gguf, Tensor

def write(name, data):
    with open("%s/%s" % (sys.argv[1], name), "wb") as file:
        file.write(data)

good = make_gguf.llama(["Q4_0", "Q8_0"])
good.metadata.update({
    "general.escape": (STRING, "a\x1b[31m\nb"), "test.bool": (7, True), "test.f32": (6, 0.5), "test.i8": (1, -3),
    "test.u64": (10, 1 << 60), "test.few": (ARRAY, (4, [1, 2])), "test.none": (ARRAY, (4, [])),
    "test.nested": (ARRAY, (ARRAY, [(4, [1]), (4, [2])])), "test.strings": (ARRAY, (STRING, ["x", "y\x1b"])),
})
write("good.gguf", good.bytes())
write("cut.gguf", good.bytes()[:-100])
write("head.gguf", good.bytes()[:1000])
for i, part in enumerate(make_gguf.llama(["Q4_0", "Q8_0"]).split(3)):
    write("split-%05d-of-00003.gguf" % (i + 1), part)

for architecture in ("gemma3", "mamba"):
    other = make_gguf.llama(["F16"])
    other.metadata["general.architecture"] = (STRING, architecture)
    write(architecture + ".gguf", other.bytes())
# Types that tvl cannot decode: IQ2_XS has 74 bytes for 256 weights; 99 is nobody's.
for name, kind, size in (("iq2_xs", 17, 74), ("future", 99, 74)):
    other = make_gguf.llama(["F16"])
    other.tensors[0] = Tensor("token_embd.weight", (256, 264), kind, bytes(264 * size), None)
    write(name + ".gguf", other.bytes())
# Vocabularies alone: one that tvl has, one that it has not.
for name, model in (("vocabulary", "llama"), ("wordpiece", "bert")):
    vocabulary = Gguf()
    vocabulary.metadata["general.architecture"] = (STRING, "llama")
    make_gguf.vocabulary(vocabulary)
    vocabulary.metadata["tokenizer.ggml.model"] = (STRING, model)
    write(name + ".gguf", vocabulary.bytes())
write("nothing.gguf", Gguf().bytes())
END

inspect() {
  run $tvl inspect "$scratch/$1" "${@:2}"
  expect_code 0
  expect_no_stderr
  [ ! -e "$XDG_CACHE_HOME" ] || failed "expected nothing to be converted"
  LC_ALL=C grep -q $'[\x01-\x08\x0b-\x1f\x7f]' "$out" && failed "expected no control characters"
}
row() { grep -qE "^  $1 +$2\$" "$out" || failed "expected a row: $1 $2"; }
total() { grep -qE "^  $1\$" "$out" || failed "expected a total: $1"; }

# One that runs: the model, its tokenizer, keys and tensors.
inspect good.gguf
bytes=$(stat -c %s "$scratch/good.gguf")
grep -qE "^$scratch/good.gguf: [0-9.]+ [kM]B, GGUF version 3$" "$out" || failed "expected the file"
row architecture llama
row heads "4, 2 for keys and values, of 32 dimensions"
row weights "as the source; [0-9.]+ bits per weight"
row kind "SentencePiece BPE"
row pieces 264
row "ends at" "token 2"
row general.name "'a fixture'"
row general.escape "'a\\\\x1b\[31m\\\\nb'"
row test.bool true
row test.f32 0.5
row test.i8 -3
row test.u64 1152921504606846976
row test.few "2 of u32: 1, 2"
row test.none "0 of u32"
row test.nested "2 of array: ..."
row test.strings "2 of string: 'x', 'y\\\\x1b'"
row tokenizer.ggml.tokens "264 of string: '<unk>', '<s>', '</s>', '<0x00>', ..."
row tokenizer.ggml.scores "264 of f32: 0, 0, 0, 0, ..."
row token_embd.weight "Q4_0 +264 x 256 +38,016"
row output_norm.weight "F32 +256 +1,024"
total "21 tensors, [0-9,]+ weights"

# In parts, of which the first is named; and where one is missing.
inspect split-00001-of-00003.gguf
expect_stdout_has ", in 3 parts"
row architecture llama
row token_embd.weight "Q4_0 +264 x 256 +38,016"
expect_stdout_has "21 tensors, "
mv "$scratch/split-00003-of-00003.gguf" "$scratch/elsewhere.gguf"
inspect split-00001-of-00003.gguf
grep -q "^  cannot run .*split-00003-of-00003.gguf: No such file" "$out" || failed "expected the missing part"
expect_stdout_has ", in 2 parts"
inspect split-00002-of-00003.gguf
grep -q "^  cannot run .*split.no: expected 0, the first of 3 parts" "$out" || failed "expected to be told of the first part"

# Those that tvl cannot run.
for architecture in gemma3 mamba; do
  inspect $architecture.gguf
  grep -q "^  cannot run  *metadata key general.architecture: expected .*, found '$architecture'" "$out" ||
    failed "expected the architecture to be refused"
  row kind "SentencePiece BPE"
  row token_embd.weight "F16 +264 x 256 +135,168"
done
inspect iq2_xs.gguf
grep -q "^  cannot run .*token_embd.weight, type: .*IQ2_XS (17), which this version cannot decode" "$out" || failed "expected the type"
row token_embd.weight "IQ2_XS \(17\) +264 x 256 +19,536"
inspect future.gguf
row token_embd.weight "99 +264 x 256 +\?"
inspect cut.gguf
grep -q "^  cannot run .*the file is truncated or damaged: is its download complete?" "$out" || failed "expected it to be truncated"
row general.name "'a fixture'"

# Vocabularies alone.
inspect vocabulary.gguf
expect_stdout_has "The file holds a vocabulary and no weights; 'tvl tokenize -m FILE' can use it"
row pieces 264
total "0 tensors, 0 weights"
inspect wordpiece.gguf
grep -q "^  kind  *one that tvl cannot use: metadata key tokenizer.ggml.model: .*bert" "$out" || failed "expected the tokenizer to be refused"
inspect nothing.gguf
row kind none

# What cannot be read.
run $tvl inspect "$scratch/head.gguf"
expect_refused "$scratch/head.gguf: "
expect_error "is its download complete?"

# JSON.
for name in good.gguf gemma3.gguf vocabulary.gguf future.gguf; do
  inspect $name --json "$scratch/$name.json"
  [ -s "$out" ] || failed "expected the text, too"
  inspect $name --json -
  cmp -s "$out" "$scratch/$name.json" || failed "expected the same on standard output"
done
python3 - "$scratch" "$bytes" <<'END' || failed "expected other JSON"
import json, sys

def read(name):
    return json.load(open("%s/%s.gguf.json" % (sys.argv[1], name)))

good = read("good")
assert good["format"] == "gguf" and good["version"] == 3 and good["parts"] == 1, good
assert good["bytes"] == int(sys.argv[2]) and good["runs"] is True, good
assert good["config"]["layers"] == 2 and good["config"]["head_dim"] == 32, good["config"]
assert good["tokenizer"] == {"kind": "SentencePiece BPE", "pieces": 264, "bos": 1, "end_tokens": [2]}, good["tokenizer"]
m = good["metadata"]
assert m["test.bool"] is True and m["test.i8"] == -3 and m["test.u64"] == 1 << 60 and m["test.f32"] == 0.5, m
assert m["test.few"] == [1, 2] and m["test.none"] == [] and m["test.strings"] == ["x", "y\x1b"], m
assert m["tokenizer.ggml.tokens"]["count"] == 264 and m["tokenizer.ggml.tokens"]["first"][:3] == ["<unk>", "<s>", "</s>"], m
assert len(good["tensors"]) == 21
assert good["tensors"][0] == {"name": "token_embd.weight", "type": "Q4_0", "shape": [264, 256], "bytes": 38016}, good["tensors"][0]
other = read("gemma3")
assert other["runs"] is False and "gemma3" in other["why_not"] and "config" not in other, other
assert read("vocabulary")["runs"] is False and read("vocabulary")["tensors"] == []
assert read("future")["tensors"][0]["bytes"] is None
END

# What is measured is the .tvl file that runs.
run $tvl inspect --residency "$scratch/good.gguf"
expect_code 0
expect_stdout_has ".tvl version 1."
expect_stdout_has "In memory now"

finish
