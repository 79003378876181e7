#!/bin/bash
# tests/fuzz/run.sh SECONDS [TARGET...]: lets libFuzzer look for inputs that break a target (default:
# all of them), so many seconds each, two at a time. What it finds stays in tests/fuzz/found/ and makes
# this fail; to look at one: ./bazelw run //tests/fuzz:TARGET_replay -- $PWD/tests/fuzz/found/FILE
#
# The last line is "N targets passed, N failed".
set -uo pipefail
cd "$(dirname "$0")/../.." || exit 1

seconds=${1:?usage: tests/fuzz/run.sh SECONDS [TARGET...]}
shift
targets=("$@")
[ $# -gt 0 ] || targets=(tvl_reader gguf llama2c_v0 llama2c_v1 llama2c_v2 tokenizer)

scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT
./bazelw build //tools:tvl </dev/null && cp -L bazel-bin/tools/tvl "$scratch/tvl" &&
  python3 tests/fuzz/make_seeds.py "$scratch/seeds" "$scratch/tvl" || exit 1
labels=()
for target in "${targets[@]}"; do labels+=("//tests/fuzz:${target}_fuzz"); done
./bazelw build --config=fuzz "${labels[@]}" </dev/null || exit 1
# bazel-bin points elsewhere after the next build with another config.
for target in "${targets[@]}"; do cp -L "bazel-bin/tests/fuzz/${target}_fuzz" "$scratch/" || exit 1; done

# Nothing here may need more memory than its input gives reason to.
mkdir -p tests/fuzz/found
fuzz() {
  TEST_TMPDIR=$scratch "$scratch/$1_fuzz" "$scratch/seeds/$1" \
    -max_total_time="$seconds" -timeout=25 -rss_limit_mb=1024 -malloc_limit_mb=256 \
    -max_len=131072 -print_final_stats=1 -artifact_prefix="tests/fuzz/found/$1-" >"$scratch/$1.log" 2>&1
  echo $? >"$scratch/$1.status"
}
passed=0
failed=0
report() {
  local executed coverage
  executed=$(sed -n 's/^stat::number_of_executed_units: *//p' "$scratch/$1.log")
  coverage=$(sed -n 's/.* cov: \([0-9]*\) .*/\1/p' "$scratch/$1.log" | tail -1)
  if [ "$(cat "$scratch/$1.status")" = 0 ] && [ "${executed:-0}" -gt 0 ]; then
    passed=$((passed + 1))
    echo "$1: $executed inputs in $seconds s, $coverage edges, no fault"
  else
    failed=$((failed + 1))
    tail -n 50 "$scratch/$1.log"
    echo "FAILED: $1; tests/fuzz/found/ has the input"
  fi
}
for ((i = 0; i < ${#targets[@]}; i += 2)); do
  pair=("${targets[@]:i:2}")
  for target in "${pair[@]}"; do fuzz "$target" & done
  wait
  for target in "${pair[@]}"; do report "$target"; done
done
rmdir tests/fuzz/found 2>/dev/null
echo "$passed targets passed, $failed failed"
[ "$failed" = 0 ]
