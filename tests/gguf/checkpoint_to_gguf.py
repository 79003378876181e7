"""checkpoint_to_gguf.py CHECKPOINT TOKENIZER OUT.gguf: a llama2.c checkpoint of version 0 with a tied classifier, and its
tokenizer.bin, as llama.cpp would have them: the same numbers, the vocabulary as SentencePiece's.
"""

import struct
import sys

import make_gguf


def read_tokenizer(path):
    with open(path, "rb") as file:
        data = file.read()
    at, pieces, scores = 4, [], []
    while at < len(data):
        score, size = struct.unpack_from("<fi", data, at)
        pieces.append(data[at + 8 : at + 8 + size])
        scores.append(score)
        at += 8 + size
    return pieces, scores


def main(checkpoint, tokenizer, out):
    with open(checkpoint, "rb") as file:
        data = file.read()
    dim, hidden, layers, heads, kv_heads, vocabulary, context = struct.unpack_from("<7i", data)
    shape = make_gguf.Shape(dim, hidden, layers, heads, kv_heads, dim // heads, context, tied=True)
    gguf = make_gguf.Gguf()
    make_gguf.hyperparameters(gguf, shape)

    pieces, scores = read_tokenizer(tokenizer)
    make_gguf.vocabulary(gguf)
    special = [b"<unk>", b"<s>", b"</s>"] + [b"<0x%02X>" % byte for byte in range(256)]
    tokens = special + [piece.replace(b" ", "\u2581".encode()) for piece in pieces[len(special) :]]
    gguf.metadata["tokenizer.ggml.tokens"] = (make_gguf.ARRAY, (make_gguf.STRING, tokens))
    gguf.metadata["tokenizer.ggml.scores"] = (make_gguf.ARRAY, (6, scores))
    types = [2, 3, 3] + [6] * 256 + [1] * (len(pieces) - len(special))
    gguf.metadata["tokenizer.ggml.token_type"] = (make_gguf.ARRAY, (5, types))

    at = 28

    def take(name, *size):
        nonlocal at
        numbers = size[0] * (size[1] if len(size) > 1 else 1)
        gguf.tensors.append(make_gguf.Tensor(name, size, "F32", data[at : at + 4 * numbers], []))
        at += 4 * numbers

    def each(name, *size):
        for i in range(layers):
            take("blk.%d.%s.weight" % (i, name), *size)

    kv = kv_heads * dim // heads
    take("token_embd.weight", dim, vocabulary)
    each("attn_norm", dim)
    each("attn_q", dim, dim)
    each("attn_k", dim, kv)
    each("attn_v", dim, kv)
    each("attn_output", dim, dim)
    each("ffn_norm", dim)
    each("ffn_gate", dim, hidden)
    each("ffn_down", hidden, dim)
    each("ffn_up", dim, hidden)
    take("output_norm.weight", dim)
    with open(out, "wb") as file:
        file.write(gguf.bytes())


if __name__ == "__main__":
    main(*sys.argv[1:])
