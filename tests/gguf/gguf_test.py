"""gguf_test.py WORK_FOLDER PROGRAM...: converts GGUF models and compares every weight with what it was made of."""

import math
import os
import struct
import subprocess
import sys
import unittest

import make_checkpoint
import make_gguf
import tvl_reader

WORK, PROGRAM = sys.argv[1], [os.path.abspath(w) if os.path.exists(w) else w for w in sys.argv[2:]]

# What each type becomes when none is asked for, and the largest relative RMS error, in percent.
KEPT = {
    "F32": ("f32", 0), "F16": ("f16", 0), "BF16": ("bf16", 0), "Q8_0": ("q8", 0), "Q4_0": ("q4", 0), "Q4_1": ("q4m", 0),
    "Q5_0": ("q8", 0), "Q5_1": ("q8", 0.5), "Q4_K": ("q4k", 0), "Q5_K": ("q5k", 0), "Q6_K": ("q6k", 0),
    "Q2_K": ("q4m", 6), "Q3_K": ("q4", 6), "IQ4_NL": ("q4m", 7), "IQ4_XS": ("q4m", 7),
}  # fmt: skip

NAMES = {"wq": "attn_q", "wk": "attn_k", "wv": "attn_v", "wo": "attn_output", "w2": "ffn_down"}


def path(name):
    return os.path.join(WORK, name)


def write(name, data):
    with open(path(name), "wb") as file:
        file.write(data)
    return path(name)


def tvl(*arguments):
    """What the program says on standard error."""
    done = subprocess.run(PROGRAM + list(arguments), capture_output=True, text=True, errors="replace")
    assert done.returncode == 0, (arguments, done.stderr)
    return done.stderr


def convert_only(gguf, *options):
    """What the program says."""
    return tvl("convert", write("in.gguf", gguf.bytes()), path("out.tvl"), *options)


def convert(gguf, *options):
    note = convert_only(gguf, *options)
    return tvl_reader.read(path("out.tvl")), note


def read(name):
    with open(path(name), "rb") as file:
        return file.read()


def half_split(rows, heads, head_dim, rope_dims):
    """Rows with RoPE pairs (2i, 2i + 1) as rows with pairs (i, i + rope_dims / 2)."""
    out = []
    for head in range(heads):
        own = rows[head * head_dim : (head + 1) * head_dim]
        out += own[:rope_dims:2] + own[1:rope_dims:2] + own[rope_dims:]
    return out


def pairs_of(gguf, model, shape, rope_dims=None):
    """(tensor of the GGUF file, its rows, those of the .tvl file, the type there) for all of them, one by one."""
    rope_dims = rope_dims or shape.head_dim
    one = lambda name: (model.tensors[name].matrices[0], model.tensors[name].kind)
    yield (gguf.tensor("token_embd.weight"), gguf.tensor("token_embd.weight").rows(), *one("token_embedding"))
    if not shape.tied:
        yield (gguf.tensor("output.weight"), gguf.tensor("output.weight").rows(), *one("classifier"))
    yield (gguf.tensor("output_norm.weight"), gguf.tensor("output_norm.weight").rows(), *one("final_norm"))
    for i in range(shape.layers):
        at = lambda name: gguf.tensor("blk.%d.%s.weight" % (i, name))
        yield (at("attn_norm"), at("attn_norm").rows(), *one("layers.%d.attention_norm" % i))
        yield (at("ffn_norm"), at("ffn_norm").rows(), *one("layers.%d.ffn_norm" % i))
        for name, source in NAMES.items():
            rows = at(source).rows()
            if name in ("wq", "wk"):
                rows = half_split(rows, shape.heads if name == "wq" else shape.kv_heads, shape.head_dim, rope_dims)
            yield (at(source), rows, *one("layers.%d.%s" % (i, name)))
        w13 = model.tensors["layers.%d.w13" % i]
        for source, rows in zip(("ffn_gate", "ffn_up"), w13.matrices):
            yield (at(source), at(source).rows(), rows, w13.kind)


def relative_error(expected, found):
    differences = sum((a - b) ** 2 for x, y in zip(expected, found) for a, b in zip(x, y))
    return math.sqrt(differences / sum(a * a for row in expected for a in row))


