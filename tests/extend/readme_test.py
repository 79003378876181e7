#!/usr/bin/env python3
"""readme_test.py README SOURCE...: the README quotes the sources.

Every block of code in the README's section "Extend it" stands in one of the sources, line by line and
without a gap, whatever its indentation. Blocks of commands (sh) and of output (text) are no quotations.
"""

import re
import sys


def lines(text):
    return [line.strip() for line in text.strip().split("\n")]


def contains(whole, part):
    return any(whole[i : i + len(part)] == part for i in range(len(whole) - len(part) + 1))


def main():
    with open(sys.argv[1], encoding="utf-8") as readme:
        section = re.search(r"^## Extend it\n(.*?)^## ", readme.read(), re.DOTALL | re.MULTILINE)
    if not section:
        sys.exit("README.md has no section 'Extend it'")
    sources = []
    for path in sys.argv[2:]:
        with open(path, encoding="utf-8") as source:
            sources.append(lines(source.read()))
    blocks = re.findall(r"^```(?!sh$|text$|\n)\w+\n(.*?)^```$", section[1], re.DOTALL | re.MULTILINE)
    strange = [block for block in blocks if not any(contains(source, lines(block)) for source in sources)]
    for block in strange:
        print("README.md quotes what is in none of the sources:\n" + block)
    if not blocks:
        sys.exit("README.md quotes nothing")
    sys.exit(1 if strange else 0)


main()
