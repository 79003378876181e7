"""Reads a GGUF file of version 3 into numpy arrays. Nothing of it is shared with the engine or with what writes the files
of these tests; the format is that of ggml's docs/gguf.md. A malformed file raises an exception.
"""

import struct

import numpy

# Value types of the metadata: number -> struct's code.
SCALARS = {0: "B", 1: "b", 2: "H", 3: "h", 4: "I", 5: "i", 6: "f", 7: "?", 10: "Q", 11: "q", 12: "d"}
STRING, ARRAY = 8, 9


def dequantize_q8_0(data):
    """Blocks of 32 weights: a scale of 16 bits, then 8 bits each."""
    blocks = numpy.frombuffer(data, dtype=[("scale", "<f2"), ("quants", "i1", 32)])
    return blocks["scale"].astype(float)[:, None] * blocks["quants"]


# Tensor types: number -> weights of a block, its bytes, what makes numbers of it.
TENSOR_TYPES = {
    0: (1, 4, lambda data: numpy.frombuffer(data, "<f4")),
    1: (1, 2, lambda data: numpy.frombuffer(data, "<f2")),
    8: (32, 34, dequantize_q8_0),
}


class _Cursor:
    def __init__(self, data):
        self.data, self.at = data, 0

    def scalar(self, code):
        (value,) = struct.unpack_from("<" + code, self.data, self.at)
        self.at += struct.calcsize("<" + code)
        return value

    def string(self):
        size = self.scalar("Q")
        self.at += size
        return self.data[self.at - size : self.at].decode(errors="surrogateescape")

    def value(self, kind):
        if kind == STRING:
            return self.string()
        if kind == ARRAY:
            element, count = self.scalar("I"), self.scalar("Q")
            return [self.value(element) for _ in range(count)]
        return self.scalar(SCALARS[kind])


def read(path):
    """(metadata: key -> value, tensors: name -> float64 array, a matrix as rows)."""
    with open(path, "rb") as file:
        data = file.read()
    cursor = _Cursor(data)
    if data[:4] != b"GGUF":
        raise ValueError("not a GGUF file: " + path)
    cursor.at = 4
    version, tensor_count, pair_count = cursor.scalar("I"), cursor.scalar("Q"), cursor.scalar("Q")
    if version != 3:
        raise ValueError("GGUF version %d in %s" % (version, path))
    metadata = {}
    for _ in range(pair_count):
        key = cursor.string()
        metadata[key] = cursor.value(cursor.scalar("I"))
    infos = []
    for _ in range(tensor_count):
        name = cursor.string()
        sizes = [cursor.scalar("Q") for _ in range(cursor.scalar("I"))]
        infos.append((name, sizes, cursor.scalar("I"), cursor.scalar("Q")))
    alignment = metadata.get("general.alignment", 32)
    start = -(-cursor.at // alignment) * alignment
    tensors = {}
    for name, sizes, kind, offset in infos:
        weights, size, numbers = TENSOR_TYPES[kind]
        size *= int(numpy.prod(sizes)) // weights
        part = data[start + offset : start + offset + size]
        tensors[name] = numbers(part).astype(float).reshape(sizes[::-1])  # the first size is the fastest
    return metadata, tensors
