#!/bin/sh
# layering_test.sh EVERYTHING VIOLATIONS...: the answers to the queries in BUILD.
set -eu

everything=$1
shift

status=0
for layer in backends core models samplers; do
  if ! grep -q "^//${layer}[:/]" "$everything"; then
    echo "the build graph of //tools:tvl has nothing of //$layer: is the query right?"
    status=1
  fi
done
for violations; do
  if [ -s "$violations" ]; then
    layer=$(basename "$violations" _violations)
    echo "//$layer must not depend on these, but does; ./bazelw query 'somepath(//$layer/..., X)' shows how:"
    cat "$violations"
    status=1
  fi
done
exit $status
