#!/bin/sh
# malformed_test.sh TVL: see malformed_test.py.
set -eu

command -v python3 >/dev/null || {
  echo "python3 is missing: apt-get install python3"
  exit 1
}
here=$(dirname "$0")
export PYTHONDONTWRITEBYTECODE=1 PYTHONPATH="$here/../cli:$here/../format:$here/../support"
# shellcheck disable=SC2086  # TVL_RUN is the words of a command
python3 "$here/malformed_test.py" "$TEST_TMPDIR" ${TVL_RUN:-} "$1"
