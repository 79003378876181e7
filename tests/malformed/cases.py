"""A malformed input, and what tests need to make one."""

import dataclasses
import struct

from xxh3 import xxh3_64


@dataclasses.dataclass
class Case:
    """One start of the program, in a folder of its own that holds `files` (name -> bytes; None: a folder)."""

    category: str
    name: str
    arguments: list  # of the program
    files: dict
    says: list  # all within the one sentence: the file's name, the field, what was expected, what was found
    code: int = 1


class Blob:
    """Bytes to be damaged. Every method returns the object, so that calls can be chained."""

    def __init__(self, data):
        self.data = bytearray(data)

    def set(self, code, offset, value):
        struct.pack_into("<" + code, self.data, offset, value)
        return self

    def get(self, code, offset):
        return struct.unpack_from("<" + code, self.data, offset)[0]

    def put(self, offset, data):
        self.data[offset : offset + len(data)] = data
        return self

    def cut(self, size):
        del self.data[size:]
        return self

    def add(self, data):
        self.data += data
        return self


class Tvl(Blob):
    """A .tvl file whose checksums can be made right again, so that what lies behind them is found."""

    @property
    def config(self):
        return self.get("Q", 32)

    @property
    def tokenizer(self):
        return self.get("Q", 40)

    @property
    def count(self):
        return self.get("I", 48)

    def entry(self, name):
        """The offset of a tensor's directory entry; of the one after the last for None."""
        directory = self.get("Q", 24)
        for i in range(self.count):
            if bytes(self.data[directory + 128 * i :][:64]).rstrip(b"\0") == (name or "").encode():
                return directory + 128 * i
        assert name is None, name
        return directory + 128 * self.count

    def tensor(self, name):
        """The offset of a tensor's data."""
        return self.get("Q", self.entry(name) + 88)

    def seal(self):
        config, directory = self.config, self.get("Q", 24)
        parts = self.data[:56] + self.data[config:][: self.get("I", config)] + self.data[directory:][: 128 * self.count]
        return self.set("Q", 56, xxh3_64(bytes(parts)))

    def seal_tokenizer(self):
        at = self.tokenizer
        return self.set("Q", at + 8, xxh3_64(bytes(self.data[at + 16 : at + self.get("Q", at)])))
