"""Writes word_splits.txt: how Python's `regex` cuts texts by the expressions of published tokenizers.

    python3 -m pip install regex && python3 tests/tokenizer/make_word_splits.py > tests/tokenizer/word_splits.txt

The expressions are spelt as the models' tokenizer.json files (and llama.cpp's src/llama-vocab.cpp, where the two differ)
spell them: another engine, other tables of Unicode, other words for the same. No test runs this.
"""

import json

import regex

# Letters with case of the blocks that DeepSeek lists, by Unicode's own properties.
CASED = r"[[\p{Lu}\p{Ll}\p{Lt}]&&[\u0000-\u0556\u1090-\u10c5\u1200-\u1c7f\u1c90-\u2cff\ua640-\ua78e\uab70-\uffff\U00010000-\U0001056f\U00010c80-\U00016e3f\U0001e900-\U0001e943]]"

GPT2 = r"'s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+"
CONTRACTION = "'[sS]|'[tT]|'[rR][eE]|'[vV][eE]|'[mM]|'[lL][lL]|'[dD]"
CL100K = (
    "(?:" + CONTRACTION + r")|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}%s| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"
)
CASED_WORDS = (
    r"[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]*[\p{Ll}\p{Lm}\p{Lo}\p{M}]+%s"
    r"|[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]+[\p{Ll}\p{Lm}\p{Lo}\p{M}]*%s"
    r"|\p{N}%s| ?[^\s\p{L}\p{N}]+[\r\n/]*|\s*[\r\n]+|\s+(?!\S)|\s+"
)

BLOOM = " ?[^(\\s|.,!?…。，、।۔،)]+"
MARKED = (
    r"[!\"#$%%&'()*+,\-./:;<=>?@\[\\\]^_`{|}~][A-Za-z]+|[^\r\n\p{L}\p{P}\p{S}]?[\p{L}\p{M}]+"
    r"| ?[\p{P}\p{S}]+%s|\s+(?!\S)|\s+"
)
HAN = "\u4e00-\u9fff\u3400-\u4dbf\U00020000-\U0002a6df\U0002a700-\U0002b73f\U0002b740-\U0002b81f\U0002b820-\U0002ceaf\U0002ceb0-\U0002ebef\uf900-\ufaff\U0002f800-\U0002fa1f"

