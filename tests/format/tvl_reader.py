"""Reads .tvl files, written from models/TVL_FORMAT.md alone: no code is shared with the engine.

It favours plainness over speed and checks what the document says, padding and checksums included.

    model = tvl_reader.read("model.tvl")
    model.config["dim"], model.tensors["layers.0.wq"].matrices[0][row][k], model.tokenizer.pieces[id]
"""

import struct

from xxh3 import xxh3_64

MAGIC = b"\x89TVL\r\n\x1a\n"

CONFIG_FIELDS = (
    ("config_bytes", "I"), ("architecture", "I"), ("dim", "I"), ("hidden_dim", "I"), ("n_layers", "I"),
    ("n_heads", "I"), ("n_kv_heads", "I"), ("head_dim", "I"), ("vocab_size", "I"), ("context_length", "I"),
    ("flags", "I"), ("norm_epsilon", "f"), ("attention_scale", "f"), ("activation", "I"), ("rope_kind", "I"),
    ("rope_scaling", "I"), ("rope_dims", "I"), ("rope_base", "f"), ("sliding_window", "I"),
    ("attention_soft_cap", "f"), ("logit_soft_cap", "f"),
)  # fmt: skip

TYPE_NAMES = {
    1: "f32", 2: "f16", 3: "bf16", 4: "q8", 5: "q4", 6: "q4m", 7: "q4k", 8: "q5k", 9: "q6k", 64: "vector",
}  # fmt: skip
PLAIN = ("f32", "f16", "bf16")
K_QUANTS = ("q4k", "q5k", "q6k")

TOKENIZER_FIELDS = (
    ("section_bytes", "Q"), ("checksum", "Q"), ("version", "I"), ("header_bytes", "I"), ("kind", "I"), ("flags", "I"),
    ("vocab_size", "I"), ("max_piece_bytes", "I"), ("pre_tokenizer", "I"), ("reserved", "I"), ("bos_id", "i"),
    ("eos_id", "i"), ("unk_id", "i"), ("pad_id", "i"),
)  # fmt: skip

TABLES = (
    "piece_offsets", "piece_bytes", "scores", "piece_types", "piece_index", "merges", "merge_index", "added_tokens",
    "end_tokens", "chat_template", "pre_tokenizer_pattern", "normalizer_map",
)  # fmt: skip


class FormatError(Exception):
    """The file is not as TVL_FORMAT.md says."""


def check(condition, message):
    if not condition:
        raise FormatError(message)


def ceil(a, b):
    return (a + b - 1) // b * b


def unpack_fields(fields, data):
    """Fields that lie beyond the data are zero."""
    layout = "<" + "".join(code for _, code in fields)
    padded = data[: struct.calcsize(layout)].ljust(struct.calcsize(layout), b"\0")
    return dict(zip((name for name, _ in fields), struct.unpack(layout, padded)))


