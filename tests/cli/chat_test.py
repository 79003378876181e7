"""chat_test.py SCRATCH TVL...: tvl chat at a terminal and in pipes."""

import fcntl
import json
import os
import pty
import re
import select
import signal
import subprocess
import sys
import termios
import time

import make_gguf

SCRATCH, TVL = sys.argv[1], sys.argv[2:]
LIMIT = 120  # seconds that a machine may take for anything, emulated or busy
TALE = ", there was a little girl named Lily. She loved to play with her toys and run around outside"
CHATML = "{% for message in messages %}{{'<|im_start|>' + message['role'] + '\\n' + message['content'] + '<|im_end|>'}}"

os.environ["XDG_CACHE_HOME"] = os.path.join(SCRATCH, "cache")  # what a user has tuned must not count here
os.environ.pop("TVL_CACHE_DIR", None)
MARKS_PASTES = re.compile("\x1b\\[\\?2004[hl]")
os.environ["TERM"] = "vt100"
os.environ["HOME"] = SCRATCH
os.environ["LC_ALL"] = "C"  # characters must be told apart all the same


def path(name):
    return os.path.join(SCRATCH, name)


def messages(name):
    with open(path(name), encoding="utf-8") as file:
        return [(m["role"], m["content"]) for m in json.load(file)["messages"]]


def said(name):
    return [content for role, content in messages(name) if role == "user"]


class Terminal:
    """A tvl chat that believes that somebody sits there. What it writes is waited for, never for long enough."""

    def __init__(self, *options):
        self.master, slave = pty.openpty()
        self.before = termios.tcgetattr(slave)
        self.slave = slave
        self.text = ""
        self.run = subprocess.Popen(
            TVL + ["chat", *options], stdin=slave, stdout=slave, stderr=slave, start_new_session=True,
            preexec_fn=lambda: fcntl.ioctl(slave, termios.TIOCSCTTY, 0),
        )  # fmt: skip

    def send(self, text):
        os.write(self.master, text if isinstance(text, bytes) else text.encode())

    def expect(self, *texts):
        """Waits for these one after the other; returns what stood before the last."""
        end = time.monotonic() + LIMIT
        before = ""
        for text in texts:
            while text not in self.text:
                ready, _, _ = select.select([self.master], [], [], max(0, end - time.monotonic()))
                assert ready, "waited in vain for %r after %r" % (text, self.text[-2000:])
                try:
                    got = os.read(self.master, 1 << 16)
                except OSError:  # Linux says so at the end
                    got = b""
                assert got, "expected %r, found the end after %r" % (text, self.text[-2000:])
                self.text = MARKS_PASTES.sub("", self.text + got.decode("utf-8", "replace"))
            before, self.text = self.text.split(text, 1)
        return before

    def say(self, text, *expected):
        """Types a line at the prompt, and waits for what is expected and for the next prompt."""
        self.send(text + "\r")
        return self.expect(*expected, "\n> ")

    def leaves(self, *codes):
        end = time.monotonic() + LIMIT
        while self.run.poll() is None:  # what it still writes must not stop it
            assert time.monotonic() < end, "still running"
            if select.select([self.master], [], [], 0.01)[0]:
                try:
                    self.text += os.read(self.master, 1 << 16).decode("utf-8", "replace")
                except OSError:
                    pass
        assert self.run.returncode in codes, "exit code %d, expected %r" % (self.run.returncode, codes)
        assert termios.tcgetattr(self.slave) == self.before, "the terminal is not as it was"
        os.close(self.slave)
        os.close(self.master)


def chat(text, *options, code=0):
    """What tvl chat writes for these lines of standard input."""
    run = subprocess.run(TVL + ["chat", *options], input=text.encode(), capture_output=True, timeout=LIMIT)
    assert run.returncode == code, "%r %r: exit code %d: %r" % (text, options, run.returncode, run.stderr)
    return run.stdout.decode("utf-8"), run.stderr.decode("utf-8")


