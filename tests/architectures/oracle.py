"""An independent forward pass of what GGUF calls the architectures llama (with a sliding window: Mistral), qwen2 and
qwen3, in double precision: what the engine's logits are compared with.

    oracle.py MODEL.gguf < TOKENS > LOGITS     # a line of token ids; float32 logits of every position

Nothing is shared with the engine. Each function is one definition, with its source. Where a model's publication and
llama.cpp leave a choice (which rows make a RoPE pair, what YaRN multiplies by), it is llama.cpp's, because GGUF files are
made for it.
"""

import math
import sys

import gguf_reader
import numpy

YARN_BETA_FAST, YARN_BETA_SLOW = 32, 1  # Peng et al. 2023, section 3.2, for Llama, where a file does not say its own


def rms_norm(x, weight, epsilon):
    """Zhang and Sennrich 2019, over the last axis."""
    return x / numpy.sqrt(numpy.mean(x * x, axis=-1, keepdims=True) + epsilon) * weight


def swiglu(gate, up):
    """Shazeer 2020: Swish(gate) * up."""
    return gate / (1 + numpy.exp(-gate)) * up


def softmax(scores):
    e = numpy.exp(scores - numpy.max(scores, axis=-1, keepdims=True))
    return e / numpy.sum(e, axis=-1, keepdims=True)


# --- RoPE ---------------------------------------------------------------------------------------------------------------


