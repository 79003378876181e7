"""Malformed .tvl files. All but the checksums' own cases carry right checksums again."""

from cases import Case, Tvl

HUGE32 = 2**32 - 1
HUGE = 2**64 - 64
NAN, INF = float("nan"), float("inf")


def make(good):
    """Cases from the bytes of a good file (dim 32, hidden 72, 2 layers, 4 heads, 2 kv heads, vocabulary 300, tied)."""
    cases = []

    def add(category, name, file, *says, command=None):
        # Whatever opens a model must say it; they take turns.
        if command is None:
            command = ["inspect", "verify", "generate -m", "fingerprint -m"][len(cases) % 4]
        arguments = command.split() + ["bad.tvl"]
        cases.append(Case(category, name, arguments, {"bad.tvl": bytes(file.data)}, ["bad.tvl", *says]))

    def each(category, base, fields):
        """(field, struct code, offset, value, what is said) with a sealed header."""
        for field, code, offset, value, *says in fields:
            file = Tvl(good).set(code, base + offset, value).seal()
            add(category, "%s = %r" % (field, value), file, field, *says)

    header(good, add, each)
    config(good, add, each)
    directory(good, add)
    extents(good, add, each)
    tokenizer(good, add)
    return cases


def header(good, add, each):
    category = "TVL header"
    size = len(good)
    add(category, "an empty file", Tvl(b""), "empty")
    for cut in (1, 8, 63):
        add(category, "cut after %d bytes" % cut, Tvl(good).cut(cut), "file size: expected", "found %d" % cut)
    for cut in (64, 1000, size - 1):
        add(category, "cut after %d bytes" % cut, Tvl(good).cut(cut), "expected %d bytes" % size, "found %d" % cut, "truncated")
    add(category, "line ends translated", Tvl(bytes(good).replace(b"\r\n", b"\n")), "magic", "not a .tvl file")
    add(category, "another file's magic", Tvl(b"GGML" + good[4:]), "magic", "not a .tvl file; use `tvl convert`")
    add(category, "the header's checksum", Tvl(good).set("Q", 56, 1), "header checksum: expected 0000000000000001, found", "damaged")
    add(category, "appended bytes", Tvl(good).add(b"\0"), "file size: expected %d" % size, "found %d" % (size + 1))
    each(category, 0, [
        ("major version", "H", 8, 2, "expected 1, found 2", "newer tvl"),
        ("major version", "H", 8, 0, "expected 1, found 0"),
        ("alignment", "I", 12, 4096, "expected 65536, found 4096"),
        ("file size", "Q", 16, size + 64, "expected %d" % (size + 64), "found %d" % size),
        ("file size", "Q", 16, 0, "expected 0", "found %d" % size),
        ("directory_offset", "Q", 24, 0, "expected a section, found 0"),
        ("directory_offset", "Q", 24, 193, "expected a multiple of 64, found 193"),
        ("directory_offset", "Q", 24, HUGE, "ends after the file's %d bytes" % size),
        ("config_offset", "Q", 32, 0, "expected a section, found 0"),
        ("config_offset", "Q", 32, 65, "expected a multiple of 64, found 65"),
        ("tokenizer_offset", "Q", 40, 1, "expected a multiple of 64, found 1"),
        ("tokenizer_offset", "Q", 40, HUGE, "ends after the file's %d bytes" % size),
        ("directory_offset", "I", 48, HUGE32, "ends after the file's %d bytes" % size),
        ("rope.inv_freq", "I", 48, 0, "missing from the directory"),
        ("reserved header field", "I", 52, 7, "expected 0, found 7"),
    ])  # fmt: skip
    file = Tvl(good)
    add(category, "the config section twice", file.set("Q", 40, file.config).seal(), "tokenizer section", "expected", "found")


