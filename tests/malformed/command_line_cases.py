"""Wrong command lines: usage (exit code 2), and names and numbers that do not fit what is there (exit code 1)."""

from cases import Case


def make(good, checkpoint, tokenizer):
    cases = []
    files = {"model.tvl": good, "in.bin": checkpoint, "tok.bin": tokenizer, "folder": None, "empty.txt": b""}

    def add(arguments, *says, code=2):
        name = " ".join(arguments) or "nothing"
        cases.append(Case("command line", name, arguments, files, list(says), code))

    def usage(line, *says):
        add(line.split(), *says, "--help')")

    def refused(line, *says):
        add(line.split(), *says, code=1)

    usage("", "expected a command: generate, chat, convert, inspect, verify, fingerprint, tokenize, perplexity, bench or cache")
    usage("nonsense", "there is no command nonsense")
    usage("model.tvl", "there is no command model.tvl")
    usage("nonsense generate", "there is no command nonsense")
    usage("--nonsense", "unexpected argument: --nonsense")
    usage("-x", "unexpected argument: -x")
    usage("generate one two three", "unexpected arguments: one two three")
    usage("generate --nonsense", "unexpected argument: --nonsense")
    usage("generate --stats=3", "--stats: expected no value (see 'tvl generate")
    usage("generate --stats=false", "--stats: expected no value")
    usage("--version=2", "--version: expected no value (see 'tvl ")
    for command in ["", "convert ", "generate ", "inspect ", "verify ", "fingerprint "]:
        usage(command + "--help=3", "--help: expected no value")
    usage("inspect", "MODEL is required")
    usage("inspect model.tvl model.tvl", "unexpected argument: model.tvl")
    usage("verify", "MODEL is required")
    usage("verify --nonsense model.tvl", "unexpected argument: --nonsense")
    usage("convert", "IN is required")
    usage("convert in.bin", "OUT is required")
    usage("convert in.bin out.tvl --tokenizer", "--tokenizer: expected exactly one value")
    usage("convert in.bin out.tvl --tokenizer tok.bin --dtype q3", "--dtype: expected", "found 'q3'")
    usage("convert in.bin out.tvl --tokenizer tok.bin --embedding-dtype Q8", "--embedding-dtype: expected f32,", "found 'Q8'")
    usage("convert in.bin out.tvl --tokenizer tok.bin --recipe q8", "--recipe: expected ROLE=TYPE, found 'q8'")
    usage("convert in.bin out.tvl --tokenizer tok.bin --recipe wq=q8,w1=q8", "--recipe: expected embedding, wq,", "found 'w1'")
    usage("convert in.bin out.tvl --tokenizer tok.bin --recipe ffn=q9", "--recipe: expected f32,", "found 'q9'")
    usage("convert in.bin out.tvl --tokenizer tok.bin --recipe wq=q8,", "--recipe: expected ROLE=TYPE, found ''")
    usage("convert in.bin out.tvl --tokenizer tok.bin --threads 0", "--threads: expected a whole number from 1 to", "found '0'")
    usage("convert in.bin out.tvl more --tokenizer tok.bin", "unexpected argument: more")
    usage("generate -m", "--model: expected exactly one value")
    usage("generate inspect model.tvl", "unexpected arguments: inspect model.tvl (see 'tvl generate ")
    usage("inspect model.tvl generate", "unexpected argument: generate")
    for name, line in [
        ("--model", ["generate", "-m", ""]),
        ("MODEL", ["inspect", ""]),
        ("MODEL", ["verify", ""]),
        ("IN", ["convert", "", "out.tvl", "--tokenizer", "tok.bin"]),
        ("OUT", ["convert", "in.bin", "", "--tokenizer", "tok.bin"]),
        ("--tokenizer", ["convert", "in.bin", "out.tvl", "--tokenizer", ""]),
        ("--file", ["perplexity", "--file", ""]),
        ("--file", ["generate", "-f", ""]),
        ("--json", ["inspect", "model.tvl", "--json", ""]),
    ]:
        add(line, "tvl: %s: expected the name of a file, found ''" % name, "--help')")
    for name, line in [
        ("--model", "generate -m -"), ("--model", "chat -m -"), ("--model", "bench --model -"), ("--model", "fingerprint -m -"),
        ("--model", "tokenize -m - a"), ("--model", "perplexity -m - --file tok.bin"), ("MODEL", "inspect -"),
        ("MODEL", "verify -"), ("IN", "convert - out.tvl"), ("OUT", "convert in.bin -"),
        ("--session", "generate --session -"),
        ("--tokenizer", "convert in.bin out.tvl --tokenizer -"), ("--against", "perplexity --file tok.bin --against -"),
    ]:  # fmt: skip
        usage(line, name + ": expected the name of a file, found '-': standard input and output cannot be mapped into memory")
    usage("generate --trace -", "--trace: standard output is where the text goes; name a file")
    usage("generate -p a -f tok.bin", "--prompt excludes --file")
    usage("bench --forget", "--forget requires --tune")
    usage("generate -m model.tvl --threads 0", "--threads: expected a whole number from 1 to", "found '0'")
    usage("generate -m model.tvl --max-tokens -1", "--max-tokens: expected a whole number", "found '-1'")
    usage("generate -m model.tvl --max-tokens 1e3", "--max-tokens: expected a whole number", "found '1e3'")
    usage("generate -m model.tvl --seed 0x1", "--seed: expected a whole number", "found '0x1'")
    usage("generate -m model.tvl --temperature nan", "--temperature: expected a finite number", "found 'nan'")
    usage("generate -m model.tvl --temperature -1", "--temperature: expected a finite number", "found '-1'")
    usage("generate -m model.tvl --context 0", "--context: expected a whole number", "found '0'")
    usage("generate -m model.tvl --prefill-chunk 0", "--prefill-chunk: expected a whole number", "found '0'")
    usage("perplexity", "--file is required")
    usage("perplexity --file tok.bin --context 1", "--context: expected a whole number from 2 to", "found '1'")
    usage("bench --threads 1,0", "--threads: expected whole numbers from 1 to", "found '1,0'")
    usage("bench --tune --pin", "--tune")
    usage("fingerprint --threads 99999999999999999999", "--threads: expected a whole number", "found '99999999999999999999'")

    refused("generate -m missing.tvl", "missing.tvl", "No such file")
    refused("generate -m folder", "folder", "expected a regular file, found a directory")
    refused("fingerprint -m missing.tvl", "missing.tvl", "No such file")
    refused("inspect missing.tvl", "missing.tvl", "No such file")
    refused("verify model.tvl/", "model.tvl/", "Not a directory")
    refused("verify /dev/null", "/dev/null: expected a regular file, found")
    refused("convert missing.bin out.tvl --tokenizer tok.bin", "missing.bin", "No such file")
    refused("convert in.bin out.tvl", "in.bin: a llama2.c checkpoint has no tokenizer: expected --tokenizer", "found none")
    refused("convert in.bin out.tvl --tokenizer missing.bin", "missing.bin", "No such file")
    refused("convert in.bin missing/out.tvl --tokenizer tok.bin", "missing/out.tvl", "No such file")
    refused("convert in.bin folder --tokenizer tok.bin", "folder: expected a regular file", "found a directory")
    refused("convert in.bin /dev/null --tokenizer tok.bin", "/dev/null: expected a regular file", "found a special file")
    refused("convert in.bin in.bin --tokenizer tok.bin", "in.bin: the output would replace its own input")
    refused("convert in.bin ./tok.bin --tokenizer tok.bin", "tok.bin: the output would replace its own input")
    refused("generate -m model.tvl --context 65", "model.tvl: --context: expected at most the model's 64 positions, found 65")
    add(["generate", "-m", "model.tvl", "-p", "a b c " * 20], "the prompt of", "does not fit the context of 64 positions", code=1)
    refused("fingerprint -m model.tvl --tokens 64", "the prompt of", "do not fit the context of 64 positions")
    refused("perplexity -m model.tvl --file missing.txt", "missing.txt", "No such file")
    refused("perplexity -m model.tvl --file folder", "folder: expected a text, found a directory")
    refused("perplexity -m model.tvl --file empty.txt", "empty.txt: expected a text of at least", "found 0")
    refused("perplexity -m model.tvl --file tok.bin --against in.bin", "in.bin: expected a .tvl or GGUF file, found what may be a checkpoint of llama2.c; ")
    refused("perplexity --file tok.bin --against model.tvl", "model.tvl: expected the vocabulary of the embedded model")
    refused("bench -m missing.tvl", "missing.tvl", "No such file")
    refused("bench -m model.tvl --json ./model.tvl", "model.tvl: the output would replace the model")
    refused("bench -m model.tvl --json folder", "folder: expected a regular file", "found a directory")
    refused("bench -m model.tvl --json missing/bench.json", "missing/bench.json", "No such file")
    refused("inspect --predict missing.tvl", "missing.tvl", "No such file")
    return cases
