#!/bin/bash
# usage_test.sh TVL: help, version, and what is wrong usage.
. tests/cli/testing.sh "$1"

# Help and version are answers: stdout, exit code 0.
for command in "" generate chat convert inspect verify fingerprint perplexity bench cache; do
  run $tvl $command --help
  expect_code 0
  expect_no_stderr
  expect_stdout_has "--help"
  expect_stdout_has "Example"
done
run $tvl --version
expect_code 0
expect_no_stderr
for word in "tvl 0." "backend:" "isa:" "compiler:" "contract:"; do expect_stdout_has "$word"; done

# usage_error WITHIN ARGUMENT...: exit code 2, nothing on stdout, one sentence.
usage_error() {
  local within=$1
  shift
  run $tvl "$@"
  expect_code 2
  expect_no_stdout
  expect_error "$within"
}

usage_error "expected a command: generate, chat, convert, inspect, verify, fingerprint, tokenize, perplexity, bench or cache (see 'tvl --help')"
usage_error "there is no command nonsense; expected generate, " nonsense
usage_error "there is no command nonsense; expected generate, " nonsense generate --seed 1
usage_error "unexpected argument: --nonsense (see 'tvl --help')" --nonsense
usage_error "unexpected argument: --nonsense (see 'tvl generate --help')" generate --nonsense
usage_error "unexpected argument: stray (" generate stray
usage_error "unexpected arguments: a b c (" generate a b --seed 1 c
usage_error "cache: expected list or clear (see 'tvl cache --help')" cache
usage_error "unexpected argument: purge (see 'tvl cache --help')" cache purge
usage_error "unexpected argument: --all (see 'tvl cache clear --help')" cache clear --all x
usage_error "IN" convert
usage_error "--dtype" convert in.bin out.tvl --tokenizer t.bin --dtype q3
usage_error "MODEL" inspect
usage_error "MODEL" verify
usage_error "--model" generate --model
for value in 0 -1 1025 2.5 two 18446744073709551616 ""; do
  usage_error "--threads: expected a whole number from 1 to 1024, found '$value'" generate --threads "$value"
  usage_error "--threads" fingerprint --threads "$value"
done
for value in -0.1 nan inf -inf 1e39 warm ""; do
  usage_error "--temperature: expected a finite number that is 0 or more, found '$value'" generate --temperature "$value"
done
for value in -1 0x10 1.5 x; do
  usage_error "--max-tokens" generate --max-tokens "$value"
  usage_error "--seed" generate --seed "$value"
  usage_error "--tokens" fingerprint --tokens "$value"
done
for value in 0 -1 x; do
  usage_error "--prefill-chunk" generate --prefill-chunk "$value"
  usage_error "--prefill-chunk" fingerprint --prefill-chunk "$value"
  usage_error "--context" generate --context "$value"
done

# Usage is looked at before files are.
usage_error "--threads" generate -m missing.tvl --threads 0

# One sentence is one line that a terminal does not obey, whatever a file is called.
run $tvl generate -m $'no\e[31m\nsuch.gguf'
expect_refused 'no\x1b[31m\nsuch.gguf: '

# Help that cannot be written is no success.
run bash -c "exec $tvl --help >/dev/full"
expect_refused "cannot write to standard output"

finish
