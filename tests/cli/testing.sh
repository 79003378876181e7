# Helpers of the command line's tests. Source with the path of the program: . tests/cli/testing.sh "$1"
#
# run COMMAND...   runs it, and leaves its exit code in $code, its output in the files $out and $err
# expect ...       fails the test, with what was run and what came of it, unless the condition holds
# The test goes on after a failure and fails at its end.
set -uo pipefail

tvl="${TVL_RUN:-} $1"  # used unquoted: words of a command
scratch=$TEST_TMPDIR
out=$scratch/stdout
err=$scratch/stderr
failures=0
ran=
unset TVL_CACHE_DIR
export XDG_CACHE_HOME=$scratch/cache  # what a user has tuned must not count here

run() {
  ran="$*"
  "$@" >"$out" 2>"$err" </dev/null
  code=$?
}

failed() {
  failures=$((failures + 1))
  echo "FAILED: $*"
  echo "  command: $ran"
  echo "  exit code: ${code:-}"
  echo "  stdout: $(head -c 600 "$out")"
  echo "  stderr: $(head -c 600 "$err")"
}

expect_code() { [ "$code" = "$1" ] || failed "expected exit code $1"; }
expect_stdout() { [ "$(cat "$out"; echo .)" = "$1"$'\n.' ] || failed "expected on stdout: $1"; }
expect_stdout_has() { grep -qF -- "$1" "$out" || failed "expected within stdout: $1"; }
expect_no_stdout() { [ ! -s "$out" ] || failed "expected nothing on stdout"; }
expect_no_stderr() { [ ! -s "$err" ] || failed "expected nothing on stderr"; }

# One sentence, said by tvl, with this in it.
expect_error() {
  [ "$(wc -l <"$err")" = 1 ] || failed "expected one line on stderr"
  grep -q '^tvl: ' "$err" || failed "expected stderr to begin with 'tvl: '"
  grep -qF -- "$1" "$err" || failed "expected within stderr: $1"
}

# Bad input: exit code 1, nothing on stdout, one sentence.
expect_refused() {
  expect_code 1
  expect_no_stdout
  expect_error "$1"
}

# wait_for CONDITION...: until the command succeeds, at most a minute.
wait_for() {
  local i
  for ((i = 0; i < 1200; i++)); do
    "$@" && return
    sleep 0.05
  done
  failed "waited in vain for: $*"
}

# wait_for_job JOB: its exit code, in $code. A shell may still take a job that goes on again for stopped, and return then.
stopped=$((128 + $(kill -l STOP)))
wait_for_job() {
  code=$stopped
  while [ "$code" = $stopped ]; do
    wait "$1"
    code=$?
  done
}

# amid_conversion DO IN OUT TOKENIZER: begins tvl convert and calls DO while it stands still in the middle. A fast
# machine may be done before it can be stopped, or stand still after the last thing that DO disturbs: then again, with an
# IN that ends in zeros of the same size. Its exit code is in $code. Needs set -m.
amid_conversion() {
  local try bytes
  bytes=$(wc -c <"$2")
  ran="convert"
  for ((try = 0; try < 20; try++)); do
    rm -f "$3"
    truncate -s "$bytes" "$2"
    $tvl convert "$2" "$3" --tokenizer "$4" >"$out" 2>"$err" &
    until temporary_file "$3" || ! kill -0 %% 2>/dev/null; do sleep 0.001; done
    if kill -STOP %% 2>/dev/null; then
      "$1"
      kill -CONT %%
    fi
    wait_for_job %%
    [ "$code" = 0 ] || return
  done
  failed "the conversion was over before it could be disturbed, $try times"
}

# Whether there is an unfinished file beside $1, or one without a name (Linux) in the last job.
temporary_file() {
  compgen -G "$(dirname "$1")/tvl-*.tmp" >/dev/null || ls -l /proc/$!/fd 2>/dev/null | grep -q "(deleted)"
}

finish() {
  [ "$failures" = 0 ] && echo "all passed"
  exit $((failures > 0))
}