def config(good, add, each):
    category = "TVL config"
    base = Tvl(good).config
    for value in (0, 3, 6, HUGE32 - 3):
        add(category, "config_bytes = %d" % value, Tvl(good).set("I", base, value), "config_bytes: expected", "found %d" % value)
    add(category, "bytes of a newer version", Tvl(good).set("I", base, 128).set("I", base + 84, 1).seal(),
        "config byte 84: expected 0, found a field of a newer version")  # fmt: skip
    fields = [
        ("architecture", "I", 4, 9, "expected one of 1 (llama), 2 (mistral)", "found 9"),
        ("sliding_window", "I", 4, 2, "expected 1 to 16777216, found 0"),
        ("layers.0.bq", "I", 4, 3, "missing from the directory"),
        ("layers.0.q_norm", "I", 4, 4, "missing from the directory"),
        ("dim", "I", 8, 0, "expected 1 to 131072, found 0"),
        ("dim", "I", 8, HUGE32, "found 4294967295"),
        ("token_embedding", "I", 8, 48, "expected the shape (300, 48) by the config, found (300, 32)"),
        ("hidden_dim", "I", 12, 0, "expected 1 to 1048576, found 0"),
        ("layers.0.w13", "I", 12, 73, "expected the shape (73, 32) by the config, found (72, 32)"),
        ("n_layers", "I", 16, 1025, "expected 1 to 1024, found 1025"),
        ("layers.2.attention_norm", "I", 16, 3, "missing from the directory"),
        ("layers.1.attention_norm", "I", 16, 1, "requires it"),
        ("n_heads", "I", 20, 0, "expected 1 to 4096, found 0"),
        ("n_kv_heads", "I", 24, 3, "expected a divisor of n_heads = 4, found 3"),
        ("head_dim", "I", 28, 1, "expected 2 to 1024, found 1"),
        ("vocab_size", "I", 32, 0, "expected 1 to 16777216, found 0"),
        ("tokenizer vocabulary size", "I", 32, 301, "expected 301, found 300"),
        ("context_length", "I", 36, 0, "expected 1 to 16777216, found 0"),
        ("flags", "I", 40, 2, "expected 0 or 1, found 2"),
        ("classifier", "I", 40, 0, "missing from the directory"),
        ("norm_epsilon", "f", 44, 0.0, "expected a number above 0", "found 0"),
        ("norm_epsilon", "f", 44, NAN, "expected a number above 0", "found nan"),
        ("attention_scale", "f", 48, INF, "expected a number above 0", "found inf"),
        ("activation", "I", 52, 9, "expected 1, found 9"),
        ("rope_kind", "I", 56, 2, "expected 1, found 2"),
        ("rope_scaling", "I", 60, 2, "expected 1, found 2"),
        ("rope_dims", "I", 64, 10, "expected 2 to 8, found 10"),
        ("rope_dims", "I", 64, 3, "expected an even number, found 3"),
        ("rope_base", "f", 68, -1.0, "expected a number above 0", "found -1"),
        ("sliding_window", "I", 72, 8, "expected 0, found 8"),
        ("attention_soft_cap", "f", 76, 30.0, "expected 0, found 30"),
        ("logit_soft_cap", "f", 80, 30.0, "expected 0, found 30"),
    ]
    each(category, base, fields)


