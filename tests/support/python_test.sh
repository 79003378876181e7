#!/bin/sh
# python_test.sh TEST.py TVL: runs a test that is written in Python with its folder for scratch, and the program as words
# of a command (an emulator's before it). Modules of tests/cli, tests/format and tests/support can be imported.
set -eu

command -v python3 >/dev/null || {
  echo "python3 is missing: apt-get install python3"
  exit 1
}
export PYTHONDONTWRITEBYTECODE=1 PYTHONPATH="$PWD/tests/cli:$PWD/tests/format:$PWD/tests/support"
# shellcheck disable=SC2086  # TVL_RUN is the words of a command
python3 "$1" "$TEST_TMPDIR" ${TVL_RUN:-} "$2"