def chatml_vocabulary(gguf, vocabulary=make_gguf.vocabulary):
    count = vocabulary(gguf, ("H", "i", "Hi", "user", "assistant", "<|im_start|>", "<|im_end|>"))
    gguf.metadata["tokenizer.ggml.token_type"][1][1][-2:] = [3, 3]
    gguf.metadata["tokenizer.chat_template"] = (make_gguf.STRING, CHATML)
    return count


def make_model(name, template=None, says=None, eos=2):
    """A model that says token 0 for ever, which is <unk> or what it says."""
    make_gguf.vocabulary, usual = chatml_vocabulary, make_gguf.vocabulary
    gguf = make_gguf.llama(["F32"], make_gguf.Shape(dim=32, hidden=32, layers=1, heads=1, kv_heads=1, context=60000))
    make_gguf.vocabulary = usual
    output = gguf.tensor("output.weight")
    output.data = bytes(len(output.data))
    if template is not None:
        gguf.metadata["tokenizer.chat_template"] = (make_gguf.STRING, template)
    gguf.metadata["tokenizer.ggml.eos_token_id"] = (4, eos)
    if says is not None:
        gguf.metadata["tokenizer.ggml.tokens"][1][1][0] = says
        gguf.metadata["tokenizer.ggml.token_type"][1][1][0] = 1
        del gguf.metadata["tokenizer.ggml.unknown_token_id"]
    with open(path("model.gguf"), "wb") as file:
        file.write(gguf.bytes())
    subprocess.run(TVL + ["convert", path("model.gguf"), path(name)], check=True, capture_output=True)
    return path(name)


def test_stories():
    t = Terminal("-n", "20", "--stats")
    t.expect("goes on with the text that you begin (template plain). /help lists the commands, Ctrl-D leaves.", "> ")
    t.say("Once upon a time", TALE, "tvl: prompt 5 tokens, 0 kept, ", "; answer 20 tokens, ", " tokens/s")
    t.say("Then", "24 kept")
    t.say("/stats", "24 kept", "2 exchanges; ", " of 512 positions of the context taken")
    t.say("/reset", "the conversation begins anew")
    t.say("/clear", "the conversation begins anew")
    t.send("/stats\r")
    assert "prompt" not in t.expect("tvl: 0 exchanges; 0 of 512 positions")
    t.expect("\n> ")
    t.say("Once upon a time", TALE, "prompt 1 token, 4 kept")
    t.say("/what", "tvl: there is no command '/what'; /help lists them")
    t.say("/help", "/save FILE", "Ctrl-C stops an answer")
    t.say("")
    t.say("/stats", "1 exchange;")  # all of that has changed nothing
    t.send("\x04")
    t.leaves(0)


def test_lines():
    t = Terminal("-n", "1")
    t.expect("\n> ")
    t.send("one\\\r")
    t.expect(". ")
    t.say("two")
    t.send('"""\r')
    t.expect(". ")
    t.send("three\r")
    t.expect(". ")
    t.send("\r")
    t.expect(". ")
    t.say('four"""')
    t.say("Zo\u00eb \u20ac5")
    t.say("\x1b[A")  # the one before, once more
    t.say("oops\x03Tom")  # Ctrl-C clears the line
    t.send("dropped\\\r")
    t.expect(". ")
    t.send("\x03")
    t.expect("\n> ")
    t.say("Lily")
    t.send('"""\r')
    t.expect(". ")
    t.send("half\r")
    t.expect(". ")
    t.send("\x04")
    t.expect("the message was not finished and is dropped; Ctrl-D again leaves", "\n> ")
    t.send(b"\xff\xfe\xe2\x82abc\xe2")  # what is no character is left out, and nothing else
    t.say("\u20ac")
    t.send("\x1b[200~/usr/bin\r\tb\x03\x04\r\x1b[201~")  # pasted: one message, no keys
    t.say("")
    t.say("/save " + path("lines.json"), "tvl: saved 8 exchanges to ")
    expected = ["one\ntwo", "three\n\nfour", "Zo\u00eb \u20ac5", "Zo\u00eb \u20ac5", "Tom", "Lily", "abc\u20ac", "/usr/bin\n\tb\n"]
    assert said("lines.json") == expected, said("lines.json")
    t.send("/quit\r")
    t.leaves(0)


