#!/bin/bash
# memory_limit_test.sh TVL: whatever memory the system gives, there is a text or a sentence, and never a crash.
. tests/cli/testing.sh "$1"

python3 - "$scratch/long.gguf" <<'END'
import sys
sys.path.insert(0, "tests/support")
import make_gguf
# 8 kB of keys and values in f16 for each of a million positions.
shape = make_gguf.Shape(context=1 << 20, layers=16, heads=4, kv_heads=4)
open(sys.argv[1], "wb").write(make_gguf.llama(["Q8_0"], shape).bytes())
END
run $tvl convert "$scratch/long.gguf" "$scratch/long.tvl"
expect_code 0

# limited KILOBYTES COMMAND...
limited() {
  run bash -c 'ulimit -v "$1"; shift; exec "$@"' - "$@"
}
# An emulator and a sanitizer need more address space for themselves.
limited 1000000 $tvl --version
if [ "$code" != 0 ]; then
  echo "an address space cannot be limited here: nothing to test"
  exit 0
fi

# A context that does not fit names the option, and with it there is a text.
for command in "generate -n 2" "generate -n 2 --kv-dtype q8"; do
  limited 1000000 $tvl $command -m "$scratch/long.tvl" -t 1
  expect_refused "expected room for a context of 1048576 positions, "
  expect_error " MB of keys and values and "
  expect_error "a smaller --context or --prefill-chunk takes less"
  limited 1000000 $tvl $command -m "$scratch/long.tvl" -t 1 --context 64
  expect_code 0
done
limited 1000000 $tvl chat -m "$scratch/long.tvl" --template plain -t 1
expect_code 1
expect_error "a smaller --context"
limited 1000000 $tvl generate -n 2 -m "$scratch/long.tvl" -t 1 --kv-dtype q8
grep -q "takes less$" "$err" || failed "expected no word of what is chosen already"
# A copy of the model that does not fit names its option.
python3 tests/cli/make_checkpoint.py slow "$scratch/slow.bin" "$scratch/slow.tok"
run $tvl convert "$scratch/slow.bin" "$scratch/slow.tvl" --tokenizer "$scratch/slow.tok"
limit=$((2 * $(stat -c %s "$scratch/slow.tvl") / 1024))
limited $limit $tvl generate -n 1 -t 1 -c 64 -m "$scratch/slow.tvl" --huge-pages
expect_refused "$scratch/slow.tvl: --huge-pages: cannot allocate "
expect_error "without it the file is used where it is mapped"
limited $limit $tvl generate -n 1 -t 1 -c 64 -m "$scratch/slow.tvl"
expect_code 0
# Nor does the file itself, which has a limit of its own.
limited $((limit / 2)) $tvl generate -n 1 -t 1 -c 64 -m "$scratch/slow.tvl"
expect_refused "$scratch/slow.tvl: cannot map its "
expect_error "a limit on this process's memory ('ulimit -v' shows it) is too small"

# What needs no long context asks for none.
limited 1000000 $tvl bench -m "$scratch/long.tvl" -t 1 -p 2 -n 2 --rounds 1
expect_code 0

# From nearly nothing to enough: a text or a sentence. Below what the loader itself needs it is the system's to say.
least=0
for kilobytes in 12000 14000 18000 22000 26000 30000 36000 44000 60000 100000 200000 400000; do
  limited $kilobytes $tvl --version
  [ "$code" = 0 ] || continue
  [ "$least" != 0 ] || least=$kilobytes
  for command in "generate -n 2 -p Once" "generate -n 2 -t 4" "generate -m $scratch/long.tvl -n 1" "tokenize text" \
    "inspect $scratch/long.gguf" "inspect $scratch/long.tvl" "perplexity --file tests/cli/testing.sh -c 32" \
    "convert $scratch/long.gguf $scratch/out.tvl" "generate -m $scratch/long.gguf -c 16 -n 1"; do
    limited $kilobytes $tvl $command
    case $code in
      0) ;;
      1) tail -n 1 "$err" | grep -q "^tvl: " || failed "expected a sentence" ;;
      *) failed "expected a text or a sentence with $kilobytes kB" ;;
    esac
  done
done
[ "$least" != 0 ] || failed "expected the program to start within some limit"

finish
