#!/bin/bash
# embedded_model_test.sh TVL CHECKPOINT TOKENIZER: the embedded model is what its model card says it was made from.
set -euo pipefail

tvl="${TVL_RUN:-} $1"

$tvl convert "$2" "$TEST_TMPDIR/again.tvl" --tokenizer "$3" --dtype f16
cmp "$TEST_TMPDIR/again.tvl" models/pretrained/tales3M.tvl
