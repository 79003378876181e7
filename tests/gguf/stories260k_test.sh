#!/bin/bash
# stories260k_test.sh TVL CHECKPOINT TOKENIZER: a trained model by way of GGUF tells the story that llama2.c tells, and its
# logits are those of the checkpoint's conversion, to the bit.
. tests/cli/testing.sh "$1"
export PYTHONDONTWRITEBYTECODE=1 PYTHONPATH=tests/support

python3 tests/gguf/checkpoint_to_gguf.py "$2" "$3" "$scratch/model.gguf"
for dtype in f32 bf16 q8 q4 q4m; do
  run $tvl convert "$scratch/model.gguf" "$scratch/$dtype.tvl" --dtype $dtype
  expect_code 0
  run $tvl fingerprint -m "$scratch/$dtype.tvl"
  expect_stdout "$(sed -n "s/^stories260K-$dtype //p" tests/golden/fingerprints.txt)"
done
run $tvl generate -m "$scratch/f32.tvl" --temperature 0 -n 200
expect_code 0
cmp -s "$out" tests/golden/stories260K.txt || failed "expected llama2.c's text"
finish
