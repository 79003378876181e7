"""hands_test.py SCRATCH TVL...: what hands do to tvl: keys, narrow terminals, Ctrl-C, one file named twice."""

import json
import os
import re
import select
import signal
import subprocess
import time

import make_checkpoint
from terminal import LIMIT, SCRATCH, TALE, TVL, Terminal, chat, make_model, path, said

# Keys that mean nothing here, as xterm, rxvt and Linux's console send them, and what is no key at all.
NOTHING = (
    "\x1b[2~", "\x1b[5~", "\x1b[6~", "\x1b[5;5~", "\x1b[2^", "\x1b[3$",  # Insert, Page Up and Down, with others held
    "\x1bOP", "\x1b[11~", "\x1b[15~", "\x1b[24~", "\x1b[1;2P", "\x1b[24;2~", "\x1b[[A", "\x1b[[E", "\x1b[23^",  # F1 to F12
    "\x1b[1;2D", "\x1b[1;2C", "\x1b[1;3D", "\x1b[1;3C", "\x1b[d", "\x1b\x1b[C", "\x1b\x1bOd",  # Shift, Alt and arrows
    "\x1b[1;2A", "\x1b[1;3B", "\x1b[1;5A", "\x1b[1;6C", "\x1b[Z", "\x1b[I", "\x1b[97;5u", "\x1b[<0;3;4M", "\x1b[?1;2c",
    "\x1ba", "\x1b.", "\x1b\u00e9", "\x1b]11;rgb:0/0/0\x07", "\x00", "\x16", "\x18", "\x1c",
)  # fmt: skip
BACK = ("\x1b[1;5D", "\x1b[5D", "\x1bOd", "\x1bO5D", "\x1bb")  # Ctrl-Left
ON = ("\x1b[1;5C", "\x1b[5C", "\x1bOc", "\x1bO5C", "\x1bf")  # Ctrl-Right
CLEARED = ("caf\u00e9", "\u00e9\u00e8\u00e0", "\u65e5\u672c\u8a9e", "e\u0301a\u0308", "\U0001f642 \u20ac", "\u00e9" * 70)


def test_keys():
    t = Terminal("-n", "1")
    t.expect("\n> ")
    expected = []

    def types(keys, text):
        t.say(keys)
        expected.append(text)

    for text in CLEARED:
        types(text + "\x03Tom", "Tom")
        types(text + "\x1b[D\x1b[D\x03Lily", "Lily")
        types(text + "\x01\x03Ben" + text[0], "Ben" + text[0])
    for back, on in zip(BACK, ON):
        types("one two three" + back + back + "X" + on + on + "Y", "one Xtwo threeY")
        types("\u00e9t\u00e9 \u00e0 \u65e5\u672c" + back + back + back + "X" + on + "Y", "X\u00e9t\u00e9Y \u00e0 \u65e5\u672c")
    for keys in NOTHING:
        types("ab" + keys + "c", "abc")
    for begun in ("\x1b", "\x1b[", "\x1b[1;5", "\x1bO"):
        types("ab" + begun, "ab")  # Enter ends it
    for home, end in (("\x1b[H", "\x1b[F"), ("\x1bOH", "\x1bOF"), ("\x1b[1~", "\x1b[4~"), ("\x1b[7~", "\x1b[8~")):
        types("b" + home + "a" + end + "c", "abc")
    types("abX\x1b[D\x1b[3~c", "abc")
    types("ab cd\x1b\x7fe", "ab e")  # Alt-Backspace
    types("one two\x17three", "one three")
    types("\x12Lily\x1b[F!", "Lily!")  # found, and then a key that moves
    types("a\x1b[200~\u00e9 b\x1b[201~\x1b[1;5DX", "a\u00e9 Xb")
    t.say("/save " + path("keys.json"), "saved")
    found = said("keys.json")
    assert found == expected, [(a, b) for a, b in zip(found, expected) if a != b]
    t.send("/quit\r")
    t.leaves(0)


