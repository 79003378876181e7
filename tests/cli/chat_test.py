"""chat_test.py SCRATCH TVL...: tvl chat at a terminal and in pipes."""

import array
import fcntl
import os
import re
import signal
import termios
import time

from terminal import LIMIT, SCRATCH, TALE, Terminal, chat, make_model, messages, path, said

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
    t.say("/help", "/save FILE", "/save --force FILE replaces any", "Ctrl-C stops an answer")
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
    stop(t)
    os.kill(t.run.pid, first)
    os.kill(t.run.pid, second)
    go_on(t)


def stop(t):
    os.kill(t.run.pid, signal.SIGSTOP)
    os.waitpid(t.run.pid, os.WUNTRACED)


def go_on(t):
    os.kill(t.run.pid, signal.SIGCONT)


def wait_for_unread(t, expected):
    """Until so many bytes have come to the program's terminal and have not been read there."""
    count = array.array("i", [-1])
    end = time.monotonic() + LIMIT
    while count[0] != expected:
        assert time.monotonic() < end, "%d bytes unread, expected %d" % (count[0], expected)
        fcntl.ioctl(t.slave, termios.FIONREAD, count)


def test_interrupts_of_prompts(model):
    """However often Ctrl-C comes from the end of a message to its answer: the conversation stays."""
    t = Terminal("-m", model, "-n", "1")
    t.expect("\n> ")
    t.say("Hi", "\u2047")
    t.send("Hi")
    t.expect("Hi")
    # The terminal takes no text for a while: the program reads the end of the line and waits to write it. However fast it
    # is, and however slow this test, the interrupts then come after the line and before the answer.
    stop(t)
    termios.tcflow(t.slave, termios.TCOOFF)
    t.send("\r")
    wait_for_unread(t, 1)
    go_on(t)
    wait_for_unread(t, 0)
    for _ in range(3):
        os.kill(t.run.pid, signal.SIGINT)
        stop(t)  # has it taken the signal before the next one
        go_on(t)
    termios.tcflow(t.slave, termios.TCOON)
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
        ("other.txt", "Once upon a time", "other.txt: expected a conversation that /save wrote, found another file"),
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
    t.say("/system", "there is no system prompt\r")
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


def prompts(model, *options):
    """Tokens read and kept of two messages, each answered with two tokens."""
    _, err = chat("Hi\nHi\n", "-m", model, "-n", "2", "--stats", *options)
    return [tuple(map(int, numbers)) for numbers in re.findall(r"tvl: prompt (\d+) tokens?, (\d+) kept", err)], err


def test_variants():
    """The tokens that the template gives, where it differs from its family; and what is left out is said."""
    turn = "{{'<|im_start|>' + message['role'] + '%s' + message['content'] + '%s<|im_end|>%s'}}{%% endfor %%}"
    loop = "{%% for message in messages %%}" + turn + "{{ '<|im_start|>assistant%s%s' }}"
    usual = loop % ("\\n", "", "\\n", "\\n", "")
    (first, second), err = prompts(make_model("usual.tvl", usual))
    assert "leaves out" not in err and second[1] == first[0] + 1, (first, second, err)  # but for the token that is not run
    for template, more in (
        (loop % ("\\n", "\\n", "\\n", "\\n", ""), 1),
        (loop % ("\\n\\n", "", "\\n", "\\n\\n", ""), 2),
        (loop % ("\\n", "", "", "\\n", ""), -2),  # the space in front of a text that follows a token, and the newline
        (loop % ("\\n", "", "\\n", "\\n", "<think>\\n"), len("<think>\n")),
        (loop % ("\\n", "", "\\n", "\\n", "\\n\\n"), 2),
        ("{{ bos_token }}" + usual, 0),
    ):
        (read, then), _ = prompts(make_model("variant.tvl", template))
        assert read == (first[0] + more, 0), (template, read, first)
        assert then[1] == read[0] + 1, (template, then)  # what the answer was begun with is kept
    # BOS once, by the tokenizer or by the template.
    assert prompts(make_model("no_bos.tvl", usual, add_bos=False))[0][0] == (first[0] - 1, 0)
    assert prompts(make_model("bos.tvl", "{{ bos_token }}" + usual, add_bos=False))[0][0] == first
    system = "{% if messages[0]['role'] != 'system' %}{{ '<|im_start|>system\\nBe brief.<|im_end|>\\n' }}{% endif %}"
    says = make_model("system.tvl", system + usual)
    note = "tvl: the model's chat template also does what tvl leaves out: a system prompt of its own (--system gives one)\n"
    assert chat("Hi\nHi\n", "-m", says, "-n", "1")[1] == note
    assert chat("Hi\nHi\n", "-m", says, "-n", "1", "--system", "S")[1] == ""
    # What is not sure is refused.
    for name, template, found in (
        ("two", loop % ("\\n", "", "\\n", "\\n", "") + "{% if a %}{{ 'b' }}{% endif %}", "a beginning of the answer that depends on"),
        ("human", usual.replace("message['role']", "'human'"), "a role named 'human'"),
    ):
        odd = make_model(name + ".tvl", template)
        out, err = chat("Hi\n", "-m", odd, code=1)
        assert out == "" and err.count("\n") == 1 and "expected the layout of chatml, found " + found in err, err
        assert "; choose one with --template: llama2, " in err, err
        assert prompts(odd, "--template", "chatml")[0][0] == first


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
    test_variants()
    print("all passed")


main()