# Number in the file -> expressions, applied in turn to all pieces that there are.
EXPRESSIONS = {
    0: [],
    1: [GPT2],
    2: [r"[\p{P}\$\+<=>\^~\|]+", GPT2, r"\p{N}+", "[0-9][0-9][0-9]"],
    3: [CL100K % "{1,3}"],
    4: [CL100K % ""],
    5: [r"\p{N}", GPT2],
    6: [
        r"[\r\n]", r"\s?%s+" % CASED, "\\s?[!-/:-~！-／：-～‘-‟　-。]+", r"\s+$", "[一-龥ࠀ-一가-\ud7ff]+", r"\p{N}+",
    ],
    7: [r"[\r\n]", r"\s?\p{L}+", r"\s?\p{P}+", "[一-龥ࠀ-一가-\ud7ff]+", r"\p{N}"],
    8: [r"[\p{P}\$\+<=>\^~\|`]+", GPT2, "[0-9][0-9][0-9]"],
    9: [
        r"\p{N}{1,3}", "[一-龥぀-ゟ゠-ヿ]+",
        r"[!\"#$%&'()*+,\-./:;<=>?@\[\\\]^_`{|}~][A-Za-z]+|[^\r\n\p{L}\p{P}\p{S}]?[\p{L}\p{M}]+"
        r"| ?[\p{P}\p{S}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+",
    ],
    10: [CASED_WORDS % ("", "", "")],
    11: [CASED_WORDS % ("(?:" + CONTRACTION + ")?", "(?:" + CONTRACTION + ")?", "{1,3}")],
    12: [
        "(?:" + CONTRACTION + r")|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1}| ?[^\s\p{L}\p{N}\r\n]+|\s*[\r\n]+|\s+(?!\S)|\s+",
    ],
    13: [
        r"'(?:[sSdDmMtT]|[lL][lL]|[vV][eE]|[rR][eE])|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]|\s+(?!\S)|\s+",
    ],
    14: [BLOOM],
    15: [BLOOM, r"\p{N}"],
    16: [r"\p{N}+", r"[0-9]{1,3}(?=(?:[0-9]{3})*(?![0-9]))"],
    17: [
        "(?:" + CONTRACTION + r")|[^\r\n\p{L}\p{N}]?[\p{L}\p{M}]+|\p{N}| ?[^\s\p{L}\p{M}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+",
    ],
    18: [
        r"\p{N}{1,3}(?=(?:\p{N}{3})*(?!\p{N}))",
        CASED_WORDS % ("(?:" + CONTRACTION + ")?", "(?:" + CONTRACTION + ")?", "{1,3}"),
    ],
    19: [
        r"\p{N}{1,3}(?=(?:\p{N}{3})*(?!\p{N}))",
        "[一-鿿㐀-䶿豈-\ufaff぀-ゟ゠-ヿ･-ﾟ⼀-\u2fdf\u0e40-\u0e7f\u0e80-\u0effក-\u17ffက-႟ꩠ-ꩿꧠ-\ua9ff가-\ud7afᄀ-ᇿ]+",
        MARKED % r"[\r\n]*|\s*[\r\n]+",
    ],
    20: [
        "(?:" + CONTRACTION + r")|[^\r\n\p{L}\p{N}]?(?:\p{L}\p{M}*(?: \p{L}\p{M}*)*)+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n/]?|\s*[\r\n]|\s+(?!\S)|\s+",
    ],
    21: [
        "[가-힣ㄱ-ㆎ]+|[！…“”‘’—：；，、-〿︰-﹏]+|[ㄅ-ㄯ]+|[一-龥぀-ゟ゠-ヿ]+",
        CASED_WORDS % ("(?:" + CONTRACTION + ")?", "(?:" + CONTRACTION + ")?", ""),
    ],
    22: [r"\p{N}{1,3}", CL100K % "+"],
    23: [r"[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"],
    24: [r"[^\n]+|[\n]+", CL100K % ""],
    25: [r"\p{N}{1,3}", "[一-龥぀-ゟ゠-ヿ]+", MARKED % r"|[\r\n]", r"\p{N}"],
    26: [
        "[%s]+" % HAN + r"|[^\r\n\p{L}\p{N}]?[\p{L}--[%s]]+(?:%s)?" % (HAN, CONTRACTION)
        + r"|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+",
    ],
}  # fmt: skip