def stats(t):
    """Waits for the line and the prompt; returns the tokens that were read, kept and written."""
    t.expect("tvl: prompt ")
    line = t.expect("\n> ")
    return [int(n) for n in re.match(r"(\d+) tokens?, (\d+) kept, .*; answer (\d+) token", line).groups()]


def test_interrupts(model):
    t = Terminal("-m", model, "--stats")
    t.expect("Write to the model (template chatml). ", "> ")
    t.send("Hi\r")
    t.expect("\u2047  \u2047")  # and so on
    t.send("\x03")
    first = stats(t)
    t.say("/save " + path("stopped.json"), "saved 1 exchange")
    (_, user), (_, answer) = messages("stopped.json")
    assert user == "Hi" and answer.startswith("\u2047  \u2047"), answer
    # The session goes on, and has kept what it has read.
    t.send("Hi\r")
    t.expect("\u2047  \u2047")
    t.send("\x03")
    second = stats(t)
    assert second[1] == first[0] + first[2] - 1, (first, second)  # but for the last token, which is not run
    # At the prompt once is a warning; another key, and it is forgotten; twice is the end.
    t.send("\x03")
    t.expect("(Ctrl-C again, or Ctrl-D, leaves)", "> ")
    t.say("/stats", "2 exchanges")
    t.send("\x03")
    t.expect("(Ctrl-C again", "> ")
    t.send("\x03")
    t.leaves(0)


def signal_twice(t, first, second):
    """Sends both while the program is stopped, so that it gets them together."""
    os.kill(t.run.pid, signal.SIGSTOP)
    os.waitpid(t.run.pid, os.WUNTRACED)
    os.kill(t.run.pid, first)
    os.kill(t.run.pid, second)
    os.kill(t.run.pid, signal.SIGCONT)


def test_interrupts_of_prompts(model):
    """However often Ctrl-C comes while a prompt is read, in one chunk here: the conversation stays."""
    t = Terminal("-m", model, "--prefill-chunk", "60000", "-n", "1")
    t.expect("\n> ")
    saved = {"messages": [{"role": role, "content": "Hi " * 2000} for role in ("user", "assistant")]}
    with open(path("long.json"), "w", encoding="utf-8") as file:
        json.dump(saved, file)
    t.say("/load " + path("long.json"), "loaded 1 exchange")
    t.send("Hi\r")
    end = time.monotonic() + LIMIT
    while termios.tcgetattr(t.slave) != t.before:  # the line is being edited
        assert time.monotonic() < end
    for _ in range(3):
        os.kill(t.run.pid, signal.SIGINT)
        os.kill(t.run.pid, signal.SIGSTOP)  # has it taken the signal before the next one
        os.waitpid(t.run.pid, os.WUNTRACED)
        os.kill(t.run.pid, signal.SIGCONT)
    t.expect("stopped before the answer began; the message is taken back", "> ")
    t.say("/stats", "1 exchange;")
    t.send("/quit\r")
    t.leaves(0)


def test_signals():
    t = Terminal()
    t.expect("\n> ")
    t.send("abc")
    t.expect("abc")
    os.kill(t.run.pid, signal.SIGINT)
    t.expect("(Ctrl-C again", "> ")
    t.send("def")
    t.expect("def")
    os.kill(t.run.pid, signal.SIGTERM)
    t.leaves(143)
    # The terminal is as it was also when there is no time for anything else.
    for first, second in ((signal.SIGTERM, signal.SIGINT), (signal.SIGTERM, signal.SIGHUP), (signal.SIGHUP, None)):
        t = Terminal()
        t.expect("\n> ")
        t.send("abc")
        t.expect("abc")
        if second is None:
            os.kill(t.run.pid, first)
        else:
            signal_twice(t, first, second)
        t.leaves(129, 143)


