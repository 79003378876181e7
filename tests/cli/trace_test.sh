#!/bin/bash
# trace_test.sh TVL: tvl generate --trace. What is in the file; times are nobody's promise.
. tests/cli/testing.sh "$1"

trace=$scratch/trace.json

# check_trace THREADS PROMPT NEW CHUNK: events of every thread nest, and each pass has every layer with every operation.
# CHUNK tokens of the prompt run at a time. The model is f16: wo's input is not quantised, which would be a third norm.
check_trace() {
  python3 - "$trace" "$@" <<'END' || failed "expected another trace"
import collections, json, sys

threads, prompt, new, chunk = map(int, sys.argv[2:6])
LAYERS = 6
trace = json.load(open(sys.argv[1]))
assert set(trace) == {"displayTimeUnit", "otherData", "traceEvents"}, set(trace)
assert trace["otherData"] == {"dropped_events": 0}, trace["otherData"]
names = {e["tid"]: e["args"]["name"] for e in trace["traceEvents"] if e["ph"] == "M"}
assert names == {t: "thread 0 (main)" if t == 0 else f"thread {t}" for t in range(threads)}, names
events = [e for e in trace["traceEvents"] if e["ph"] == "X"]
assert len(events) + threads == len(trace["traceEvents"])

# Positions of the passes: the prompt's chunks, then the new tokens but the last, which is only sampled.
passes = list(range(0, prompt, chunk)) + list(range(prompt, prompt + new - 1))
decoding = set(passes) if chunk == 1 else {p for p in passes if p >= prompt or p == prompt - 1 and prompt % chunk == 1}
for thread in range(threads):
    mine = [e for e in events if e["tid"] == thread]
    assert all(e["ts"] >= 0 and e["dur"] >= 0 for e in mine)
    inside = collections.defaultdict(collections.Counter)  # (position, layer or None) -> operations
    stack = []
    found = []
    for e in mine:
        end = e["ts"] + e["dur"]
        while stack and e["ts"] >= stack[-1][1] - 1e-3:
            stack.pop()
        assert not stack or end <= stack[-1][1] + 1e-3, ("does not nest", stack[-1], e)
        above = [name for name, _ in stack]
        layer = e["args"].get("layer")
        if e["name"] == "pass":
            assert above == [], (above, e)
            found.append(e["args"]["position"])
        elif e["name"] == "layer":
            assert above == ["pass"] and layer is not None, (above, e)
        elif layer is not None:
            assert above[:2] == ["pass", "layer"], (above, e)
        inside[e["args"]["position"], layer][e["name"]] += 1
        stack.append((e["name"], end))
    assert found == passes, (found, passes)
    for p in passes:
        last_of_prompt = p + chunk >= prompt
        for layer in range(LAYERS):
            ops = inside[p, layer]
            # The last layer of a chunk computes keys and values of all tokens, and goes on with the last token alone, if at all.
            cut = layer == LAYERS - 1 and p not in decoding
            times = {"layer": 1, "attention": 1 + (cut and last_of_prompt), "qkv": 1 + (cut and last_of_prompt)}
            times.update(dict.fromkeys(("wo", "gate_up", "w2"), 0 if cut and not last_of_prompt else 1))
            for name, count in times.items():
                assert ops[name] == count, (p, layer, name, ops)
            if cut:
                assert ops["norm"] == (3 if last_of_prompt else 1), (p, layer, ops)
                continue
            # Of a chunk attention's output may be laid out in batches.
            assert ops["norm"] in ([2] if p in decoding else [2, 3]), (p, layer, ops)
            if threads == 1:
                assert ops["wait"] == 0, ops
            elif p in decoding:
                assert ops["wait"] == 5, (p, layer, ops)
            else:
                assert ops["wait"] > 5, (p, layer, ops)
        assert inside[p, None]["embed"] == 1 and inside[p, None]["classifier"] == last_of_prompt, (p, inside[p, None])
    samples = [e["args"]["position"] for e in mine if e["name"] == "sample"]
    assert samples == (list(range(prompt, prompt + new)) if thread == 0 else []), samples
END
}

run $tvl generate -p "Once upon a time" -n 8
text=$(cat "$out")
for threads in 1 2 3; do
  for chunk in 1 3 64; do
    run $tvl generate -p "Once upon a time" -n 8 -t $threads --prefill-chunk $chunk --trace "$trace"
    expect_code 0
    expect_no_stderr
    expect_stdout "$text"
    check_trace $threads 5 8 $chunk
  done
done
ls -A "$scratch" | grep -q tmp && failed "a temporary file was left behind"

python3 tests/cli/make_checkpoint.py small "$scratch/small.bin" "$scratch/tok.bin"
run $tvl convert "$scratch/small.bin" "$scratch/small.tvl" --tokenizer "$scratch/tok.bin"

# Where it cannot be written, that is said before anything is.
run $tvl generate -n 5 --trace "$scratch/no_folder/trace.json"
expect_refused "no_folder/trace.json: No such file"
run $tvl generate -n 5 --trace "$scratch"
expect_refused "a directory"
run $tvl generate -m "$scratch/small.tvl" -n 5 --trace "$scratch/small.tvl"
expect_refused "small.tvl: the trace would replace the model"
run $tvl generate -n 5 --trace ""
expect_code 2
expect_error "--trace: expected the name of a file, found ''"

finish
