#!/usr/bin/env python3
"""hot_loops_test.py LIBRARY: the compiler keeps vectors in registers in the loops of libneon_handwritten.a where Gemv
spends its time.

Each takes a known number of lines: were another loop found, or were its prefetches gone, that would show.
"""

import sys

sys.dont_write_bytecode = True
sys.path.insert(0, "tools/bench/cost_model")
import hot_loop  # noqa: E402

# Cache lines per round: four k, and a superblock of the quantised types.
LINES = {"f32": 4, "f16": 2, "bf16": 2, "q8": 17, "q4": 9, "q4m": 10}


def main():
    failures = 0
    for name, loop in hot_loop.gemv_loops(sys.argv[1]).items():
        spills = loop.vector_stack_accesses()
        print(f"{name}: {len(loop.instructions)} instructions, {loop.lines} lines, {len(spills)} vectors on the stack")
        if spills:
            print("expected none in memory:", *spills, sep="\n  ")
            failures += 1
        if loop.lines != LINES[name]:
            print(f"expected {LINES[name]} lines")
            failures += 1
    sys.exit(failures)


if __name__ == "__main__":
    main()