def test_escape_bytes(wild):
    """What a model and a prompt say does nothing to a terminal, and a pipe gets all of it."""
    says = "x\x1b]0;title\x07\u009b2J\t\u20ac\n"
    run = subprocess.run(TVL + ["generate", "-m", wild, "-n", "2", "-p", "a\x1b[31mb"], capture_output=True, timeout=LIMIT)
    assert run.stdout.decode() == "a\x1b[31mb" + 2 * says + "\n", run
    t = Terminal("-m", wild, "-n", "2", "-p", "a\x1b[31mb", command="generate")
    t.leaves(0)
    shown = "a\ufffd[31mbx\ufffd]0;title\ufffd\ufffd2J\t\u20ac\r\nx"
    assert t.text.startswith(shown) and "\x1b" not in t.text and "\x07" not in t.text, t.text
    split = make_model("split.tvl", says="\u20ac\u00e9")
    t = Terminal("-m", split, "-n", "3", "-p", "\u20ac", command="generate")
    t.leaves(0)
    assert t.text == "\u20ac" + 3 * "\u20ac\u00e9" + "\r\n", t.text


def screen_line(text):
    """The line that the cursor is in once a terminal has shown this, and whether it ever left that."""
    line, at = "", 0
    for part in re.findall("\r|\x1b\\[K|[^\r\x1b]", text):
        if part == "\r":
            at = 0
        elif part == "\x1b[K":
            line = line[:at]
        else:
            line, at = line[:at] + part + line[at + 1 :], at + 1
    return line


def frames(text):
    return [frame for frame in text.replace("\x1b[K", "").split("\r") if frame]


def test_progress():
    """One line, as narrow as the terminal is by then; and after Ctrl-C none."""
    make_checkpoint.main("slow", path("slow.bin"), path("slow.tok"))
    command = ["convert", path("slow.bin"), path("slow.tvl"), "--tokenizer", path("slow.tok"), "--dtype", "f16"]
    subprocess.run(TVL + command, check=True, capture_output=True, timeout=LIMIT)
    with open(path("long.txt"), "w", encoding="utf-8") as file:
        file.write("a" * 60000)
    t = Terminal("-m", path("slow.tvl"), "--file", path("long.txt"), command="perplexity", columns=30)
    seen = t.expect("\x1b[K", "\x1b[K")
    assert all(12 < len(frame) <= 27 and "%" in frame for frame in frames(seen)), seen
    t.resize(14)
    end = time.monotonic() + LIMIT
    while len(frames(seen)[-1]) > 11:  # what was drawn before
        assert time.monotonic() < end
        seen = t.expect("\x1b[K")
    t.resize(5)
    seen = t.expect("\x1b[K", "\x1b[K", "\x1b[K", "\x1b[K")
    os.kill(t.run.pid, signal.SIGINT)
    t.leaves(130)
    assert "\n" not in seen + t.text, (seen, t.text)
    assert screen_line(seen + "\x1b[K" + t.text) == "", (seen, t.text)


def generate(*options, code=0):
    run = subprocess.run(TVL + ["generate", *options], capture_output=True, timeout=LIMIT)
    assert run.returncode == code, (options, run)
    return run.stdout.decode("utf-8", "replace"), run.stderr.decode()


def first_text(run):
    assert select.select([run.stdout], [], [], LIMIT)[0], "no text"
    assert os.read(run.stdout.fileno(), 1), "no text"


