"""format_test.py WORK_FOLDER PROGRAM...: converts random llama2.c checkpoints with `PROGRAM... convert` and reads the
result with tvl_reader.py. Every tensor must be the checkpoint's, bit for bit."""

import os
import random
import struct
import subprocess
import sys
import unittest

import tvl_reader
from xxh3 import xxh3_64

WORK_FOLDER = None
PROGRAM = None


def f32(value):
    return struct.unpack("<f", struct.pack("<f", value))[0]


def bits(values):
    return struct.pack("<%df" % len(values), *values)


class Checkpoint:
    """A random model as llama2.c stores it, and as lists of rows."""

    def __init__(self, dim, hidden, layers, heads, kv_heads, vocab, context, tied, seed, largest=f32(3.4e38)):
        """Weights are up to `largest`, beyond which q4m, say, has none."""
        rng = random.Random(seed)
        self.dim, self.heads, self.kv_heads, self.head_dim = dim, heads, kv_heads, dim // heads
        self.hidden, self.layers, self.vocab, self.context, self.tied = hidden, layers, vocab, context, tied
        kv_dim = kv_heads * self.head_dim
        self.data = struct.pack("<7i", dim, hidden, layers, heads, kv_heads, vocab if tied else -vocab, context)

        def take(rows, cols):
            # Among ordinary numbers some that f16 or bf16 cannot hold, or not exactly.
            special = [0.0, -0.0, 65504.0, 65519.0, 1e-8, -6e-8, 2.0**-14, 1.00048828125, 1.00146484375]
            special += [1.00390625, -1.01171875, f32(1e-40), f32(3.4e38)]
            special = [x for x in special if abs(x) <= largest]
            pick = lambda: rng.choice(special) if rng.random() < 0.05 else f32(rng.gauss(0, 0.3))
            matrix = [[pick() for _ in range(cols)] for _ in range(rows)]
            self.data += b"".join(bits(row) for row in matrix)
            return matrix

        def each(rows, cols):
            return [take(rows, cols) for _ in range(layers)]

        self.embedding = take(vocab, dim)
        self.attention_norm = each(1, dim)
        self.wq, self.wk = each(dim, dim), each(kv_dim, dim)
        self.wv, self.wo = each(kv_dim, dim), each(dim, dim)
        self.ffn_norm = each(1, dim)
        self.w1, self.w2, self.w3 = each(hidden, dim), each(dim, hidden), each(hidden, dim)
        self.final_norm = take(1, dim)
        take(context, self.head_dim)  # tables of cosines and sines
        self.classifier = self.embedding if tied else take(vocab, dim)

    def turned(self, matrix):
        """Rows of query or key heads, from pairs (2i, 2i + 1) to (i, i + head_dim / 2)."""
        d = self.head_dim
        out = []
        for head in range(0, len(matrix), d):
            out += [matrix[head + 2 * i] for i in range(d // 2)] + [matrix[head + 2 * i + 1] for i in range(d // 2)]
        return out

    def expected(self):
        """(name, kind, matrices) in the order of the file."""
        yield "rope.inv_freq", "vector", None
        if not self.tied:
            yield "token_embedding", "tiles", [self.embedding]
        for n in range(self.layers):
            layer = "layers.%d." % n
            yield layer + "attention_norm", "vector", [self.attention_norm[n]]
            yield layer + "wq", "tiles", [self.turned(self.wq[n])]
            yield layer + "wk", "tiles", [self.turned(self.wk[n])]
            yield layer + "wv", "tiles", [self.wv[n]]
            yield layer + "wo", "tiles", [self.wo[n]]
            yield layer + "ffn_norm", "vector", [self.ffn_norm[n]]
            yield layer + "w13", "tiles", [self.w1[n], self.w3[n]]
            yield layer + "w2", "tiles", [self.w2[n]]
        yield "final_norm", "vector", [self.final_norm]
        if self.tied:
            yield "token_embedding", "tiles", [self.embedding]
        else:
            yield "classifier", "tiles", [self.classifier]


def random_pieces(count, seed):
    """A vocabulary as llama2.c has it: three special tokens, the bytes, and then words, one of them twice."""
    rng = random.Random(seed)
    pieces = [b"<unk>", b"\n<s>\n", b"\n</s>\n"] + [b"<0x%02X>" % i for i in range(256)]
    while len(pieces) < count:
        pieces.append(bytes(rng.choice(b" abcdefgh\xc3\xa9") for _ in range(rng.randrange(1, 9))))
    pieces[-1] = pieces[count // 2]
    return pieces[:count], [f32(-rng.random() * 100) for _ in range(count)]


def tokenizer_bin(pieces, scores):
    data = struct.pack("<i", max(map(len, pieces)))
    return data + b"".join(struct.pack("<fi", s, len(p)) + p for p, s in zip(pieces, scores))


def as_f16(value):
    try:
        return struct.unpack("<e", struct.pack("<e", value))[0]
    except OverflowError:  # struct refuses what rounds to infinity
        return float("inf") if value > 0 else float("-inf")


def as_bf16(value):
    """The nearer of the two bf16 about an f32, the even one of a tie."""
    word = struct.unpack("<I", struct.pack("<f", value))[0]
    below, rest = divmod(word, 65536)
    nearest = below + (rest > 32768 or (rest == 32768 and below % 2 == 1))
    return struct.unpack("<f", struct.pack("<I", nearest << 16))[0]


def plain_rule(kind, block):
    """A block quantised by its largest magnitude (q8, q4), or by its lowest and highest number (q4m)."""
    top = max(block, key=abs)
    low = as_f16(min(block)) if kind == "q4m" else 0.0
    scale = as_f16({"q8": abs(top) / 127, "q4": top / -8, "q4m": (max(block) - min(block)) / 15}[kind])
    least, most = {"q8": (-127, 127), "q4": (-8, 7), "q4m": (0, 15)}[kind]
    return [f32(scale * min(max(round((x - low) / scale), least), most) + low) if scale else low for x in block]


def squared_error(a, b):
    return sum((x - y) ** 2 for x, y in zip(a, b))


def plain_rule_k(kind, superblock):
    """As GGUF does it: integer steps of 63ths of the largest (q6k: of 127ths, of blocks of 16)."""
    size, most = {"q4k": (32, 15), "q5k": (32, 31), "q6k": (16, 63)}[kind]
    blocks = [superblock[k : k + size] for k in range(0, len(superblock), size)]
    if kind == "q6k":
        steps = [max(block, key=abs) / -32 for block in blocks]
        d = as_f16(max(steps, key=abs) / -128)
        steps = [d * min(127, round(s / d)) if d else 0.0 for s in steps]
        return [f32(s * min(31, max(-32, round(x / s)))) if s else 0.0 for block, s in zip(blocks, steps) for x in block]
    lows = [min(0.0, min(block)) for block in blocks]
    steps = [(max(max(block), low) - low) / most for block, low in zip(blocks, lows)]
    d, dmin = as_f16(max(steps) / 63), as_f16(-min(lows) / 63)
    out = []
    for block, low, step in zip(blocks, lows, steps):
        low = -dmin * min(63, round(-low / dmin)) if dmin else 0.0
        step = d * min(63, round(step / d)) if d else 0.0
        out += [f32(step * min(most, max(0, round((x - low) / step))) + low) if step else f32(low) for x in block]
    return out


SHAPES = [
    dict(dim=36, hidden=50, layers=2, heads=6, kv_heads=2, vocab=300, context=24, tied=True, seed=1),
    dict(dim=20, hidden=33, layers=1, heads=2, kv_heads=2, vocab=263, context=9, tied=False, seed=2),
    dict(dim=64, hidden=96, layers=1, heads=8, kv_heads=1, vocab=272, context=16, tied=False, seed=3),
]
# Of K-quants. (Other shapes' matrices would not get them.)
WIDE = dict(dim=256, hidden=256, layers=1, heads=8, kv_heads=1, vocab=16, context=16, tied=True, seed=4)


class FormatTest(unittest.TestCase):
    def convert(self, checkpoint, dtype):
        source, vocabulary, target = (os.path.join(WORK_FOLDER, n) for n in ("m.bin", "t.bin", "m.tvl"))
        pieces, scores = random_pieces(checkpoint.vocab, 7)
        with open(source, "wb") as file:
            file.write(checkpoint.data)
        with open(vocabulary, "wb") as file:
            file.write(tokenizer_bin(pieces, scores))
        subprocess.run(PROGRAM + ["convert", source, target, "--tokenizer", vocabulary, "--dtype", dtype], check=True)
        return tvl_reader.read(target), pieces, scores

    def test_every_tensor(self):
        narrow = [(shape, dtype) for shape in SHAPES for dtype in ("f32", "f16", "bf16", "q8", "q4", "q4m")]
        for shape, dtype in narrow + [(WIDE, dtype) for dtype in tvl_reader.K_QUANTS]:
            checkpoint = Checkpoint(**shape, **({"largest": 65504.0} if dtype.startswith("q") else {}))
            with self.subTest(dtype=dtype, **shape):
                model, pieces, scores = self.convert(checkpoint, dtype)
                self.check_config(model.config, checkpoint)
                self.check_tensors(model, checkpoint, dtype)
                self.check_tokenizer(model.tokenizer, pieces, scores)

    def check_config(self, config, c):
        self.assertEqual(
            config,
            dict(
                config_bytes=84, architecture=1, dim=c.dim, hidden_dim=c.hidden, n_layers=c.layers, n_heads=c.heads,
                n_kv_heads=c.kv_heads, head_dim=c.head_dim, vocab_size=c.vocab, context_length=c.context,
                flags=int(c.tied), norm_epsilon=f32(1e-5), attention_scale=f32(c.head_dim**-0.5), activation=1,
                rope_kind=1, rope_scaling=1, rope_dims=c.head_dim, rope_base=10000.0, sliding_window=0,
                attention_soft_cap=0.0, logit_soft_cap=0.0,
            ),
        )  # fmt: skip

    def check_tensors(self, model, checkpoint, dtype):
        expected = list(checkpoint.expected())
        self.assertEqual(list(model.tensors), [name for name, _, _ in expected])
        for name, kind, matrices in expected:
            tensor = model.tensors[name]
            self.assertEqual(tensor.kind, "vector" if kind == "vector" else dtype, name)
            self.assertEqual(tensor.flags, 3 if name.endswith("w13") else 1, name)
            if name == "rope.inv_freq":
                d = checkpoint.head_dim
                for i, value in enumerate(tensor.matrices[0][0]):
                    self.assertAlmostEqual(value * 10000 ** (2 * i / d), 1, delta=1e-7)
                continue
            rounded = {"f16": as_f16, "bf16": as_bf16}.get(tensor.kind, lambda x: x)
            found = tensor.matrices
            self.assertEqual(len(found), len(matrices), name)
            for f, e in zip(found, matrices):
                if tensor.kind.startswith("q"):
                    self.check_quantised(tensor.kind, f, e, name)
                    continue
                self.assertEqual([bits(row) for row in f], [bits([rounded(x) for x in row]) for row in e], name)

    def check_quantised(self, kind, found, expected, name):
        """Each block is as near to its numbers as by the plain rule, or nearer, but for the roundings of f32."""
        self.assertEqual(len(found), len(expected), name)
        for f, e in zip(found, expected):
            self.assertEqual(len(f), len(e), name)
            size, rule = (256, plain_rule_k) if kind in tvl_reader.K_QUANTS else (32, plain_rule)
            for k in range(0, len(e), size):
                block = e[k : k + size]
                plain = squared_error(rule(kind, block), block)
                self.assertLessEqual(squared_error(f[k : k + size], block), plain * (1 + 1e-5), (name, kind, k))

    def check_tokenizer(self, tokenizer, pieces, scores):
        h = tokenizer.header
        self.assertEqual((h["kind"], h["vocab_size"], h["bos_id"], h["eos_id"]), (1, len(pieces), 1, 2))
        self.assertEqual(tokenizer.pieces, pieces)
        self.assertEqual(bits(tokenizer.scores), bits(scores))
        self.assertIn(2, tokenizer.end_tokens)
        for piece in pieces:
            self.assertEqual(tokenizer.find(piece), pieces.index(piece))
        self.assertEqual(tokenizer.find(b"no such piece"), -1)


class ReaderTest(unittest.TestCase):
    """The reader itself, with panels put together line by line, as the document's tables say."""

    def test_hash(self):
        # By libxxhash 0.8.1: nothing, and one length of each way of hashing.
        self.assertEqual(xxh3_64(b""), 0x2D06800538D394C2)
        data = bytes(i * i * 31 + i * 7 + 3 >> 2 & 255 for i in range(2100))
        expected = {
            3: 0x285D86B2913FC67A,
            8: 0x4F3C92C5D9B5F841,
            16: 0x4B857338292137F5,
            100: 0x8F407CC43FA42135,
            200: 0xEBCA0800D86C8726,
            241: 0x99CE72EE5C000B72,
            1024: 0x716F44FE6BAFB49E,
            1025: 0xE8AAF65405835FC3,
            2100: 0xF495E812610B00BD,
        }
        self.assertEqual({n: xxh3_64(data[:n]) for n in expected}, expected)

    def test_bf16(self):
        lines = b""
        for k in range(0, 8, 2):
            for r in range(16):
                for half in (k, k + 1):
                    lines += struct.pack("<f", float(r - 8 * half))[2:] if half < 6 else b"\0\0"
        rows = tvl_reader.decode_panels("bf16", 16, 6, [lines])
        self.assertEqual(rows, [[float(r - 8 * k) for k in range(6)] for r in range(16)])

    def test_quantised(self):
        rng = random.Random(5)
        for kind, cols in (("q8", 70), ("q4", 128), ("q4m", 33)):
            kp = tvl_reader.ceil(cols, 64)
            low, high, zero = {"q8": (-128, 127, 0), "q4": (0, 15, 8), "q4m": (0, 15, 0)}[kind]
            inside = lambda r, k: r < 13 and k < cols
            quants = [[rng.randint(low, high) if inside(r, k) else zero for k in range(kp)] for r in range(16)]
            step = lambda r, b, least, most: as_f16(rng.uniform(least, most)) if inside(r, 32 * b) else 0.0
            scales = [[step(r, b, 0, 2) for b in range(kp // 32)] for r in range(16)]
            minima = [[step(r, b, -2, 0) for b in range(kp // 32)] for r in range(16)]

            def panel():
                data = b""
                for s in range(0, kp, 64):
                    if kind == "q8":  # a line: 16 rows of four k
                        for k in range(s, s + 64, 4):
                            data += b"".join(struct.pack("<4b", *quants[r][k : k + 4]) for r in range(16))
                    else:  # a line: 16 rows of eight k, k + i beside k + 4 + i
                        for k in range(s, s + 64, 8):
                            pairs = ((quants[r][k + i], quants[r][k + 4 + i]) for r in range(16) for i in range(4))
                            data += bytes(low | high << 4 for low, high in pairs)
                    for table in (scales, minima) if kind == "q4m" else (scales,):
                        data += struct.pack("<32e", *(table[r][s // 32 + b] for b in range(2) for r in range(16)))
                return data

            self.assertEqual(len(panel()), 64 * tvl_reader.panel_lines(kind, cols))
            found = tvl_reader.decode_panels(kind, 13, cols, [panel()])
            self.assertEqual(len(found), 13)
            for r, row in enumerate(found):
                for k, value in enumerate(row):
                    n, scale, low = quants[r][k], scales[r][k // 32], minima[r][k // 32]
                    expected = {"q8": scale * n, "q4": scale * (n - 8), "q4m": scale * n + low}[kind]
                    self.assertEqual(value, f32(expected))
            # Padding that is not: a quant of a row beyond the last, one beyond K, a scale, a minimum.
            places = [(quants, 13, 0), (scales, 15, 0)] + ([(quants, 0, cols)] if cols < kp else [])
            if tvl_reader.ceil(cols, 32) < kp:
                places.append((scales, 2, kp // 32 - 1))
            if kind == "q4m":
                places.append((minima, 14, 1))
            for table, r, at in places:
                kept, table[r][at] = table[r][at], 1
                with self.assertRaises(tvl_reader.FormatError):
                    tvl_reader.decode_panels(kind, 13, cols, [panel()])
                table[r][at] = kept

    def test_k_quants(self):
        rng = random.Random(6)
        for kind, cols in (("q4k", 512), ("q5k", 300), ("q6k", 270)):
            size = 16 if kind == "q6k" else 32
            kp = tvl_reader.ceil(cols, 256)
            most, zero = {"q4k": (15, 0), "q5k": (31, 0), "q6k": (63, 32)}[kind]
            inside = lambda r, k: r < 13 and k < cols
            quants = [[rng.randint(0, most) if inside(r, k) else zero for k in range(kp)] for r in range(16)]
            low, high = (-128, 127) if kind == "q6k" else (0, 255)
            scale = lambda r, b: rng.randint(low, high) if inside(r, size * b) else 0
            scales = [[scale(r, b) for b in range(kp // size)] for r in range(16)]
            minima = [[scale(r, b) for b in range(kp // size)] for r in range(16)]
            if kind == "q6k":
                minima = [[0] * (kp // size)] * 16
            shared = [[as_f16(rng.uniform(-2, 2)) if r < 13 else 0.0 for _ in range(kp // 256)] for r in range(16)]
            steps = [[as_f16(rng.uniform(-2, 2)) if r < 13 and kind != "q6k" else 0.0 for _ in range(kp // 256)] for r in range(16)]

            def panel():
                data = b""
                for s in range(kp // 256):
                    data += struct.pack("<32e", *(row[s] for row in shared), *(row[s] for row in steps))
                    for b in range(s * 256 // size, (s + 1) * 256 // size):
                        data += bytes(scales[r][b] & 255 for r in range(16))
                        if kind != "q6k":
                            data += bytes(minima[r][b] for r in range(16))
                    for k in range(s * 256, s * 256 + 256, size):
                        if kind != "q4k":  # a u32 of a row: byte i % 4 has the high bits of all its k, lowest first
                            width = 1 if kind == "q5k" else 2
                            for r in range(16):
                                for i in range(4):
                                    data += bytes([sum((quants[r][k + 4 * q + i] >> 4) << width * q for q in range(size // 4))])
                        for q in range(k, k + size, 8):
                            data += bytes(
                                quants[r][q + i] & 15 | (quants[r][q + 4 + i] & 15) << 4 for r in range(16) for i in range(4)
                            )
                return data

            self.assertEqual(len(panel()), 64 * tvl_reader.panel_lines(kind, cols))
            found = tvl_reader.decode_panels(kind, 13, cols, [panel()])
            for r, row in enumerate(found):
                for k, value in enumerate(row):
                    step, minimum = shared[r][k // 256] * scales[r][k // size], steps[r][k // 256] * minima[r][k // size]
                    self.assertEqual(value, f32(step * (quants[r][k] - zero) - minimum))
            places = [(quants, 13, 0), (scales, 15, 0), (shared, 14, 0)]
            if cols < kp:
                places += [(quants, 0, cols), (scales, 2, kp // size - 1)]
            for table, r, at in places:
                kept, table[r][at] = table[r][at], 1
                with self.assertRaises(tvl_reader.FormatError):
                    tvl_reader.decode_panels(kind, 13, cols, [panel()])
                table[r][at] = kept


if __name__ == "__main__":
    WORK_FOLDER, PROGRAM = sys.argv[1], sys.argv[2:]
    unittest.main(argv=sys.argv[:1], verbosity=2)
