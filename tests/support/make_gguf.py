"""Writes small GGUF models of several architectures with tensors of any type, from a seed.

    make_gguf.py OUT.gguf [TYPE...]     # a llama; types of the matrices in turn (default: F32)

As a module it says what every weight is: blocks are packed from scales and quants that are drawn, so that the weights
are known without taking a block apart (llama()). Models whose logits are of a trained model's size come from lively().
"""

import array
import math
import random
import struct
import sys

F16, F32, U32, I32 = "<e", "<f", "<I", "<i"

# --- Blocks: each function draws one and returns its bytes and its weights -----------------------------------------


def f16(number):
    return struct.pack("<e", number)


def rounded(numbers):
    """To f32. All that is computed before, in double precision, is exact."""
    return list(struct.unpack("<%df" % len(numbers), struct.pack("<%df" % len(numbers), *numbers)))


def scale(rng):
    """A number that f16 holds, of either sign."""
    return struct.unpack("<e", f16(rng.choice((-1, 1)) * rng.uniform(0.0005, 0.01)))[0]


def nibbles(quants):
    """32 quants: the first half in the low nibbles."""
    return bytes(quants[i] | quants[i + 16] << 4 for i in range(16))


def pairs(quants):
    """128 quants of 2 bits."""
    return bytes(quants[i] | quants[i + 32] << 2 | quants[i + 64] << 4 | quants[i + 96] << 6 for i in range(32))


def draw(rng, count, low, high):
    return [rng.randint(low, high) for _ in range(count)]


def block_f32(rng):
    number = struct.unpack("<f", struct.pack("<f", rng.gauss(0, 0.1)))[0]
    return struct.pack("<f", number), [number]


def block_f16(rng):
    number = scale(rng) * 8
    return f16(number), [number]


def block_bf16(rng):
    bits = struct.unpack("<I", struct.pack("<f", rng.gauss(0, 0.1)))[0] >> 16
    return struct.pack("<H", bits), [struct.unpack("<f", struct.pack("<I", bits << 16))[0]]


def block_q8_0(rng):
    d, q = scale(rng), draw(rng, 32, -128, 127)
    return f16(d) + struct.pack("32b", *q), [d * n for n in q]


def block_q4_0(rng):
    d, q = scale(rng), draw(rng, 32, 0, 15)
    return f16(d) + nibbles(q), [d * (n - 8) for n in q]


def block_q4_1(rng):
    d, m, q = scale(rng), scale(rng), draw(rng, 32, 0, 15)
    return f16(d) + f16(m) + nibbles(q), [d * n + m for n in q]


def fifth_bits(quants):
    return struct.pack("<I", sum((n >> 4) << i for i, n in enumerate(quants))) + nibbles([n & 15 for n in quants])


def block_q5_0(rng):
    d, q = scale(rng), draw(rng, 32, 0, 31)
    return f16(d) + fifth_bits(q), [d * (n - 16) for n in q]


def block_q5_1(rng):
    d, m, q = scale(rng), scale(rng), draw(rng, 32, 0, 31)
    return f16(d) + f16(m) + fifth_bits(q), [d * n + m for n in q]


IQ4 = (-127, -104, -83, -65, -49, -35, -22, -10, 1, 13, 25, 38, 53, 69, 89, 113)


def block_iq4_nl(rng):
    d, q = scale(rng), draw(rng, 32, 0, 15)
    return f16(d) + nibbles(q), [d * IQ4[n] for n in q]


