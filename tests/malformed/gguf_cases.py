"""Malformed GGUF files, given to `tvl convert`."""

import copy
import struct

import make_gguf
from cases import Blob, Case
from make_gguf import ARRAY, STRING, text

HUGE = 2**62
NAN, INF = float("nan"), float("inf")
CONVERT = ["convert", "in.gguf", "out.tvl"]
U8, I8, U32, I32, F32, BOOL, U64, F64 = 0, 1, 4, 5, 6, 7, 10, 12

CATEGORIES = [
    "GGUF header", "GGUF metadata", "GGUF tensors", "GGUF hyperparameters", "GGUF weights", "GGUF tokenizer", "GGUF parts",
    "GGUF cut",
]  # fmt: skip


def make():
    """Every file is the same small model but for what is wrong (dim 64, hidden 96, 1 layer, 2 heads, vocabulary 264)."""
    shape = make_gguf.Shape(dim=64, hidden=96, layers=1, heads=2, kv_heads=1, head_dim=32, tied=True)
    good = make_gguf.llama(["Q4_0"], shape)
    cases = []

    def add(category, name, data, *says):
        files = {"in.gguf": bytes(data.data if isinstance(data, Blob) else data)}
        cases.append(Case(category, name, CONVERT, files, ["in.gguf", *says]))

    header(good.bytes(), add)
    metadata(good, add)
    tensors(good, add)
    hyperparameters(good, add)
    weights(good, add)
    architectures(add)
    tokenizer(good, add)
    cut(good, add)
    return cases + parts(good)


def raw(pairs, infos=(), version=3, keys=None, tensors=None):
    """A file of metadata and tensors as bytes, whose counts may lie."""
    keys, tensors = len(pairs) if keys is None else keys, len(infos) if tensors is None else tensors
    return b"GGUF" + struct.pack("<IQQ", version, tensors, keys) + b"".join(pairs) + b"".join(infos) + bytes(128)


def pair(key, kind, data):
    return text(key) + struct.pack("<I", kind) + data


def header(good, add):
    category = "GGUF header"
    for cut in (4, 7, 8, 15, 16, 23):
        add(category, "cut after %d bytes" % cut, good[:cut], "header field", "expected", "before the file's end")
    for version in (0, 1, 4, 2**32 - 1):
        add(category, "version %d" % version, Blob(good).set("I", 4, version), "version: expected 2 or 3, found %d" % version)
    add(category, "version 1, as it was", raw([], version=1), "version: expected 2 or 3, found 1")
    add(category, "a later version", Blob(good).set("I", 4, 4), "which this version of tvl does not know")
    for version in (2, 3):
        add(category, "big-endian, version %d" % version, Blob(good).set("I", 4, version << 24), "found %d" % (version << 24), "big-endian")
    for value in (2**20, HUGE, 2**64 - 1):
        add(category, "%d tensors" % value, Blob(good).set("Q", 8, value), "tensor_count at byte 8: expected at most", "found %d" % value)
        add(category, "%d keys" % value, Blob(good).set("Q", 16, value), "metadata_kv_count at byte 16: expected at most", "found %d" % value)
    add(category, "no keys", raw([]), "metadata key general.architecture: expected a string, found none")
    keys = struct.unpack_from("<Q", good, 16)[0]
    add(category, "a key less", Blob(good).set("Q", 16, keys - 1), "expected", "found")
    add(category, "a key more", Blob(good).set("Q", 16, keys + 1), "expected", "found")
    count = struct.unpack_from("<Q", good, 8)[0]
    add(category, "a tensor less", Blob(good).set("Q", 8, count - 1), "expected", "found")
    add(category, "a tensor more", Blob(good).set("Q", 8, count + 1), "expected", "found")


