"""Makes the seeds of the fuzz targets: make_seeds.py FOLDER TVL..., where TVL... runs the tvl program.

FOLDER/TARGET/* are small and whole: checkpoints of each version, vocabularies, .tvl files of every type of weight, GGUF
files of every type of tensor.
"""

import os
import struct
import subprocess
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "cli"))
sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "support"))
sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "tokenizer"))
import byte_level_gguf  # noqa: E402
import make_checkpoint  # noqa: E402
import make_gguf  # noqa: E402


def seed(folder, target, name):
    os.makedirs(os.path.join(folder, target), exist_ok=True)
    return os.path.join(folder, target, name)


def main(folder, *tvl):
    os.makedirs(folder, exist_ok=True)
    letters = [b"<unk>", b"<s>", b"</s>", b"a", b"b", b" a", b"ab"]
    fallback = letters[:3] + [b"<0x%02X>" % byte for byte in range(256)] + [b"o", b"n", b"on"]
    for size, pieces in (("small", letters), ("bytes", fallback)):
        count = len(pieces)
        plain = os.path.join(folder, size + ".bin")
        make_checkpoint.vocabulary(plain, pieces, make_checkpoint.falling(pieces))
        with open(plain, "rb") as file, open(seed(folder, "tokenizer", size), "wb") as out:
            out.write(struct.pack("<H", count) + file.read())
        make_checkpoint.VOCABULARY = count

        for version in range(3):
            for tied in (True, False):
                name = "%s-%s" % (size, "tied" if tied else "untied")
                path = seed(folder, "llama2c_v%d" % version, name)
                shape = make_checkpoint.Shape(8, 8, 1, 2, 1, 8, tied)
                make_checkpoint.checkpoint(path, shape, "grouped", version)
        for dtype in ("f32", "f16", "bf16", "q8", "q4", "q4m"):
            source = seed(folder, "llama2c_v0", size + "-untied")
            target = seed(folder, "tvl_reader", "%s-%s" % (size, dtype))
            subprocess.run([*tvl, "convert", source, target, "--tokenizer", plain, "--dtype", dtype], check=True)
        os.remove(plain)

    # Small in bytes, though rows hold a block of every type; a type that w2's and wo's do not hold gives way to F32.
    narrow = make_gguf.Shape(32, 32, 1, 2, 1, 16, 8, tied=True)
    wide = make_gguf.Shape(256, 1, 1, 1, 1, 2, 8, tied=True)
    for kind, (_, block, _) in make_gguf.TYPES.items():
        gguf = make_gguf.llama([kind, "F32"], wide if block == 256 else narrow)
        gguf.metadata["tokenizer.ggml.token_type"][1][1][-1] = 4
        with open(seed(folder, "gguf", kind), "wb") as file:
            file.write(gguf.bytes())
    # Tokenizers of kind 3: from GGUF; from a .tvl file; for each pre-tokenizer, from what the target makes of bytes.
    gguf = make_gguf.llama(["F32"], narrow)
    byte_level_gguf.byte_level(gguf, "llama-bpe")
    with open(seed(folder, "gguf", "byte-level"), "wb") as file:
        file.write(gguf.bytes())
    target = seed(folder, "tvl_reader", "gguf-byte-level")
    subprocess.run([*tvl, "convert", seed(folder, "gguf", "byte-level"), target], check=True)
    with open(target, "rb") as file, open(seed(folder, "tokenizer", "section"), "wb") as out:
        data = file.read()
        out.write(b"\xff\xff" + data[struct.unpack_from("<Q", data, 40)[0] :])
    merges = b"ababc c \xc3\xa9"
    for pre_tokenizer in range(28):
        with open(seed(folder, "tokenizer", "byte-level-%d" % pre_tokenizer), "wb") as out:
            out.write(b"\xff\xfe" + bytes([pre_tokenizer, 128 + pre_tokenizer % 4]) + merges + " I'll pay 1234\u20ac\u3002\r\n\n  \u65e5\u672c\xff ab".encode())
    for kind in ("Q4_K", "Q5_K", "Q6_K"):
        source, target = seed(folder, "gguf", kind), seed(folder, "tvl_reader", "gguf-" + kind)
        subprocess.run([*tvl, "convert", source, target, "--recipe", "wo=f32,w2=f32"], check=True)
    # A tokenizer of kind 2.
    subprocess.run([*tvl, "convert", seed(folder, "gguf", "Q4_0"), seed(folder, "tvl_reader", "gguf-q4")], check=True)


if __name__ == "__main__":
    main(*sys.argv[1:])
