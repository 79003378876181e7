#!/bin/bash
# inspect_verify_test.sh TVL: tvl inspect and tvl verify, on the embedded model's file and damaged copies of it.
. tests/cli/testing.sh "$1"

model=models/pretrained/tales3M.tvl
damaged=$scratch/damaged.tvl

run $tvl verify $model
expect_code 0
expect_no_stderr
expect_stdout "OK $model: 51 tensors and the tokenizer, 5.71 MB"

run $tvl inspect $model
expect_code 0
expect_no_stderr
for word in "version 1.0" "architecture" "llama" "512 positions" "tied" "llama2.c" "2,048" "layers.5.w13" "f16" \
  "2 x 512 x 192" "token_embedding" "2048 x 192" "786,432" "2,828,736 weights" "KV cache" "1.18 MB" "in f16" "activations" \
  "in memory now"; do
  expect_stdout_has "$word"
done

# --predict adds an estimate, and says that it is one.
run $tvl inspect --predict $model
expect_code 0
expect_no_stderr
for word in "2 x 512 x 192" "Estimate for this machine" "1 thread " "tokens/s at most" "of 5.66 MB per token" "memory "; do
  expect_stdout_has "$word"
done
run $tvl inspect $model
expect_code 0
grep -q "Estimate" "$out" && failed "expected no estimate unless asked for"

# The same as JSON.
run $tvl inspect $model --json "$scratch/inspect.json"
expect_code 0
expect_stdout_has "token_embedding"
python3 - "$scratch/inspect.json" $model <<'END' || failed "expected other JSON"
import json, os, sys
report = json.load(open(sys.argv[1]))
assert report["format"] == "tvl" and report["version"] == "1.0" and report["runs"] is True, report
assert report["inspected"] == sys.argv[2] and report["bytes"] == os.path.getsize(sys.argv[2]), report
assert report["config"]["architecture"] == "llama" and report["config"]["vocab_size"] == 2048, report["config"]
assert report["tokenizer"]["kind"] == "llama2.c" and report["tokenizer"]["pieces"] == 2048, report["tokenizer"]
tensors = {t["name"]: t for t in report["tensors"]}
assert len(tensors) == 51 and tensors["token_embedding"]["rows"] == 2048 and tensors["token_embedding"]["cols"] == 192, tensors
assert tensors["layers.5.w13"]["interleaved"] is True and tensors["layers.5.w13"]["type"] == "f16", tensors
assert sum(t["bytes"] for t in report["tensors"]) < report["bytes"], report
END

# --residency: what has just been read is in memory, part by part.
grep -q "layer 5" "$out" && failed "expected no layers unless asked for"
cp -L $model "$scratch/resident.tvl"
cat "$scratch/resident.tvl" >/dev/null
run $tvl inspect --residency "$scratch/resident.tvl"
expect_code 0
expect_no_stderr
expect_stdout_has "In memory now"
grep -qE '^  file +5.73 MB of 5.73 MB \(100%\)$' "$out" || failed "expected all of the file"
grep -qE '^  head +.* \(100%\): configuration, directory, tokenizer$' "$out" || failed "expected the head"
grep -qE '^  classifier +786 kB of 786 kB \(100%\): the embedding, too$' "$out" || failed "expected the classifier"
[ "$(grep -cE '^  layer [0-5] +[0-9.]+ kB of [0-9.]+ kB \(100%\)$' "$out")" = 6 ] || failed "expected six layers"
run $tvl inspect $model

# The offset that inspect gives for a tensor.
offset_of() { awk -v name="$1" '$1 == name { gsub(",", "", $(NF - 1)); print $(NF - 1) }' "$out"; }
wo=$(offset_of layers.2.wo)
norm=$(offset_of final_norm)

# damage OFFSET: makes a copy of the model in which the bits of this byte are flipped.
damage() {
  cp $model "$damaged"
  chmod u+w "$damaged"
  also_damage "$1"
}
also_damage() {
  local byte
  byte=$(od -An -tu1 -j"$1" -N1 "$damaged" | tr -d ' ')
  printf "$(printf '\\x%02x' $((byte ^ 255)))" | dd of="$damaged" bs=1 seek="$1" conv=notrunc status=none
}

damage $((wo + 1000))
run $tvl verify "$damaged"
expect_code 1
expect_no_stdout
grep -q "^tvl: .*damaged.tvl: tensor layers.2.wo: " "$err" || failed "expected the damaged tensor's name"
[ "$(grep -c tensor "$err")" = 1 ] || failed "expected one damaged tensor"
also_damage $((norm + 5))
run $tvl verify "$damaged"
expect_code 1
grep -q "tensor layers.2.wo: " "$err" && grep -q "tensor final_norm: " "$err" || failed "expected both names"
# Opening does not read the weights.
run $tvl inspect "$damaged"
expect_code 0

# The tokenizer's last bytes lie before the first page of data; its section ends on a multiple of 64.
tokenizer=$(od -An -tu8 -j40 -N8 $model | tr -d ' ')
damage $((tokenizer + 3000))
run $tvl verify "$damaged"
expect_code 1
grep -qi "tokenizer" "$err" || failed "expected the tokenizer to be named"

# Header, config and directory are checked whenever a file is opened.
for offset in 0 20 70 300; do
  damage $offset
  for command in verify inspect "generate -m" "fingerprint -m"; do
    run $tvl $command "$damaged"
    expect_refused "damaged.tvl: "
  done
done

# Truncated anywhere.
size=$(stat -Lc %s $model)
for bytes in 1 63 64 100 5000 70000 $((size - 1)); do
  head -c "$bytes" $model >"$damaged"
  for command in verify inspect "generate -m"; do
    run $tvl $command "$damaged"
    expect_refused "damaged.tvl: "
  done
done
grep -q "truncated" "$err" || failed "expected it to say that the file is truncated"
cat $model $model >"$damaged"
run $tvl verify "$damaged"
expect_refused "file size"

run $tvl verify "$scratch/missing.tvl"
expect_refused "missing.tvl"
run $tvl inspect "$scratch"
expect_refused "a directory"
run bash -c "exec $tvl inspect $model >/dev/full"
expect_refused "cannot write to standard output"

finish