def test_files():
    t = Terminal("-n", "3", "--system", "A tale.")
    t.expect("\n> ")
    t.say("/save " + path("early.json"), "/save: nothing has been said yet")
    t.say("Once")
    t.say("/save", "/save: expected the name of a file")
    t.say("/save " + path("none/a.json"), "a.json")
    t.say("/save " + path("a.json"), "saved 1 exchange")
    assert messages("a.json")[:2] == [("system", "A tale."), ("user", "Once")], messages("a.json")
    for name, text, error in (
        ("bad.json", "{", "bad.json: expected JSON in UTF-8, found something else at byte "),
        ("roles.json", '{"messages": [{"role": "assistant", "content": ""}]}', "messages[0]: role: expected system or user"),
    ):
        with open(path(name), "w", encoding="utf-8") as file:
            file.write(text)
        t.say("/load " + path(name), error)
    t.say("/save " + path("bad.json"), "bad.json: expected no file or a saved conversation to replace", "another name")
    with open(path("bad.json"), encoding="utf-8") as file:
        assert file.read() == "{"
    t.say("/load ~/missing.json", path("missing.json"))  # HOME
    t.say("/LOAD " + path("missing.json"), "missing.json")
    t.say("/load " + SCRATCH, "directory")
    t.say("/load", "/load: expected the name of a file")
    t.say("Then")
    t.say("/save " + path("b.json"), "saved 2 exchanges")  # none of that has changed it
    assert messages("b.json")[:3] == messages("a.json"), messages("b.json")
    t.say("/load " + path("a.json"), "tvl: loaded 1 exchange from ")
    t.say("Then")
    t.say("/save " + path("c.json"), "saved 2 exchanges")
    assert messages("c.json") == messages("b.json")
    t.say("/system A dog.", "the system prompt is set")
    t.say("/save " + path("c.json"), "saved 2 exchanges")
    assert messages("c.json")[0] == ("system", "A dog.")
    t.say("/system", "there is no system prompt any more")
    t.say("/save " + path("c.json"), "saved 2 exchanges")
    assert messages("c.json")[0] == ("user", "Once")
    t.send("/Bye\r")
    t.leaves(0)


def test_pipes(model):
    assert chat("") == ("", "")
    out, err = chat("\n  \nOnce upon a time\nThen", "-n", "20")  # no newline at the end
    first, second = out.split("\n", 1)
    assert first == TALE and len(second) > 20 and second.endswith("\n") and err == "", (out, err)
    options = ("--temperature", "1", "--seed", "3", "-n", "10")
    assert chat("Tom\nTom\n", *options) == chat("Tom\nTom\n", *options, "-t", "2", "--prefill-chunk", "1")
    # Whole characters only, and no space of the template's in front.
    out, err = chat("Hi\nHi\n", "-m", model, "-n", "3", "--stats")
    assert out == "\u2047  \u2047  \u2047 \n" * 2
    assert re.fullmatch(r"(tvl: prompt \d+ tokens?, \d+ kept, .*; answer 3 tokens, .* tokens/s\n){2}", err), err
    # Lines are messages, whatever is in them.
    lines = ("Once", "/save %s" % path("pipe.json"), "/quit", "/usr/bin/foo", '"""', "Tom\\", "Lily")
    out, err = chat("\n".join(lines), "-n", "1", "--stats")
    assert err.count("tvl: prompt ") == err.count("\n") == len(lines), (out, err)
    assert not os.path.exists(path("pipe.json"))
    assert chat("Once\r\n\r\nTom\r\n", "-n", "3") == chat("Once\nTom\n", "-n", "3")
    # The first thing that fails ends a script.
    out, err = chat("word " * 600 + "\n", code=1)
    assert out == "" and "positions" not in err and "expected at most the context's 512; shorten it\n" in err, err
    out, err = chat("word " * 60 + "\n", "--context", "20", code=1)
    assert out == "" and "the context's 20; shorten it, or use a larger --context\n" in err, err
    # The context: an answer that fills it, then no room for the exchange before.
    out, err = chat("Once upon a time\nThen\nThen\n", "--context", "20")
    assert "tvl: the answer stopped at the end of the context (20 positions)\n" in err, err
    assert "tvl: the context is full: the oldest 1 exchange is left out from here on\n" in err, err
    assert out.count("\n") >= 3


