#!/usr/bin/env python3
"""How fast neon_handwritten's Gemv could read weights, and Gemm multiply, by llvm-mca's models of the cores.

    tools/bench/cost_model/cost_model.py [--model FILE.tvl ...] [CONFIG ...]

Builds the backend for each device (all by default), takes the loops in which Gemv and Gemm spend their time from the
library's disassembly, prefetches included, lets llvm-mca run rounds of them, and compares Gemv's with what the device's
memory gives to one of its cores. With --model also counts the instructions of a token under qemu.
"""

import argparse
import dataclasses
import os
import pathlib
import re
import shutil
import subprocess
import sys
import tempfile

sys.dont_write_bytecode = True
import hot_loop  # noqa: E402

ROOT = pathlib.Path(__file__).resolve().parents[3]
ROUNDS = 200
LINE_BYTES = 64


@dataclasses.dataclass(frozen=True)
class Device:
    config: str  # of tools/bazel/devices.bazelrc
    name: str
    model: str  # llvm-mca's -mcpu
    ghz: float
    gb_per_s: float  # of the memory, as published
    cores: int  # that share it

    @property
    def share(self):
        return self.gb_per_s / self.cores


# Clocks, cores and bandwidths of whole chips are published; the share of a core is ours: bandwidth / cores.
DEVICES = [
    # 32 bits of LPDDR4-3200; 1.5 GHz at first, 1.8 since 2021: raspberrypi.com, Raspberry Pi 4 product brief.
    Device("pi4", "Pi 4, Cortex-A72", "cortex-a72", 1.5, 12.8, 4),
    # 32 bits of LPDDR4X-4267: raspberrypi.com, Raspberry Pi 5 product brief.
    Device("pi5", "Pi 5, Cortex-A76", "neoverse-n1", 2.4, 17.1, 4),
    # 8 channels of DDR4-3200, 64 cores: anandtech.com, "Amazon's Arm-based Graviton2 Against AMD and Intel", 2020.
    Device("graviton2", "Graviton 2, Neoverse N1", "neoverse-n1", 2.5, 204.8, 64),
    # 8 channels of DDR5-4800, 64 cores: en.wikichip.org/wiki/AWS_Graviton3.
    Device("graviton3", "Graviton 3, Neoverse V1", "neoverse-v1", 2.6, 307.2, 64),
    # 536.7 GB/s, 96 cores: anandtech.com, "Amazon Unveils Graviton4", 2023; 2.8 GHz: nextplatform.com, 2024-09-19.
    Device("graviton4", "Graviton 4, Neoverse V2", "neoverse-v2", 2.8, 536.7, 96),
    # 128 bits of LPDDR4X-4266, 3.2 GHz: anandtech.com, "The 2020 Mac Mini Unleashed". Shared by the four fast cores, which
    # are those that decode.
    Device("m1", "Apple M1, fast cores", "apple-m1", 3.2, 68.3, 4),
]

NOTES = """
GB/s: modelled, of one core, all data in L1. Share: published bandwidth of the memory / cores. Ratio: GB/s / share, which
is to be 2 or more: then the arithmetic hides behind the memory even if it takes twice as long as modelled.

A round of q4k, q5k and q6k takes 32 inputs. The head of a superblock, 5 lines for 8 rounds, is left out with what is done
once for it: a few cycles.

Several tokens: the innermost loop alone, of one core. What is done once for a group of tokens (weights widened, taken apart
or zipped) is not in it.

The models are approximate. llvm-mca takes a Cortex-A72 for an A57 and an M1 for a Cyclone of 2013, which has three vector
pipes where the M1 has four: the M1's rows are the least certain, and too low where vector pipes are the limit. Of LLVM 19's
model of the M1 FMLA by a lane, SDOT and FCVTL are not known at all and get the cost of anything unknown, 2 cycles and a
third of a pipe, where a plain FMLA has 8 cycles and half a pipe: rows that are made of them (all but f32) say little. It
would take a Cortex-A76 for an A57 too; the Pi 5 is run as its sibling, the Neoverse N1. The models of N1 and V1 charge 4
cycles for each FMLA of a chain, though these cores hand a sum on to the next FMLA after 2; the model of V2 has 2. So a
loop with few chains is faster on the device than here. f16 on N1 is bound by FCVTL: 4 bytes per cycle.
"""


def fail(message):
    sys.exit(f"cost_model: {message}")


