"""architectures_test.py WORK_FOLDER [EMULATOR...] TVL LOGITS...: random models of every architecture and an oracle in double
precision; LOGITS are tests/architectures/logits.cc with one backend each.

Of each model: a prompt longer than most windows, then the oracle's greedy continuation, run in chunks and step by step; the
logits of both and of all backends are equal to the bit and close to the oracle's, and where the oracle's choice is clear it
is the engine's. One model of each architecture does so with every type of KV cache, and gives the same bits everywhere
with quantised weights.
"""

import os
import random
import re
import shlex
import subprocess
import sys
import unittest

import fixtures
import gguf_reader
import numpy
import oracle

EMULATOR = shlex.split(os.environ.get("TVL_RUN", ""))
WORK = sys.argv[1]
TVL, *LOGITS = (os.path.abspath(program) for program in sys.argv[2 + len(EMULATOR) :])

PROMPT, STEPS = 96, 32
# Of the largest logit, by what the KV cache keeps. Single precision gives 2e-6 at most, and so does llama.cpp; 16 bits give
# 3e-3 and 8 bits 7e-2.
TOLERANCE = {"f32": 1e-4, "f16": 1e-2, "q8": 0.2}
# Logits of the oracle closer than this leave the choice to rounding.
CLEAR = 1e-3
# What a part of the architecture must change in the logits, so that its absence would be noticed.
DECISIVE = 100 * TOLERANCE["f32"]


def path(name):
    return os.path.join(WORK, name)


def run(program, *arguments, given=b""):
    done = subprocess.run(EMULATOR + [program, *map(str, arguments)], input=given, capture_output=True)
    if done.returncode != 0:
        raise AssertionError("%s failed: %s" % (os.path.basename(program), done.stderr.decode(errors="replace")))
    return done.stdout


def engine_logits(program, kv_type, threads, chunk, tokens, vocabulary):
    """(logits of tokens whose first PROMPT are a prompt, logits of the same one by one)."""
    line = " ".join(map(str, tokens))
    given = "%d %s\n0 %s\n" % (PROMPT, line, line)
    out = run(program, path("model.tvl"), kv_type, threads, chunk, given=given.encode())
    return numpy.frombuffer(out, "<f4").reshape(2, len(tokens), vocabulary)


def relative(a, b):
    return numpy.max(numpy.abs(a - b)) / numpy.max(numpy.abs(b))


def without(end, metadata, tensors):
    """The model without what bears a name that ends so: zeros in place of a bias, ones in place of factors."""
    blank = numpy.zeros_like if end.endswith("bias") else numpy.ones_like
    return (
        {key: value for key, value in metadata.items() if not key.endswith(end)},
        {name: blank(value) if name.endswith(end) else value for name, value in tensors.items()},
    )


class Architectures(unittest.TestCase):
    def expect_decisive(self, fixture, model, tokens, logits):
        for end in fixture.decisive:
            changed = without(end, *model)
            others = oracle.Oracle(*changed).forward(tokens)
            self.assertGreater(relative(others, logits), DECISIVE, end)

    def expect_as_oracle(self, fixture):
        model = gguf_reader.read(path("model.gguf"))
        vocabulary = len(model[0]["tokenizer.ggml.tokens"])
        rng = random.Random(7)
        prompt = [1] + [rng.randrange(vocabulary) for _ in range(PROMPT - 1)]
        continuation, logits = oracle.Oracle(*model).greedy(prompt, STEPS)
        tokens = prompt + continuation
        self.expect_decisive(fixture, model, tokens, logits)

        for kv_type in TOLERANCE if fixture.typical and not EMULATOR else ["f32"]:
            ours = self.expect_equal_bits(kv_type, tokens, vocabulary)
            error = relative(ours, logits)
            print("%s, KV %s: relative error %.1e" % (fixture.name, kv_type, error))
            self.assertLess(error, TOLERANCE[kv_type])
            if kv_type == "f32":
                self.expect_same_choices(ours, logits)
        if fixture.typical:
            # Such weights round activations, which an oracle does not; but all do it alike.
            for dtype in ("q8", "q4m"):
                run(TVL, "convert", path("model.gguf"), path("model.tvl"), "--dtype", dtype)
                self.expect_equal_bits("q8", tokens, vocabulary)

    def expect_equal_bits(self, kv_type, tokens, vocabulary):
        """The logits that all backends agree on."""
        agreed = None
        for i, program in enumerate(LOGITS):
            # 7 is less than most windows, and 40 no multiple of those above 1.
            chunked, stepped = engine_logits(program, kv_type, (2, 1)[i % 2], (40, 7)[i % 2], tokens, vocabulary)
            self.assertEqual(chunked.tobytes(), stepped.tobytes(), "a chunk differs from steps: " + program)
            agreed = chunked if agreed is None else agreed
            self.assertEqual(chunked.tobytes(), agreed.tobytes(), "%s differs from %s" % (program, LOGITS[0]))
        return agreed

    def expect_same_choices(self, ours, logits):
        clear = oracle.margins(logits) > CLEAR
        self.assertGreater(numpy.mean(clear), 0.95)
        chosen = numpy.argmax(ours, axis=-1)
        self.assertEqual(chosen[clear].tolist(), numpy.argmax(logits, axis=-1)[clear].tolist())

    def test_every_architecture_has_a_fixture(self):
        with open("core/architecture.h", encoding="utf-8") as header:
            names = re.findall(r'\.name = "(\w+)"', header.read())
        self.assertGreaterEqual(len(names), 4)
        self.assertEqual(names, [fixture.file_architecture for fixture in fixtures.FIXTURES if fixture.typical])

    def test_architectures(self):
        for fixture in fixtures.FIXTURES:
            if EMULATOR and not fixture.typical:
                continue
            with self.subTest(fixture.name):
                fixture.write(path("model.gguf"))
                run(TVL, "convert", path("model.gguf"), path("model.tvl"), *fixture.convert_options)
                said = run(TVL, "inspect", path("model.tvl")).decode()
                self.assertRegex(said, r"architecture +%s\n" % fixture.file_architecture)
                self.expect_as_oracle(fixture)


if __name__ == "__main__":
    unittest.main(argv=sys.argv[:1])
