"""Vocabularies of the kinds that people publish, for GGUF fixtures: which bytes lack a token, which tokens are user-defined or
control ones, how the file spells them. Their merges are learnt from CORPUS.

    published_vocabularies.py FOLDER      # NAME.gguf of each
"""

import collections
import os
import re
import sys

import make_gguf
from byte_level_gguf import CONTROL, LETTERS, NORMAL, USER_DEFINED, spelt

UNKNOWN, UNUSED = 2, 5
# What no UTF-8 text has.
NEVER = {0xC0, 0xC1, *range(0xF5, 0x100)}
# Falcon's vocabulary lacks fifteen controls too.
FALCON_LACKS = NEVER | {*range(0x01, 0x09), *range(0x0E, 0x15)}

CORPUS = """Hello world! Hello, how are you? I'm fine, y'all; we've been there, they'll come, it's hers, don't you think?
Once upon a time there was a little world of months and words, and the man was happy. He said "thank you" and went home.
    if (x == 3) {
        return "apple" + 33 + 333 + 3333;
    }
The (normal) era of this.cpp: multiple emojis concatenated, only tokens that have their own. 12 months, 1314151, 2024.

    for i in range(10):
\tprint(i * i)\r
нещо на Български, привет мир, это мир и слова мира. Führer, für, öffnen, naïve, À bientôt, ça va.
កាន់តែពិសេសអាចខលចេញ កាន់តែ 我想在apple工作 我想去工作 天～ 世界 你好世界
🚀 (normal) 😶‍🌫️ (multiple) ✅ 🦙 🦙.cpp 🚀 ✅ ''''''``````""......!!!!!!?????? \u200d\u200d\u200d \u200d\u200d\u200d a\u200d b\u200d
"""


# Without classes, which change with Python's tables of Unicode.
WORD = r""" ?[^ \n\t\r.,!?'"`(){}=+;:/*]+|\n+|[ \t\r]+|[.,!?'"`(){}=+;:/*]+"""


# Besides the texts of published vocabularies' own tests: letters of bytes, each script, characters that are no token.
TEXTS = [
    "".join(map(chr, range(0x100))),
    "".join(map(chr, range(0x100, 0x800, 31))),
    "".join(map(chr, range(0x800, 0xD800, 2999))),
    "\ue000\ufffd\uffff\U00010000\U00040000\U0010ffff",
    "\xc0 \xf6 \xf7 \xf5\xff a\xc0b",
    "\u200d x\u200dy \u2581x \u2581",
    "<|endoftext|> \u043c\u0438\u0440 \xe9\u200d <PAD>",
    "<\uff5cbegin\u2581of\u2581sentence\uff5c>hi",
    "a\x01b\x02\x0ec \x01 x",
]


def learn(corpus, count, lacking):
    """So many merges, as pairs of bytes: again and again the most frequent pair of a word, of equals the least."""
    words = collections.Counter(re.findall(WORD, corpus))
    words = {tuple(bytes([b]) for b in word.encode()): n for word, n in words.items()}
    words = {word: n for word, n in words.items() if not any(part[0] in lacking for part in word)}
    merges = []
    while len(merges) < count:
        pairs = collections.Counter()
        for word, n in words.items():
            for pair in zip(word, word[1:]):
                pairs[pair] += n
        if not pairs:
            break
        best = min(pairs, key=lambda pair: (-pairs[pair], pair))
        merges.append(best)
        joined = {}
        for word, n in words.items():
            out = []
            for part in word:
                if out and (out[-1], part) == best:
                    out[-1] += part
                else:
                    out.append(part)
            joined[tuple(out)] = joined.get(tuple(out), 0) + n
        words = joined
    return merges


def byte_level(pre, named, lacking=frozenset(), merges=400, **ids):
    """named: (text as the file spells it, type), before all else. ids: bos_token_id=..., by the token's text."""
    learnt = learn(CORPUS, merges, lacking)
    results = list(dict.fromkeys(a + b for a, b in learnt))
    tokens = list(named) + [(LETTERS[b], NORMAL) for b in range(256) if b not in lacking]
    tokens += [(spelt(result), NORMAL) for result in results]
    texts = [text for text, _ in tokens]
    gguf = make_gguf.Gguf()
    gguf.metadata.update({
        "general.architecture": (make_gguf.STRING, "llama"),
        "tokenizer.ggml.model": (make_gguf.STRING, "gpt2"),
        "tokenizer.ggml.pre": (make_gguf.STRING, pre),
        "tokenizer.ggml.tokens": (make_gguf.ARRAY, (make_gguf.STRING, texts)),
        "tokenizer.ggml.token_type": (make_gguf.ARRAY, (5, [kind for _, kind in tokens])),
        "tokenizer.ggml.merges": (make_gguf.ARRAY, (make_gguf.STRING, [spelt(a) + " " + spelt(b) for a, b in learnt])),
    })  # fmt: skip
    for key, text in ids.items():
        gguf.metadata["tokenizer.ggml." + key] = (4, texts.index(text))
    return gguf


BEGIN, END = "<\uff5cbegin\u2581of\u2581sentence\uff5c>", "<\uff5cend\u2581of\u2581sentence\uff5c>"
DEEPSEEK = [(BEGIN, CONTROL), (END, CONTROL)] + [(c, USER_DEFINED) for c in ("\u00f5", "\u00f7", "\u00c1", "\u00fd", "\u00c0", "\u00ff", "\u00f8", "\u00fa", "\u00fe", "\u00fc", "\u00f9", "\u00f6", "\u00fb")]  # fmt: skip
FALCON = [(">>%s<<" % name, CONTROL) for name in ("TITLE", "ABSTRACT", "INTRODUCTION", "SUMMARY", "COMMENT", "ANSWER", "QUESTION", "DOMAIN", "PREFIX", "SUFFIX", "MIDDLE")] + [("<|endoftext|>", CONTROL)]  # fmt: skip
# Command R has a normal token that is no letters but the raw character, and the same bytes in letters.
COMMAND_R = [("<PAD>", CONTROL), ("<UNK>", CONTROL), ("<BOS_TOKEN>", CONTROL), ("<EOS_TOKEN>", CONTROL), ("\u200d", NORMAL), ("\u2581x", NORMAL), ("\u043c", CONTROL), ("\u0438", USER_DEFINED)]  # fmt: skip


def vocabularies():
    """Name -> Gguf."""
    deepseek = dict(bos_token_id=BEGIN, eos_token_id=END, padding_token_id=END)
    made = {
        "deepseek-llm": byte_level("deepseek-llm", DEEPSEEK, NEVER, **deepseek),
        "deepseek-coder": byte_level("deepseek-coder", DEEPSEEK, NEVER, **deepseek),
        "falcon": byte_level("falcon", FALCON, FALCON_LACKS),
        "starcoder": byte_level("starcoder", [("<|endoftext|>", CONTROL), ("<fim_prefix>", CONTROL)], NEVER | {0xF1, 0xF2},
                                bos_token_id="<|endoftext|>", eos_token_id="<|endoftext|>", unknown_token_id="<|endoftext|>"),
        "command-r": byte_level("command-r", COMMAND_R, bos_token_id="<BOS_TOKEN>", eos_token_id="<EOS_TOKEN>"),
    }  # fmt: skip
    assert spelt("\u200d".encode()) in made["command-r"].metadata["tokenizer.ggml.tokens"][1][1]
    return made


if __name__ == "__main__":
    for name, gguf in vocabularies().items():
        with open(os.path.join(sys.argv[1], name + ".gguf"), "wb") as out:
            out.write(gguf.bytes())