def test_two_sessions(model):
    """The second run with a session is told, whether its file is there or not, and however the first one ends."""
    session = path("two.tvs")
    endless = TVL + ["generate", "-m", model, "-n", "50000", "--session"]
    os.symlink("two.tvs", path("link.tvs"))
    for first, second, end in (
        (session, session, signal.SIGINT), (session, path("link.tvs"), signal.SIGINT), (path("link.tvs"), session, signal.SIGKILL),
    ):  # fmt: skip
        before = open(session, "rb").read() if os.path.exists(session) else b""
        run = subprocess.Popen(endless + [first], stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        first_text(run)
        out, err = generate("-m", model, "-n", "1", "--session", second, code=1)
        assert out == "" and err.count("\n") == 1, (out, err)
        assert ": another run of tvl goes on with this session; wait for its end, or name another file" in err, err
        assert open(session, "rb").read() == before
        run.send_signal(end)
        run.communicate(timeout=LIMIT)
        assert run.returncode == (130 if end == signal.SIGINT else -signal.SIGKILL), run.returncode
        if end == signal.SIGKILL:
            assert open(session, "rb").read() == before
        generate("-m", model, "-n", "1", "--session", second)  # goes on
        assert open(session, "rb").read() != before, "the session did not go on"
    # A run that fails leaves no file; what is empty is no session yet, with the rights that it has.
    generate("-m", model, "-p", "x" * 70000, "--session", path("none.tvs"), code=1)
    assert not os.path.exists(path("none.tvs"))
    open(path("empty.tvs"), "w").close()
    os.chmod(path("empty.tvs"), 0o640)
    generate("-n", "1", "--session", path("empty.tvs"))
    assert os.path.getsize(path("empty.tvs")) > 64 and os.stat(path("empty.tvs")).st_mode & 0o777 == 0o640


def test_overwriting():
    """What tvl did not write it does not replace, unless it is told to."""
    text = path("letter.txt")
    for name in ("letter.txt", "other.gguf"):
        with open(path(name), "w", encoding="utf-8") as file:
            file.write("GGUF, dear reader")
        out, err = generate("-n", "1", "--session", path(name), code=1)
        assert out == "" and "expected a session that tvl wrote, found another kind of file; name another file, or" in err, err
        assert open(path(name), encoding="utf-8").read() == "GGUF, dear reader"
    generate("-n", "1", "--session", path("other.gguf"), "--force")
    assert open(path("other.gguf"), "rb").read(4) == b"\x89TVS"
    t = Terminal("-n", "1")
    t.expect("\n> ")
    t.say("Once")
    t.say("/save " + text, "expected no file or a saved conversation to replace, found another file", "/save --force")
    assert open(text, encoding="utf-8").read() == "GGUF, dear reader"
    t.say("/save --force " + text, "saved 1 exchange")
    t.say("/save --force", "expected the name of a file")
    t.say("/save " + text, "saved 1 exchange")  # its own by now
    # Another chat's is not lost either, nor what another one has put there since.
    other = {"messages": [{"role": "user", "content": "a"}, {"role": "assistant", "content": "b"}]}
    for name in (text, path("theirs.json")):
        with open(name, "w", encoding="utf-8") as file:
            json.dump(other, file)
        t.say("/save " + name, "found another conversation", "/save --force")
        assert json.load(open(name, encoding="utf-8")) == other
    t.say("/load " + text, "loaded 1 exchange")
    t.say("Then")
    t.say("/save " + text, "saved 2 exchanges")
    t.send("/quit\r")
    t.leaves(0)


def test_long_prompts():
    """What does not fit says how much fits, and what to do."""
    _, err = generate("-p", "word " * 100, "--context", "20", code=1)
    assert re.search(r"the prompt of (\d+) tokens does not fit the context of 20 positions; shorten it, or use --context \1 or more, of the model's 512\n", err), err
    _, err = generate("-p", "word " * 700, code=1)
    assert "does not fit the context of 512 positions; shorten it\n" in err, err
    _, err = generate("-p", "word " * 700, "--context", "100", code=1)
    assert "the context of 100 positions; shorten it; the model's own 512 are too few as well\n" in err, err
    generate("-n", "512", "--session", path("full.tvs"), "-p", "Once")
    _, err = generate("-n", "5", "--session", path("full.tvs"), "-p", "word " * 700, code=1)
    assert err.endswith("; begin another session\n"), err
    _, err = chat("word " * 100 + "\n", "--context", "20", code=1)
    assert "; shorten it, or use a larger --context\n" in err, err
    t = Terminal("-n", "1", "--context", "20")
    t.expect("\n> ")
    t.say("word " * 10 + "word " * 10, "expected at most the context's 20; shorten it, or use a larger --context")
    t.say("Once")  # goes on
    t.say("/stats", "1 exchange;")
    t.send("/quit\r")
    t.leaves(0)


def main():
    model = make_model("model.tvl")
    test_keys()
    test_escape_bytes(make_model("wild.tvl", says="x\x1b]0;title\x07\u009b2J\t\u20ac\n"))
    test_progress()
    test_two_sessions(model)
    test_overwriting()
    test_long_prompts()
    print("all passed")


main()
