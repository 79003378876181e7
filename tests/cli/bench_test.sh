#!/bin/bash
# bench_test.sh TVL: tvl bench, with and without --tune. Shapes and files; speeds are nobody's promise.
. tests/cli/testing.sh "$1"

json=$scratch/bench.json

# check_json THREADS PROMPTS GENERATED: the shape of the file, and numbers that hang together.
check_json() {
  python3 - "$json" "$1" "$2" "$3" <<'END' || failed "expected another file"
import json, math, sys

KEYS = """threads prompt_tokens generated_tokens prefill_tok_s decode_tok_s p50_ms p90_ms p99_ms max_ms ttft_ms load_ms
          machine_gb_s read_gb_s decode_gb_s percent_of_machine percent_of_read peak_rss_mb""".split()
report = json.load(open(sys.argv[1]))
threads, prompts = [[int(n) for n in text.split(",")] for text in sys.argv[2:4]]
assert set(report) == {"machine", "model", "backend", "version", "mapped_bytes", "mapped_by_2mb", "runs"}, report
assert all(isinstance(report[key], str) and report[key] for key in ("machine", "model", "backend", "version")), report
# So small a file is not looked at.
assert report["mapped_bytes"] == report["mapped_by_2mb"] == 0, report
runs = report["runs"]
assert [(r["threads"], r["prompt_tokens"]) for r in runs] == [(t, p) for t in threads for p in prompts], runs
for r in runs:
    assert set(r) == set(KEYS), r
    assert all(math.isfinite(r[key]) and r[key] > 0 for key in KEYS), r
    assert all(isinstance(r[key], int) for key in KEYS[:3]), r
    assert r["generated_tokens"] == int(sys.argv[4]), r
    assert r["p50_ms"] <= r["p90_ms"] <= r["p99_ms"] <= r["max_ms"], r
    assert math.isclose(r["percent_of_machine"], 100 * r["decode_gb_s"] / r["machine_gb_s"], rel_tol=1e-6), r
    assert math.isclose(r["percent_of_read"], 100 * r["decode_gb_s"] / r["read_gb_s"], rel_tol=1e-6), r
END
}

run $tvl bench --threads 1,2 --prompt 3,16 --generate 8 --rounds 1 --json "$json"
expect_code 0
expect_no_stderr
check_json 1,2 3,16 8
for word in "machine " "model      the embedded model, 5.73 MB, " "backend " "footprint " "prefill tok/s" "decode tok/s" \
  "machine GB/s" "of machine" "read GB/s" "of read" "1st token ms" "load ms" "p50 ms" "p90 ms" "p99 ms" "max ms" "p99/p50" "idle loop" "read loop" "peak memory MB"; do
  expect_stdout_has "$word"
done
grep -qE "^footprint  .* to decode: (fits the last-level cache of|does not fit the last-level cache of|unknown)" "$out" ||
  failed "expected it to say whether the footprint fits the cache"
[ "$(grep -cE '^ +[12] +(3|16) +8 ' "$out")" = 4 ] || failed "expected four rows of speeds"
[ "$(grep -cE '^ +[12] +(3|16) +[0-9]+\.' "$out")" = 4 ] || failed "expected four rows of latencies"
ls -A "$scratch" | grep -q tmp && failed "a temporary file was left behind"

# An older report is replaced; without --json nothing is written.
run $tvl bench --threads 1 --prompt 2 --generate 1 --rounds 2 --json "$json" --pin
expect_code 0
check_json 1 2 1
grep -q . "$err" && { grep -q "^tvl: this system does not let" "$err" || failed "expected nothing else on stderr"; }

# What does not fit the context is cut, with a note.
python3 tests/cli/make_checkpoint.py small "$scratch/small.bin" "$scratch/tok.bin"
run $tvl convert "$scratch/small.bin" "$scratch/small.tvl" --tokenizer "$scratch/tok.bin"
run $tvl bench -m "$scratch/small.tvl" --threads 1 --rounds 1 --json "$json"
expect_code 0
check_json 1 16,64 64
[ "$(wc -l <"$err")" = 3 ] || failed "expected three notes"
for what in "a prompt of 256 tokens is" "a prompt of 512 tokens is" "128 new tokens are"; do
  grep -qxF "tvl: $what cut to the model's context of 64 positions" "$err" || failed "expected a note: $what"
done
run $tvl bench -m "$scratch/small.tvl" --threads 3 --prompt 64 --generate 64 --rounds 1 --json "$json"
expect_code 0
expect_no_stderr
check_json 3 64 64

