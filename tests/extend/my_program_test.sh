#!/bin/bash
# my_program_test.sh MY_PROGRAM MODEL TVL FINGERPRINTS: what was added from outside computes what tvl's own parts do.
set -uo pipefail

my_program="${TVL_RUN:-} $1"
model=$2
tvl="${TVL_RUN:-} $3"
fingerprints=$4
status=0

# expect WHAT EXPECTED FOUND
expect() {
  [ "$2" = "$3" ] && return
  echo "FAILED: $1: expected '$2', found '$3'"
  status=1
}

# After a whole round each step would be repeated; then the likeliest of the others, all being equal, is the lowest.
expect "counting" "1 2 3 4 5 0 0 2 0 3 0 4 0 5 " "$($my_program)"

# A model that repeats itself without the sampler, and does not with it.
tokens=$($my_program "$model") || status=1
expect "number of tokens" 20 "$(wc -w <<<"$tokens")"
# shellcheck disable=SC2086  # words
expect "pairs that repeat" "" "$(set -- 1 $tokens; while [ $# -gt 1 ]; do echo "$1 $2"; shift; done | sort | uniq -d)"

# The sentence of an engine that cannot open its file.
expect "exit code without a model" 1 "$($my_program /absent.tvl 2>/dev/null >&2; echo $?)"

# The whole program with the foreign backend says so, and gives the one answer.
expect "tvl --version" 1 "$($tvl --version | grep -cw column_wise)"
expect "tvl fingerprint" "$(sed -n 's/^embedded //p' "$fingerprints")" "$($tvl fingerprint)"
exit $status
