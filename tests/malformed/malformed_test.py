"""malformed_test.py WORK_FOLDER PROGRAM...: gives PROGRAM every malformed input that the *_cases.py list.

Each must end with its exit code, say one sentence on standard error that names what is wrong, write nothing to standard
output and leave its folder as it was. A crash, a sanitizer's report and a temporary file left behind all break this.
"""

import collections
import concurrent.futures
import os
import re
import subprocess
import sys
import time

import checkpoint_cases
import command_line_cases
import foreign_cases
import gguf_cases
import make_checkpoint
import tvl_cases

CATEGORIES = [
    "TVL header", "TVL directory", "TVL config", "TVL tokenizer", "TVL tensor extents",
    "checkpoint version 0", "checkpoint version 1", "checkpoint version 2", "tokenizer.bin", "command line",
    "foreign file",
] + gguf_cases.CATEGORIES  # fmt: skip
MIN_PER_CATEGORY = 10
MIN_TOTAL = 150

# The sentence of a usage error ends with a hint: (see 'tvl COMMAND --help').
SENTENCE = re.compile(rb"tvl: [^\n]+\n\Z")


def read(path):
    with open(path, "rb") as file:
        return file.read()


def contents(folder):
    """All files below, and folders as None."""
    found = {}
    for at, folders, files in os.walk(folder):
        found.update((os.path.relpath(os.path.join(at, name), folder), None) for name in folders)
        found.update((os.path.relpath(os.path.join(at, name), folder), read(os.path.join(at, name))) for name in files)
    return found


def make_cases(work, program):
    """The good files that all others are made of must be good themselves."""
    path = lambda name: os.path.join(work, name)
    for version in (0, 1, 2):
        make_checkpoint.main("grouped", path("v%d.bin" % version), path("tok.bin"), str(version))
        subprocess.run(
            program + ["convert", path("v%d.bin" % version), path("good.tvl"), "--tokenizer", path("tok.bin")],
            check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
        )  # fmt: skip
    make_checkpoint.main("small", path("small.bin"), path("tok.bin"))
    for command in (
        ["convert", path("small.bin"), path("good.tvl"), "--tokenizer", path("tok.bin")],
        ["verify", path("good.tvl")],
        ["generate", "-m", path("good.tvl"), "-n", "2"],
    ):
        subprocess.run(program + command, check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    checkpoints = [read(path("v%d.bin" % version)) for version in (0, 1, 2)]
    good, tokenizer = read(path("good.tvl")), read(path("tok.bin"))
    return (
        tvl_cases.make(good)
        + checkpoint_cases.make(checkpoints, tokenizer)
        + gguf_cases.make()
        + command_line_cases.make(good, checkpoints[0], tokenizer)
        + foreign_cases.make(good, checkpoints[0], tokenizer)
    )


def run(case, folder, program):
    """What was wrong with the program's answer: a list of sentences."""
    os.mkdir(folder)
    for name, data in case.files.items():
        if data is None:
            os.mkdir(os.path.join(folder, name))
            continue
        with open(os.path.join(folder, name), "wb") as file:
            file.write(data)
    done = subprocess.run(
        program + case.arguments, cwd=folder, stdin=subprocess.DEVNULL, capture_output=True, timeout=120
    )
    wrong = []
    if done.returncode != case.code:
        wrong.append("expected exit code %d, found %d" % (case.code, done.returncode))
    if done.stdout:
        wrong.append("expected nothing on stdout, found %r" % done.stdout[:300])
    if not SENTENCE.fullmatch(done.stderr):
        wrong.append("expected one line on stderr that begins with 'tvl: '")
    for part in case.says:
        if part.encode() not in done.stderr:
            wrong.append("expected on stderr: %s" % part)
    if contents(folder) != case.files:
        wrong.append("expected the files of before, found %s" % sorted(contents(folder)))
    return wrong and wrong + ["stderr: %s" % done.stderr[:2000].decode(errors="replace").rstrip()]


def main(work, program):
    # Cases run in folders of their own.
    program = [os.path.abspath(word) if os.path.exists(word) else word for word in program]
    cases = make_cases(work, program)
    started = time.monotonic()
    with concurrent.futures.ThreadPoolExecutor(os.cpu_count()) as pool:
        folders = [os.path.join(work, "case%d" % i) for i in range(len(cases))]
        results = list(pool.map(lambda c, f: run(c, f, program), cases, folders))
    failures = 0
    for case, wrong in zip(cases, results):
        if wrong:
            failures += 1
            print("FAILED: %s: %s" % (case.category, case.name))
            print("  command: tvl %s" % " ".join(case.arguments))
            print("".join("  %s\n" % line for line in wrong), end="")

    counts = collections.Counter(case.category for case in cases)
    for category in CATEGORIES:
        print("%4d %s" % (counts[category], category))
        if counts[category] < MIN_PER_CATEGORY:
            failures += 1
            print("FAILED: expected at least %d of %s" % (MIN_PER_CATEGORY, category))
    print("%4d cases in %.1f s" % (len(cases), time.monotonic() - started))
    if len(cases) < MIN_TOTAL or set(counts) != set(CATEGORIES):
        failures += 1
        print("FAILED: expected at least %d cases, of the categories above" % MIN_TOTAL)
    return 1 if failures else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1], sys.argv[2:]))
