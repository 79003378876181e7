"""Byte-level BPE for GGUF fixtures: gives a Gguf of tests/support/make_gguf.py a vocabulary as GPT-2's files have it.

    byte_level_gguf.py OUT.gguf [PRE]     # a vocabulary alone
"""

import os
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "support"))
import make_gguf  # noqa: E402

MERGES = ((b"a", b"b"), (b" ", b"ab"), (b"1", b"2"), (b"\xc3", b"\xa9"))
NORMAL, CONTROL, USER_DEFINED = 1, 3, 4


def letters():
    """Byte -> the letter that GPT-2 writes for it."""
    printable = [b for b in range(256) if 33 <= b <= 126 or 161 <= b <= 172 or 174 <= b]
    others = [b for b in range(256) if b not in printable]
    return {**{b: chr(b) for b in printable}, **{b: chr(256 + i) for i, b in enumerate(others)}}


LETTERS = letters()


def spelt(data):
    return "".join(LETTERS[byte] for byte in data)


def pieces(merges=MERGES):
    """(bytes or text, type): the bytes, what the merges make, then a control and three user-defined tokens."""
    named = (("<|im_start|>", CONTROL), ("<|im_end|>", CONTROL), ("<tag>", USER_DEFINED), ("  ", USER_DEFINED))
    return [(bytes([b]), NORMAL) for b in range(256)] + [(a + b, NORMAL) for a, b in merges] + list(named)


def byte_level(gguf, pre="gpt-2", merges=MERGES):
    """Replaces what tokenizer there is; returns the number of tokens, which is 264 with MERGES, as make_gguf's."""
    all_pieces = pieces(merges)
    for key in [key for key in gguf.metadata if key.startswith("tokenizer.")]:
        del gguf.metadata[key]
    gguf.metadata.update({
        "tokenizer.ggml.model": (make_gguf.STRING, "gpt2"),
        "tokenizer.ggml.pre": (make_gguf.STRING, pre),
        "tokenizer.ggml.tokens": (make_gguf.ARRAY, (make_gguf.STRING, [spelt(p) if isinstance(p, bytes) else p for p, _ in all_pieces])),
        "tokenizer.ggml.token_type": (make_gguf.ARRAY, (5, [kind for _, kind in all_pieces])),
        "tokenizer.ggml.merges": (make_gguf.ARRAY, (make_gguf.STRING, [spelt(a) + " " + spelt(b) for a, b in merges])),
        "tokenizer.ggml.bos_token_id": (4, 256 + len(merges)),
    })  # fmt: skip
    return len(all_pieces)


def vocabulary(pre="gpt-2", merges=MERGES):
    gguf = make_gguf.Gguf()
    byte_level(gguf, pre, merges)
    return gguf


if __name__ == "__main__":
    with open(sys.argv[1], "wb") as out:
        out.write(vocabulary(*sys.argv[2:]).bytes())