# usage_error WITHIN ARGUMENT...
usage_error() {
  local within=$1
  shift
  run $tvl bench "$@"
  expect_code 2
  expect_no_stdout
  expect_error "$within"
}
for value in 0 1, ,1 1,,2 1025 -1 1.5 x ""; do
  usage_error "--threads: expected whole numbers from 1 to 1024 with commas between, found '$value'" --threads "$value"
done
usage_error "--prompt: expected whole numbers from 1 to " --prompt 0
usage_error "--generate: expected a whole number from 1 to " --generate 0
usage_error "--rounds" --rounds 0
usage_error "--json: expected the name of a file, found ''" --json ""
for option in "--threads 1" "--prompt 1" "--generate 1" "--rounds 1" "--pin" "--json x"; do
  usage_error "--tune" --tune $option
done

# --startup: of a file, with and without its pages in memory; a table of two rows.
cp -L models/pretrained/tales3M.tvl "$scratch/started.tvl"
for options in "--rounds 1" "--rounds 2 --prompt 1 -t 2" "--rounds 1 --no-read-ahead --pin" "--rounds 1 --populate"; do
  run $tvl bench --startup -m "$scratch/started.tvl" $options
  expect_code 0
  # Where the file system keeps its pages in memory, that is all there is to say.
  grep -v "^tvl: the system kept .* of the file in memory when asked to drop it" "$err" >&2 && failed "expected no other note"
  for state in warm cold; do
    grep -qE "^$state( +[0-9]+\.[0-9]{2}){6}$" "$out" || failed "expected a row of a $state file"
  done
  grep -qE "^steady: a prompt of (16 tokens|1 token) in [0-9.]+ ms, a new one in [0-9.]+ ms; medians of [12] rounds?$" "$out" ||
    failed "expected what a steady token takes"
done
run $tvl bench --startup
expect_refused "--startup: expected a file that can be dropped from memory, found the embedded model"
run $tvl bench --startup -m "$scratch/missing.tvl"
expect_refused "missing.tvl"
for option in "--generate 1" "--json x" "--tune"; do
  usage_error "--startup" --startup $option
done

# Where the file cannot be written, that is said before anything is measured.
run $tvl bench --json "$scratch/no_folder/bench.json"
expect_refused "no_folder/bench.json: No such file"
run $tvl bench --json "$scratch"
expect_refused "a directory"
run $tvl bench -m "$scratch/small.tvl" --json "$scratch/small.tvl"
expect_refused "small.tvl: the output would replace the model"
run $tvl bench -m "$scratch/missing.tvl"
expect_refused "missing.tvl"
run $tvl bench -m "$scratch/missing.tvl" --tune
expect_refused "missing.tvl"

# --tune keeps its result where generate finds it.
export XDG_CACHE_HOME=$scratch/cache
tuning=$XDG_CACHE_HOME/tvl/tuning.json
threads_row() { sed -n 's/^threads  *//p' "$err"; }
run $tvl generate -n 1 --stats
threads_row | grep -qxE '[0-9]+ \(default\)' || failed "expected the default number of threads"
[ ! -e "$XDG_CACHE_HOME" ] || failed "expected nothing in the cache"
run $tvl bench --tune --force # as other programs may be at work here
expect_code 0
expect_no_stderr
grep -qE '^idle loop lost [0-9]+\.[0-9]% of its time \(median of the rounds\)$' "$out" || failed "expected what the idle loop lost"
grep -qE '^1 thread +[0-9.]+ tokens/s$' "$out" || failed "expected a row for one thread"
grep -qxE "best: [0-9]+ threads?(, pinned)?; kept in $tuning" "$out" || failed "expected the best"
best=$(sed -n 's/^best: \([0-9]*\) .*/\1/p' "$out")
run $tvl generate -n 1 --stats
threads_row | grep -qxE "$best \(tuned(, pinned)?\)" || failed "expected what was tuned"
run $tvl generate -n 1 --stats -t 3
threads_row | grep -qxE "3 \(as asked\)" || failed "expected what was asked for"
text="Once upon a time, there was a little girl named Lily."
run $tvl generate -p "Once upon a time" -n 10
expect_code 0
expect_no_stderr
expect_stdout_has "${text%.}"