def metadata(good, add):
    category = "GGUF metadata"
    u32 = lambda key, value: pair(key, U32, struct.pack("<I", value))
    for name, key in (("empty", b""), ("with a line's end", b"a\nb"), ("with an escape", b"\x1b[2J"), ("with a space", b"a b"),
                      ("that is not ASCII", b"\xc3\xa4"), ("with a zero", b"a\0")):  # fmt: skip
        add(category, "a key " + name, raw([u32(key, 1)]), "metadata key 0 of 1 at byte 24: expected 1 to 65535 printable", "found")
    add(category, "a key of 65536 bytes", raw([u32(b"k" * 65536, 1)]), "metadata key 0 of 1 at byte 24", "found 'kkk")
    add(category, "a key of 2^62 bytes", raw([struct.pack("<QI", HUGE, 4)]), "metadata key 0 of 1", "expected %d bytes" % HUGE)
    add(category, "a key of 2^64 - 1 bytes", raw([struct.pack("<QI", 2**64 - 1, 4)]), "expected %d bytes" % (2**64 - 1))
    add(category, "a key twice", raw([u32("general.x", 1), u32("general.x", 1)]), "general.x: expected it once, found it twice")
    for kind in (13, 99, 2**32 - 1):
        add(category, "type %d" % kind, raw([pair("general.x", kind, bytes(16))]), "general.x, type at byte", "expected 0 to 12, found %d" % kind)
        array = struct.pack("<IQ", kind, 1) + bytes(8)
        add(category, "an array of type %d" % kind, raw([pair("general.x", ARRAY, array)]), "general.x, elements, type", "found %d" % kind)
    for value in (2, 255):
        add(category, "a bool of %d" % value, raw([pair("general.x", BOOL, bytes([value]))]), "general.x: expected a bool of 0 or 1, found %d" % value)
    add(category, "a bool of 2 in an array", raw([pair("general.x", ARRAY, struct.pack("<IQ", BOOL, 3) + b"\0\1\2")]), "bool of 0 or 1, found 2")
    for size in (1000, 2**32, HUGE, 2**64 - 1):
        add(category, "a string of %d bytes" % size, raw([pair("general.x", STRING, struct.pack("<Q", size))]), "general.x at byte", "expected %d bytes" % size)
    for kind in (U8, U32, U64, F64, BOOL, STRING, ARRAY):
        for size in (HUGE, 2**64 - 1):
            data = struct.pack("<IQ", kind, size)
            add(category, "an array of %d of type %d" % (size, kind), raw([pair("general.x", ARRAY, data)]),
                "general.x, count of elements at byte", "expected at most", "found %d" % size)  # fmt: skip
    add(category, "an array with one string too many", raw([pair("general.x", ARRAY, struct.pack("<IQQ", STRING, 2, 124))]), "general.x", "expected", "found")
    add(category, "a long string in an array", raw([pair("general.x", ARRAY, struct.pack("<IQQ", STRING, 1, HUGE))]), "expected %d bytes" % HUGE)
    nested = struct.pack("<IQ", U8, 0)
    for _ in range(40):
        nested = struct.pack("<IQ", ARRAY, 1) + nested
    add(category, "arrays within arrays", raw([pair("general.x", ARRAY, nested)]), "general.x: expected arrays within arrays up to a depth of 8")
    inner = struct.pack("<IQIQ", ARRAY, 1, U64, HUGE)
    add(category, "a huge array in an array", raw([pair("general.x", ARRAY, inner)]), "general.x, count of elements", "found %d" % HUGE)
    for value in (0, 1, 4, 12, 33, 2**31, 2**32 - 1):
        gguf = copy.deepcopy(good)
        gguf.metadata["general.alignment"] = (U32, value)
        add(category, "alignment %d" % value, gguf.bytes(), "general.alignment: expected a power of two from 8 to", "found %d" % value)
    for kind, value, says in ((STRING, "32", "the text '32'"), (F32, 32.0, "f32 32"), (I32, -32, "i32 -32"), (U64, 2**40, "u64 %d" % 2**40)):
        gguf = copy.deepcopy(good)
        gguf.metadata["general.alignment"] = (kind, value)
        add(category, "alignment of type %d" % kind, gguf.bytes(), "general.alignment: expected a whole number", "found " + says)


