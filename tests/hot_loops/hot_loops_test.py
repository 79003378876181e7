#!/usr/bin/env python3
"""hot_loops_test.py LIBRARY: the compiler keeps vectors in registers in the loops of libneon_handwritten.a where Gemv
and Gemm spend their time.

Gemv's take a known number of lines, and Gemm's make a known number of products: were another loop found, or were Gemv's
prefetches gone, that would show.
"""

import sys

sys.dont_write_bytecode = True
sys.path.insert(0, "tools/bench/cost_model")
import hot_loop  # noqa: E402

# Cache lines per round: four k of floats, a superblock of q8, q4 and q4m, 32 inputs of the K-quants.
LINES = {"f32": 4, "f16": 2, "bf16": 2, "q8": 17, "q4": 9, "q4m": 10, "q4k": 4, "q5k": 5, "q6k": 6}


# Products per round: 16 rows x 6 tokens of one k in f32; 8 rows x 4 tokens of 64 inputs of the quantised types.
PRODUCTS = {"f32": 96, "q8, q4": 2048, "q4m, q4k, q5k": 2048, "q6k": 2048}


def main():
    failures = 0

    def check(name, loop, count, expected, unit):
        nonlocal failures
        spills = loop.vector_stack_accesses()
        print(f"{name}: {len(loop.instructions)} instructions, {count} {unit}, {len(spills)} vectors on the stack")
        if spills:
            print("expected none in memory:", *spills, sep="\n  ")
            failures += 1
        if count != expected:
            print(f"expected {expected} {unit}")
            failures += 1

    for name, loop in hot_loop.gemv_loops(sys.argv[1]).items():
        check(f"Gemv of {name}", loop, loop.lines, LINES[name], "lines")
    for name, (loop, multiply) in hot_loop.gemm_loops(sys.argv[1]).items():
        check(f"Gemm of {name} by {multiply}", loop, loop.products(multiply), PRODUCTS[name], "products")
    sys.exit(failures)


if __name__ == "__main__":
    main()
