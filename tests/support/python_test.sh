#!/bin/sh
# python_test.sh TEST.py TVL [MORE...]: runs a test that is written in Python with its folder for scratch, the program as
# words of a command (an emulator's before it), and what else it is given. Modules of tests/cli, tests/format and
# tests/support can be imported.
set -eu

command -v python3 >/dev/null || {
  echo "python3 is missing: apt-get install python3"
  exit 1
}
export PYTHONDONTWRITEBYTECODE=1 PYTHONPATH="$PWD/tests/cli:$PWD/tests/format:$PWD/tests/support"
export OPENBLAS_NUM_THREADS=1 # NumPy's; other tests run beside this one
test=$1
shift
# shellcheck disable=SC2086  # TVL_RUN is the words of a command
python3 "$test" "$TEST_TMPDIR" ${TVL_RUN:-} "$@"
