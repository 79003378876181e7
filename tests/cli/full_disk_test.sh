#!/bin/bash
# full_disk_test.sh TVL: a disk that fills up costs one sentence; the older output stays and nothing else does.
#
# First a limit on the size of files, then a real disk: a tmpfs of 1 MB, in a namespace of its own, where the right
# to mount one is to be had.
if [ "${2:-}" = inside ]; then
  mount -t tmpfs -o size=1m tmpfs "$3" || exit 125
  . tests/cli/testing.sh "$1"
  disk=$3
  model=$disk/model.tvl
  small=$scratch/small.bin
  large=$scratch/large.bin
  tok=$scratch/tok.bin

  used_kb() { stat -f -c '%S %b %f' "$disk" | awk '{ print $1 * ($2 - $3) / 1024 }'; }
  refused() {
    run $tvl convert "$large" "$model" --tokenizer "$tok"
    expect_refused "model.tvl: No space left on device"
    [ "$(ls -A "$disk")" = "$1" ] || failed "expected on the disk '$1', found '$(ls -A "$disk")'"
    [ "$(used_kb)" -le "$2" ] || failed "expected the space to be free again"
  }
  refused "" 4
  run $tvl convert "$small" "$model" --tokenizer "$tok"
  expect_code 0
  cp "$model" "$scratch/older.tvl"
  refused model.tvl 300
  cmp -s "$model" "$scratch/older.tvl" || failed "expected the older output to stay"

  # Without /proc the temporary file has a name from the start. (Emulators and sanitizers cannot do without.)
  mount -t tmpfs tmpfs /proc || failed "expected to hide /proc"
  run $tvl --version
  if [ "$code" = 0 ] && [ ! -s "$err" ]; then
    refused model.tvl 300
    run $tvl convert "$small" "$model" --tokenizer "$tok"
    expect_code 0
    cmp -s "$model" "$scratch/older.tvl" || failed "expected the same output again"
    [ "$(ls -A "$disk")" = model.tvl ] || failed "a temporary file was left behind"
  fi
  finish
fi

. tests/cli/testing.sh "$1"
python3 tests/cli/make_checkpoint.py small "$scratch/small.bin" "$scratch/tok.bin"
python3 tests/cli/make_checkpoint.py slow "$scratch/large.bin" "$scratch/tok.bin"

mkdir "$scratch/folder"
for older in "" older; do
  [ -z "$older" ] || echo $older >"$scratch/folder/older.tvl"
  for limit in 1 16 100; do
    run bash -c "ulimit -f $limit; exec $tvl convert $scratch/small.bin $scratch/folder/older.tvl --tokenizer $scratch/tok.bin --force"
    expect_refused "older.tvl: File too large"
    [ "$(cat "$scratch/folder/"* 2>/dev/null)" = "$older" ] || failed "expected nothing but '$older' to be there"
  done
done
[ "$failures" = 0 ] || finish

mkdir "$scratch/disk"
for namespace in "unshare --mount" "unshare --mount --map-root-user"; do
  $namespace mount -t tmpfs -o size=1m tmpfs "$scratch/disk" 2>/dev/null || continue
  exec $namespace bash "$0" "$1" inside "$scratch/disk"
done
# As gtest would say it, so that it is counted among the tests that did not run.
echo "[  SKIPPED ] full_disk_test.sh: a small disk, for want of the right to mount one (0 ms)"
finish