def plain_frequencies(dims, base):
    """Su et al. 2021: radians per position of each pair."""
    return base ** (-2 * numpy.arange(dims // 2) / dims)


def yarn_frequencies(plain, base, factor, original_context, beta_fast, beta_slow, extrapolation):
    """Peng et al. 2023, "NTK-by-parts": pairs that turn often within the original context keep their frequency, those that
    turn less than once are interpolated, and between them is a ramp over the pairs' numbers, from floor to ceiling.
    `extrapolation` is how much of the kept part counts (the authors' extrapolation_factor).
    """
    dims = 2 * len(plain)

    def pair_that_turns(times):
        return dims * math.log(original_context / (times * 2 * math.pi)) / (2 * math.log(base))

    low = max(0, math.floor(pair_that_turns(beta_fast)))
    high = min(dims - 1, math.ceil(pair_that_turns(beta_slow)))
    ramp = numpy.clip((numpy.arange(len(plain)) - low) / max(0.001, high - low), 0, 1)
    kept = (1 - ramp) * extrapolation
    return plain * kept + plain / factor * (1 - kept)


def yarn_magnitude(factor):
    """Peng et al. 2023, section 3.3: what queries and keys are both multiplied by."""
    return 1 + 0.1 * math.log(factor) if factor > 1 else 1.0


def rope_of(metadata, tensors, architecture, dims):
    """(frequencies, magnitude) of a model."""
    get = lambda key, default: metadata.get(architecture + ".rope." + key, default)
    base = get("freq_base", 10000.0)
    factor = get("scaling.factor", 1.0)
    frequencies, magnitude = plain_frequencies(dims, base), get("scaling.attn_factor", 1.0)
    kind = get("scaling.type", "linear")
    if kind == "linear":
        frequencies = frequencies / factor  # Chen et al. 2023
    elif kind == "yarn":
        original = get("scaling.original_context_length", metadata[architecture + ".context_length"])
        betas = get("scaling.yarn_beta_fast", YARN_BETA_FAST), get("scaling.yarn_beta_slow", YARN_BETA_SLOW)
        frequencies = yarn_frequencies(frequencies, base, factor, original, *betas, get("scaling.yarn_ext_factor", 1.0))
        magnitude *= yarn_magnitude(factor) * get("scaling.yarn_attn_factor", 1.0)
    elif kind != "none":
        raise ValueError("RoPE scaling " + kind)
    if "rope_freqs.weight" in tensors:  # Llama 3.1's scaling; whoever makes the file computes the divisors
        frequencies = frequencies / tensors["rope_freqs.weight"]
    return frequencies, magnitude


def rotate_adjacent(x, cos, sin):
    """Pairs (2i, 2i + 1): Su et al. 2021; ggml's NORMAL. Files of architecture llama."""
    out = numpy.empty_like(x)
    out[..., 0::2] = x[..., 0::2] * cos - x[..., 1::2] * sin
    out[..., 1::2] = x[..., 0::2] * sin + x[..., 1::2] * cos
    return out


def rotate_halves(x, cos, sin):
    """Pairs (i, i + dims / 2): GPT-NeoX; ggml's NEOX. Files of architectures qwen2 and qwen3."""
    a, b = numpy.split(x, 2, axis=-1)
    return numpy.concatenate([a * cos - b * sin, a * sin + b * cos], axis=-1)


# --- Attention ----------------------------------------------------------------------------------------------------------


def visible(queries, keys, window):
    """(positions of queries, positions of keys) -> bool: causal, and with a window only keys less than so many before
    (Jiang et al. 2023, Mistral 7B; Beltagy et al. 2020).
    """
    distance = queries[:, None] - keys[None, :]
    return (distance >= 0) & (distance < window) if window else distance >= 0


def attention(q, k, v, mask):
    """q: (tokens, heads, head_dim); k, v: (positions, kv_heads, head_dim). Grouped queries (Ainslie et al. 2023): each KV
    head serves as many consecutive heads.
    """
    tokens, heads, head_dim = q.shape
    out = numpy.empty_like(q)
    for head in range(heads):
        kv_head = head * k.shape[1] // heads
        scores = q[:, head] @ k[:, kv_head].T / math.sqrt(head_dim)
        out[:, head] = softmax(numpy.where(mask, scores, -numpy.inf)) @ v[:, kv_head]
    return out.reshape(tokens, heads * head_dim)


# --- The model ----------------------------------------------------------------------------------------------------------


class Oracle:
    """One sequence of a model as gguf_reader.read() returns it: forward() appends to it."""

    def __init__(self, metadata, tensors):
        self.metadata, self.tensors = metadata, tensors
        self.architecture = self.metadata["general.architecture"]
        if self.architecture not in ("llama", "qwen2", "qwen3"):
            raise ValueError("architecture " + self.architecture)
        get = lambda key, default=None: self.metadata.get(self.architecture + "." + key, default)
        self.layers = get("block_count")
        self.heads = get("attention.head_count")
        self.kv_heads = get("attention.head_count_kv", self.heads)
        self.head_dim = get("attention.key_length", get("embedding_length") // self.heads)
        self.epsilon = get("attention.layer_norm_rms_epsilon")
        self.window = get("attention.sliding_window", 0)
        self.rotate = rotate_adjacent if self.architecture == "llama" else rotate_halves
        self.frequencies, self.magnitude = rope_of(self.metadata, self.tensors, self.architecture, self.head_dim)
        self.position = 0
        empty = numpy.empty((0, self.kv_heads, self.head_dim))
        self.keys, self.values = [empty] * self.layers, [empty] * self.layers

    def product(self, name, x):
        """With the bias, if the file has one."""
        y = x @ self.tensors[name + ".weight"].T
        return y + self.tensors[name + ".bias"] if name + ".bias" in self.tensors else y

    def norm(self, name, x):
        return rms_norm(x, self.tensors[name + ".weight"], self.epsilon)

    def attend(self, layer, x, positions):
        at = "blk.%d." % layer
        heads = lambda name, count: self.product(at + name, x).reshape(len(x), count, self.head_dim)
        q, k, v = heads("attn_q", self.heads), heads("attn_k", self.kv_heads), heads("attn_v", self.kv_heads)
        if self.architecture == "qwen3":  # each head by itself, before RoPE
            q, k = self.norm(at + "attn_q_norm", q), self.norm(at + "attn_k_norm", k)
        angles = positions[:, None, None] * self.frequencies
        cos, sin = numpy.cos(angles) * self.magnitude, numpy.sin(angles) * self.magnitude
        q, k = self.rotate(q, cos, sin), self.rotate(k, cos, sin)
        self.keys[layer] = numpy.concatenate([self.keys[layer], k])
        self.values[layer] = numpy.concatenate([self.values[layer], v])
        mask = visible(positions, numpy.arange(len(self.keys[layer])), self.window)
        return self.product(at + "attn_output", attention(q, self.keys[layer], self.values[layer], mask))

    def feed_forward(self, layer, x):
        at = "blk.%d." % layer
        return self.product(at + "ffn_down", swiglu(self.product(at + "ffn_gate", x), self.product(at + "ffn_up", x)))

    def forward(self, tokens):
        """Logits (tokens, vocabulary)."""
        positions = self.position + numpy.arange(len(tokens))
        self.position += len(tokens)
        x = self.tensors["token_embd.weight"][tokens]
        for layer in range(self.layers):
            at = "blk.%d." % layer
            x = x + self.attend(layer, self.norm(at + "attn_norm", x), positions)
            x = x + self.feed_forward(layer, self.norm(at + "ffn_norm", x))
        x = self.norm("output_norm", x)
        return self.product("output" if "output.weight" in self.tensors else "token_embd", x)

    def greedy(self, prompt, count):
        """Runs the prompt and then `count` tokens, each the likeliest. (those tokens, logits of all)."""
        logits, tokens = [self.forward(prompt)], []
        for _ in range(count):
            tokens.append(int(numpy.argmax(logits[-1][-1])))
            logits.append(self.forward(tokens[-1:]))
        return tokens, numpy.concatenate(logits)


def margins(logits):
    """By how much the largest logit of each row exceeds the next."""
    top = numpy.sort(logits, axis=-1)
    return top[..., -1] - top[..., -2]


if __name__ == "__main__":
    ids = [int(word) for word in sys.stdin.readline().split()]
    sys.stdout.buffer.write(Oracle(*gguf_reader.read(sys.argv[1])).forward(ids).astype("<f4").tobytes())