def tensors(good, add):
    category = "GGUF tensors"
    base = [pair("general.architecture", STRING, text("llama"))]

    def info(name="x", dims=(32, 2), kind=0, offset=0, n_dims=None):
        n_dims = len(dims) if n_dims is None else n_dims
        return text(name) + struct.pack("<I%dQ" % len(dims), n_dims, *dims) + struct.pack("<IQ", kind, offset)

    def bad(name, infos, *says):
        add(category, name, raw(base, infos), *says)

    bad("a name that is empty", [info(name="")], "tensor 0 of 1, name at byte", "expected 1 to 65535 printable characters")
    bad("a name with an escape", [info(name=b"\x1b[2J")], "tensor 0 of 1, name at byte", "found '\\x1b[2J'")
    bad("a name of 2^62 bytes", [struct.pack("<Q", HUGE) + bytes(40)], "tensor 0 of 1, name", "expected %d bytes" % HUGE)
    for count in (0, 5, 2**31, 2**32 - 1):
        bad("%d dimensions" % count, [info(n_dims=count)], "tensor x, number of dimensions at byte", "expected 1 to 4, found %d" % count)
    bad("a dimension of 0", [info(dims=(0, 2))], "tensor x, dimension 0: expected 1 to", "found 0")
    bad("a second dimension of 0", [info(dims=(32, 0))], "tensor x, dimension 1: expected 1 to", "found 0")
    for size in (2**57, HUGE, 2**64 - 1):
        bad("a dimension of %d" % size, [info(dims=(size,))], "tensor x, dimension 0: expected 1 to", "found %d" % size)
    bad("a product beyond 2^64", [info(dims=(2**32, 2**32))], "tensor x, dimension 1: expected 1 to", "found %d" % 2**32)
    bad("a product of 2^64 and more", [info(dims=(2**20,) * 4)], "tensor x, dimension 2: expected 1 to", "found %d" % 2**20)
    bad("more than the file has", [info(dims=(2**20, 2**20))], "tensor x, offset: expected room for %d bytes from offset 0" % 2**42)
    for kind, says in ((4, "Q4_2 (4)"), (9, "Q8_1 (9)"), (16, "IQ2_XXS (16)"), (24, "I8 (24)"), (31, "Q4_0_4_4 (31)"), (39, "MXFP4 (39)"),
                       (40, "NVFP4 (40)"), (43, "43"), (2**32 - 1, "4294967295")):  # fmt: skip
        bad("type %d" % kind, [info(kind=kind)], "tensor x, type: expected F32,", "found %s, which this version cannot decode" % says)
    for kind, block in ((2, 32), (8, 32), (20, 32), (10, 256), (12, 256), (14, 256)):
        bad("rows of a part of a block of type %d" % kind, [info(kind=kind, dims=(block + 1, 2))],
            "tensor x, dimension 0: expected a multiple of %d" % block, "found %d" % (block + 1))  # fmt: skip
    for offset in (1, 31, 33, 2**64 - 1):
        bad("offset %d" % offset, [info(offset=offset)], "tensor x, offset: expected a multiple of 32", "found %d" % offset)
    for offset in (2**20, HUGE, 2**64 - 32):
        bad("offset %d" % offset, [info(offset=offset)], "tensor x, offset: expected room for 256 bytes from offset %d" % offset, "found 0")
    bad("a name twice", [info(dims=(4,)), info(dims=(4,), offset=32)], "tensor x: expected it once, found it twice")
    bad("the same place twice", [info(dims=(4,)), info("y", dims=(4,))], "tensor y, offset: expected data of its own, found that it overlaps x")
    bad("places that overlap", [info(dims=(12,)), info("y", dims=(4,), offset=32)], "tensor y, offset: expected data of its own", "overlaps x")
    gguf = copy.deepcopy(good)
    gguf.metadata["general.alignment"] = (U32, 4096)
    add(category, "an alignment that the offsets lack", gguf.bytes(), "offset: expected a multiple of 4096, the file's alignment")


def changed(good, key, value):
    gguf = copy.deepcopy(good)
    if value is None:
        del gguf.metadata[key]
    else:
        gguf.metadata[key] = value
    return gguf.bytes()


