#!/bin/sh
# format_test.sh TVL: see format_test.py.
set -eu

command -v python3 >/dev/null || {
  echo "python3 is missing: apt-get install python3"
  exit 1
}
work=$(mktemp -d "${TEST_TMPDIR:-/tmp}/format_test.XXXXXX")
trap 'rm -rf "$work"' EXIT
# shellcheck disable=SC2086  # TVL_RUN is the words of a command
PYTHONDONTWRITEBYTECODE=1 python3 "$(dirname "$0")/format_test.py" "$work" ${TVL_RUN:-} "$1"
