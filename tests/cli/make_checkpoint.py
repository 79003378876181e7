"""Writes a llama2.c checkpoint and a tokenizer for tests: make_checkpoint.py KIND MODEL TOKENIZER.

KIND small: dim 32, weights that no symmetry makes equal.
KIND slow:  17 million zero weights (a sparse file) and a context of 65,536 positions: it says token 0 for ever.
KIND untied: as small, with a classifier of its own.
"""

import array
import struct
import sys

VOCABULARY = 300


def checkpoint(path, dim, hidden, layers, heads, kv_heads, context, tied, filled):
    head = dim // heads
    kv = head * kv_heads
    floats = VOCABULARY * dim * (1 if tied else 2)
    floats += layers * (2 * dim + 2 * dim * dim + 2 * kv * dim + 3 * dim * hidden) + dim + context * head
    with open(path, "wb") as file:
        vocabulary = VOCABULARY if tied else -VOCABULARY
        file.write(struct.pack("<7i", dim, hidden, layers, heads, kv_heads, vocabulary, context))
        if filled:
            state = 1
            weights = array.array("f")
            for _ in range(floats):
                state = (state * 1103515245 + 12345) % 2**31
                weights.append(state / 2**31 - 0.5)
            if sys.byteorder == "big":
                weights.byteswap()
            weights.tofile(file)
        else:
            file.truncate(28 + 4 * floats)


def tokenizer(path):
    pieces = [b"<unk>", b"\n<s>\n", b"\n</s>\n"] + [b"<0x%02X>" % byte for byte in range(256)]
    pieces += [b"%c" % (32 + i) for i in range(VOCABULARY - len(pieces))]
    with open(path, "wb") as file:
        file.write(struct.pack("<i", max(map(len, pieces))))
        for i, piece in enumerate(pieces):
            file.write(struct.pack("<fi", -float(i), len(piece)) + piece)


kind, model_path, tokenizer_path = sys.argv[1:]
if kind == "slow":
    checkpoint(model_path, 512, 2048, 4, 8, 8, 65536, True, False)
else:
    checkpoint(model_path, 32, 72, 2, 4, 2, 64, kind == "small", True)
tokenizer(tokenizer_path)
