"""Malformed checkpoints of llama2.c and tokenizer.bin files, given to `tvl convert`."""

import struct

from cases import Blob, Case

MAX, MIN = 2**31 - 1, -(2**31)
CONVERT = ["convert", "in.bin", "out.tvl", "--tokenizer", "tok.bin"]


def make(checkpoints, tokenizer):
    """From the bytes of good ones: a checkpoint per version (dim 32, 4 heads, vocabulary 300), and their tokenizer."""
    cases = []

    def add(category, name, file, *says, vocabulary=tokenizer):
        files = {"in.bin": None if file is None else bytes(file.data), "tok.bin": vocabulary}
        cases.append(Case(category, name, CONVERT, files, ["in.bin", *says]))

    version0(checkpoints[0], add)
    for version in (1, 2):
        versioned(version, checkpoints[version], add)
    groups(checkpoints[2], add)
    cases += tokenizers(checkpoints[0], tokenizer)
    return cases


FIELDS = ["dim", "hidden_dim", "n_layers", "n_heads", "n_kv_heads", "vocab_size", "seq_len"]


def shapes(category, good, base, add):
    """What is wrong in the same way in every version. The fields start at byte `base`."""
    size = len(good)
    for i, field in enumerate(FIELDS):
        value = (0, MAX, MIN, -1, 5000, 0, -7)[i]
        add(category, "%s = %d" % (field, value), Blob(good).set("i", base + 4 * i, value),
            "header field %s: expected" % field, "found %d" % value)  # fmt: skip
    add(category, "heads of a part", Blob(good).set("i", base + 12, 5), "header field n_heads: expected", "found 5 heads for dim 32")
    add(category, "heads of an odd size", Blob(good).set("i", base + 12, 32), "header field n_heads: expected", "found 32 heads")
    add(category, "kv heads that do not divide", Blob(good).set("i", base + 16, 3), "n_kv_heads: expected a divisor of n_heads = 4, found 3")
    add(category, "one byte less", Blob(good).cut(size - 1), "file size: expected %d bytes" % size, "found %d; the file is truncated" % (size - 1))
    add(category, "one byte more", Blob(good).add(b"\0"), "file size: expected %d bytes" % size, "found %d" % (size + 1))
    add(category, "the header alone", Blob(good).cut(base + 28 if base == 0 else 256), "file size: expected %d bytes" % size)
    add(category, "a layer more", Blob(good).set("i", base + 8, 3), "file size: expected", "found %d" % size)
    add(category, "the largest shapes", Blob(good).put(base, struct.pack("<7i", 2**17, 2**20, 1024, 128, 128, 2**24, 2**24)),
        "file size: expected", "found %d" % size)  # fmt: skip


def version0(good, add):
    category = "checkpoint version 0"
    shapes(category, good, 0, add)
    add(category, "an empty file", Blob(b""), "empty")
    add(category, "a folder", None, "expected a regular file, found a directory")
    for cut in (1, 27):
        add(category, "cut after %d bytes" % cut, Blob(good).cut(cut), "file size: expected at least a header of 28 bytes, found %d" % cut)
    add(category, "a classifier that is not there", Blob(good).set("i", 20, -300 if struct.unpack_from("<i", good, 20)[0] > 0 else 300),
        "file size: expected", "found %d" % len(good))  # fmt: skip
    add(category, "a web page", Blob(b"<!DOCTYPE html>\n<html><head><title>Not found</title></head>"), "expected a GGUF file or a checkpoint of llama2.c, found a page of HTML")
    for name, data, says in (
        ("a .tvl file", b"\x89TVL\r\n\x1a\n" + bytes(100), "found a .tvl file; it needs no conversion"),
        ("a safetensors file", b"\x40\0\0\0\0\0\0\0" + b"{}".ljust(64), "found weights in safetensors; tvl reads GGUF"),
        ("a zip archive", b"PK\x03\x04" + bytes(100), "found a zip archive"),
    ):
        add(category, name, Blob(data), "expected a GGUF file or a checkpoint of llama2.c", says)