def numbers(code, data):
    """All little-endian numbers of one struct code in the data."""
    return struct.unpack("<%d%s" % (len(data) // struct.calcsize(code), code), data)


# --- Tiles -----------------------------------------------------------------------------------------


def padded_k(kind, cols):
    return ceil(cols, 4 if kind in PLAIN else 256 if kind in K_QUANTS else 64)


def panel_lines(kind, cols):
    kp = padded_k(kind, cols)
    return {
        "f32": kp, "f16": kp // 2, "bf16": kp // 2,
        "q8": kp // 64 * 17, "q4": kp // 64 * 9, "q4m": kp // 64 * 10,
        "q4k": kp // 256 * 37, "q5k": kp // 256 * 45, "q6k": kp // 256 * 53,
    }[kind]  # fmt: skip


def decode_plain(kind, panel, kp):
    """The 16 rows of a panel of f32, f16 or bf16."""
    if kind == "f32":
        flat = numbers("f", panel)
        return [[flat[16 * k + r] for k in range(kp)] for r in range(16)]
    if kind == "f16":
        flat = numbers("e", panel)
        return [[flat[16 * k + r] for k in range(kp)] for r in range(16)]
    upper_halves = numbers("H", panel)
    flat = numbers("f", struct.pack("<%dI" % len(upper_halves), *(h << 16 for h in upper_halves)))
    return [[flat[32 * (k // 2) + 2 * r + k % 2] for k in range(kp)] for r in range(16)]


def decode_quantised(kind, panel, rows, cols):
    """The 16 rows of a panel of q8, q4 or q4m, of which `rows` are no padding."""
    kp = padded_k(kind, cols)
    quant_lines = 16 if kind == "q8" else 8
    lines = {"q8": 17, "q4": 9, "q4m": 10}[kind]
    zero = 8 if kind == "q4" else 0  # what is stored for nothing
    out = [[0.0] * kp for _ in range(16)]
    for k in range(kp):
        j = k % 64
        start = 64 * lines * (k // 64)
        block = panel[start : start + 64 * lines]
        steps = block[64 * quant_lines :]  # a line of scales, and of q4m one of minima
        scales = numbers("e", steps[:64])
        minima = numbers("e", steps[64:]) if kind == "q4m" else [0.0] * 32
        for r in range(16):
            at = 16 * (j // 32) + r
            if kind == "q8":
                n = numbers("b", block)[64 * (j // 4) + 4 * r + j % 4]
            else:
                byte = block[64 * (j // 8) + 4 * r + j % 4]
                n = byte & 15 if j % 8 < 4 else byte >> 4
            check(n == zero or (r < rows and k < cols), "a quant of the padding is not that of +0")
            if r >= rows or 32 * (k // 32) >= cols:
                for first in range(2 * at, len(steps), 64):
                    check(not any(steps[first : first + 2]), "a scale or minimum of the padding is not +0")
            out[r][k] = scales[at] * (n - zero) + minima[at]
    return [list(numbers("f", struct.pack("<%df" % kp, *row))) for row in out]  # rounded once, to f32


def decode_k_quants(kind, panel, rows, cols):
    """The 16 rows of a panel of q4k, q5k or q6k, of which `rows` are no padding."""
    kp = padded_k(kind, cols)
    lines = {"q4k": 37, "q5k": 45, "q6k": 53}[kind]
    size = 16 if kind == "q6k" else 32  # k of a block
    block_lines = {"q4k": 4, "q5k": 5, "q6k": 3}[kind]
    zero = 32 if kind == "q6k" else 0
    out = [[0.0] * kp for _ in range(16)]
    for k in range(kp):
        start = 64 * lines * (k // 256)
        block = panel[start : start + 64 * lines]
        j, i = k % 256, k % size
        shared = numbers("e", block[:64])
        scales = block[64 : 5 * 64]
        quants = block[64 * (5 + block_lines * (j // size)) :]
        low = quants if kind == "q4k" else quants[64:]
        if kind == "q6k":
            check(not any(block[32:64]), "dmin of q6k is not +0")
        for r in range(16):
            byte = low[64 * (i // 8) + 4 * r + i % 4]
            n = byte & 15 if i % 8 < 4 else byte >> 4
            high = quants[4 * r + i % 4]
            if kind == "q5k":
                n += 16 * (high >> i // 4 & 1)
            if kind == "q6k":
                n += 16 * (high >> 2 * (i // 4) & 3)
            if kind == "q6k":
                scale, minimum = numbers("b", scales)[16 * (j // 16) + r], 0
            else:
                scale, minimum = scales[32 * (j // 32) + r], scales[32 * (j // 32) + 16 + r]
            check(n == zero or (r < rows and k < cols), "a quant of the padding is not that of +0")
            if r >= rows or size * (k // size) >= cols:
                check(scale == 0 and minimum == 0, "a scale or minimum of the padding is not +0")
            if r >= rows:
                check(not any(block[2 * r : 2 * r + 2] + block[32 + 2 * r : 34 + 2 * r]), "d of the padding is not +0")
            out[r][k] = shared[r] * scale * (n - zero) - shared[16 + r] * minimum
    return [list(numbers("f", struct.pack("<%df" % kp, *row))) for row in out]  # rounded once, to f32


def decode_panels(kind, rows, cols, panels):
    """The logical rows of a matrix; its padding must be as the document says."""
    kp = padded_k(kind, cols)
    out = []
    for i, panel in enumerate(panels):
        if kind in PLAIN:
            decoded = decode_plain(kind, panel, kp)
            for row in decoded:
                check(not any(struct.pack("<%df" % (kp - cols), *row[cols:])), "padding of K is not +0")
        else:
            decode = decode_k_quants if kind in K_QUANTS else decode_quantised
            decoded = decode(kind, panel, rows - 16 * i, cols)
        out.extend(row[:cols] for row in decoded)
    if kind in PLAIN:
        for row in out[rows:]:
            check(not any(struct.pack("<%df" % cols, *row)), "a row of the padding is not +0")
    return out[:rows]


class Tensor:
    """One directory entry. `matrices` is one matrix, or the two of an interleaved pair, as lists of rows."""

    def __init__(self, entry, data):
        self.name, self.kind, self.flags, self.rows, self.cols = entry
        self.data = data

    @property
    def interleaved(self):
        return bool(self.flags & 2)

    @staticmethod
    def expected_bytes(kind, flags, rows, cols):
        if kind == "vector":
            return ceil(4 * cols, 64)
        panels = ceil(rows, 16) // 16
        if flags & 2:
            panels = 2 * ceil(panels, 2)
        return 64 * panels * panel_lines(kind, cols)

    @property
    def matrices(self):
        if self.kind == "vector":
            check(not any(self.data[4 * self.cols :]), self.name + ": padding is not zero")
            return [[list(numbers("f", self.data[: 4 * self.cols]))]]
        size = 64 * panel_lines(self.kind, self.cols)
        panels = [self.data[at : at + size] for at in range(0, len(self.data), size)]
        if not self.interleaved:
            return [decode_panels(self.kind, self.rows, self.cols, panels)]
        pair = ([], [])
        for i, panel in enumerate(panels):
            pair[i // 2 % 2].append(panel)
        return [decode_panels(self.kind, self.rows, self.cols, half) for half in pair]


# --- Tokenizer -------------------------------------------------------------------------------------


class Tokenizer:
    def __init__(self, section):
        self.header = unpack_fields(TOKENIZER_FIELDS, section)
        h = self.header
        check(h["section_bytes"] % 64 == 0 and h["section_bytes"] <= len(section), "section_bytes")
        section = section[: h["section_bytes"]]
        check(h["version"] == 1, "tokenizer version")
        check(h["header_bytes"] >= 256 and h["header_bytes"] % 64 == 0, "header_bytes")
        check(h["flags"] < 256 and h["reserved"] == 0, "tokenizer flags")
        check(xxh3_64(section[16:]) == h["checksum"], "the tokenizer's checksum")
        tables = {}
        end = h["header_bytes"]
        for i, name in enumerate(TABLES):
            offset, size = struct.unpack_from("<QQ", section, 64 + 16 * i)
            if size:
                check(offset == ceil(end, 8), name + ": a table does not follow the one before")
                check(not any(section[end:offset]), name + ": bytes before it are not zero")
                end = offset + size
            else:
                check(offset == 0, name + ": an absent table has an offset")
            tables[name] = section[offset : offset + size]
        check(len(section) == ceil(end, 64) and not any(section[end:]), "the end of the tokenizer section")
        offsets = numbers("I", tables["piece_offsets"])
        check(len(offsets) == h["vocab_size"] + 1 and offsets[0] == 0, "piece_offsets")
        self.pieces = [tables["piece_bytes"][a:b] for a, b in zip(offsets, offsets[1:])]
        check(offsets[-1] == len(tables["piece_bytes"]), "piece_offsets: the last")
        check(max(map(len, self.pieces)) == h["max_piece_bytes"], "max_piece_bytes")
        self.scores = list(numbers("f", tables["scores"]))
        self.piece_types = list(tables["piece_types"])
        self.merges = list(struct.iter_unpack("<III", tables["merges"]))
        self.added_tokens = list(struct.iter_unpack("<II", tables["added_tokens"]))
        self.end_tokens = list(numbers("i", tables["end_tokens"]))
        self.chat_template = tables["chat_template"].decode()
        self.pre_tokenizer_pattern = tables["pre_tokenizer_pattern"].decode()
        self.normalizer_map = tables["normalizer_map"]
        self.piece_index = numbers("I", tables["piece_index"])
        # Unknown, control and user-defined tokens after all others.
        later = [kind in (2, 3, 4) for kind in self.piece_types]
        check(list(self.piece_index) == build_index(self.pieces, later), "piece_index")
        if self.merges:
            pairs = [struct.pack("<II", left, right) for left, right, _ in self.merges]
            check(list(numbers("I", tables["merge_index"])) == build_index(pairs), "merge_index")
        if h["kind"] == 3:
            check(h["pre_tokenizer"] < 27 and not h["flags"] & 0x73, "what kind 3 needs")
            # The bytes of numbers beyond the vocabulary: single ones, then what merges make.
            texts = dict(enumerate(self.pieces + [bytes([byte]) for byte in range(256)]))
            for left, right, result in self.merges:
                if left in texts and right in texts:
                    made = texts[left] + texts[right]
                    check(texts.setdefault(result, made) == made, "a merge's result")

    def find(self, piece):
        """The lowest id of a piece, of those that text can become if there are any, or -1."""
        slots = len(self.piece_index)
        slot = xxh3_64(piece) % slots
        while self.piece_index[slot] != 0xFFFFFFFF:
            if self.pieces[self.piece_index[slot]] == piece:
                return self.piece_index[slot]
            slot = (slot + 1) % slots
        return -1


def build_index(keys, later=()):
    slots = 1
    while slots < 2 * len(keys):
        slots *= 2
    index = [0xFFFFFFFF] * slots
    numbers = range(len(keys))
    for number in sorted(numbers, key=lambda number: number < len(later) and later[number]):
        key = keys[number]
        slot = xxh3_64(key) % slots
        while index[slot] != 0xFFFFFFFF and keys[index[slot]] != key:
            slot = (slot + 1) % slots
        if index[slot] == 0xFFFFFFFF:
            index[slot] = number
    return index


# --- The file --------------------------------------------------------------------------------------


class Model:
    def __init__(self, data):
        check(data[:8] == MAGIC, "magic")
        major, minor, alignment = struct.unpack_from("<HHI", data, 8)
        (file_size, directory, config, tokenizer, entry_count, reserved, checksum) = struct.unpack_from(
            "<QQQQIIQ", data, 16
        )
        check(major == 1 and alignment == 65536 and reserved == 0, "header")
        check(file_size == len(data), "file_size")
        check(directory % 64 == config % 64 == tokenizer % 64 == 0, "a section is not aligned")
        self.version = (major, minor)
        (config_bytes,) = struct.unpack_from("<I", data, config)
        check(config_bytes % 4 == 0, "config_bytes")
        config_section = data[config : config + config_bytes]
        directory_section = data[directory : directory + 128 * entry_count]
        check(xxh3_64(data[:56] + config_section + directory_section) == checksum, "the header's checksum")
        self.config = unpack_fields(CONFIG_FIELDS, config_section)
        check(not any(config_section[84:]), "config of a newer version")
        check(self.config["flags"] < 2, "config flags")
        self.tensors = {}
        used = [(0, 64), (config, config + config_bytes), (directory, directory + 128 * entry_count)]
        for i in range(entry_count):
            self._read_entry(data, directory_section[128 * i : 128 * (i + 1)], used)
        self.tokenizer = Tokenizer(data[tokenizer:]) if tokenizer else None
        if tokenizer:
            used.append((tokenizer, tokenizer + self.tokenizer.header["section_bytes"]))
        end = 0
        for begin, stop in sorted(used):
            check(begin >= end, "parts of the file overlap")
            check(not any(data[end:begin]), "bytes that nothing claims are not zero")
            end = stop
        check(end == len(data), "bytes after the last part")

    def _read_entry(self, data, entry, used):
        name, zeros = entry[:64].split(b"\0", 1)
        check(name and not any(zeros), "a tensor's name")
        name = name.decode("ascii")
        kind, flags, rows, cols, offset, size, checksum, reserved0, reserved1 = struct.unpack_from("<IIQQQQQQQ", entry, 64)
        check(flags < 4, name + ": flags")
        check(name not in self.tensors, name + ": twice")
        check(offset % 64 == 0 and offset + size <= len(data), name + ": offset")
        content = data[offset : offset + size]
        check(xxh3_64(content) == checksum, name + ": checksum")
        if size:
            used.append((offset, offset + size))
        if kind not in TYPE_NAMES:
            check(not flags & 1, name + ": an unknown type that is required")
            return
        kind = TYPE_NAMES[kind]
        check(reserved0 == reserved1 == 0, name + ": reserved")
        check(size == Tensor.expected_bytes(kind, flags, rows, cols), name + ": bytes")
        self.tensors[name] = Tensor((name, kind, flags, rows, cols), content)


def read(path):
    with open(path, "rb") as file:
        return Model(file.read())
