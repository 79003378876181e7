"""published_vocabularies_test.py WORK_FOLDER PROGRAM... [TEXTS.inp]: vocabularies as people publish them, by `tvl tokenize` and
`tvl generate`. With a file of texts, the tokens of these alone, compared with llama.cpp's."""

import os
import struct
import subprocess
import sys
import unittest

import make_gguf
import published_vocabularies
from byte_level_gguf import CONTROL, LETTERS, NORMAL, USER_DEFINED
from make_gguf import ARRAY, STRING
from published_vocabularies import UNKNOWN, UNUSED

WORK, PROGRAM = sys.argv[1], [os.path.abspath(w) if os.path.exists(w) else w for w in sys.argv[2:]]
INP = PROGRAM.pop() if PROGRAM[-1].endswith(".inp") else None
UNDEFINED, BYTE = 0, 6
U, G = "\u2581", LETTERS[0x20]


def run(*arguments, text=None):
    return subprocess.run(PROGRAM + list(arguments), input=text, capture_output=True, cwd=WORK, env={**os.environ, "TVL_CACHE_DIR": WORK})


def write(gguf, name="model.gguf"):
    with open(os.path.join(WORK, name), "wb") as out:
        out.write(gguf.bytes())
    return name


def tokens(model, text, *options):
    text = text.encode() if isinstance(text, str) else text
    result = run("tokenize", "-m", model, *options, "-", text=text)
    assert result.returncode == 0, result.stderr
    return [int(word) for word in result.stdout.split()]


def pinned():
    """Name -> a list of tokens for each text."""
    with open(os.path.join(os.path.dirname(os.path.abspath(__file__)), "published_vocabularies.txt")) as file:
        lists = {}
        for line in file:
            if line.startswith("@"):
                name = line[1:].strip()
                lists[name] = []
            elif not line.startswith("#"):
                lists[name].append([int(word) for word in line.split()])
    return lists


def compare(test, texts, select):
    """Every text through every vocabulary."""
    lists = pinned()
    test.assertEqual(len(lists), 5)
    for name, gguf in published_vocabularies.vocabularies().items():
        model = write(gguf, name + ".gguf")
        expected = select(lists[name])
        test.assertEqual(len(expected), len(texts))
        for text, ids in zip(texts, expected):
            test.assertEqual(tokens(model, text), ids, (name, text))


class PublishedTexts(unittest.TestCase):
    def test_equal_llama_cpp(self):
        with open(INP, "rb") as file:
            texts = [text for text in file.read().split(b"\n__ggml_vocab_test__\n") if text]
        self.assertGreater(len(texts), 40)
        compare(self, texts, lambda lists: lists[len(published_vocabularies.TEXTS) :])


class OwnTextsTest(unittest.TestCase):
    def test_equal_llama_cpp(self):
        count = len(published_vocabularies.TEXTS)
        compare(self, published_vocabularies.TEXTS, lambda lists: lists[:count])


H, I, X, FIRST = 260, 261, 262, 263
TEMPLATE = "{% for m in messages %}{{'<|im_start|>' + m['role'] + '\\n' + m['content'] + '<|im_end|>' + '\\n'}}{% endfor %}{{ '<|im_start|>assistant\\n' }}"


def sentence_piece(extra, types, **changes):
    """A vocabulary whose pieces of its own begin at 259. Of changes, which are keys, None takes one away."""
    gguf = make_gguf.Gguf()
    make_gguf.vocabulary(gguf, ())
    at = lambda key: gguf.metadata["tokenizer.ggml." + key][1][1]
    at("tokens").extend(extra)
    at("token_type").extend(types)
    at("scores").extend(-1.0 - i for i in range(len(extra)))
    gguf.metadata["general.architecture"] = (STRING, "llama")
    for key, value in changes.items():
        key = "tokenizer.chat_template" if key == "chat_template" else "tokenizer.ggml." + key
        gguf.metadata.pop(key, None)
        if value is not None:
            gguf.metadata[key] = value
    return gguf


