"""Files of other kinds where a model is expected: the sentence says what each is, and what to do.

models/file_kind_test.cc has all kinds; here are those that people name, given to every command that opens a model.
"""

import gzip
import io
import json
import lzma
import pickle
import struct
import zipfile

from cases import Case

COMMANDS = [
    "generate -m FILE",
    "chat -m FILE",
    "bench -m FILE",
    "fingerprint -m FILE",
    "inspect FILE",
    "verify FILE",
    "tokenize -m FILE text",
    "perplexity -m FILE --file model.tvl",
    "perplexity --file model.tvl --against FILE",
    "convert FILE out.tvl",
    "convert FILE out.tvl --tokenizer tok.bin",
]


def archive(name):
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as file:
        file.writestr(name, b"content")
    return out.getvalue()


def safetensors(names):
    header = {name: {"dtype": "F32", "shape": [2], "data_offsets": [8 * i, 8 * i + 8]} for i, name in enumerate(names)}
    text = json.dumps(header).encode()
    return struct.pack("<Q", len(text)) + text + bytes(8 * len(names))


def make(good, checkpoint, tokenizer):
    kinds = {
        "model.safetensors": (safetensors(["model.embed_tokens.weight"]), "weights in safetensors", "convert_hf_to_gguf.py"),
        "large.safetensors": (safetensors(["model.layers.%d.weight" % i for i in range(3000)]), "weights in safetensors", "GGUF"),
        "pytorch_model.bin": (archive("pytorch_model/data.pkl"), "a PyTorch file", "convert_hf_to_gguf.py"),
        "model.pt": (archive("archive/data.pkl"), "a PyTorch file", "GGUF"),
        "model.pth": (pickle.dumps(0x1950A86A20F9469CFC6C, 2) + pickle.dumps(1001, 2), "a PyTorch file", "GGUF"),
        "weights.pkl": (pickle.dumps({"a": [1.5]}, 4), "a pickle of Python", "GGUF"),
        "weights.npz": (archive("layers.0.npy"), "NumPy or MLX", "GGUF"),
        "page.gguf": (b"<!DOCTYPE html>\n<html><head><title>x</title>", "a page of HTML", "/resolve/"),
        "other.gguf": (b"\n<html lang='en'>", "a page of HTML", "/resolve/"),
        "lfs.gguf": (b"version https://git-lfs.github.com/spec/v1\noid sha256:ab\nsize 9\n", "Git LFS", "git lfs pull"),
        "zip.gguf": (archive("model.gguf"), "a zip archive", "unpack it"),
        "model.gguf.gz": (gzip.compress(b"GGUF" * 99), "a gzip archive", "unpack it"),
        "model.gguf.xz": (lzma.compress(b"GGUF" * 99), "an xz archive", "unpack it"),
        "model.gguf.zst": (b"\x28\xb5\x2f\xfd" + bytes(20), "a zstd archive", "unpack it"),
        "ggml-model-q4_0.bin": (b"tjgg" + struct.pack("<I", 3) + bytes(90), "an old GGML file", "GGUF"),
        "ggml-old.bin": (b"lmgg" + bytes(90), "an old GGML file", "GGUF"),
        "model.onnx": (b"\x08\x08\x12\x07pytorch\x1a\x05" + b"2.1.0:\x90\x01" + bytes(200), "an ONNX model", "GGUF"),
        "config.json": (b'{"architectures": ["LlamaForCausalLM"], "model_type": "llama"}', "a config.json", "GGUF"),
        "model.safetensors.index.json": (b'{"metadata": {}, "weight_map": {}}', "the index", "GGUF"),
        "denied.gguf": (b"<?xml version='1.0'?><Error><Code>AccessDenied</Code></Error>", "a server's error", "download"),
        "text.gguf": (b"Access to this model is restricted.\n", "'Access to this model is restricted.'", "download"),
        "zeros.gguf": (bytes(100000), "nothing but zeros, which an unfinished download leaves", "download"),
        "sentencepiece.model": (b"\n\x0e\n\x05<unk>\x15\0\0\0\0\x18\x02" * 9, "a SentencePiece model", "tokenizer.py"),
        "session": (b"\x89TVS\r\n\x1a\n" + bytes(56), "a session", "--session"),
        "bench.json": (b'{\n  "machine": "a",\n  "runs": []\n}\n', "a report of tvl", "name the model's"),
        "trace.json": (b'{"displayTimeUnit":"ns","otherData":{"dropped_events":0},"traceEvents":[]}', "a trace of tvl", "name"),
        "tuning.json": (b'{\n  "version": 1,\n  "tunings": []\n}', "the tunings of tvl bench", "name the model's"),
    }  # fmt: skip
    cases = []
    others = {"model.tvl": good, "tok.bin": tokenizer, "in.bin": checkpoint}

    def add(name, line, files, *says):
        cases.append(Case("foreign file", "%s: %s" % (name, line), line.split(), {**others, **files}, list(says)))

    for i, (name, (data, found, advice)) in enumerate(kinds.items()):
        # Each kind with some of the commands, so that each command has many of them.
        for command in COMMANDS[i % 4 :: 4]:
            add(name, command.replace("FILE", name), {name: data}, "tvl: %s: " % name, "expected", "found", found, advice)
    for name in ["model.safetensors", "page.gguf", "config.json", "sentencepiece.model", "model.gguf.gz", "zeros.gguf", "lfs.gguf"]:
        data, found, _ = kinds[name]
        line = "convert in.bin out.tvl --tokenizer " + name
        add(name, line, {name: data}, "tvl: %s: " % name, "expected a tokenizer.bin of llama2.c, found", found)
    for command in COMMANDS:
        if not command.startswith("convert"):
            add("tok.bin", command.replace("FILE", "tok.bin"), {}, "tok.bin", "found a tokenizer of llama2.c", "--tokenizer")
            add("in.bin", command.replace("FILE", "in.bin"), {}, "in.bin", "found what may be a checkpoint", "'tvl convert'")
        add("empty", command.replace("FILE", "empty"), {"empty": b""}, "empty: the file is empty; download it again")
        add("folder", command.replace("FILE", "folder"), {"folder": None}, "folder: expected a regular file, found a directory; name")
    add("tok.bin", "convert tok.bin out.tvl", {}, "tok.bin: expected a GGUF file or a checkpoint of llama2.c, found a tokenizer of llama2.c")
    add("model.tvl", "convert model.tvl out.tvl", {}, "found a .tvl file; it needs no conversion")
    add("model.tvl", "convert in.bin out.tvl --tokenizer model.tvl", {}, "expected a tokenizer.bin of llama2.c, found a .tvl file")
    add("in.bin", "convert in.bin out.tvl --tokenizer in.bin", {}, "expected a tokenizer.bin of llama2.c, found what may be a checkpoint")

    # What a folder holds is said, and what a name says of a download.
    for name, says in [
        ("folder/model.gguf", "name a file in it, such as model.gguf"),
        ("folder/b.tvl", "name a file in it, such as b.tvl"),
        ("folder/config.json", "convert_hf_to_gguf.py"),
        ("folder/model-00001-of-00002.safetensors", "convert_hf_to_gguf.py"),
    ]:
        for command in ("generate -m folder", "inspect folder", "convert folder out.tvl"):
            add(name, command, {"folder": None, name: b"x"}, "folder: expected a regular file, found a directory; ", says)
    for name in ("model.gguf.part", "model.gguf.crdownload", "model.gguf.incomplete"):
        for command in ("inspect ", "convert OUT "):
            line = (command + name).replace("OUT " + name, name + " out.tvl")
            add(name, line, {name: b"GGUF" + struct.pack("<IQQ", 3, 1, 1) + bytes(9)}, name, "download has not come to its end")
    return cases
