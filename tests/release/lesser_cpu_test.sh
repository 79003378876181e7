#!/bin/bash
# Started on a CPU that lacks what the program was built for, it says so in a sentence.
. tests/cli/testing.sh "$1"

run $tvl --version
expect_code 0
isa=$(sed -n 's/^isa: *//p' "$out")

if [ -z "${TVL_RUN:-}" ]; then
  echo "not emulated: this machine's CPU is the only one here"
  finish
fi
# Pi 4's Cortex-A72: ARMv8.0.
run "${TVL_RUN%% *}" -cpu cortex-a72 "$1" --version
if [[ " $isa " == *" asimddp "* ]]; then
  expect_refused "tvl: this program was built for a CPU with "
  expect_error asimddp
  expect_error "which this machine lacks"
else
  expect_code 0
fi
finish