def writer_of_hi(extra, types, end, **changes):
    """A model that writes h, i, then `end`, and X for ever after that: no layer of it does anything, and the row of the
    classifier that is largest for a token is its successor's."""
    gguf = sentence_piece([U, "h", "i", "X"] + extra, [NORMAL] * 4 + types, **changes)
    count = 263 + len(extra)
    dim = -(-count // 32) * 32
    shape = make_gguf.Shape(dim=dim, hidden=32, layers=1, heads=1, kv_heads=1, head_dim=16, context=64)
    make_gguf.hyperparameters(gguf, shape)
    successor = {H: I, I: end, end: X, X: X}
    one = lambda at: struct.pack("<%df" % dim, *(1.0 if i == at else 0.0 for i in range(dim)))
    rows = [[0.0] * dim for _ in range(count)]
    for token in range(count):
        rows[successor.get(token, H)][token] = 1.0
    for name, size in make_gguf.layout(shape, count):
        numbers = 1
        for n in size:
            numbers *= n
        if name == "token_embd.weight":
            data = b"".join(one(token) for token in range(count))
        elif name == "output.weight":
            data = b"".join(struct.pack("<%df" % dim, *row) for row in rows)
        else:
            data = struct.pack("<f", 1.0 if len(size) == 1 else 0.0) * numbers
        gguf.tensors.append(make_gguf.Tensor(name, size, "F32", data, []))
    return gguf


class EndsTest(unittest.TestCase):
    def text(self, gguf):
        model = write(gguf)
        result = run("generate", "-m", model, "-p", "?", "-n", "6", "--temperature", "0")
        self.assertEqual(result.returncode, 0, result.stderr)
        return result.stdout

    def test_known_by_their_text_whatever_their_type(self):
        for end, types in (
            ("<|im_end|>", (NORMAL, USER_DEFINED, CONTROL)), ("<eos>", (CONTROL, UNUSED)), ("[EOT]", (CONTROL, NORMAL)),
            ("[EOS]", (CONTROL,)), ("<turn|>", (USER_DEFINED,)), ("<end_of_turn>", (NORMAL,)), ("_<EOT>", (UNDEFINED,)),
            ("<PAD>", (UNUSED,)), ("<|repo_name|>", (CONTROL,)), ("<|file_sep|>", (NORMAL,)),
            ("<\uff5cend\u2581of\u2581sentence\uff5c>", (USER_DEFINED, NORMAL)),
        ):  # fmt: skip
            for kind in types:
                with self.subTest(end=end, kind=kind):
                    self.assertTrue(self.text(writer_of_hi([end], [kind], FIRST)).endswith(b"hi\n"))
                    # What a user writes is never it.
                    self.assertNotIn(FIRST, tokens("model.gguf", end))
                    self.assertEqual(tokens("model.gguf", "h" + end, "--parse-special")[-1], FIRST)

    def test_what_is_no_end(self):
        for other, kind, shown in (("<|over|>", NORMAL, True), ("<eot>", USER_DEFINED, True), ("<|im_end|", NORMAL, True),
                                   ("<|over|>", CONTROL, False), ("<|fim_middle|>", NORMAL, False)):  # fmt: skip
            with self.subTest(other=other):
                says = b"hi" + (other.encode() if shown else b"") + b"X"
                self.assertIn(says, self.text(writer_of_hi([other], [kind], FIRST)))

    def test_by_id_and_beside_another_eos(self):
        self.assertTrue(self.text(writer_of_hi(["<|over|>"], [CONTROL], 2, eos_token_id=(4, FIRST))).endswith(b"hi\n"))
        for key in ("eos", "eot", "eom", "fim_pad", "fim_sep"):
            with self.subTest(key=key):
                gguf = writer_of_hi(["over"], [NORMAL], FIRST, **{key + "_token_id": (4, FIRST)})
                self.assertTrue(self.text(gguf).endswith(b"hi\n"))

    def test_by_the_list_in_the_file(self):
        for ids in ([FIRST], [2, FIRST], [FIRST, 4000000, -1, FIRST]):
            with self.subTest(ids=ids):
                gguf = writer_of_hi(["over"], [NORMAL], FIRST, eos_token_ids=(ARRAY, (5, ids)))
                self.assertTrue(self.text(gguf).endswith(b"hi\n"))

    def test_a_part_of_a_message(self):
        gguf = writer_of_hi(["<|end|>", "<|return|>", "<|call|>"], [CONTROL] * 3, FIRST)
        self.assertIn(b"hiXX", self.text(gguf))
        gguf = writer_of_hi(["<|end|>", "<|return|>", "<|start|>"], [CONTROL] * 3, FIRST)
        self.assertTrue(self.text(gguf).endswith(b"hi\n"))

    def test_ids_that_are_none(self):
        for value in (None, (4, 2**32 - 1), (5, -1), (4, 263), (10, 2**40)):
            with self.subTest(value=value):
                gguf = writer_of_hi([], [], 2, eos_token_id=value, bos_token_id=value, unknown_token_id=value)
                self.assertTrue(self.text(gguf).endswith(b"hi\n"))
                self.assertEqual(tokens("model.gguf", "X", "--bos")[0], 1)
                result = run("convert", "model.gguf", "model.tvl")
                says = b"bos_token_id: %d is no token of the 263, and 1, the default, was taken" % (value or (4, 0))[1]
                self.assertEqual(says in result.stderr, value is not None, result.stderr)

    def test_chat(self):
        for kind in (NORMAL, USER_DEFINED, CONTROL):
            gguf = writer_of_hi(["<|im_start|>", "<|im_end|>"], [kind] * 2, FIRST + 1, chat_template=(STRING, TEMPLATE))
            result = run("chat", "-m", write(gguf), "-n", "9", text=b"hello\n")
            self.assertEqual((result.returncode, result.stdout), (0, b"hi\n"), (kind, result.stderr))
            # The template's own text is one token each.
            self.assertEqual(tokens("model.gguf", "<|im_start|><|im_end|>", "--parse-special"), [FIRST, FIRST + 1])


class SentencePieceTest(unittest.TestCase):
    PIECES = ["a", "b", U, U + "a", "ab"]  # from 259 on

    def check(self, gguf, *cases):
        model = write(gguf)
        for text, expected in cases:
            self.assertEqual(tokens(model, text), expected, text)

    def test_user_defined_tokens_of_spaces(self):
        # Spelt with U+2581 merges make them; spelt with spaces they are found before.
        marks = sentence_piece(self.PIECES + [U * 2, U + "<t>", "<u>" + U + "v", U + "b"], [NORMAL] * 5 + [USER_DEFINED] * 3 + [NORMAL])
        self.check(marks, ("a  b", [262, 264, 260]), (" a", [261, 262]), ("   b", [264, 264, 260]),
                   ("x <t>a", [261, 123, 261, 63, 119, 65, 259]), ("<u> v", [261, 63, 120, 65, 261, 121]))  # fmt: skip
        spaces = sentence_piece(self.PIECES + ["  ", " <t>", "<u> "], [NORMAL] * 5 + [USER_DEFINED] * 3)
        self.check(spaces, ("a  b", [262, 264, 261, 260]), (" a", [261, 262]), ("x <t>a", [261, 123, 265, 262]),
                   ("<u> b", [266, 261, 260]), (" ", [261, 261]))  # fmt: skip
        # No text becomes a normal token that is spelt with a space; nor does it hide the one that is not.
        hidden = sentence_piece([" a", "a b", U, "a", "b", U + "a", "a" + U], [NORMAL] * 7)
        self.check(hidden, ("a b", [264, 261, 263]), (" a a", [261, 264, 264]), ("ba b", [261, 263, 265, 263]))
        self.assertEqual(run("tokenize", "-m", "model.gguf", "--decode", "263 259 260").stdout, b"b aa b\n")
        both = sentence_piece(["  ", U * 2, "a", U], [USER_DEFINED, NORMAL, NORMAL, NORMAL])
        self.check(both, (" a", [260, 261]), ("  a", [259, 262, 261]))

    def test_control_tokens_keep_their_marks(self):
        model = write(sentence_piece(self.PIECES + [U + "<PRE>"], [NORMAL] * 5 + [USER_DEFINED]))
        self.assertEqual(tokens(model, U + "<PRE>a", "--parse-special"), [264, 262])
        self.assertNotIn(264, tokens(model, " <PRE>", "--parse-special"))
        self.assertNotIn(264, tokens(model, U + "<PRE>"))

    def test_special_tokens_that_strip(self):
        """Of models named Phi-3; as llama.cpp 0.5.0 has it."""
        text = "<|user|>\n\n a<|end|> \n<|endoftext|> b <t>  b<|x|>"
        for name, strips in ((None, False), ("Phi 3 Mini", False), ("unsloth/Phi-3-mini", True), ("phi3", True)):
            gguf = sentence_piece(self.PIECES + ["<|user|>", "<|end|>", "<|endoftext|>", "<t>", "<|x|>"], [NORMAL] * 5 + [CONTROL] * 3 + [USER_DEFINED, NORMAL])
            if name:
                gguf.metadata["general.name"] = (STRING, name)
            model = write(gguf)
            whole = [264, 262, 265, 266, 261, 261, 260, 261, 267, 261, 260]
            self.assertEqual(tokens(model, text, "--parse-special")[: len(whole)] == whole, strips, name)
            self.assertNotIn(264, tokens(model, text))

    def test_bytes_that_are_no_characters(self):
        byte = lambda b: b + 3
        pieces = sentence_piece([U, "a", "u", U + "a", U + "au", "c", "ca", "f"], [NORMAL] * 8)
        self.check(pieces, (b"caf\xe9 au", [259, 265, 266, byte(0xE9), 263]), (b"a\xf0\x9f a", [262, byte(0xF0), byte(0x9F), 262]),
                   (b"\xe2\x82", [259, byte(0xE2), byte(0x82)]), (b"\xc0\x80 a", [259, byte(0xC0), byte(0x80), 262]))  # fmt: skip

    def test_optional_arrays(self):
        texts = (("a  b ab\n", [262, 261, 261, 260, 262, 260, 13]), ("xaab", [261, 123, 259, 263]))
        zeros = (ARRAY, (6, [0.0] * 264))
        for changes in (dict(scores=zeros), dict(scores=None), dict(scores=None, token_type=None), dict(scores=(ARRAY, (5, [0] * 264)))):
            self.check(sentence_piece(self.PIECES, [NORMAL] * 5, **changes), *texts)
        self.check(sentence_piece(self.PIECES, [UNDEFINED, NORMAL, UNDEFINED, UNUSED, UNDEFINED], scores=None), *texts)
        self.assertEqual(tokens("model.gguf", "<s>a</s>", "--parse-special"), [1, 262, 2])
        without = write(sentence_piece(self.PIECES, [NORMAL] * 5, token_type=None))
        self.assertEqual(tokens(without, "<s>a</s>", "--parse-special"), [1, 262, 2])
        self.assertEqual(run("tokenize", "-m", without, "--decode", "13 262").stdout, b"\n a\n")


def letters(extra, merges, types=None, lack=(), **ids):
    """The letters of all bytes but `lack`, then `extra` and <end>."""
    texts = [LETTERS[b] for b in range(256) if b not in lack] + extra + ["<end>"]
    kinds = [NORMAL] * (256 - len(lack)) + (types or [NORMAL] * len(extra)) + [CONTROL]
    gguf = make_gguf.Gguf()
    gguf.metadata.update({
        "general.architecture": (STRING, "llama"), "tokenizer.ggml.model": (STRING, "gpt2"), "tokenizer.ggml.pre": (STRING, "gpt-2"),
        "tokenizer.ggml.tokens": (ARRAY, (STRING, texts)), "tokenizer.ggml.token_type": (ARRAY, (5, kinds)),
        "tokenizer.ggml.merges": (ARRAY, (STRING, merges)), "tokenizer.ggml.eos_token_id": (4, len(texts) - 1),
    })  # fmt: skip
    for key, value in ids.items():
        gguf.metadata["tokenizer.ggml.%s_token_id" % key] = (4, value)
    return gguf


class ByteLevelTest(unittest.TestCase):
    def check(self, gguf, *cases):
        model = write(gguf)
        for text, expected in cases:
            self.assertEqual(tokens(model, text), expected, text)

    def test_merges_of_what_is_no_token(self):
        # All as llama.cpp 0.5.0 has them, asked as published_vocabularies.txt says.
        self.check(letters(["ab"], ["a b", "ab c"]), ("abc ab", [97, 98, 99, 32, 256]), ("c", [99]))
        self.check(letters(["abc"], ["a b", "ab c"]), ("ab abcab", [97, 98, 32, 256, 97, 98]))
        self.check(letters(["ab"], ["#version: 0.2", "", "a b", G + " ab", "a", "x y z"]), (" ab x ab", [97, 98, 32, 120, 97, 98]))
        self.check(letters(["\xc3\xa9a"], ["\xc3 \xa9", "\xc3\xa9 a"]), ("\xe9a \xe9", [256, 32]))
        self.check(letters(["ab", "bc"], ["b c", "a b", "a bc"], lack=(ord("c"),)), ("abc bc c ab", [97, 98, 32, 256, 32, 32, 255]))
        self.check(letters(["ab"], []), ("ab", [97, 98]))
        self.check(letters(["ab", G + "x", "\xe9!"], ["a b", G + " x"], [NORMAL, USER_DEFINED, USER_DEFINED]),
                   ("ab x \xe9! \u0120x", [256, 257, 32, 258, 32, 257]))  # fmt: skip

    def test_text_never_becomes_a_control_token(self):
        # Merges would make it: llama.cpp gives 258.
        merges = ["x y", "xy z", "a b", "xyz ab"]
        for kind in (CONTROL, UNKNOWN):
            self.check(letters(["ab", "xy", "xyz"], merges, [NORMAL, NORMAL, kind]), ("abxyz", [256, 257, ord("z")]))
            self.assertEqual(tokens("model.gguf", "xyzab", "--parse-special"), [258, 256])
        for unknown in (256, 257, 97):
            gguf = letters(["ab"], ["a b"], lack=(0xFF, 0xF1), unknown=unknown)
            self.check(gguf, (b"a\xffb", [97, 98]), ("\U00040000a", [0x80, 0x80, 0x80, 97]), (b"\xff", []))

    def test_bytes_that_are_no_characters(self):
        for name, gguf in published_vocabularies.vocabularies().items():
            model = write(gguf)
            texts = gguf.metadata["tokenizer.ggml.tokens"][1][1]
            of = lambda *bytes_: [texts.index(LETTERS[b]) for b in bytes_ if b not in published_vocabularies.NEVER or name == "command-r"]
            self.assertEqual(tokens(model, b"a\xffb"), of(0x61, 0xFF, 0x62), name)
            self.assertEqual(tokens(model, b"a\xc0\xf5b\x80"), of(0x61, 0xC0, 0xF5, 0x62, 0x80), name)

    def test_lists_of_pre_tokenizers(self):
        for pre in ("seed-coder", "bailingmoe2", "viking", "superbpe", "minicpm5", "kimi-k2", "solar-open"):
            gguf = letters(["ab"], ["a b"])
            gguf.metadata["tokenizer.ggml.pre"] = (STRING, pre)
            self.check(gguf, ("ab", [256]))


OWN = ["OwnTextsTest", "EndsTest", "SentencePieceTest", "ByteLevelTest"]

if __name__ == "__main__":
    unittest.main(argv=sys.argv[:1] + (["PublishedTexts"] if INP else OWN))
