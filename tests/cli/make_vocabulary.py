"""A model of zero weights and a vocabulary of any size, for tests: make_vocabulary.py PIECES LENGTH MODEL TOKENIZER.

Piece 0, which such a model says for ever, has LENGTH bytes; the next ones are as llama2.c has them, then come numbers.
"""

import struct
import sys

import make_checkpoint

pieces, length = int(sys.argv[1]), int(sys.argv[2])
model_path, tokenizer_path = sys.argv[3:]

with open(model_path, "wb") as file:
    dim, context = 2, 16
    file.write(struct.pack("<7i", dim, dim, 1, 1, 1, pieces, context))
    file.truncate(28 + 4 * (pieces * dim + 7 * dim * dim + 3 * dim + context * dim))

names = [b"u" * length, b"<s>", b"</s>"] + [b"<0x%02X>" % byte for byte in range(256)]
names = names[:pieces] + [b"%d" % i for i in range(pieces - len(names))]
make_checkpoint.vocabulary(tokenizer_path, names, [-1.0] * len(names))