def directory(good, add):
    category = "TVL directory"

    def damaged(tensor, *changes):
        file = Tvl(good)
        at = file.entry(tensor)
        for code, offset, value in changes:
            if code == "s":
                file.put(at + offset, value)
            else:
                file.set(code, at + offset, value)
        return file.seal()

    name = lambda text: ("s", 0, text.ljust(64, b"\0"))
    wq = "layers.0.wq"
    add(category, "no name", damaged(wq, name(b"")), "directory entry 2, field name: expected", "found")
    add(category, "a name without an end", damaged(wq, name(b"x" * 64)), "directory entry 2, field name: expected", "found")
    add(category, "a name with a control character", damaged(wq, name(b"layers\x1b[2J")), "directory entry 2, field name", "found")
    add(category, "bytes after the name's end", damaged(wq, ("s", 60, b"x")), "directory entry 2, field name", "found")
    add(category, "a name twice", damaged(wq, name(b"layers.0.wk")), "tensor layers.0.wk", "twice")
    add(category, "a name that is not known", damaged(wq, name(b"layers.0.wz")), "tensor layers.0.wq", "missing")
    add(category, "a name not known that is not required", damaged(wq, name(b"layers.0.wz"), ("I", 68, 0)), "tensor layers.0.wq", "missing")
    add(category, "a type that is not known", damaged(wq, ("I", 64, 999)), "tensor layers.0.wq, field type: expected", "found 999")
    add(category, "a type that is reserved", damaged(wq, ("I", 64, 11)), "tensor layers.0.wq, field type: expected", "found 11 (q3k)")
    add(category, "a type that is too large for its bytes", damaged(wq, ("I", 64, 7)), "tensor layers.0.wq, field bytes: expected", "found")
    add(category, "a vector as a matrix", damaged("layers.0.ffn_norm", ("I", 64, 4)), "tensor layers.0.ffn_norm, field bytes: expected", "found 128")
    add(category, "a vector of two rows", damaged("final_norm", ("Q", 72, 2)), "tensor final_norm, field rows: expected 1", "found 2")
    add(category, "flags", damaged(wq, ("I", 68, 4)), "tensor layers.0.wq, field flags: expected 0 to 3, found 4")
    add(category, "a pair that is not interleaved", damaged("layers.0.w13", ("I", 68, 1)), "tensor layers.0.w13, field bytes: expected", "found")
    add(category, "a vector that is a pair", damaged("final_norm", ("I", 68, 3)), "tensor final_norm, field flags: expected no pair", "found 3")
    add(category, "reserved", damaged(wq, ("Q", 120, 1)), "tensor layers.0.wq, field reserved: expected 0, found 1")
    add(category, "one entry less", Tvl(good).set("I", 48, Tvl(good).count - 1).seal(), "tensor token_embedding", "missing")
    add(category, "one entry more", Tvl(good).set("I", 48, Tvl(good).count + 1).seal(), "expected", "found")
    file = Tvl(good)
    add(category, "the directory on the config", file.set("Q", 24, file.config).seal(), "directory entry 0, field name: expected", "found")