TEXTS = [
    "Hello world", " Hello  world ", "   Hello", "Hello   ", "a", " ", "  ", "\n", "\n\n", " \n", "\n ", "\r\n", "a\r\nb\r\n\r\nc",
    "  \n  x", "x \n \n  y", "\t\tx\ty\t", "if x:\n    return 1\n\n\n    # done\n", "I'm you're he's I'll we've they'd don't",
    "I'M YOU'RE HE'S I'LL WE'VE THEY'D DON'T", "'s's't'tx ' s '' 'x '", "it's'm 'Tis o'clock rock'n'roll", "l'\u2019eau d\u2019or",
    "1", "12", "123", "1234", "1234567890", " 1 22 333 4444 ", "3.14159, 1,000,000; -5 +7 1e-9 0x1F", "a1b22c333d4444",
    "\u0661\u0662\u0663\u0664 \u0967\u0968\u0969\u096a \u2167 \u00bd \u00b2\u00b3", "!!!", "... ?! ;-) (x) [y] {z} <w>", "a.b,c!d?e", "$5 + 6 = 11 ^ ~ | ` @ # % & *",
    "C++ & C# _under_score__ snake_case camelCase PascalCase HTTPServer XMLHttpRequest2", "https://example.org/a/b?c=d&e=f#g/\n//\n",
    "\u00e9t\u00e9 \u00c9COLE na\u00efve \u00dcber stra\u00dfe \u0130stanbul", "e\u0301te\u0301 n\u0303 a\u0308\u0301 \u0301x x\u0301\u0301\u0301",
    "\u01c5ungla \u01c8ubav \u1f88", "\u041f\u0440\u0438\u0432\u0435\u0442, \u043c\u0438\u0440! \u041c\u0410\u041c\u0410 \u043c\u044b\u043b\u0430", "\u0393\u03b5\u03b9\u03ac \u03c3\u03bf\u03c5 \u039a\u03cc\u03c3\u03bc\u03b5",
    "\u0540\u0561\u0575\u0565\u0580\u0565\u0576 \u10e5\u10d0\u10e0\u10d7\u10e3\u10da\u10d8", "\u65e5\u672c\u8a9e\u306e\u6587\u7ae0\u3067\u3059\u3002\u30ab\u30bf\u30ab\u30ca\u3001\u3072\u3089\u304c\u306a", "\u4f60\u597d\uff0c\u4e16\u754c\uff01 \u4e2d\u6587ABC\u6df7\u5408123",
    "\ud55c\uad6d\uc5b4 \ubb38\uc7a5\uc785\ub2c8\ub2e4. ABC", "\u0e2a\u0e27\u0e31\u0e2a\u0e14\u0e35\u0e0a\u0e32\u0e27\u0e42\u0e25\u0e01 \u0e51\u0e52\u0e53", "\u0928\u092e\u0938\u094d\u0924\u0947 \u0926\u0941\u0928\u093f\u092f\u093e\u0964 \u0915\u094d\u0937\u093f",
    "\u0645\u0631\u062d\u0628\u0627 \u0628\u0627\u0644\u0639\u0627\u0644\u0645\u060c \u0643\u064e\u062a\u064e\u0628\u064e", "\u05e9\u05dc\u05d5\u05dd \u05e2\u05d5\u05dc\u05dd", "\U0001f600 \U0001f468\u200d\U0001f469\u200d\U0001f467\u200d\U0001f466 \U0001f1e9\U0001f1ea \u2764\ufe0f\U0001f44d\U0001f3fd x\U0001f680y",
    "a\u00a0b \u00a0 c\u00a0\u00a0", "\u2003em\u2003\u2003space \u3000\u5168\u89d2\u3000", "\u180ex \u200bzero\u200bwidth \ufeffbom", "\u2028line\u2029paragraph \u0085next\u0085", "\u001c\u001d x\u001fy \u0000z\u0000", "\u000b\u000cv\u000b f\u000c",
    "\u201cquoted\u201d \u2018single\u2019 \u00abguillemets\u00bb \u2014 dash\u2013dash \u2026", "100\u20ac \u00a35 \u00a59 \u20b91,00,000 50% 20\u00b0C \u00b12 \u00d73 \u00f74 \u221a2 \u2211x",
    "\U0001d400\U0001d401 \U00010400\U00010428 \U00020000\U00020001 \U0001f100", "\uff21\uff22\uff43 \uff11\uff12\uff13 \uff01\uff1f", "\u00aa\u00ba \u02b0\u02c8 \u2c00 \u212a\u017f \ufb01", "x\u1f68f  \u00a0\n\u00a0 \u3000\r\n\r\n y", "<|im_start|>user\nHi<|im_end|>\n",
    "1234567 12345678 123456789,12 x1234y \u0661\u0662\u0663\u066412345", "a b c  d\n\nHe said: it's\ta  test/\n\n/x", "\u7684\u4ed6's can't\u5b57's \u3131\u3132 \u3105\u3106 \u2014\u2014 \uff01\u2026", "\u3400\U00020000x\uf900 \u0e81\u0e94 \u1000\u102c \u1780 \u1100\u1161",
    "x" * 40 + " " * 17 + "y" + "\n" * 5 + "9" * 10, "for(int i=0;i<10;++i){a[i]*=2;}//\u6ce8\u91ca", "\u672c  ", "end \u3000\u672c \n\u3000",
]  # fmt: skip


def words(expressions, pieces):
    for expression in expressions:
        cut = []
        for piece in pieces:
            at = 0
            for match in regex.finditer(expression, piece, regex.V1):
                cut += [piece[at : match.start()], match.group()]
                at = match.end()
            cut.append(piece[at:])
        pieces = [piece for piece in cut if piece]
    return pieces


def main():
    print("# A text as a JSON string, then for each pre-tokenizer (TVL_FORMAT.md has their numbers) the lengths of the words that it")
    print("# is cut into, in bytes. Made by make_word_splits.py, which says how, with Python's regex.")
    for text in TEXTS:
        print(json.dumps(text))
        for number, expressions in EXPRESSIONS.items():
            print("%d:" % number, *(len(word.encode()) for word in words(expressions, [text])))


if __name__ == "__main__":
    main()
