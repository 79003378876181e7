"""not_finite_test.py SCRATCH TVL...: models that give no numbers end every command with one sentence."""

import os
import struct
import subprocess
import sys

import make_gguf
from terminal import LIMIT, Terminal

SCRATCH, TVL = sys.argv[1], sys.argv[2:]
NAN, INF = struct.pack("<f", float("nan")), struct.pack("<f", float("inf"))


def path(name):
    return os.path.join(SCRATCH, name)


def tvl(*arguments, code=1, text=b""):
    run = subprocess.run(TVL + list(arguments), input=text, capture_output=True, timeout=LIMIT)
    assert run.returncode == code, (arguments, run)
    return run.stdout.decode("utf-8", "replace"), run.stderr.decode("utf-8", "replace")


def refused(*arguments, said, text=b""):
    out, err = tvl(*arguments, text=text)
    assert err.count("\n") == 1 and err.startswith("tvl: ") and said in err, err
    return out, err


def model(name, tensor, number, at=0, kind="F32", scale=None):
    """A tiny model in which one number of a tensor is another, or all of a vector's are multiplied."""
    gguf = make_gguf.llama((kind,), make_gguf.Shape(dim=64, hidden=64, layers=2, heads=2, kv_heads=2, context=64))
    t = gguf.tensor(tensor)
    if scale is not None:
        t.data = struct.pack("<f", scale) * (len(t.data) // 4)
    else:
        t.data = t.data[:at] + number + t.data[at + len(number) :]
    with open(path(name + ".gguf"), "wb") as file:
        file.write(gguf.bytes())
    tvl("convert", path(name + ".gguf"), path(name + ".tvl"), code=0)
    return path(name + ".tvl")


def test_commands(name, file, where):
    """generate, chat and perplexity name the position and the tensor, and verify all tensors."""
    with open(path("text"), "w", encoding="utf-8") as text:
        text.write("a b")
    out, err = refused("generate", "-m", file, "-n", "9", "-p", "a", said="the logits that predict token ")
    assert out == "a\n" and " of the text are no numbers: " in err and where in err and "'tvl verify'" in err, (out, err)
    for options in (("--temperature", "1"), ("--top-k", "3", "--temperature", "1"), ("--min-p", "0.1")):
        assert refused("generate", "-m", file, "-n", "9", "-p", "a", *options, said=where)[0] == "a\n"
    out, err = refused("chat", "-m", file, "-n", "9", text=b"a\nb\n", said=where)
    assert out == "", out
    refused("perplexity", "-m", file, "--file", path("text"), said=where)
    # A terminal is no reason to go on.
    t = Terminal("-m", file, "-n", "9")
    t.expect("\n> ")
    t.send("a\r")
    t.leaves(1)
    assert "are no numbers: " in t.text, t.text
    # The session that led to it is not kept, and an older one stays.
    session = path(name + ".tvs")
    tvl("generate", "-m", file, "-n", "9", "-p", "a", "--session", session)
    assert not os.path.exists(session)


def main():
    where = {
        "up": ("blk.1.ffn_up.weight", NAN, "tensor layers.1.w13 (its w3), row 0, column 0: expected a finite weight, found nan"),
        "down": ("blk.0.ffn_down.weight", INF, "tensor layers.0.w2, row 0, column 0: expected a finite weight, found inf"),
        "output": ("output.weight", NAN, "tensor classifier, row 0, column 0: expected a finite weight, found nan"),
    }
    for name, (tensor, number, found) in where.items():
        file = model(name, tensor, number)
        test_commands(name, file, found)
        refused("verify", file, said=found)
    file = model("half", "blk.0.attn_output.weight", b"\x00\xfc", kind="F16")
    test_commands("half", file, "tensor layers.0.wo, row 0, column 0: expected a finite weight, found -inf")
    # A weight that no prompt has touched is told by verify alone.
    gguf_row = 64 * 4 * 200  # of a token that is not in the text
    file = model("unused", "token_embd.weight", NAN, at=gguf_row + 4)
    refused("verify", file, said="tensor token_embedding, row 200, column 1: expected a finite weight, found nan")
    # Numbers that grow too large where every weight is one.
    file = model("large", "output_norm.weight", b"", scale=3e38)
    test_commands("large", file, "all its weights are finite, but what it computes with them grows too large")
    assert tvl("verify", file, code=0)[0].startswith("OK ")
    # Two at once: each is named.
    gguf = make_gguf.llama(("F32",), make_gguf.Shape(dim=64, hidden=64, layers=2, heads=2, kv_heads=2, context=64))
    for tensor in ("blk.0.ffn_down.weight", "blk.1.attn_output.weight"):
        gguf.tensor(tensor).data = INF + gguf.tensor(tensor).data[4:]
    with open(path("two.gguf"), "wb") as out:
        out.write(gguf.bytes())
    _, err = tvl("verify", path("two.gguf"))
    assert "layers.0.w2" in err and "layers.1.wo" in err and "two.gguf: not finite in 2 places\n" in err, err
    assert "made anew" not in err, err
    print("all passed")


main()
