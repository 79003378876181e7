"""byte_level_gguf_test.py WORK_FOLDER PROGRAM...: a byte-level vocabulary from a GGUF file, alone by `tvl tokenize`, with a
model by `tvl convert`."""

import os
import subprocess
import sys
import unittest

import byte_level_gguf
import make_gguf
import tvl_reader

WORK, PROGRAM = sys.argv[1], [os.path.abspath(w) if os.path.exists(w) else w for w in sys.argv[2:]]
AB, SPACE_AB, TWELVE, E_ACUTE, IM_START, IM_END, TAG, SPACES = range(256, 264)


def path(name):
    return os.path.join(WORK, name)


def write(name, gguf):
    with open(path(name), "wb") as out:
        out.write(gguf.bytes())
    return path(name)


def run(*arguments, text=None):
    return subprocess.run(PROGRAM + list(arguments), input=text, capture_output=True)


def tokens(model, text, *options):
    result = run("tokenize", "-m", model, *options, "-", text=text)
    assert result.returncode == 0, result.stderr
    return [int(word) for word in result.stdout.split()]


class ByteLevelGgufTest(unittest.TestCase):
    def check_tokens(self, model):
        for text, expected in (
            (b"ab ab", [AB, SPACE_AB]),
            (b"", []),
            (b"\xc3\xa9\xff\x00", [E_ACUTE, 0xFF, 0]),
            (b"ab  ab<tag>ab", [AB, SPACES, AB, TAG, AB]),
            (b"<|im_end|>", list(b"<|im_end|>")),
        ):
            self.assertEqual(tokens(model, text), expected, text)
            ids = " ".join(map(str, expected))
            self.assertEqual(run("tokenize", "-m", model, "--decode", ids).stdout, text + b"\n")
        text = b"<|im_start|>ab\n<|im_end|> ab"
        self.assertEqual(tokens(model, text, "--parse-special"), [IM_START, AB, 10, IM_END, SPACE_AB])
        self.assertEqual(tokens(model, b"ab", "--bos"), [IM_START, AB])

    def test_vocabulary_alone(self):
        self.check_tokens(write("alone.gguf", byte_level_gguf.vocabulary()))

    def test_pre_tokenizers_differ(self):
        alone = lambda pre: write(pre + ".gguf", byte_level_gguf.vocabulary(pre))
        self.assertEqual(tokens(alone("gpt-2"), b"1212"), [TWELVE, TWELVE])
        self.assertEqual(tokens(alone("qwen2"), b"1212"), list(b"1212"))
        self.assertEqual(tokens(alone("llama-bpe"), b"1212"), [TWELVE, ord("1"), ord("2")])

    def test_converted_model(self):
        gguf = make_gguf.llama(["F32"], make_gguf.Shape(dim=32, hidden=32, layers=1, heads=1, kv_heads=1))
        self.assertEqual(byte_level_gguf.byte_level(gguf, "llama-bpe"), gguf.metadata["llama.vocab_size"][1])
        source, target = write("model.gguf", gguf), path("model.tvl")
        result = run("convert", source, target)
        self.assertEqual(result.returncode, 0, result.stderr)
        self.check_tokens(target)
        self.assertEqual(run("verify", target).returncode, 0)
        self.assertEqual(run("generate", "-m", target, "-p", "ab", "-n", "3").returncode, 0)
        tokenizer = tvl_reader.read(target).tokenizer
        pieces = byte_level_gguf.pieces()
        self.assertEqual(tokenizer.pieces, [p if isinstance(p, bytes) else p.encode() for p, _ in pieces])
        self.assertEqual(tokenizer.piece_types, [kind for _, kind in pieces])
        self.assertEqual(tokenizer.merges, [(97, 98, AB), (32, AB, SPACE_AB), (49, 50, TWELVE), (0xC3, 0xA9, E_ACUTE)])
        header = tokenizer.header
        self.assertEqual([header[k] for k in ("kind", "pre_tokenizer", "flags", "bos_id")], [3, 3, 4 | 128, IM_START])
        self.assertEqual((tokenizer.added_tokens, tokenizer.end_tokens), ([(TAG, 0), (SPACES, 0)], [IM_END]))

    def test_refusals(self):
        gguf = byte_level_gguf.vocabulary("not-one")
        result = run("tokenize", "-m", write("bad.gguf", gguf), "x")
        self.assertEqual((result.returncode, result.stdout), (1, b""))
        self.assertIn(b"bad.gguf: metadata key tokenizer.ggml.pre: expected a pre-tokenizer", result.stderr)
        self.assertIn(b"found 'not-one'", result.stderr)
        gguf = byte_level_gguf.vocabulary()
        del gguf.metadata["tokenizer.ggml.merges"]
        result = run("tokenize", "-m", write("bad.gguf", gguf), "x")
        self.assertEqual(result.returncode, 1)
        self.assertIn(b"tokenizer.ggml.merges: expected an array of strings, found none", result.stderr)


if __name__ == "__main__":
    unittest.main(argv=sys.argv[:1])
