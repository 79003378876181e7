"""Writes a llama2.c checkpoint and a tokenizer for tests: make_checkpoint.py KIND MODEL TOKENIZER [VERSION].

KIND small:   dim 32, weights that no symmetry makes equal.
KIND untied:  as small, with a classifier of its own.
KIND grouped: as untied, with weights that are int8 numbers times a scale per group: exact in every version.
KIND slow:    17 million zero weights (a sparse file) and a context of 65,536 positions: it says token 0 for ever.
VERSION is 0 (the default), 1, or 2 (grouped and slow only).
"""

import array
import struct
import sys

VOCABULARY = 300
MAGIC = 0x616B3432
GROUP = 8  # weights that share a scale


class Shape:
    def __init__(self, dim, hidden, layers, heads, kv_heads, context, tied):
        self.dim, self.hidden, self.layers, self.heads, self.kv_heads = dim, hidden, layers, heads, kv_heads
        self.context, self.tied = context, tied

    def tensors(self):
        """(name, numbers, whether it is a matrix) in the order of version 0."""
        dim, head = self.dim, self.dim // self.heads
        layers = lambda name, numbers, matrix=True: [("%s%d" % (name, i), numbers, matrix) for i in range(self.layers)]
        tables = [("tables", self.context * head, False)]
        classifier = [] if self.tied else [("classifier", VOCABULARY * dim, True)]
        return (
            [("embedding", VOCABULARY * dim, True)]
            + layers("attention_norm", dim, False)
            + layers("wq", dim * dim) + layers("wk", self.kv_heads * head * dim)
            + layers("wv", self.kv_heads * head * dim) + layers("wo", dim * dim)
            + layers("ffn_norm", dim, False)
            + layers("w1", self.hidden * dim) + layers("w2", dim * self.hidden) + layers("w3", self.hidden * dim)
            + [("final_norm", dim, False)] + tables + classifier
        )  # fmt: skip

    def order(self, version):
        """The tensors as they follow each other in a version's file."""
        if version == 0:
            return self.tensors()
        tensors = [t for t in self.tensors() if t[0] != "tables"]
        norms = {"attention_norm": 0, "ffn_norm": 1, "final_norm": 2}
        return sorted(tensors, key=lambda t: norms.get(t[0].rstrip("0123456789"), 3))  # stable

    def header(self, version):
        vocabulary = -VOCABULARY if version == 0 and not self.tied else VOCABULARY
        numbers = struct.pack(
            "<7i", self.dim, self.hidden, self.layers, self.heads, self.kv_heads, vocabulary, self.context
        )
        if version == 0:
            return numbers
        group = struct.pack("<i", GROUP) if version == 2 else b""
        return (struct.pack("<Ii", MAGIC, version) + numbers + struct.pack("<B", self.tied) + group).ljust(256, b"\0")


class Random:
    def __init__(self):
        self.state = 1

    def __call__(self):
        self.state = (self.state * 1103515245 + 12345) % 2**31
        return self.state


def packed(code, values):
    numbers = array.array(code, values)
    if sys.byteorder == "big":
        numbers.byteswap()
    return numbers.tobytes()


def contents(shape, kind):
    """For each tensor its f32 bytes, and of the matrices of a grouped model those of version 2."""
    random = Random()
    plain, quantised = {}, {}
    for name, numbers, matrix in shape.tensors():
        if kind != "grouped" or not matrix:
            plain[name] = packed("f", (random() / 2**31 - 0.5 for _ in range(numbers)))
            continue
        quants = [(random() >> 16) % 255 - 127 for _ in range(numbers)]
        scales = [((random() >> 16) % 4096 + 1) / 2**20 for _ in range(numbers // GROUP)]
        plain[name] = packed("f", (q * scales[i // GROUP] for i, q in enumerate(quants)))
        quantised[name] = packed("b", quants) + packed("f", scales)
    return plain, quantised


def checkpoint(path, shape, kind, version):
    with open(path, "wb") as file:
        file.write(shape.header(version))
        if kind == "slow":
            numbers = lambda matrix: sum(n for _, n, is_matrix in shape.order(version) if is_matrix == matrix)
            weights = numbers(True) * 4 if version < 2 else numbers(True) + numbers(True) // GROUP * 4
            file.truncate(len(shape.header(version)) + 4 * numbers(False) + weights)
            return
        plain, quantised = contents(shape, kind)
        for name, _, matrix in shape.order(version):
            file.write(quantised[name] if version == 2 and matrix else plain[name])


def vocabulary(path, pieces, scores):
    """Writes a tokenizer.bin."""
    with open(path, "wb") as file:
        file.write(struct.pack("<i", max(map(len, pieces))))
        file.write(b"".join(struct.pack("<fi", score, len(piece)) + piece for piece, score in zip(pieces, scores)))


def tokenizer(path):
    pieces = [b"<unk>", b"\n<s>\n", b"\n</s>\n"] + [b"<0x%02X>" % byte for byte in range(256)]
    pieces += [b"%c" % (32 + i) for i in range(VOCABULARY - len(pieces))]
    vocabulary(path, pieces, falling(pieces))


def falling(pieces):
    """Scores of which the first is the best."""
    return [-float(i) for i in range(len(pieces))]


def main(kind, model_path, tokenizer_path, version="0"):
    if kind == "slow":
        shape = Shape(512, 2048, 4, 8, 8, 65536, True)
    else:
        shape = Shape(32, 72, 2, 4, 2, 64, kind == "small")
    checkpoint(model_path, shape, kind, int(version))
    tokenizer(tokenizer_path)


if __name__ == "__main__":
    main(*sys.argv[1:])