def versioned(version, good, add):
    category = "checkpoint version %d" % version
    shapes(category, good, 8, add)
    for value in (0, 3, -1, MAX):
        add(category, "version = %d" % value, Blob(good).set("i", 4, value), "header field version: expected 1 or 2, found %d" % value)
    for cut in (4, 36, 255):
        add(category, "cut after %d bytes" % cut, Blob(good).cut(cut), "file size: expected at least a header of 256 bytes, found %d" % cut)
    add(category, "shared_classifier = 2", Blob(good).set("B", 36, 2), "header field shared_classifier: expected 0 or 1, found 2")
    add(category, "a classifier that is not there", Blob(good).set("B", 36, 1 - good[36]), "file size: expected", "found %d" % len(good))
    add(category, "a further field", Blob(good).set("B", 44, 1), "header byte 44: expected 0", "found 1")


def groups(good, add):
    category = "checkpoint version 2"
    for value in (0, -8, MIN):
        add(category, "group_size = %d" % value, Blob(good).set("i", 37, value), "header field group_size: expected 1 or more, found %d" % value)
    for value in (7, 2**20, MAX):
        add(category, "group_size = %d" % value, Blob(good).set("i", 37, value), "header field group_size: expected a divisor of", "found %d" % value)
    add(category, "another group_size", Blob(good).set("i", 37, 4), "file size: expected", "found %d" % len(good))
    scales = 256 + 4 * 5 * 32 + 300 * 32  # of the embedding, after the norms and its numbers
    for value in (float("nan"), float("-inf"), -0.5):
        add(category, "a scale of %r" % value, Blob(good).set("f", scales + 4 * 17, value),
            "tensor token_embedding: scale 17 of 1200: expected a finite number", "found")  # fmt: skip
    add(category, "numbers where the scales are", Blob(good).put(scales, b"\x80" * 64), "tensor token_embedding: scale 0", "expected", "found -")


def tokenizers(checkpoint, good):
    cases = []
    size = len(good)
    first = 4 + 8 + 5  # the length of "<unk>" is told at byte 8
    last = size - 9  # one letter

    def add(name, file, *says):
        files = {"in.bin": checkpoint, "tok.bin": None if file is None else bytes(file.data)}
        cases.append(Case("tokenizer.bin", name, CONVERT, files, ["tok.bin", *says]))

    add("an empty file", Blob(b""), "empty")
    add("a folder", None, "expected a regular file, found a directory")
    add("cut after 3 bytes", Blob(good).cut(3), "max_token_length at byte 0: expected 4 bytes, found 3")
    add("max_token_length = -1", Blob(good).set("i", 0, -1), "max_token_length at byte 0: expected 0 or more, found -1")
    add("max_token_length = 3", Blob(good).set("i", 0, 3), "token 0: length at byte 8: expected 0 to max_token_length, 3, found 5")
    add("a score that is no number", Blob(good).set("f", first, float("nan")), "token 1: score at byte 17: expected a number, found NaN")
    add("a negative length", Blob(good).set("i", 8, -1), "token 0: length at byte 8: expected 0 to max_token_length, 6, found -1")
    add("a huge length", Blob(good).set("i", 0, MAX).set("i", 8, MAX), "token 0: piece at byte 12: expected 2147483647 bytes, found %d" % (size - 12))
    add("a zero byte in a piece", Blob(good).set("B", 14, 0), "token 0: piece at byte 12", "found a zero byte at byte 14")
    add("cut in a score", Blob(good).cut(last + 2), "token 299 of 300", "expected 8 bytes of score and length, found 2")
    add("cut in a piece", Blob(good).cut(15), "token 0: piece at byte 12: expected 5 bytes, found 3")
    add("one piece less", Blob(good).cut(last), "token 299 of 300", "expected 8 bytes of score and length, found 0")
    add("one piece more", Blob(good).add(struct.pack("<fi", 0, 1) + b"z"), "after token 299", "found 9 more bytes")
    add("one byte more", Blob(good).add(b"\0"), "after token 299", "expected the file's end", "found 1 more byte")
    add("a tokenizer.json", Blob(b'{"version": "1.0", "truncation": null}'), "expected", "found a tokenizer.json")
    add("a tokenizer.model", Blob(b"\n\x0e\n\x05<unk>\x15\0\0\0\0\x18\x02\n\x0c\n\x03<s>"), "expected a tokenizer.bin", "found a SentencePiece model")
    add("the checkpoint", Blob(checkpoint), "expected a tokenizer.bin", "found what may be a checkpoint")
    return cases