def hyperparameters(good, add):
    category = "GGUF hyperparameters"

    def bad(key, value, *says):
        add(category, "%s = %r" % (key, value), changed(good, key, value), *says)

    bad("general.architecture", None, "general.architecture: expected a string, found none")
    bad("general.architecture", (U32, 1), "general.architecture: expected a string, found u32 1")
    bad("general.architecture", (STRING, "gpt2"), "general.architecture: expected one that this version can convert (llama, qwen2, qwen3)", "found 'gpt2'")
    bad("general.architecture", (STRING, "qwen2"), "qwen2.block_count: expected a whole number", "found none")
    bad("general.architecture", (STRING, "\x1b[2J\n" + "x" * 1000), "found '\\x1b[2J\\nxxx", "...'")
    bad("general.architecture", (ARRAY, (STRING, ["llama"])), "found an array of 1 string")
    for key in ("block_count", "context_length", "embedding_length", "feed_forward_length", "attention.head_count"):
        key = "llama." + key
        bad(key, None, key + ": expected a whole number", "found none")
        bad(key, (STRING, "many"), key + ": expected a whole number", "found the text 'many'")
        bad(key, (U32, 0), "expected", "found 0")
        bad(key, (U32, 2**32 - 1), "expected", "found %d" % (2**32 - 1))
        bad(key, (U64, 2**63), key + ": expected a whole number", "found u64 %d" % 2**63)
    bad("llama.block_count", (I32, -1), "llama.block_count: expected a whole number", "found i32 -1")
    bad("llama.block_count", (U32, 2), "tensor blk.1.attn_norm.weight: expected 64 numbers by the metadata, found no such tensor")
    bad("llama.attention.head_count", (U32, 3), "expected", "found")
    bad("llama.attention.head_count_kv", (U32, 0), "n_kv_heads: expected 1 to 4096, found 0")
    bad("llama.attention.head_count_kv", (ARRAY, (I32, [1, 1])), "head_count_kv: expected a whole number, or one for each of the 1 layers", "found an array of 2 i32")
    bad("llama.attention.head_count_kv", (ARRAY, (I32, [-1])), "head_count_kv: expected whole numbers from 0 to", "found an array of 1 i32")
    bad("llama.attention.head_count_kv", (ARRAY, (F32, [1.0])), "head_count_kv: expected a whole number", "found an array of 1 f32")
    bad("llama.attention.key_length", (U32, 33), "llama.attention.value_length: expected 33, as the keys have, found 32")
    bad("llama.attention.value_length", (U32, 16), "llama.attention.value_length: expected 32, as the keys have, found 16")
    for value in (0.0, -1.0, 2.0):
        bad("llama.attention.layer_norm_rms_epsilon", (F32, value), "norm_epsilon: expected a number above 0", "found %g" % value)
    for value in (NAN, INF):
        bad("llama.attention.layer_norm_rms_epsilon", (F32, value), "layer_norm_rms_epsilon: expected a finite f32, found f32 ")
    bad("llama.attention.layer_norm_rms_epsilon", (F64, 1e300), "layer_norm_rms_epsilon: expected a finite f32, found f64 1e+300")
    bad("llama.attention.layer_norm_rms_epsilon", (U32, 1), "layer_norm_rms_epsilon: expected a finite f32, found u32 1")
    for value in (0, 3, 34, 2**32 - 1):
        bad("llama.rope.dimension_count", (U32, value), "rope_dims: expected", "found %d" % value)
    for value in (0.0, 1.0, -5.0, 1e30):
        bad("llama.rope.freq_base", (F32, value), "llama.rope.freq_base: expected a number above 1", "found %g" % value)
    bad("llama.rope.scaling.type", (STRING, "longrope"), "llama.rope.scaling.type: expected none, linear or yarn, found 'longrope'")
    bad("llama.rope.scaling.factor", (F32, -2.0), "llama.rope.scaling.factor: expected a number from", "found -2")
    bad("llama.rope.scaling.original_context_length", (I32, -1), "original_context_length: expected a whole number", "found i32 -1")
    bad("llama.vocab_size", (STRING, "many"), "llama.vocab_size: expected a whole number", "found the text 'many'")
    bad("llama.expert_count", (U32, 8), "llama.expert_count: expected 0 or no such key", "a mixture of experts, found u32 8")
    bad("llama.attention.sliding_window", (STRING, "wide"), "llama.attention.sliding_window: expected a whole number", "found the text 'wide'")
    bad("llama.attention.sliding_window", (I32, -1), "llama.attention.sliding_window: expected a whole number", "found i32 -1")
    bad("llama.attention.causal", (BOOL, False), "llama.attention.causal: expected 1 or no such key", "attention to what follows, found bool 0")
    bad("llama.logit_scale", (F32, 0.5), "llama.logit_scale: expected 1 or no such key", "found f32 0.5")
    bad("llama.attention.scale", (F32, NAN), "llama.attention.scale", "found f32 nan")
    bad("llama.new_idea", (U32, 1), "llama.new_idea: expected a hyperparameter that this version knows, found u32 1")