def extents(good, add, each):
    category = "TVL tensor extents"
    plain = Tvl(good)
    wq, wk = plain.entry("layers.0.wq"), plain.tensor("layers.0.wk")
    at, size = plain.tensor("layers.0.wq"), plain.get("Q", wq + 96)
    each(category, wq, [
        ("layers.0.wq, field offset", "Q", 88, at + 4, "expected a multiple of 64, found %d" % (at + 4)),
        ("layers.0.wq, field bytes", "Q", 88, HUGE, "after the file's %d bytes" % len(good)),
        ("layers.0.wq, field bytes", "Q", 88, len(good) // 64 * 64, "after the file's %d bytes" % len(good)),
        ("layers.0.wk", "Q", 88, at + 64, "overlaps layers.0.wq"),
        ("layers.0.wq", "Q", 88, 0, "overlaps the header"),
        ("layers.0.wq", "Q", 88, plain.config, "overlaps"),
        ("layers.0.wq", "Q", 88, wq // 64 * 64, "overlaps the directory"),
        ("layers.0.wq", "Q", 88, plain.tokenizer, "overlaps"),
        ("layers.0.wq, field bytes", "Q", 96, size + 64, "expected %d, found %d" % (size, size + 64)),
        ("layers.0.wq, field bytes", "Q", 96, 0, "expected %d, found 0" % size),
        ("layers.0.wq, field bytes", "Q", 96, HUGE, "after the file's %d bytes" % len(good)),
        ("layers.0.wq, field rows", "Q", 72, 0, "expected 1 to 16777216, found 0"),
        ("layers.0.wq, field rows", "Q", 72, HUGE, "expected 1 to 16777216, found %d" % HUGE),
        ("layers.0.wq, field cols", "Q", 80, 0, "expected 1 to 4194304, found 0"),
        ("layers.0.wq, field cols", "Q", 80, 2**40, "expected 1 to 4194304, found %d" % 2**40),
        ("layers.0.wq", "Q", 72, 31, "expected the shape (32, 32) by the config, found (31, 32)"),
        ("layers.0.wq", "Q", 80, 31, "expected the shape (32, 32) by the config, found (32, 31)"),
    ])  # fmt: skip
    # An entry that this version ignores must not reach into another either.
    for name, offset, size, says in (
        ("on another tensor", wk, 64, "overlaps"),
        ("beyond the end", 32768, 2**40, "after the file's"),
        ("at an odd offset", 32769, 64, "expected a multiple of 64, found 32769"),
    ):
        file = Tvl(good)
        entry = file.entry(None)
        file.put(entry, b"later".ljust(128, b"\0")).set("I", entry + 64, 999).set("Q", entry + 88, offset).set("Q", entry + 96, size)
        # The tokenizer lies right behind the directory.
        file.set("Q", 40, 0).set("I", 48, file.count + 1).seal()
        add(category, "an ignored entry " + name, file, "later", says)
    for value in (NAN, -1.0, 33.0):
        file = Tvl(good).set("f", plain.tensor("rope.inv_freq") + 4, value)
        add(category, "rope.inv_freq[1] = %r" % value, file, "rope.inv_freq: number 1: expected 0 to 32, found")
    add(category, "a damaged weight", Tvl(good).set("I", at + 100, 12345), "tensor layers.0.wq: expected the checksum", "found",
        command="verify")  # fmt: skip
    add(category, "a damaged gap", Tvl(good).set("B", 40000, 5), "byte 40000: expected 0", "found 5", command="verify")


def tokenizer(good, add):
    category = "TVL tokenizer"
    base = Tvl(good).tokenizer
    table = lambda number: 64 + 16 * number  # its descriptor: offset, bytes
    offset_of = lambda number: Tvl(good).get("Q", base + table(number))
    size = Tvl(good).get("Q", base)

    def damaged(code, offset, value):
        return Tvl(good).set(code, base + offset, value).seal_tokenizer()

    for field, code, offset, value, *says in [
        ("section_bytes", "Q", 0, size + 1, "expected a multiple of 64", "found %d" % (size + 1)),
        ("section_bytes", "Q", 0, 2**63, "expected a multiple of 64", "found %d" % 2**63),
        ("section_bytes", "Q", 0, 0, "expected a multiple of 64", "found 0"),
        ("version", "I", 16, 2, "expected 1, found 2"),
        ("header_bytes", "I", 20, 192, "from 256", "found 192"),
        ("kind", "I", 24, 0, "expected a tokenizer kind, 1 or more, found 0"),
        ("flags", "I", 28, 256, "expected no bits but 0xff, found 0x100"),
        ("vocab_size", "I", 32, 0, "expected 1 to 2147483647, found 0"),
        ("piece_offsets bytes", "I", 32, 299, "expected 1200", "found 1204"),
        ("max_piece_bytes", "I", 36, 2**31, "expected 6, the longest piece, found 2147483648"),
        ("reserved", "I", 44, 1, "expected 0, found 1"),
        ("bos_id", "i", 48, 300, "expected -1 to 299, found 300"),
        ("eos_id", "i", 52, -2, "expected -1 to 299, found -2"),
        ("piece_offsets offset", "Q", table(0), 257, "expected a multiple of 8", "found 257"),
        ("piece_bytes offset", "Q", table(1), 256, "expected a multiple of 8", "found 256"),
        ("piece_bytes bytes", "Q", table(1) + 8, 2**63, "up to", "found %d" % 2**63),
        ("scores bytes", "Q", table(2) + 8, 8, "expected 1200 or 0", "found 8"),
        ("piece_index bytes", "Q", table(4) + 8, 2048, "expected 4096", "found 2048"),
        ("piece_offsets[0]", "I", offset_of(0), 1, "expected rising values", "found 1"),
        ("piece_offsets[3]", "I", offset_of(0) + 12, HUGE32, "expected rising values", "found 4294967295"),
        ("end_tokens[0]", "I", offset_of(8), 300, "expected an id of 0 to 299, found 300"),
    ]:
        add(category, "%s = %d" % (field, value), damaged(code, offset, value), "tokenizer section: " + field, *says)
    # What only those who encode look at, and only those who verify.
    add(category, "a kind of a later version", damaged("I", 24, 4), "kind: expected 1", "found 4", command="generate -m")
    add(category, "a kind that needs types", damaged("I", 24, 2), "piece_types: expected one per piece", "found none", command="generate -m")
    file = Tvl(good).set("Q", base + table(2), 0).set("Q", base + table(2) + 8, 0).seal_tokenizer()
    add(category, "no scores", file, "scores: expected one per piece", "found none", command="fingerprint -m")
    add(category, "no tokenizer", Tvl(good).set("Q", 40, 0).seal(), "no tokenizer", command="generate -m")
    add(category, "a damaged piece", Tvl(good).set("B", base + offset_of(1) + 9, 7), "tokenizer section: checksum: expected", "found",
        command="verify")  # fmt: skip
