#!/bin/bash
# tests/peer/run.sh NPM [SHAPE...]: compares our logits with llama.cpp's (compare_logits.mjs says how) for models of several
# shapes in f32 and in 8 bits: the trained stories260K, and random weights for the others. No test of ./bazelw's: it needs
# Node.js, ../shared, and a folder NPM of which this is true:
#
#   npm install --prefix NPM --ignore-scripts node-llama-cpp@3
#
# The largest shape takes 1.5 GB in TMPDIR. PYTHON is a Python 3 with NumPy (default: /usr/bin/python3).
set -euo pipefail
if [ $# -lt 1 ]; then
  echo "usage: $0 NPM [SHAPE...]" >&2
  exit 2
fi
npm=$(realpath "$1")
shift
[ $# -gt 0 ] || set -- stories260K stories15M stories42M stories110M smol135M
cd "$(dirname "$0")/../.."
python=${PYTHON:-/usr/bin/python3}
export PYTHONDONTWRITEBYTECODE=1 PYTHONPATH=tests/support:tests/architectures

backend=highway_portable
case $(uname -m) in aarch64 | arm64) backend=neon_handwritten ;; esac
./bazelw build //tools:tvl "//tests/architectures:logits_$backend" >&2
bin=$(./bazelw info bazel-bin)

shared=${TVL_SHARED_DIR:-../shared}
scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT

# make SHAPE TYPE OUT.gguf
make() {
  if [ "$1" = stories260K ]; then
    "$python" tests/gguf/checkpoint_to_gguf.py "$shared/data/stories260K.bin" "$shared/data/tok512.bin" "$scratch/f32.gguf"
    case $2 in
    f32) mv "$scratch/f32.gguf" "$3" ;;
    q8_0) "$python" tests/peer/to_q8_0.py "$scratch/f32.gguf" "$3" ;;
    esac
  else
    "$python" "$shared/peers/make_model.py" --shape "$1" --format "gguf-$2" --tokenizer "$shared/data/tokenizer.bin" "$3"
  fi
}

for shape; do
  for type in f32 q8_0; do
    model=$scratch/$shape-$type.gguf
    make "$shape" $type "$model"
    TMPDIR=$scratch node tests/peer/compare_logits.mjs "$npm" "$bin/tools/tvl" "$bin/tests/architectures/logits_$backend" "$model"
    rm "$model"
  done
done