def test_control_characters():
    """A terminal is shown them, a pipe gets them."""
    says = "x\x1b]0;title\x07\u009b2J\t\u20ac\n"
    wild = make_model("wild.tvl", says=says)
    assert chat("Hi\n", "-m", wild, "-n", "1") == (says, "")
    t = Terminal("-m", wild, "-n", "1")
    t.expect("\n> ")
    t.say("Hi", "x\ufffd]0;title\ufffd\ufffd2J")
    t.send("/quit\r")
    t.leaves(0)


def test_templates(model):
    odd = make_model("odd.tvl", "{% for message in messages %}{{ 'GPT4 Correct ' }}")
    out, err = chat("Hi\n", "-m", odd, code=1)
    assert out == "" and err.count("\n") == 1, (out, err)
    assert 'odd.tvl: chat template: expected one of a known family, found \'{% for message in messages %}' in err, err
    assert "choose one with --template: llama2, llama3, chatml, " in err and err.endswith(", plain\n"), err
    assert chat("Hi\n", "-m", odd, "--template", "chatml", "-n", "2") == ("\u2047  \u2047 \n", "")
    assert chat("Hi\n", "-m", odd, "--template", "plain", "-n", "2")[0] == " \u2047  \u2047 \n"
    out, err = chat("Hi\n", "-m", odd, "--template", "gemma", "-n", "2")
    assert err.startswith("tvl: --template gemma: the model's vocabulary has no token <end_of_turn>") and err.count("\n") == 1, err
    ends = make_model("ends.tvl", eos=0)  # an answer without a word is a line all the same
    assert chat("Hi\nHi\n", "-m", ends) == ("\n\n", "")
    out, err = chat("Hi\n", "--template", "alpaca", code=2)
    assert out == "" and "--template: expected one of llama2, " in err and "found 'alpaca'" in err, err
    # A conversation goes from model to model.
    t = Terminal("-m", model, "-n", "1")
    t.expect("\n> ")
    t.say("Hi")
    t.say("/save " + path("other.json"), "saved 1 exchange")
    t.send("/quit\r")
    t.leaves(0)
    t = Terminal("-n", "2")
    t.expect("\n> ")
    t.say("/load " + path("other.json"), "1 exchange", "they were had with another model; they were had with template chatml\r")
    t.say("/stats", "1 exchange; 0 of 512 positions")
    t.say("Once")
    t.say("/system A tale.")
    bare = '{"messages": [%s{"role": "user", "content": "a"}, {"role": "assistant", "content": "b"}]}'
    for name, system, note in (
        ("bare.json", "", "; the file does not say with which model they were had; there is no system prompt any more\r"),
        ("dog.json", '{"role": "system", "content": "A dog."}, ', "they were had; the system prompt is theirs\r"),
    ):
        with open(path(name), "w", encoding="utf-8") as file:
            file.write(bare % system)
        t.say("/load " + path(name), note)
    t.send("/quit\r")
    t.leaves(0)


def main():
    model = make_model("model.tvl")
    test_stories()
    test_lines()
    test_interrupts(model)
    test_interrupts_of_prompts(model)
    test_signals()
    test_files()
    test_pipes(model)
    test_control_characters()
    test_templates(model)
    print("all passed")


main()
