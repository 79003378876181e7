#!/bin/bash
# Copying the program to a device is all of its installation: of shared libraries it needs the C
# library's own and nothing else.
. tests/cli/testing.sh "$1"

run readelf --dynamic --wide "$1"
expect_code 0
needed=$(sed -n 's/.*(NEEDED) *Shared library: \[\(.*\)\]$/\1/p' "$out" | sort)
echo "needs:" $needed
grep -qx 'libc\.so\.6' <<<"$needed" || failed "expected libc.so.6 among the needed libraries"
others=$(grep -vxE 'libc\.so\.6|libm\.so\.6|ld-linux-(x86-64|aarch64)\.so\.[0-9]+' <<<"$needed")
[ -z "$others" ] || failed "these have to be linked statically:" $others
grep -E '\((RPATH|RUNPATH)\)' "$out" && failed "expected no search path for libraries"
finish