def find_llvm_mca():
    """The models of Neoverse are from LLVM 17 on; the README's table is by 19."""
    for name in ["llvm-mca-19"] + [f"llvm-mca-{version}" for version in range(30, 16, -1)]:
        if path := shutil.which(name):
            return path
    fail("llvm-mca of LLVM 17 or later is missing: apt-get install llvm-19")


def bazel(*arguments):
    result = subprocess.run([ROOT / "bazelw", *arguments], cwd=ROOT, text=True, capture_output=True, check=False)
    if result.returncode != 0:
        fail(f"bazelw {' '.join(arguments)} failed:\n{result.stderr}")
    return result.stdout


def build(config, *targets):
    """Returns the folder of the outputs."""
    bazel("build", f"--config={config}", *targets)
    return pathlib.Path(bazel("info", f"--config={config}", "bazel-bin").strip())


def cycles(llvm_mca, cpu, loop):
    """Of a round of the loop, the start of the first left out."""

    def total(rounds):
        command = [llvm_mca, "-mtriple=aarch64", f"-mcpu={cpu}", f"-iterations={rounds}"]
        result = subprocess.run(command, input=loop.assembly(), text=True, capture_output=True, check=False)
        found = re.search(r"^Total Cycles: +(\d+)$", result.stdout, re.MULTILINE)
        if result.returncode != 0 or not found:
            fail(f"{' '.join(command)}: {result.stderr}")
        return int(found[1])

    return (total(2 * ROUNDS) - total(ROUNDS)) / ROUNDS


def print_device(device, llvm_mca):
    library = build(device.config, "//backends/neon_handwritten") / "backends/neon_handwritten/libneon_handwritten.a"
    print(f"\n{device.name}, {device.ghz} GHz, {device.gb_per_s} GB/s / {device.cores} cores; model: {device.model}")
    print("  type  cycles/line  bytes/cycle    GB/s   share   ratio")
    for name, loop in hot_loop.gemv_loops(library).items():
        per_line = cycles(llvm_mca, device.model, loop) / loop.lines
        rate = LINE_BYTES / per_line
        gb_per_s = rate * device.ghz
        print(
            f"  {name:5} {per_line:11.2f} {rate:12.1f} {gb_per_s:7.1f} {device.share:7.1f} {gb_per_s / device.share:7.1f}",
            flush=True,
        )
    print("  several tokens  by     products/cycle  10^9/s")
    for types, (loop, multiply) in hot_loop.gemm_loops(library).items():
        per_cycle = loop.products(multiply) / cycles(llvm_mca, device.model, loop)
        print(f"  {types:15} {multiply:6} {per_cycle:14.1f} {per_cycle * device.ghz:7.1f}", flush=True)


def instructions_per_token(outputs, model):
    """The mean of the tokens at positions 16 to 79, as tests/instructions counts."""
    decode = outputs / "tests/instructions/decode"
    plugin = outputs / "tools/bench/guest_instructions/for_host/libguest_instructions.so"

    def count(tokens):
        with tempfile.NamedTemporaryFile("r") as out:
            command = [ROOT / "tools/bazel/emulate.sh", "neoverse-n1", decode, "neon_handwritten", model, str(tokens)]
            subprocess.run(command, env=os.environ | {"QEMU_PLUGIN": f"{plugin},out={out.name}"}, check=True)
            return int(out.read())

    return (count(80) - count(16)) // 64


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n", maxsplit=1)[0])
    parser.add_argument("--model", action="append", default=[], help="count the instructions of its tokens, under qemu")
    parser.add_argument("config", nargs="*", help=f"of {', '.join(device.config for device in DEVICES)}")
    arguments = parser.parse_args()
    unknown = set(arguments.config) - {device.config for device in DEVICES}
    if unknown:
        parser.error(f"unknown device: {', '.join(unknown)}")

    llvm_mca = find_llvm_mca()
    for device in DEVICES:
        if not arguments.config or device.config in arguments.config:
            print_device(device, llvm_mca)
    print(NOTES)
    if arguments.model:
        outputs = build("pi5", "//tests/instructions:decode", "//tools/bench/guest_instructions:for_host")
        for model in arguments.model:
            print(f"{model}: {instructions_per_token(outputs, os.path.abspath(model)):,} instructions per token (pi5)")


if __name__ == "__main__":
    main()