class GgufTest(unittest.TestCase):
    def expect_exact(self, gguf, shape, model, rope_dims=None):
        for tensor, expected, found, _ in pairs_of(gguf, model, shape, rope_dims):
            self.assertEqual(expected, found, tensor.name + " " + tensor.kind)

    def test_every_type_in_f32(self):
        shape = make_gguf.Shape()
        gguf = make_gguf.llama(list(make_gguf.TYPES), shape)
        self.assertEqual({t.kind for t in gguf.tensors}, set(make_gguf.TYPES))
        model, note = convert(gguf, "--dtype", "f32")
        self.expect_exact(gguf, shape, model)
        self.assertNotIn("RMS", note)
        config = model.config
        self.assertEqual(
            [config[k] for k in ("dim", "hidden_dim", "n_layers", "n_heads", "n_kv_heads", "head_dim", "context_length")],
            [256, 256, 2, 4, 2, 32, 64],
        )
        self.assertEqual(config["flags"], 0)
        self.assertEqual(config["norm_epsilon"], struct.unpack("<f", struct.pack("<f", 1e-5))[0])

    def test_every_type_kept(self):
        """Each type alone, so that a pair of matrices has one."""
        for kind, (expected_kind, limit) in KEPT.items():
            block = make_gguf.TYPES[kind][1]
            shape = make_gguf.Shape(dim=256 if block == 256 else 64, hidden=256 if block == 256 else 96, layers=1, heads=8,
                                    kv_heads=1, head_dim=32 if block == 256 else 8, tied=True)  # fmt: skip
            gguf = make_gguf.llama([kind], shape)
            model, note = convert(gguf)
            self.assertIn("  %s: 8 matrices as %s, " % (kind, expected_kind), note)
            self.assertEqual("lossless" in note, limit == 0, note)
            self.assertEqual({t.kind for t in model.tensors.values()}, {expected_kind, "vector"})
            # The reader is thorough rather than quick: the two smallest are enough.
            for name, source in (("wk", "attn_k"), ("wv", "attn_v")):
                tensor = gguf.tensor("blk.0.%s.weight" % source)
                found = model.tensors["layers.0." + name].matrices[0]
                expected = tensor.rows()
                if name == "wk":
                    expected = half_split(expected, shape.kv_heads, shape.head_dim, shape.head_dim)
                if limit == 0:
                    self.assertEqual(expected, found, kind + " " + tensor.name)
                else:
                    self.assertLess(100 * relative_error(expected, found), limit, kind)

    def test_the_recipe_decides(self):
        gguf = make_gguf.llama(["Q4_0"], make_gguf.Shape(dim=64, hidden=64, heads=2, layers=1, tied=True))
        model, note = convert(gguf, "--recipe", "w2=f16,wo=q8")
        kinds = {name: model.tensors["layers.0." + name].kind for name in ("wq", "wo", "w13", "w2")}
        self.assertEqual(kinds, {"wq": "q4", "wo": "q8", "w13": "q4", "w2": "f16"})
        self.assertIn("f16 w2; q8 wo; as the source embedding, wq, wk, wv, w13", note)
        model, _ = convert(gguf, "--dtype", "q8")
        self.assertEqual({t.kind for t in model.tensors.values()}, {"q8", "vector"})

    def test_a_pair_of_two_types_takes_the_larger(self):
        gguf = make_gguf.llama(["Q8_0", "Q8_0", "Q4_0", "Q4_0"], make_gguf.Shape(dim=64, hidden=64, heads=2, layers=1))
        model, _ = convert(gguf)
        up, gate = gguf.tensor("blk.0.ffn_up.weight"), gguf.tensor("blk.0.ffn_gate.weight")
        self.assertNotEqual(up.kind, gate.kind)
        self.assertEqual(model.tensors["layers.0.w13"].kind, "q8")

    def test_keys_that_change_nothing(self):
        gguf = make_gguf.llama(["Q8_0"], make_gguf.Shape(dim=64, hidden=64, heads=2, layers=1))
        convert_only(gguf)
        once = read("out.tvl")
        gguf.metadata.update({
            "llama.attention.causal": (7, True),
            "llama.attention.sliding_window": (4, 0),
            "llama.expert_count": (4, 0),
            "llama.logit_scale": (6, 1.0),
            "llama.rope.scaling.type": (make_gguf.STRING, "none"),
            "llama.tensor_data_layout": (make_gguf.STRING, "Meta AI original pth"),
            "quantize.imatrix.entries_count": (5, 3),
            "tokenizer.ggml.pre": (make_gguf.STRING, "default"),
        })  # fmt: skip
        convert_only(gguf)
        self.assertEqual(read("out.tvl"), once)

    def test_vectors_that_are_not_f32(self):
        shape = make_gguf.Shape(dim=64, hidden=64, heads=2, layers=1)
        gguf = make_gguf.llama(["F32"], shape)
        norm = gguf.tensor("blk.0.attn_norm.weight")
        norm.kind, norm.data, norm.weights = "F16", make_gguf.f16(0.5) * 64, [0.5] * 64
        model, _ = convert(gguf)
        self.expect_exact(gguf, shape, model)

    def test_parts(self):
        gguf = make_gguf.llama(["Q4_0", "Q8_0"])
        convert_only(gguf)
        whole = read("out.tvl")
        for i, data in enumerate(gguf.split(3)):
            write("model-%05d-of-00003.gguf" % (i + 1), data)
        tvl("convert", path("model-00001-of-00003.gguf"), path("out.tvl"))
        self.assertEqual(read("out.tvl"), whole)

    def test_no_part_is_replaced(self):
        parts = make_gguf.llama(["Q4_0"], make_gguf.Shape(dim=64, hidden=64, layers=1, heads=2)).split(2)
        names = [path("own-%05d-of-00002.gguf" % (i + 1)) for i in range(2)]
        for name, data in zip(names, parts):
            write(name, data)
        for name, data in zip(names, parts):
            done = subprocess.run(PROGRAM + ["convert", names[0], name], capture_output=True, text=True)
            self.assertEqual(done.returncode, 1)
            self.assertIn("the output would replace its own input " + name, done.stderr)
            self.assertEqual(read(name), data)

    def test_threads_and_versions_change_nothing(self):
        gguf = make_gguf.llama(["Q6_K", "Q4_0", "Q4_K"])
        note = convert_only(gguf)
        once = read("out.tvl")
        again = convert_only(gguf, "-t", "3")
        self.assertEqual(read("out.tvl"), once)
        self.assertEqual(note.splitlines()[1:], again.splitlines()[1:])
        data = gguf.bytes()
        tvl("convert", write("in.gguf", data[:4] + struct.pack("<I", 2) + data[8:]), path("out.tvl"))
        self.assertEqual(read("out.tvl"), once)
        gguf.metadata["general.alignment"], gguf.alignment = (4, 256), 256
        convert_only(gguf)
        self.assertEqual(read("out.tvl"), once)

    def test_equals_the_checkpoint_of_llama2c(self):
        """The same weights, vocabulary and configuration in both formats: the same file."""
        shape = make_gguf.Shape(dim=64, hidden=172, heads=8, kv_heads=4, head_dim=8, context=32, tied=True)
        gguf = make_gguf.llama(["F32"], shape)
        pack = lambda name: gguf.tensor(name).data
        each = lambda name: b"".join(pack("blk.%d.%s.weight" % (i, name)) for i in range(shape.layers))
        pieces = len(gguf.metadata["tokenizer.ggml.tokens"][1][1])
        checkpoint = struct.pack("<7i", 64, 172, 2, 8, 4, pieces, 32) + pack("token_embd.weight")
        for name in ("attn_norm", "attn_q", "attn_k", "attn_v", "attn_output", "ffn_norm", "ffn_gate", "ffn_down", "ffn_up"):
            checkpoint += each(name)
        checkpoint += pack("output_norm.weight") + bytes(4 * 32 * 8)
        names = [b"<unk>", b"<s>", b"</s>"] + [b"<0x%02X>" % byte for byte in range(256)]
        names += [b"%d" % i for i in range(pieces - len(names))]
        make_checkpoint.vocabulary(path("tok.bin"), names, make_checkpoint.falling(names))
        for dtype in ("f32", "q4"):
            options = ["--tokenizer", path("tok.bin"), "--dtype", dtype]
            convert_only(gguf, *options)
            tvl("convert", write("in.bin", checkpoint), path("old.tvl"), *options)
            self.assertEqual(read("out.tvl"), read("old.tvl"))

    def frequencies(self, gguf):
        model, _ = convert(gguf)
        return model.tensors["rope.inv_freq"].matrices[0][0], model.config

    def test_rope(self):
        shape = make_gguf.Shape(dim=64, hidden=64, heads=2, layers=1, tied=True)
        plain = [10000 ** (-2 * i / 32) for i in range(16)]

        def expect(expected, found):
            for a, b in zip(expected, found, strict=True):
                self.assertAlmostEqual(b / a, 1, delta=1e-6)

        gguf = make_gguf.llama(["F32"], shape)
        found, config = self.frequencies(gguf)
        expect(plain, found)
        scale = config["attention_scale"]
        self.assertAlmostEqual(scale, 32**-0.5, delta=1e-7)

        gguf.metadata["llama.rope.freq_base"] = (6, 500000.0)
        expect([500000 ** (-2 * i / 32) for i in range(16)], self.frequencies(gguf)[0])
        del gguf.metadata["llama.rope.freq_base"]

        gguf.metadata["llama.rope.scaling.type"] = (make_gguf.STRING, "linear")
        gguf.metadata["llama.rope.scaling.factor"] = (6, 4.0)
        expect([x / 4 for x in plain], self.frequencies(gguf)[0])

        gguf.metadata["llama.rope.scaling.type"] = (make_gguf.STRING, "yarn")
        gguf.metadata["llama.rope.scaling.original_context_length"] = (4, 2048)
        found, config = self.frequencies(gguf)
        pair = lambda turns: 32 * math.log(2048 / (turns * 2 * math.pi)) / (2 * math.log(10000))
        low, high = max(0, math.floor(pair(32))), min(31, math.ceil(pair(1)))
        kept = [1 - min(1, max(0, (i - low) / (high - low))) for i in range(16)]
        expect([x * k + x / 4 * (1 - k) for x, k in zip(plain, kept)], found)
        self.assertTrue(found[0] == 1 and 0 < low < high < 16)
        self.assertAlmostEqual(config["attention_scale"], scale * (1 + 0.1 * math.log(4)) ** 2, delta=1e-7)

        gguf = make_gguf.llama(["F32"], shape)
        factors = [1.0 + i for i in range(16)]
        gguf.tensors.append(make_gguf.Tensor("rope_freqs.weight", (16,), "F32", struct.pack("<16f", *factors), factors))
        expect([x / f for x, f in zip(plain, factors)], self.frequencies(gguf)[0])

    def test_rope_of_a_part_of_the_head(self):
        shape = make_gguf.Shape(dim=64, hidden=64, heads=2, layers=1, tied=True)
        gguf = make_gguf.llama(["F32"], shape)
        gguf.metadata["llama.rope.dimension_count"] = (4, 16)
        model, _ = convert(gguf)
        self.expect_exact(gguf, shape, model, rope_dims=16)
        self.assertEqual(model.tensors["rope.inv_freq"].cols, 8)

    def test_biases_where_rope_turns_a_part_of_the_head(self):
        shape = make_gguf.Shape(dim=64, hidden=64, heads=2, layers=1, tied=True, biases=(*make_gguf.QKV, "ffn_down"))
        gguf = make_gguf.llama(["F32"], shape)
        gguf.metadata["llama.rope.dimension_count"] = (4, 16)
        model, _ = convert(gguf)
        bias = lambda name: list(gguf.tensor("blk.0.%s.bias" % name).weights)
        turned = lambda name: [b for (b,) in half_split([[b] for b in bias(name)], 2, shape.head_dim, 16)]
        vector = lambda name: list(model.tensors["layers.0." + name].matrices[0][0])
        self.assertEqual(vector("bq"), turned("attn_q"))
        self.assertEqual(vector("bk"), turned("attn_k"))
        self.assertNotEqual(vector("bq"), bias("attn_q"))
        self.assertEqual(vector("bv"), bias("attn_v"))
        self.assertEqual(vector("b2"), bias("ffn_down"))
        self.assertEqual(vector("bo") + vector("b1") + vector("b3"), [0.0] * 192)

    def test_tokenizer(self):
        gguf = make_gguf.llama(["Q8_0"], make_gguf.Shape(dim=64, hidden=64, heads=2, layers=1))
        gguf.metadata["tokenizer.chat_template"] = (make_gguf.STRING, "{{ messages }}")
        gguf.metadata["tokenizer.ggml.eot_token_id"] = (4, 0)
        gguf.metadata["tokenizer.ggml.add_eos_token"] = (7, True)
        gguf.metadata["tokenizer.ggml.add_space_prefix"] = (7, False)
        gguf.metadata["tokenizer.ggml.token_type"][1][1][260] = 4
        model, _ = convert(gguf)
        tokenizer = model.tokenizer
        self.assertEqual(tokenizer.pieces[:4] + tokenizer.pieces[259:],
                         [b"<unk>", b"<s>", b"</s>", b"<0x00>", b"a", b"b", b" ", b" a", b"ab"])  # fmt: skip
        self.assertEqual(tokenizer.piece_types, [2, 3, 3] + [6] * 256 + [1, 4, 1, 1, 1])
        self.assertEqual(tokenizer.scores[258:], [0.0, -1.0, -2.0, -3.0, -4.0, -5.0])
        header = tokenizer.header
        self.assertEqual([header[k] for k in ("kind", "bos_id", "eos_id", "unk_id", "pad_id")], [2, 1, 2, 0, -1])
        self.assertEqual(header["flags"], 2 | 4 | 8)
        self.assertEqual((tokenizer.end_tokens, tokenizer.chat_template), ([2, 0], "{{ messages }}"))
        self.assertEqual(tokenizer.added_tokens, [(260, 0)])

    def test_generates(self):
        convert_only(make_gguf.llama(["Q4_0", "Q8_0", "F16", "Q6_K"]))
        tvl("verify", path("out.tvl"))
        tvl("generate", "-m", path("out.tvl"), "-p", "ab a", "-n", "4")


if __name__ == "__main__":
    unittest.main(argv=sys.argv[:1])
