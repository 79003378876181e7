#!/bin/sh
# emulate.sh CPU COMMAND [ARGUMENT...]
#
# Runs a command that was built for ARM64: on an ARM64 machine as it is, elsewhere as qemu's model CPU.
# Scripts and programs of the host run as they are; a script finds in TVL_RUN what to put before a
# program that was built for the target: $TVL_RUN path/to/tvl (empty where nothing is needed).
set -eu

cpu=$1
shift

case $(uname -m) in
aarch64 | arm64)
  export TVL_RUN=
  exec "$@"
  ;;
esac

emulator=$(command -v qemu-aarch64 || command -v qemu-aarch64-static) || {
  echo "qemu-aarch64 is missing: apt-get install qemu-user" >&2
  exit 1
}
# The target's loader and C library come from one package, libc6:arm64, in the usual folders. Not -L
# /usr/aarch64-linux-gnu: that is the loader of the cross compiler's package, which with the C library
# of the other one hangs in the first pthread_create.
export TVL_RUN="$emulator -cpu $cpu"

# An ELF file starts with 7f 45 4c 46; its machine is at byte 18, and 183 (b7 00) is AArch64.
if [ "$(od -An -tx1 -N4 "$1" | tr -d ' ')" = 7f454c46 ] &&
  [ "$(od -An -tx1 -j18 -N2 "$1" | tr -d ' ')" = b700 ]; then
  # shellcheck disable=SC2086  # words of a command
  exec $TVL_RUN "$@"
fi
exec "$@"