# A change of the file shows; another model's size, or a damaged file, leaves the default.
sed -i "s/\"threads\": [0-9]*/\"threads\": 1/; s/\"pin\": [a-z]*/\"pin\": false/" "$tuning"
run $tvl generate -n 1 --stats
[ "$(threads_row)" = "1 (tuned)" ] || failed "expected one thread"
run $tvl generate -m "$scratch/small.tvl" -n 1 --stats
threads_row | grep -qx '[0-9]* (default)' || failed "expected the default for a model of another size"
echo '{"version": 1, "tunings": 7}' >"$tuning"
run $tvl generate -p "Once upon a time" -n 10
expect_code 0
expect_no_stderr
expect_stdout_has "${text%.}"
run $tvl generate -n 1 --stats
expect_code 0
threads_row | grep -q "(default; ignored: $tuning: not a tuning file: " || failed "expected it to say that the file is ignored"
run $tvl bench --tune -m "$scratch/small.tvl" --force
expect_code 0
run $tvl generate -m "$scratch/small.tvl" -n 1 --stats
threads_row | grep -q "(tuned" || failed "expected the damaged file to be replaced"

# Of a busy machine nothing is kept unasked, of another it is: which one this is, is not for the test to say.
cp "$tuning" "$scratch/before.json"
run $tvl bench --tune
case $code in
  0) grep -q "^best: " "$out" || failed "expected the best" ;;
  1)
    expect_error "the tuning is not kept: other programs took "
    expect_error "% of a core while it was measured, at most 20% is allowed; end them and try again, or add --force"
    expect_stdout_has "idle loop lost "
    cmp -s "$tuning" "$scratch/before.json" || failed "expected the file to stay as it was"
    ;;
  *) failed "expected a tuning or a sentence" ;;
esac

# What is kept is in the list, and can be dropped: of a model's size, or all.
python3 - "$tuning" <<'END'
import json, sys
kept = json.load(open(sys.argv[1]))
kept["tunings"] = [t for t in kept["tunings"] if t["bytes_per_token"] < 1 << 20]
assert len(kept["tunings"]) == 1, kept
other = dict(kept["tunings"][0], machine="another \x1b[31mmachine", cores=64, threads=3, pin=True, bytes_per_token=1 << 30)
kept["tunings"].append(other)
json.dump(kept, open(sys.argv[1], "w"))
END
run $tvl cache list
expect_code 0
expect_no_stderr
[ "$(grep -c "^tuned for " "$out")" = 2 ] || failed "expected both tunings"
grep -qE '^tuned for [0-9.]+ kB per token: [0-9]+ threads?(, pinned)? \([a-z_]+, .*\)$' "$out" || failed "expected the tuning of this machine"
grep -qE '^tuned for 1\.07 GB per token: 3 threads, pinned \([a-z_]+, another \\x1b\[31mmachine, 64 cores\)$' "$out" ||
  failed "expected the tuning of another machine"
run $tvl bench --tune --forget -m "$scratch/small.tvl"
expect_code 0
expect_no_stderr
expect_stdout "forgot 1 tuning, from $tuning"
run $tvl generate -m "$scratch/small.tvl" -n 1 --stats
threads_row | grep -qx '[0-9]* (default)' || failed "expected the default again"
run $tvl bench --tune --forget -m "$scratch/small.tvl"
expect_stdout "there was no tuning to forget"
run $tvl cache list
[ "$(grep -c "^tuned for " "$out")" = 1 ] || failed "expected the other tuning"
run $tvl bench --tune --forget
expect_stdout "forgot 1 tuning, from $tuning"
[ ! -e "$tuning" ] || failed "expected no file"
run $tvl bench --tune --forget
expect_code 0
expect_stdout "there was no tuning to forget"
run $tvl cache list
grep -q tuned "$out" && failed "expected no tuning"
echo damaged >"$tuning"
run $tvl cache list
expect_code 0
expect_stdout_has "$tuning: not a tuning file: it holds no JSON object"
run $tvl bench --tune --forget -m "$scratch/small.tvl"
expect_refused "$tuning: not a tuning file"
run $tvl bench --tune --forget
expect_code 0
[ ! -e "$tuning" ] || failed "expected no file"
usage_error "--forget requires --tune" --forget

# Nowhere to keep it.
: >"$scratch/file"
XDG_CACHE_HOME=$scratch/file run $tvl bench --tune -m "$scratch/small.tvl" --force
expect_refused "cannot make the folder $scratch/file/tvl"
XDG_CACHE_HOME="" HOME="" run $tvl bench --tune
expect_refused "none of TVL_CACHE_DIR, XDG_CACHE_HOME and HOME names a folder to keep the tuning in"
XDG_CACHE_HOME="" HOME="" run $tvl generate -n 1
expect_code 0
expect_no_stderr

# generate --pin changes no text.
run $tvl generate -p "Once upon a time" -n 10 -t 2 --pin --stats
expect_code 0
expect_stdout_has "${text%.}"
threads_row | grep -qxE '2 \(as asked(, pinned)?\)' || failed "expected two threads"

finish