def weights(good, add):
    category = "GGUF weights"

    def with_tensor(which, **fields):
        gguf = copy.deepcopy(good)
        gguf_tensor = gguf.tensor(which)
        for field, value in fields.items():
            setattr(gguf_tensor, field, value)
        return gguf

    for name, says in (("token_embd.weight", "expected the embedding, found no such tensor"), ("output_norm.weight", "expected 64 numbers"),
                       ("blk.0.attn_q.weight", "expected 64 rows of 64"), ("blk.0.attn_norm.weight", "expected 64 numbers"),
                       ("blk.0.ffn_down.weight", "expected 64 rows of 96"), ("blk.0.attn_k.weight", "expected 32 rows of 64")):  # fmt: skip
        add(category, "no " + name, with_tensor(name, name="gone").bytes(), "tensor %s: %s" % (name, says), "found no such tensor")
        if name != "token_embd.weight":
            add(category, "another shape of " + name, with_tensor(name, shape=(32,), kind="F32").bytes(), "tensor %s: %s" % (name, says), "found 32 numbers")
    add(category, "a transposed w2", with_tensor("blk.0.ffn_down.weight", shape=(64, 96)).bytes(), "expected 64 rows of 96", "found 96 rows of 64")
    add(category, "three dimensions", with_tensor("blk.0.ffn_up.weight", shape=(64, 48, 2)).bytes(), "expected 96 rows of 64", "in more dimensions")
    for name, says in (("blk.0.attn_q_norm.weight", "a norm of queries or keys"),
                       ("blk.0.ffn_gate_exps.weight", "a mixture of experts"), ("blk.0.post_ffw_norm.weight", "a further norm"),
                       ("blk.1.attn_q.weight", "are there more layers than block_count says?"), ("rope_factors_long.weight", "a stretched RoPE"),
                       ("token_types.weight", "found one that this version cannot use"), ("a%sb%n.weight", "a%sb%n.weight")):  # fmt: skip
        gguf = copy.deepcopy(good)
        gguf.tensors.append(make_gguf.Tensor(name, (64,), "F32", struct.pack("<64f", *[1.0] * 64), []))
        add(category, "also " + name, gguf.bytes(), "tensor %s: expected only tensors" % name, says)
    for factors, says in (([1.0] * 15, "expected 16 numbers, found 15 x 1"), ([0.0] * 16, "number 0: expected a number from", ),
                          ([1.0] * 15 + [NAN], "number 15: expected a number from"), ([-1.0] * 16, "found -1"), ([0.001] * 16, "RoPE frequency 0")):  # fmt: skip
        gguf = copy.deepcopy(good)
        data = struct.pack("<%df" % len(factors), *factors)
        gguf.tensors.append(make_gguf.Tensor("rope_freqs.weight", (len(factors),), "F32", data, []))
        add(category, "rope_freqs of %r" % factors[-1], gguf.bytes(), "rope_freqs.weight", says)
    for value, says in (("\x00\x7c", "inf"), ("\x00\xfc", "-inf"), ("\x01\x7c", "nan")):
        gguf = copy.deepcopy(good)
        wo = gguf.tensor("blk.0.attn_output.weight")
        wo.data = wo.data[: 36 * 5 + 18] + value.encode("latin-1") + wo.data[36 * 5 + 20 :]
        add(category, "a scale of " + says, gguf.bytes(), "tensor layers.0.wo, row 5, column 32: expected a block with a finite scale", "found " + says)