def block_iq4_xs(rng):
    d, s, q = scale(rng), draw(rng, 8, 0, 63), draw(rng, 256, 0, 15)
    high = sum((n >> 4) << 2 * i for i, n in enumerate(s))
    low = bytes((s[i] & 15) | (s[i + 1] & 15) << 4 for i in range(0, 8, 2))
    packed = b"".join(nibbles(q[i : i + 32]) for i in range(0, 256, 32))
    return f16(d) + struct.pack("<H", high) + low + packed, [d * (s[i // 32] - 32) * IQ4[n] for i, n in enumerate(q)]


def block_q2_k(rng):
    d, dmin = scale(rng), scale(rng)
    s, m, q = draw(rng, 16, 0, 15), draw(rng, 16, 0, 15), draw(rng, 256, 0, 3)
    data = bytes(a | b << 4 for a, b in zip(s, m)) + pairs(q[:128]) + pairs(q[128:]) + f16(d) + f16(dmin)
    return data, [d * s[i // 16] * n - dmin * m[i // 16] for i, n in enumerate(q)]


def block_q3_k(rng):
    d, s, q = scale(rng), draw(rng, 16, 0, 63), draw(rng, 256, 0, 7)
    third = [sum((q[32 * bit + i] >> 2) << bit for bit in range(8)) for i in range(32)]
    low = [n & 3 for n in q]
    scales = [(s[i] & 15) | (s[i + 8] & 15) << 4 for i in range(8)]
    scales += [sum((s[4 * j + i] >> 4) << 2 * j for j in range(4)) for i in range(4)]
    data = bytes(third) + pairs(low[:128]) + pairs(low[128:]) + bytes(scales) + f16(d)
    return data, [d * (s[i // 16] - 32) * (n - 4) for i, n in enumerate(q)]


def six_bits(s, m):
    """8 scales and 8 minima in 12 bytes."""
    first = [s[i] | (s[i + 4] >> 4) << 6 for i in range(4)] + [m[i] | (m[i + 4] >> 4) << 6 for i in range(4)]
    return bytes(first + [(s[i] & 15) | (m[i] & 15) << 4 for i in range(4, 8)])


def low_and_high(quants):
    """256 quants of 4 bits, of each 64 the first half in the low nibbles."""
    return bytes(quants[64 * j + i] | quants[64 * j + i + 32] << 4 for j in range(4) for i in range(32))


def block_q4_k(rng):
    d, dmin = scale(rng), scale(rng)
    s, m, q = draw(rng, 8, 0, 63), draw(rng, 8, 0, 63), draw(rng, 256, 0, 15)
    return f16(d) + f16(dmin) + six_bits(s, m) + low_and_high(q), [
        d * s[i // 32] * n - dmin * m[i // 32] for i, n in enumerate(q)
    ]


def block_q5_k(rng):
    d, dmin = scale(rng), scale(rng)
    s, m, q = draw(rng, 8, 0, 63), draw(rng, 8, 0, 63), draw(rng, 256, 0, 31)
    fifth = bytes(sum((q[32 * bit + i] >> 4) << bit for bit in range(8)) for i in range(32))
    return f16(d) + f16(dmin) + six_bits(s, m) + fifth + low_and_high([n & 15 for n in q]), [
        d * s[i // 32] * n - dmin * m[i // 32] for i, n in enumerate(q)
    ]


def block_q6_k(rng):
    d, s, q = scale(rng), draw(rng, 16, -128, 127), draw(rng, 256, 0, 63)
    low = bytes((q[128 * j + i] & 15) | (q[128 * j + i + 64] & 15) << 4 for j in range(2) for i in range(64))
    high = pairs([n >> 4 for n in q[:128]]) + pairs([n >> 4 for n in q[128:]])
    return low + high + struct.pack("16b", *s) + f16(d), [d * s[i // 16] * (n - 32) for i, n in enumerate(q)]


# Name -> number in the file, weights of a block, what draws one.
TYPES = {
    "F32": (0, 1, block_f32), "F16": (1, 1, block_f16), "BF16": (30, 1, block_bf16),
    "Q4_0": (2, 32, block_q4_0), "Q4_1": (3, 32, block_q4_1), "Q5_0": (6, 32, block_q5_0),
    "Q5_1": (7, 32, block_q5_1), "Q8_0": (8, 32, block_q8_0), "IQ4_NL": (20, 32, block_iq4_nl),
    "Q2_K": (10, 256, block_q2_k), "Q3_K": (11, 256, block_q3_k), "Q4_K": (12, 256, block_q4_k),
    "Q5_K": (13, 256, block_q5_k), "Q6_K": (14, 256, block_q6_k), "IQ4_XS": (23, 256, block_iq4_xs),
}  # fmt: skip

# --- Packed weights --------------------------------------------------------------------------------------------------


def pack_f32(numbers):
    return array.array("f", numbers).tobytes()


def pack_f16(numbers):
    return struct.pack("<%de" % len(numbers), *numbers)


def pack_q8_0(numbers):
    out = []
    for i in range(0, len(numbers), 32):
        block = numbers[i : i + 32]
        d = struct.unpack("<e", f16(max(map(abs, block)) / 127))[0]
        out.append(f16(d) + struct.pack("32b", *(max(-127, min(127, round(n / d))) for n in block)))
    return b"".join(out)


PACKERS = {"F32": pack_f32, "F16": pack_f16, "Q8_0": pack_q8_0}

# --- The file --------------------------------------------------------------------------------------------------------

VALUE_CODES = {0: "B", 1: "b", 2: "H", 3: "h", 4: "I", 5: "i", 6: "f", 7: "?", 10: "Q", 11: "q", 12: "d"}
STRING, ARRAY = 8, 9


def text(value):
    value = value.encode() if isinstance(value, str) else value
    return struct.pack("<Q", len(value)) + value


def value_bytes(kind, value):
    """A value without its type; of an array `value` is (element type, list)."""
    if kind == STRING:
        return text(value)
    if kind == ARRAY:
        element, items = value
        return struct.pack("<IQ", element, len(items)) + b"".join(value_bytes(element, item) for item in items)
    return struct.pack("<" + VALUE_CODES[kind], value)


class Tensor:
    def __init__(self, name, shape, kind, data, weights):
        self.name, self.shape, self.kind, self.data, self.weights = name, shape, kind, data, weights

    def info(self, offset):
        return (
            text(self.name) + struct.pack("<I%dQ" % len(self.shape), len(self.shape), *self.shape)
            + struct.pack("<IQ", TYPES[self.kind][0] if isinstance(self.kind, str) else self.kind, offset)
        )  # fmt: skip

    def rows(self):
        cols = self.shape[0]
        return [self.weights[i : i + cols] for i in range(0, len(self.weights), cols)]


class Gguf:
    """Metadata, name -> (type, value), and tensors, in the order in which they are added."""

    def __init__(self):
        self.metadata, self.tensors = {}, []
        self.alignment = 32

    def draw(self, rng, name, shape, kind):
        _, weights_per_block, draw_block = TYPES[kind]
        count = 1
        for size in shape:
            count *= size
        blocks = [draw_block(rng) for _ in range(count // weights_per_block)]
        weights = rounded([weight for block in blocks for weight in block[1]])
        self.tensors.append(Tensor(name, shape, kind, b"".join(block[0] for block in blocks), weights))

    def uniform(self, rng, name, shape, kind, mean, deviation):
        """Weights of a uniform distribution, which are not kept: they are what the packed bytes say."""
        low, width = mean - deviation * math.sqrt(3), deviation * math.sqrt(12)
        numbers = [low + width * rng.random() for _ in range(math.prod(shape))]
        self.tensors.append(Tensor(name, shape, kind, PACKERS[kind](numbers), []))

    def tensor(self, name):
        return next(t for t in self.tensors if t.name == name)

    def stack(self, name, parts):
        """Writes tensors, which have the same type and row length, as one, one below the other."""
        tensors = [self.tensor(part) for part in parts]
        shape = tensors[0].shape[:-1] + (sum(t.shape[-1] for t in tensors),)
        one = Tensor(name, shape, tensors[0].kind, b"".join(t.data for t in tensors), [])
        self.tensors[self.tensors.index(tensors[0])] = one
        for tensor in tensors[1:]:
            self.tensors.remove(tensor)

    def infos(self):
        out, offset = [], 0
        for tensor in self.tensors:
            out.append(tensor.info(offset))
            offset += -(-len(tensor.data) // self.alignment) * self.alignment
        return out

    def head(self):
        pairs = [text(k) + struct.pack("<I", kind) + value_bytes(kind, v) for k, (kind, v) in self.metadata.items()]
        return b"GGUF" + struct.pack("<IQQ", 3, len(self.tensors), len(pairs)) + b"".join(pairs) + b"".join(self.infos())

    def bytes(self):
        pad = lambda data: data + bytes(-len(data) % self.alignment)
        return pad(self.head()) + b"".join(pad(tensor.data) for tensor in self.tensors)

    def split(self, count):
        """The bytes of so many parts."""
        parts = []
        for i in range(count):
            part = Gguf()
            part.metadata = dict(self.metadata if i == 0 else {})
            part.metadata.update({"split.no": (2, i), "split.count": (2, count), "split.tensors.count": (5, len(self.tensors))})
            part.tensors = self.tensors[i::count]
            parts.append(part.bytes())
        return parts


QKV = ("attn_q", "attn_k", "attn_v")


class Shape:
    """Sizes, and what else the metadata says of an architecture. Names are those of llama.cpp's llama-arch.cpp.

    key_length=False: the head's size is left to be dim / heads, as older files have it. window: sliding_window.
    freq_base: RoPE's, if it is not left out. scaling: rope.scaling.* without the type, which is scaling_type.
    rope_factors: the tensor rope_freqs.weight, what the frequencies are divided by. biases: the matrices of a layer that
    have one; those of queries, keys and values where it is left out and the architecture is qwen2.
    """

    def __init__(self, dim=256, hidden=256, layers=2, heads=4, kv_heads=2, head_dim=32, context=64, tied=False,
                 architecture="llama", key_length=True, window=None, epsilon=1e-5, freq_base=None, scaling_type=None,
                 scaling=None, rope_factors=None, biases=None):  # fmt: skip
        self.dim, self.hidden, self.layers, self.heads, self.kv_heads = dim, hidden, layers, heads, kv_heads
        self.head_dim, self.context, self.tied = head_dim, context, tied
        self.architecture, self.key_length, self.window, self.epsilon = architecture, key_length, window, epsilon
        self.freq_base, self.scaling_type, self.scaling = freq_base, scaling_type, scaling or {}
        self.rope_factors = rope_factors
        self.biases = biases if biases is not None else QKV if architecture == "qwen2" else ()

    @property
    def normed_heads(self):
        return self.architecture == "qwen3"


def vocabulary(gguf, extra=("a", "b", "\u2581", "\u2581a", "ab")):
    """<unk>, <s>, </s>, the bytes, and `extra`, whose scores fall."""
    pieces = ["<unk>", "<s>", "</s>"] + ["<0x%02X>" % byte for byte in range(256)] + list(extra)
    types = [2, 3, 3] + [6] * 256 + [1] * len(extra)
    scores = [0.0] * 259 + [-1.0 - i for i in range(len(extra))]
    gguf.metadata.update({
        "tokenizer.ggml.model": (STRING, "llama"),
        "tokenizer.ggml.tokens": (ARRAY, (STRING, pieces)),
        "tokenizer.ggml.scores": (ARRAY, (6, scores)),
        "tokenizer.ggml.token_type": (ARRAY, (5, types)),
        "tokenizer.ggml.bos_token_id": (4, 1),
        "tokenizer.ggml.eos_token_id": (4, 2),
        "tokenizer.ggml.unknown_token_id": (4, 0),
    })  # fmt: skip
    return len(pieces)


def hyperparameters(gguf, s):
    at = s.architecture + "."
    gguf.metadata.update({
        "general.architecture": (STRING, s.architecture),
        "general.name": (STRING, "a fixture"),
        at + "block_count": (4, s.layers),
        at + "context_length": (4, s.context),
        at + "embedding_length": (4, s.dim),
        at + "feed_forward_length": (4, s.hidden),
        at + "attention.head_count": (4, s.heads),
        at + "attention.head_count_kv": (4, s.kv_heads),
    })  # fmt: skip
    if s.key_length:
        gguf.metadata[at + "attention.key_length"] = (4, s.head_dim)
        gguf.metadata[at + "attention.value_length"] = (4, s.head_dim)
    gguf.metadata[at + "attention.layer_norm_rms_epsilon"] = (6, s.epsilon)
    if s.architecture == "llama":
        gguf.metadata[at + "rope.dimension_count"] = (4, s.head_dim)
    if s.window is not None:
        gguf.metadata[at + "attention.sliding_window"] = (4, s.window)
    if s.freq_base is not None:
        gguf.metadata[at + "rope.freq_base"] = (6, s.freq_base)
    if s.scaling_type is not None:
        gguf.metadata[at + "rope.scaling.type"] = (STRING, s.scaling_type)
    for key, value in s.scaling.items():
        gguf.metadata[at + "rope.scaling." + key] = (4 if isinstance(value, int) else 6, value)


def layout(s, pieces):
    """(name, shape) of every tensor but rope_freqs.weight, matrices as (cols, rows), in the order of the file."""
    q, kv = s.heads * s.head_dim, s.kv_heads * s.head_dim

    def matrix(name, cols, rows):
        yield name + ".weight", (cols, rows)
        if name.rsplit(".")[-1] in s.biases:
            yield name + ".bias", (rows,)

    yield "token_embd.weight", (s.dim, pieces)
    for i in range(s.layers):
        at = "blk.%d." % i
        yield at + "attn_norm.weight", (s.dim,)
        for name, rows in zip(QKV, (q, kv, kv)):
            yield from matrix(at + name, s.dim, rows)
        if s.normed_heads:
            yield at + "attn_q_norm.weight", (s.head_dim,)
            yield at + "attn_k_norm.weight", (s.head_dim,)
        yield from matrix(at + "attn_output", q, s.dim)
        yield at + "ffn_norm.weight", (s.dim,)
        yield from matrix(at + "ffn_gate", s.dim, s.hidden)
        yield from matrix(at + "ffn_down", s.hidden, s.dim)
        yield from matrix(at + "ffn_up", s.dim, s.hidden)
    yield "output_norm.weight", (s.dim,)
    if not s.tied:
        yield "output.weight", (s.dim, pieces)


def begin(s):
    """A model without tensors, and how many pieces its vocabulary has."""
    gguf = Gguf()
    hyperparameters(gguf, s)
    pieces = vocabulary(gguf)
    if s.architecture == "llama":
        gguf.metadata["llama.vocab_size"] = (4, pieces)
    return gguf, pieces


def llama(types=("F32",), shape=None, seed=1):
    """A whole model. The matrices take the types in turn, where their rows are whole blocks, else the next that fits."""
    s, rng = shape or Shape(), random.Random(seed)
    gguf, pieces = begin(s)
    left = list(types)
    for name, size in layout(s, pieces):
        if len(size) == 1:
            gguf.draw(rng, name, size, "F32")
            continue
        if not left:
            left.extend(types)
        kind = next((k for k in left if size[0] % TYPES[k][1] == 0), None)
        if kind is None:
            kind = next(k for k in types if size[0] % TYPES[k][1] == 0)
        else:
            left.remove(kind)
        gguf.draw(rng, name, size, kind)
    return gguf


# Mean and standard deviation of the vectors, and of the matrices' rows times a vector of unit variance. With these each
# layer changes the residual as much as the ones before, attention is peaked but not on one position, biases weigh as
# much as what they are added to, and logits have a standard deviation of about 3. The signs of the last norm keep a tied
# classifier from answering every token with itself.
LIVELY = {
    "token_embd": (0, 0.3), "output": (0, 3), "output_norm": (0, 1), "attn_norm": (1, 0.3), "ffn_norm": (1, 0.3),
    "attn_q_norm": (1.2, 0.4), "attn_k_norm": (1.2, 0.4), "attn_q": (0, 1.4), "attn_k": (0, 1.4), "attn_v": (0, 2),
    "attn_output": (0, 1.5), "ffn_gate": (0, 1.5), "ffn_down": (0, 1.5), "ffn_up": (0, 1.5), "bias": (0, 1),
}  # fmt: skip


def lively(shape, kind="F32", seed=1):
    """A whole model whose matrices are of one type (F32, F16 or Q8_0) and whose activations are like a trained one's."""
    rng = random.Random(seed)
    gguf, pieces = begin(shape)
    for name, size in layout(shape, pieces):
        role, suffix = name.split(".")[-2:]
        mean, deviation = LIVELY["bias" if suffix == "bias" else role]
        if len(size) == 2 and role != "token_embd":
            deviation /= math.sqrt(size[0])
        gguf.uniform(rng, name, size, "F32" if len(size) == 1 else kind, mean, deviation)
    if shape.rope_factors:
        factors = shape.rope_factors
        gguf.tensors.append(Tensor("rope_freqs.weight", (len(factors),), "F32", pack_f32(factors), factors))
    return gguf


if __name__ == "__main__":
    with open(sys.argv[1], "wb") as out:
        out.write(llama(sys.argv[2:] or ["F32"]).bytes())
