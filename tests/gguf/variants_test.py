"""variants_test.py WORK_FOLDER PROGRAM...: files that say the same in other words, as converters and people write them, give
the same .tvl file, byte for byte; files that say something else are converted with their meaning, with a note, or refused.
"""

import copy
import functools
import math
import os
import struct
import subprocess
import sys
import unittest

import make_gguf
from make_gguf import ARRAY, STRING, Shape, Tensor

WORK, PROGRAM = sys.argv[1], [os.path.abspath(w) if os.path.exists(w) else w for w in sys.argv[2:]]
U8, U16, U32, I32, F32, BOOL, U64, F64 = 0, 2, 4, 5, 6, 7, 10, 12
YARN = {"factor": 2.0, "original_context_length": 512}


def path(name):
    return os.path.join(WORK, name)


@functools.lru_cache(maxsize=None)
def drawn(kind, architecture, biases):
    """The tensors do not depend on what else the metadata says."""
    return make_gguf.lively(tiny(architecture, biases=biases), kind, 3)


def tiny(architecture="llama", **more):
    return Shape(64, 96, layers=2, heads=4, kv_heads=2, head_dim=16, architecture=architecture, **more)


def model(kind="F32", architecture="llama", biases=None, **more):
    gguf = copy.deepcopy(drawn(kind, architecture, biases))
    make_gguf.hyperparameters(gguf, tiny(architecture, **more))
    return gguf


def with_keys(gguf, keys):
    changed = copy.deepcopy(gguf)
    changed.metadata.update(keys)
    return changed


def with_tensor(gguf, name, numbers):
    changed = copy.deepcopy(gguf)
    changed.tensors.append(Tensor(name, (len(numbers),), "F32", make_gguf.pack_f32(numbers), []))
    return changed


def stacked(gguf, layers=2, bias=False):
    """Queries, keys and values as one tensor."""
    changed = copy.deepcopy(gguf)
    for i in range(layers):
        for suffix in ("weight", "bias") if bias else ("weight",):
            parts = ["blk.%d.%s.%s" % (i, name, suffix) for name in make_gguf.QKV]
            changed.stack("blk.%d.attn_qkv.%s" % (i, suffix), parts)
    return changed


def stacked_feed_forward(gguf, name, layers=2, bias=False):
    changed = copy.deepcopy(gguf)
    for i in range(layers):
        for suffix in ("weight", "bias") if bias else ("weight",):
            parts = ["blk.%d.ffn_%s.%s" % (i, part, suffix) for part in ("gate", "up")]
            changed.stack("blk.%d.%s.%s" % (i, name, suffix), parts)
    return changed