def architectures(add):
    """What the others have that llama has not."""
    category = "GGUF weights"
    extra = {
        "qwen2": (("attn_q.bias", 64), ("attn_k.bias", 32), ("attn_v.bias", 32)),
        "qwen3": (("attn_q_norm.weight", 32), ("attn_k_norm.weight", 32)),
    }
    for architecture, tensors in extra.items():
        shape = make_gguf.Shape(64, 96, 1, 2, 1, 32, tied=True, architecture=architecture)
        good = make_gguf.llama(["Q4_0"], shape)
        for name, size in tensors:
            name = "blk.0." + name
            gone, short = copy.deepcopy(good), copy.deepcopy(good)
            gone.tensors.remove(gone.tensor(name))
            if not name.endswith(".bias"):
                add(category, "no " + name, gone.bytes(), "tensor %s: expected %d numbers by the metadata, found no such tensor" % (name, size))
            short.tensor(name).shape = (size // 2,)
            add(category, "another shape of " + name, short.bytes(), "tensor %s: expected %d numbers" % (name, size), "found %d numbers" % (size // 2))
        key = architecture + ".attention.sliding_window"
        add(category, key, changed(good, key, (U32, 16)), key + ": expected 0, context_length or more or no such key", "a sliding window in this architecture", "found u32 16")
    # Sizes that no tensor has: not a byte is taken for the biases that are missing.
    huge = make_gguf.Gguf()
    huge.metadata.update({"general.architecture": (STRING, "qwen2"), "qwen2.block_count": (U32, 1024), "qwen2.context_length": (U32, 64),
                          "qwen2.embedding_length": (U32, 1), "qwen2.feed_forward_length": (U32, 1), "qwen2.attention.head_count": (U32, 4096),
                          "qwen2.attention.head_count_kv": (U32, 4096), "qwen2.attention.key_length": (U32, 1024),
                          "qwen2.attention.layer_norm_rms_epsilon": (F32, 1e-5)})  # fmt: skip
    huge.tensors.append(make_gguf.Tensor("token_embd.weight", (1, 1), "F32", bytes(4), []))
    add(category, "heads of nothing", huge.bytes(), "tensor blk.0.attn_norm.weight: expected 1 numbers by the metadata, found no such tensor")
    shape = make_gguf.Shape(64, 96, 1, 2, 1, 32, architecture="qwen2")
    renamed = make_gguf.llama(["Q4_0"], shape)
    renamed.metadata = {key.replace("qwen2.", "qwen3."): value for key, value in renamed.metadata.items()}
    renamed.metadata["general.architecture"] = (STRING, "qwen3")
    add(category, "biases in place of norms", renamed.bytes(), "tensor blk.0.attn_q_norm.weight: expected 32 numbers", "found no such tensor")


def tokenizer(good, add):
    category = "GGUF tokenizer"

    def bad(key, value, *says):
        key = "tokenizer.ggml." + key
        add(category, "%s = %s" % (key, repr(value)[:60]), changed(good, key, value), key + ": expected", *says)

    def items(key, *changes, cut=None):
        kind, (element, values) = good.metadata["tokenizer.ggml." + key]
        values = list(values)[:cut]
        for index, value in changes:
            values[index] = value
        return (kind, (element, values))

    bad("model", None, "a string, found none")
    bad("model", (STRING, "t5"), "llama (SentencePiece) or gpt2 (byte-level BPE)", "found 't5'")
    bad("model", (U32, 1), "found u32 1")
    bad("tokens", None, "an array of strings", "found none")
    for key, what in (("tokens", "an array of strings"), ("scores", "an array of f32"), ("token_type", "an array of integers")):
        bad(key, (U32, 7), what, "found u32 7")
        bad(key, (ARRAY, (F64, [1.0])), what, "found an array of 1 f64")
        bad(key, items(key, cut=263), "as many as the model's vocabulary has, 264, found 263")
        bad(key, items(key, cut=0), "at least one token, found none" if key == "tokens" else "264, found 0")
    bad("scores", items("scores", (7, NAN)), "numbers, found NaN for token 7")
    for value in (7, -1, 2**31 - 1):
        bad("token_type", items("token_type", (9, value)), "numbers from 0 to 6, found %d for token 9" % value)
    bad("token_type", (ARRAY, (U64, [1] * 264)), "integers of up to 32 bits, found an array of 264 u64")
    for key in ("bos", "eos", "unknown", "padding", "eot", "fim_pad"):
        bad(key + "_token_id", (STRING, "<s>"), "a whole number", "found the text '<s>'")
    bad("bos_token_id", (F32, 1.0), "a whole number", "found f32 1")
    bad("eos_token_id", (BOOL, True), "a whole number", "found bool 1")
    bad("add_bos_token", (U8, 1), "a bool, found u8 1")
    bad("add_space_prefix", (STRING, "no"), "a bool, found the text 'no'")
    add(category, "chat_template", changed(good, "tokenizer.chat_template", (U32, 1)), "tokenizer.chat_template: expected a string, found u32 1")


def parts(good):
    cases = []

    def add(name, files, *says, first="m-00001-of-00003.gguf"):
        cases.append(Case("GGUF parts", name, ["convert", first, "out.tvl"], files, says))

    names = ["m-%05d-of-00003.gguf" % (i + 1) for i in range(3)]
    whole = dict(zip(names, good.split(3)))
    without = lambda name: {k: v for k, v in whole.items() if k != name}
    add("a part that is missing", without(names[1]), names[1], "No such file")
    add("the last part alone", {names[2]: whole[names[2]]}, names[2], "split.no: expected 0, the first of 3 parts", "found 2", first=names[2])
    add("another name", {"m.gguf": whole[names[0]]}, "m.gguf", "expected a name that ends in -00001-of-00003.gguf", first="m.gguf")
    add("a part twice", {**whole, names[1]: whole[names[2]]}, names[1], "split.no: expected 1, found 2")
    add("the first part again", {**whole, names[1]: whole[names[0]]}, names[1], "split.no: expected 1, found 0")
    add("a part of another model", {**whole, names[1]: good.split(2)[1]}, names[1], "split.count: expected 3, as the first part has, found 2")
    add("a part that is no GGUF", {**whole, names[1]: b"<html>"}, names[1], "magic: expected the letters GGUF, found '<htm'")
    add("an empty part", {**whole, names[2]: b""}, names[2], "empty")
    add("a part cut short", {**whole, names[2]: whole[names[2]][:60]}, names[2], "expected", "found")
    add("a folder for a part", {**whole, names[1]: None}, names[1], "expected a regular file, found a directory")
    add("a part that is a whole file", {**whole, names[1]: good.bytes()}, names[1], "split.count: expected 3", "found 1")

    def first_with(key, value):
        first = copy.deepcopy(good)
        first.tensors = good.tensors[::3]
        first.metadata.update({"split.no": (2, 0), "split.count": (2, 3), "split.tensors.count": (5, len(good.tensors)), key: value})
        return {**whole, names[0]: first.bytes()}

    add("too few tensors", first_with("split.tensors.count", (5, 99)), names[0], "split.tensors.count: expected %d, as the parts have, found 99" % len(good.tensors))
    add("no parts at all", first_with("split.count", (2, 0)), names[0], "by the metadata, found no such tensor")
    add("a million parts", first_with("split.count", (U32, 10**6)), names[0], "split.count: expected 0 to 99999, found 1000000")
    add("a part beyond the last", first_with("split.no", (2, 3)), names[0], "split.no: expected less than split.count, 3, found 3")
    add("a count that is a text", first_with("split.count", (STRING, "3")), names[0], "split.count: expected a whole number", "found the text '3'")
    twice = copy.deepcopy(good)
    twice.tensors = good.tensors + good.tensors[:1]
    add("a tensor in two parts", dict(zip(names, twice.split(3))), names[0], "tensor token_embd.weight: expected it once, found it twice")
    return cases


def cut(good, add):
    """Ends at every boundary of the metadata's and the tensors' descriptions, and within every tensor's data."""
    category = "GGUF cut"
    data = good.bytes()
    ends = [24]
    for key, (kind, value) in good.metadata.items():
        for size in (8, len(key), 4, len(make_gguf.value_bytes(kind, value))):
            ends.append(ends[-1] + size)
    for tensor in good.tensors:
        for size in (8, len(tensor.name), 4, *[8] * len(tensor.shape), 4, 8):
            ends.append(ends[-1] + size)
    assert data[ends[-1] :].startswith(bytes(-ends[-1] % 32) + good.tensors[0].data)
    for end in ends:
        add(category, "after %d bytes" % end, data[:end], "expected", "found")
    begin = -(-ends[-1] // 32) * 32
    for tensor in good.tensors:
        last = begin + len(tensor.data)
        for end in {begin, begin + 1, last - 1}:
            add(category, "after %d bytes" % end, data[:end], "tensor %s" % tensor.name if tensor is good.tensors[-1] else "tensor ",
                "offset: expected room for", "before the file's end")  # fmt: skip
        begin = -(-last // 32) * 32
