"""A pty with somebody at it, and models for it: what tests of tvl at a terminal share."""

import fcntl
import json
import os
import pty
import re
import select
import struct
import subprocess
import sys
import termios
import time

import make_gguf

SCRATCH, TVL = sys.argv[1], sys.argv[2:]
LIMIT = 120  # seconds that a machine may take for anything, emulated or busy
TALE = ", there was a little girl named Lily. She loved to play with her toys and run around outside"
CHATML = (
    "{% for message in messages %}{{'<|im_start|>' + message['role'] + '\\n' + message['content'] + '<|im_end|>\\n'}}{% endfor %}"
    "{{ '<|im_start|>assistant\\n' }}"
)

os.environ["XDG_CACHE_HOME"] = os.path.join(SCRATCH, "cache")  # what a user has tuned must not count here
os.environ.pop("TVL_CACHE_DIR", None)
ALL_WRITTEN = b"<all that it wrote>"
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
    """A tvl that believes that somebody sits there. What it writes is waited for, never for long enough."""

    def __init__(self, *options, command="chat", columns=80):
        self.master, slave = pty.openpty()
        self.slave = slave
        self.resize(columns)
        self.before = termios.tcgetattr(slave)
        self.text = ""
        self.run = subprocess.Popen(
            TVL + [command, *options], stdin=slave, stdout=slave, stderr=slave, start_new_session=True,
            preexec_fn=lambda: fcntl.ioctl(slave, termios.TIOCSCTTY, 0),
        )  # fmt: skip

    def resize(self, columns):
        fcntl.ioctl(self.slave, termios.TIOCSWINSZ, struct.pack("4H", 24, columns, 0, 0))

    def send(self, text):
        os.write(self.master, text if isinstance(text, bytes) else text.encode())

    def expect(self, *texts):
        """Waits for these one after the other; returns what stood before the last."""
        end = time.monotonic() + LIMIT
        before = ""
        for text in texts:
            while text not in self.text:
                if self.take(max(0, min(1, end - time.monotonic()))):
                    continue
                assert self.run.poll() is None, "expected %r, found the end after %r" % (text, self.text[-2000:])
                assert time.monotonic() < end, "waited in vain for %r after %r" % (text, self.text[-2000:])
            before, self.text = self.text.split(text, 1)
        return before

    def take(self, seconds):
        """Takes what comes within this time; whether there was something."""
        if not select.select([self.master], [], [], seconds)[0]:
            return False
        try:
            got = os.read(self.master, 1 << 16)
        except OSError:  # where a terminal ends with its program
            return False
        self.text = MARKS_PASTES.sub("", self.text + got.decode("utf-8", "replace"))
        return got != b""

    def say(self, text, *expected):
        """Types a line at the prompt, and waits for what is expected and for the next prompt."""
        self.send(text + "\r")
        return self.expect(*expected, "\n> ")

    def leaves(self, *codes):
        """Waits for the end; what was written until then, and not waited for, is in self.text."""
        end = time.monotonic() + LIMIT
        while self.run.poll() is None:  # what it still writes must not stop it
            assert time.monotonic() < end, "still running"
            self.take(0.01)
        # What it wrote last may be on its way still: it comes before this.
        while self.take(0):
            pass
        os.write(self.slave, ALL_WRITTEN)
        while ALL_WRITTEN.decode() not in self.text:
            assert self.take(max(0, end - time.monotonic())), "the terminal does not say all"
        self.text = self.text.split(ALL_WRITTEN.decode())[0]
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


def make_model(name, template=None, says=None, eos=2, add_bos=None):
    """A model that says token 0 for ever, which is <unk> or what it says."""
    make_gguf.vocabulary, usual = chatml_vocabulary, make_gguf.vocabulary
    gguf = make_gguf.llama(["F32"], make_gguf.Shape(dim=32, hidden=32, layers=1, heads=1, kv_heads=1, context=60000))
    make_gguf.vocabulary = usual
    output = gguf.tensor("output.weight")
    output.data = bytes(len(output.data))
    if template is not None:
        gguf.metadata["tokenizer.chat_template"] = (make_gguf.STRING, template)
    gguf.metadata["tokenizer.ggml.eos_token_id"] = (4, eos)
    if add_bos is not None:
        gguf.metadata["tokenizer.ggml.add_bos_token"] = (7, add_bos)
    if says is not None:
        gguf.metadata["tokenizer.ggml.tokens"][1][1][0] = says
        gguf.metadata["tokenizer.ggml.token_type"][1][1][0] = 1
        del gguf.metadata["tokenizer.ggml.unknown_token_id"]
    with open(path("model.gguf"), "wb") as file:
        file.write(gguf.bytes())
    subprocess.run(TVL + ["convert", path("model.gguf"), path(name)], check=True, capture_output=True)
    return path(name)
