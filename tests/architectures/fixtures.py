"""The models of these tests: small, random, and each with what tells its architecture from the others."""

import math

import make_gguf


def llama3_factors(dims, base, factor, low, high, original_context):
    """What a converter of Llama 3.1 writes into rope_freqs.weight: divisors of the frequencies, 1 for pairs that turn more
    than `high` times within the original context, `factor` for those that turn less than `low` times.
    """
    factors = []
    for i in range(dims // 2):
        turns = original_context * base ** (-2 * i / dims) / (2 * math.pi)
        smooth = min(1.0, max(0.0, (turns - low) / (high - low)))
        factors.append(1 / ((1 - smooth) / factor + smooth))
    return factors


class Fixture:
    """kind: of the file's matrices. decisive: ends of the names of tensors and keys that the logits must depend on.
    typical: one of each architecture, run with every type of KV cache, and alone where programs run under an emulator.
    """

    def __init__(self, name, shape, kind="F32", decisive=(), typical=False):
        self.name, self.shape, self.kind, self.decisive, self.typical = name, shape, kind, decisive, typical

    @property
    def file_architecture(self):
        """What the .tvl file calls it."""
        if self.shape.architecture == "llama" and self.shape.biases:
            return "llama_bias"
        return "mistral" if self.shape.window else self.shape.architecture

    @property
    def convert_options(self):
        """Those with which the engine computes in single precision: weights of 8 bits would quantise activations too."""
        return ["--dtype", "f32"] if self.kind == "Q8_0" else []

    def write(self, path):
        with open(path, "wb") as file:
            file.write(make_gguf.lively(self.shape, self.kind, seed=sum(self.name.encode())).bytes())


def shape(dim, hidden, heads, kv_heads, head_dim, **more):
    more = {"layers": 2, "context": 256, **more}
    return make_gguf.Shape(dim, hidden, heads=heads, kv_heads=kv_heads, head_dim=head_dim, **more)


QWEN2 = dict(architecture="qwen2", key_length=False, freq_base=1e6, epsilon=1e-6)
QWEN3 = dict(architecture="qwen3", freq_base=1e6, epsilon=1e-6)
YARN = {"factor": 4.0, "original_context_length": 64}
BIASES = ("attn_q.bias", "attn_k.bias", "attn_v.bias")
ALL_BIASES = (*make_gguf.QKV, "attn_output", "ffn_gate", "ffn_up", "ffn_down")
HEAD_NORMS = ("attn_q_norm.weight", "attn_k_norm.weight")

FIXTURES = [
    # Llama 1 and 2 as old converters wrote them: every head has its keys, no key_length.
    Fixture("llama1", shape(64, 172, 4, 4, 16, key_length=False, layers=3, epsilon=1e-6)),
    # Heads that are wider together than the residual, in odd sizes.
    Fixture("llama_key_length", shape(60, 150, 6, 2, 22)),
    Fixture(
        "llama3",
        shape(64, 192, 8, 2, 16, tied=True, freq_base=500000.0, context=512,
              rope_factors=llama3_factors(16, 500000.0, 8.0, 1.0, 4.0, 256)),
        decisive=["rope_freqs.weight"], typical=True),
    Fixture("llama_linear", shape(64, 160, 4, 2, 16, scaling_type="linear", scaling={"factor": 4.0}),
            decisive=["rope.scaling.factor"]),
    Fixture("llama_no_scaling", shape(64, 160, 4, 2, 16, scaling_type="none")),
    Fixture("llama_yarn", shape(64, 160, 4, 2, 32, scaling_type="yarn", scaling=YARN), decisive=["rope.scaling.type"]),
    Fixture("llama_yarn_attn_factor",
            shape(64, 160, 4, 2, 32, scaling_type="yarn", scaling={"attn_factor": 1.25, **YARN}),
            decisive=["rope.scaling.attn_factor"]),
    Fixture("llama_yarn_betas",
            shape(64, 160, 4, 2, 32, scaling_type="yarn", scaling={"yarn_beta_fast": 3.0, "yarn_beta_slow": 0.25, **YARN}),
            decisive=["rope.scaling.yarn_beta_fast", "rope.scaling.yarn_beta_slow"]),
    Fixture("llama_yarn_factors",
            shape(64, 160, 4, 2, 32, scaling_type="yarn",
                  scaling={"yarn_attn_factor": 1.25, "yarn_ext_factor": 0.5, **YARN}),
            decisive=["rope.scaling.yarn_attn_factor", "rope.scaling.yarn_ext_factor"]),
    # Stretched by less than 1: frequencies rise, the magnitude stays.
    Fixture("llama_yarn_below_1",
            shape(64, 160, 4, 2, 32, scaling_type="yarn", scaling={**YARN, "factor": 0.5}), decisive=["rope.scaling.factor"]),
    Fixture("llama_factor_alone", shape(64, 160, 4, 2, 16, scaling={"factor": 4.0}), decisive=["rope.scaling.factor"]),
    Fixture("llama_f16", shape(64, 160, 4, 2, 16), "F16"),
    Fixture("llama_q8_0", shape(64, 160, 4, 2, 16, tied=True), "Q8_0"),
    Fixture("mistral", shape(64, 224, 8, 2, 16, window=24), decisive=["attention.sliding_window"], typical=True),
    # A window that is a whole number of tiles, and one in which nothing but the token itself is seen.
    Fixture("mistral_window_32", shape(64, 160, 4, 1, 16, window=32), decisive=["attention.sliding_window"]),
    Fixture("mistral_window_1", shape(64, 160, 4, 2, 16, window=1), decisive=["attention.sliding_window"]),
    # Longer than the sequence: nothing is hidden.
    Fixture("mistral_long_window", shape(64, 160, 4, 2, 16, window=4096)),
    Fixture("tinyllama", shape(128, 352, 16, 2, 8, layers=3)),
    Fixture("smollm2", shape(144, 384, 9, 3, 16, tied=True, freq_base=100000.0)),
    Fixture("qwen2", shape(112, 304, 14, 2, 8, tied=True, **QWEN2), decisive=BIASES, typical=True),
    Fixture("qwen2_untied", shape(96, 256, 6, 2, 16, **QWEN2), decisive=BIASES),
    Fixture("qwen2_yarn", shape(96, 256, 4, 2, 24, scaling_type="yarn", scaling=YARN, **{**QWEN2, "freq_base": 1e4}),
            decisive=(*BIASES, "rope.scaling.type")),
    Fixture("qwen3", shape(64, 192, 8, 4, 16, tied=True, **QWEN3), decisive=HEAD_NORMS, typical=True),
    Fixture("qwen3_untied", shape(80, 208, 5, 5, 32, **QWEN3), decisive=HEAD_NORMS),
    Fixture("qwen3_yarn", shape(64, 192, 4, 2, 32, scaling_type="yarn", scaling=YARN, **{**QWEN3, "freq_base": 1e4}),
            decisive=(*HEAD_NORMS, "rope.scaling.type")),
    # What files of Bielik, granite-code and InternLM have.
    Fixture("llama_bias", shape(64, 176, 8, 2, 16, biases=ALL_BIASES), decisive=[name + ".bias" for name in ALL_BIASES],
            typical=True),
    Fixture("llama_bias_of_queries", shape(60, 150, 6, 2, 10, tied=True, biases=("attn_q",)), decisive=["attn_q.bias"]),
    Fixture("llama_bias_of_down", shape(64, 160, 4, 4, 16, biases=("ffn_down", "attn_output")),
            decisive=["ffn_down.bias", "attn_output.bias"]),
    Fixture("qwen2_without_a_bias", shape(96, 256, 6, 2, 16, biases=("attn_q", "attn_v"), **QWEN2),
            decisive=["attn_q.bias", "attn_v.bias"]),
]  # fmt: skip