class Variants(unittest.TestCase):
    def convert(self, gguf):
        """(the .tvl file, what was said)."""
        return self.convert_bytes(gguf.bytes())

    @functools.lru_cache(maxsize=None)
    def convert_bytes(self, data):
        with open(path("in.gguf"), "wb") as file:
            file.write(data)
        done = subprocess.run(PROGRAM + ["convert", path("in.gguf"), path("out.tvl")], capture_output=True, text=True)
        self.assertEqual(done.returncode, 0, done.stderr)
        with open(path("out.tvl"), "rb") as file:
            return file.read(), done.stderr

    def expect_same(self, changed, plain, note=None):
        tvl, said = self.convert(changed)
        self.assertTrue(tvl == self.convert(plain)[0], said)
        if note is None:
            self.assertNotIn("note:", said)
        else:
            self.assertIn(note, said)

    def expect_other(self, changed, plain):
        tvl, said = self.convert(changed)
        self.assertTrue(tvl != self.convert(plain)[0], said)
        return said

    def expect_refused(self, gguf, *sentence):
        with open(path("in.gguf"), "wb") as file:
            file.write(gguf.bytes())
        done = subprocess.run(PROGRAM + ["convert", path("in.gguf"), path("bad.tvl")], capture_output=True, text=True)
        self.assertEqual(done.returncode, 1, done.stderr)
        self.assertEqual(done.stderr.count("\n"), 1, done.stderr)
        for part in sentence:
            self.assertIn(part, done.stderr)

    # --- What merging a split model leaves ---------------------------------------------------------------------------

    def test_split_keys_of_a_whole_file(self):
        plain = model()
        for number, count, tensors in ((0, 0, len(plain.tensors)), (0, 1, len(plain.tensors)), (2, 0, 7)):
            keys = {"split.no": (U16, number), "split.count": (U16, count), "split.tensors.count": (I32, tensors)}
            with self.subTest(keys):
                self.expect_same(with_keys(plain, keys), plain)

    # --- One number for each layer -----------------------------------------------------------------------------------

    def test_arrays_of_layers_that_are_alike(self):
        plain = model()
        for key, number in (("attention.head_count", 4), ("attention.head_count_kv", 2), ("feed_forward_length", 96),
                            ("attention.key_length", 16), ("rope.dimension_count", 16)):  # fmt: skip
            for element in (U32, I32, U64, U16):
                with self.subTest(key, element=element):
                    self.expect_same(with_keys(plain, {"llama." + key: (ARRAY, (element, [number] * 2))}), plain)
        window = model(window=24)
        self.expect_same(
            with_keys(window, {"llama.attention.sliding_window": (ARRAY, (U32, [24, 24]))}), window, "attention.sliding_window")

    def test_layers_that_differ(self):
        for key, numbers in (("attention.head_count_kv", [2, 1]), ("feed_forward_length", [96, 64]),
                             ("attention.head_count", [4, 0])):  # fmt: skip
            with self.subTest(key):
                self.expect_refused(
                    with_keys(model(), {"llama." + key: (ARRAY, (U32, numbers))}), key,
                    "expected the same number for every layer", "found %d for layer 0 and %d for layer 1" % tuple(numbers))
        for numbers in ([2], [2, 2, 2], []):
            self.expect_refused(
                with_keys(model(), {"llama.attention.head_count_kv": (ARRAY, (U32, numbers))}),
                "expected a whole number, or one for each of the 2 layers", "found an array of %d u32" % len(numbers))

    # --- The vocabulary's size ---------------------------------------------------------------------------------------

    def test_vocab_size_that_disagrees(self):
        plain = model()
        for size in (256, 1, 32000):
            with self.subTest(size):
                self.expect_same(
                    with_keys(plain, {"llama.vocab_size": (U32, size)}), plain,
                    "note: metadata key llama.vocab_size: found %d, which was left out, since token_embd.weight has 264 rows" % size)

    # --- Biases ------------------------------------------------------------------------------------------------------

    def test_biases_of_zeros(self):
        for architecture in ("llama", "qwen3"):
            plain = model(architecture=architecture)
            for name, size in (("blk.0.attn_q.bias", 64), ("blk.1.attn_output.bias", 64), ("blk.1.ffn_down.bias", 64),
                               ("output.bias", 264), ("blk.0.attn_norm.bias", 64), ("output_norm.bias", 64)):  # fmt: skip
                with self.subTest(name, architecture=architecture):
                    self.expect_same(with_tensor(plain, name, [0.0] * size), plain)
                    self.expect_same(with_tensor(plain, name, [-0.0] * size), plain)

    def test_biases_that_are_not_known(self):
        ones = [1.0] * 64
        for gguf in (with_tensor(model(architecture="qwen3"), "blk.0.attn_q.bias", ones),
                     with_tensor(model(architecture="qwen2"), "blk.0.attn_output.bias", ones),
                     with_tensor(model(window=24), "blk.0.attn_q.bias", ones),
                     with_tensor(model(window=63), "blk.0.attn_q.bias", ones),
                     with_tensor(model(), "blk.0.attn_norm.bias", ones)):  # fmt: skip
            self.expect_refused(gguf, ".bias: expected only tensors that the architecture is known to have", "a bias")
        # A window that no text reaches is none.
        far, plain = (with_tensor(model(window=window), "blk.0.attn_q.bias", ones) for window in (64, None))
        self.expect_same(far, plain, "attention sees the last 64 positions")
        self.expect_refused(with_tensor(model(), "blk.0.attn_q.bias", ones[:32]), "blk.0.attn_q.bias: expected 64 numbers", "found 32")

    # --- Shapes ------------------------------------------------------------------------------------------------------

    def test_dimensions_of_one_at_the_end(self):
        for dimensions in (3, 4):
            plain = model()
            changed = copy.deepcopy(plain)
            for tensor in changed.tensors:
                tensor.shape += (1,) * (dimensions - len(tensor.shape))
            self.expect_same(changed, plain)

    # --- Matrices in one tensor --------------------------------------------------------------------------------------

    def test_fused_tensors(self):
        for kind in ("F32", "F16", "Q8_0"):
            for architecture in ("llama", "qwen2", "qwen3"):
                plain = model(kind, architecture=architecture, biases=())
                with self.subTest(kind, architecture=architecture):
                    self.expect_same(stacked(plain), plain)
                    # A name of its own, and an "up" of twice the rows as Phi-3's files have it.
                    for name in ("ffn_gate_up", "ffn_up"):
                        self.expect_same(stacked_feed_forward(plain, name), plain)

    def test_fused_biases(self):
        plain = model(architecture="qwen2")
        self.expect_same(stacked(plain, bias=True), plain)
        self.expect_same(stacked(plain), plain)  # the weights alone
        plain = model(biases=(*make_gguf.QKV, "ffn_gate", "ffn_up"))
        self.expect_same(stacked(plain, bias=True), plain)
        self.expect_same(stacked_feed_forward(plain, "ffn_gate_up", bias=True), plain)

    def test_fused_and_not(self):
        both = stacked(model())
        both.tensors.append(model().tensor("blk.0.attn_q.weight"))
        self.expect_refused(both, "tensor blk.0.attn_q.weight: expected only tensors")
        short = stacked(model())
        short.tensor("blk.0.attn_qkv.weight").shape = (64, 127)
        self.expect_refused(short, "tensor blk.0.attn_qkv.weight: expected 128 rows of 64 by the metadata, found 127 rows of 64")

    # --- RoPE --------------------------------------------------------------------------------------------------------

    def test_factor_without_type(self):
        plain = model(scaling_type="linear", scaling={"factor": 4.0})
        self.expect_same(model(scaling={"factor": 4.0}), plain)
        self.expect_same(with_keys(model(), {"llama.rope.scale_linear": (F32, 4.0)}), plain)
        self.expect_same(with_keys(model(scaling={"factor": 4.0}), {"llama.rope.scale_linear": (F32, 9.0)}), plain)
        self.expect_other(model(), plain)

    def test_factors_that_stretch_nothing(self):
        plain = model()
        for scaling_type, factor in ((None, 0.0), (None, 1.0), ("linear", 0.0), ("none", 4.0), ("linear", 1.0)):
            with self.subTest(scaling_type, factor=factor):
                self.expect_same(model(scaling_type=scaling_type, scaling={"factor": factor}), plain)
        self.expect_same(with_keys(plain, {"llama.rope.scale_linear": (F32, 0.0)}), plain)
        self.expect_same(model(scaling={"original_context_length": 0}), plain)

    def test_yarn_keys_at_their_usual_values(self):
        plain = model(scaling_type="yarn", scaling=YARN)
        for key, number in (("yarn_attn_factor", 1.0), ("yarn_ext_factor", 1.0), ("yarn_ext_factor", -1.0), ("attn_factor", 1.0),
                            ("yarn_beta_fast", 32.0), ("yarn_beta_slow", 1.0), ("alpha", 1.0), ("alpha", 0.0),
                            ("yarn_log_multiplier", 0.0)):  # fmt: skip
            with self.subTest(key, number=number):
                self.expect_same(model(scaling_type="yarn", scaling={key: number, **YARN}), plain)

    def test_yarn_keys_with_their_meaning(self):
        plain = model(scaling_type="yarn", scaling=YARN)
        for key, number in (("yarn_attn_factor", 1.25), ("yarn_ext_factor", 0.5), ("yarn_beta_fast", 2.0), ("yarn_beta_slow", 0.5)):
            with self.subTest(key):
                changed = model(scaling_type="yarn", scaling={key: number, **YARN})
                said = self.expect_other(changed, plain)
                self.assertIn("note: metadata key llama.rope.scaling.%s: %g in place of" % (key, number), said)
        # Both multiply sines and cosines.
        by_yarn, by_all = (model(scaling_type="yarn", scaling={key: 1.25, **YARN}) for key in ("yarn_attn_factor", "attn_factor"))
        self.assertTrue(self.convert(by_yarn)[0] == self.convert(by_all)[0])
        # Hugging Face's attention_factor, which converters write under the same key, is the whole magnitude.
        for factor in (2.0, 4.0):
            usual = {**YARN, "factor": factor}
            whole = {"yarn_attn_factor": 1 + 0.1 * math.log(factor), **usual}
            self.expect_same(model(scaling_type="yarn", scaling=whole), model(scaling_type="yarn", scaling=usual))
        # Without YaRN they say nothing.
        for key in ("yarn_attn_factor", "yarn_ext_factor", "yarn_beta_fast"):
            for number in (0.75, 0.0, -1.0, 2.0):
                self.expect_same(model(scaling={key: number}), model())
        self.expect_refused(model(scaling_type="yarn", scaling={"yarn_ext_factor": 2.0, **YARN}), "yarn_ext_factor: expected a number up to 1")

    # --- Keys that change nothing, and keys that do ------------------------------------------------------------------

    NEUTRAL = {
        "attention.causal": [(BOOL, True), (U8, 1)],
        "attention.scale": [(F32, 0.0), (F32, 0.25)],  # 1 / sqrt(16)
        "attention.clamp_kqv": [(F32, 0.0)],
        "attention.max_alibi_bias": [(F32, 0.0)],
        "attention.layer_norm_epsilon": [(F32, 1e-3)],
        "attention.group_norm_groups": [(U32, 8)],
        "attention.sliding_window": [(U32, 0)],
        "attention.sliding_window_pattern": [(U32, 6), (ARRAY, (BOOL, [True, False]))],
        "attention.key_length_swa": [(U32, 8)],
        "attention.key_length_mla": [(U32, 0)],
        "attention.q_lora_rank": [(U32, 0)],
        "attention.rope_pattern": [(ARRAY, (BOOL, [True, True]))],
        "attn_logit_softcapping": [(F32, 0.0)],
        "embedding_length_out": [(U32, 64), (U32, 0)],
        "embedding_scale": [(F32, 1.0), (F32, 0.0)],
        "expert_count": [(U32, 0)],
        "expert_used_count": [(U32, 0), (ARRAY, (U32, [0, 0]))],
        "expert_feed_forward_length": [(U32, 512)],
        "expert_weights_norm": [(BOOL, True)],
        "expert_gating_func": [(U32, 2)],
        "final_logit_softcapping": [(F32, 0.0)],
        "full_attention_interval": [(U32, 1)],
        "hidden_activation": [(STRING, "silu"), (STRING, "SiLU"), (STRING, "")],
        "leading_dense_block_count": [(U32, 3)],
        "logit_scale": [(F32, 1.0), (F64, 1.0), (F32, 0.0)],
        "nextn_predict_layers": [(U32, 0)],
        "pooling_type": [(U32, 0), (I32, -1), (U32, 2**32 - 1)],
        "residual_scale": [(F32, 1.0)],
        "rope.dimension_sections": [(ARRAY, (I32, [0, 0, 0, 0])), (ARRAY, (I32, []))],
        "rope.freq_base_swa": [(F32, 1000.0)],
        "rope.scaling.finetuned": [(BOOL, True)],
        "ssm.state_size": [(U32, 0)],
        "tensor_data_layout": [(STRING, "Meta AI original pth")],
        "use_parallel_residual": [(BOOL, False)],
        "an.idea.of.next.year": [(U32, 0), (BOOL, False), (STRING, ""), (ARRAY, (F32, [0.0, 0.0]))],
    }  # fmt: skip
    DECISIVE = {
        "attention.causal": (BOOL, False),
        "attention.scale": (F32, 0.3),
        "attention.clamp_kqv": (F32, 8.0),
        "attention.rope_pattern": (ARRAY, (BOOL, [True, False])),
        "attention.kv_lora_rank": (U32, 512),
        "embedding_length_out": (U32, 32),
        "embedding_scale": (F32, 12.0),
        "expert_count": (U32, 8),
        "final_logit_softcapping": (F32, 30.0),
        "full_attention_interval": (U32, 4),
        "hidden_activation": (STRING, "gelu"),
        "logit_scale": (F32, float("nan")),
        "nextn_predict_layers": (U32, 1),
        "attention.value_scale": (F64, 1.000000001),
        "attention.output_scale": (F64, 1e300),
        "pooling_type": (U32, 1),
        "residual_scale": (F32, 0.22),
        "rope.dimension_sections": (ARRAY, (I32, [16, 24, 24, 0])),
        "rope.scaling.alpha": (F32, 1000.0),
        "an.idea.of.next.year": (U32, 1),
    }  # fmt: skip

    def test_keys_that_change_nothing(self):
        for architecture in ("llama", "qwen2", "qwen3"):
            plain = model(architecture=architecture)
            expected = self.convert(plain)[0]
            keys = {key: values[0] for key, values in self.NEUTRAL.items()}
            changed = with_keys(plain, {"%s.%s" % (architecture, k): v for k, v in keys.items()})
            self.assertTrue(self.convert(changed)[0] == expected)
            for key, values in self.NEUTRAL.items():
                for value in values[1:]:
                    with self.subTest(key, value=value):
                        tvl, said = self.convert(with_keys(plain, {architecture + "." + key: value}))
                        self.assertTrue(tvl == expected, said)
                        self.assertNotIn("note:", said)

    def test_attention_scale_of_heads_by_layers(self):
        heads = {"llama.attention.head_count": (ARRAY, (U32, [4, 4])), "llama.attention.key_length": (ARRAY, (U32, [16, 16]))}
        self.expect_same(with_keys(model(), {**heads, "llama.attention.scale": (F32, 0.25)}), model())
        self.expect_refused(with_keys(model(), {**heads, "llama.attention.scale": (F32, 0.125)}), "an attention scale of its own")

    def test_keys_that_change_the_model(self):
        for key, value in self.DECISIVE.items():
            with self.subTest(key):
                self.expect_refused(with_keys(model(), {"llama." + key: value}), "metadata key llama.%s: expected" % key)

    def test_a_text_that_nobody_knows(self):
        for text in ("somebody", "v2\x1b[2J"):
            self.expect_same(
                with_keys(model(), {"llama.quantized_by": (STRING, text)}), model(), "note: metadata key llama.quantized_by: the text '%s" % text[:2])

    def test_windows(self):
        # Longer than the context: nothing is hidden.
        plain = model(architecture="qwen2")
        self.expect_same(with_keys(plain, {"qwen2.attention.sliding_window": (U32, 64)}), plain, "hides nothing within the context of 64")
        self.expect_refused(with_keys(plain, {"qwen2.attention.sliding_window": (U32, 63)}), "a sliding window in this architecture")
        for key in ("sliding_window_pattern", "key_length_swa"):
            self.expect_same(
                with_keys(plain, {"qwen2.attention.sliding_window": (U32, 64), "qwen2.attention." + key: (U32, 6)}), plain, "hides nothing")
        # Of every layer its own, though all alike.
        arrays = with_keys(model(), {"llama.attention.sliding_window": (ARRAY, (U32, [24, 24]))})
        self.expect_refused(
            with_keys(arrays, {"llama.attention.sliding_window_pattern": (ARRAY, (BOOL, [True, False]))}), "a sliding window in some layers only")
        for longest in (2**24 + 1, 2**32 - 1):
            self.expect_same(with_keys(model(), {"llama.attention.sliding_window": (U32, longest)}), model())
        window = model(window=24)
        for key, value in (("attention.sliding_window_pattern", (U32, 1)), ("attention.sliding_window_pattern", (ARRAY, (BOOL, [True, True]))),
                           ("attention.key_length_swa", (U32, 16)), ("rope.freq_base_swa", (F32, 10000.0))):  # fmt: skip
            self.expect_same(with_keys(window, {"llama." + key: value}), window, "attention sees the last 24 positions")
        for key, value in (("attention.sliding_window_pattern", (U32, 6)), ("attention.sliding_window_pattern", (ARRAY, (BOOL, [True, False]))),
                           ("attention.key_length_swa", (U32, 8)), ("rope.freq_base_swa", (F32, 1e6))):  # fmt: skip
            self.expect_refused(with_keys(window, {"llama." + key: value}), "metadata key llama.%s: expected" % key)


if __name__ == "__main__":
    unittest.main(argv=sys.argv[:1])
