#!/bin/bash
# tests/fresh_debian.sh: the two commands of README.md on a Debian 12 on which nothing is installed, made
# by debootstrap in a temporary folder: a clone of what is committed here, without ../shared. It takes about
# a quarter of an hour on two cores, and only root can do it.
set -euo pipefail

say() { echo "fresh_debian.sh: $*"; }
fail() {
  say "$*" >&2
  exit 1
}

# timed NAME COMMAND...
timed() {
  local name=$1 start=$SECONDS
  shift
  "$@" || fail "$name failed with exit code $?"
  say "$name: $((SECONDS - start)) s"
}

# --- In namespaces of its own, which take the mounts and Bazel's server with them when they end -----

# in_debian COMMAND...: in the clone, with nothing of this shell's environment but the proxies.
in_debian() {
  local proxies
  mapfile -t proxies < <(env | grep -iE '^[a-z]+_proxy=' || true)
  chroot "$debian" /usr/bin/env -i HOME=/root LANG=C.UTF-8 PATH=/usr/sbin:/usr/bin:/sbin:/bin \
    "${proxies[@]}" /bin/sh -c 'cd /root/tvl && exec "$@"' sh "$@" </dev/null
}

generate() { in_debian ./bazelw run //tools:tvl -- generate | tee "$debian/story"; }

if [ "${1:-}" = --inside ]; then
  debian=$2
  mount -t proc proc "$debian/proc"
  mount -t tmpfs -o mode=1777 tmpfs "$debian/dev/shm"
  timed "./bazelw run //tools:tvl -- generate" generate
  [ "$(head -c 16 "$debian/story")" = "Once upon a time" ] || fail "that is no story"
  timed "./bazelw test //..." in_debian ./bazelw test //...
  exit 0
fi

# --- The machine ------------------------------------------------------------------------------------

[ "$(id -u)" = 0 ] || fail "only root can make a Debian of its own and change into it; run this as root"
root=$(cd "$(dirname "$0")/.." && pwd -P)
if ! command -v debootstrap >/dev/null; then
  say "installing debootstrap"
  apt-get update -qq && apt-get install -qq -y --no-install-recommends debootstrap >/dev/null
fi

debian=$(mktemp -d "${TMPDIR:-/tmp}/fresh_debian.XXXXXX")
chmod 755 "$debian"  # for apt's own user
trap 'rm -rf --one-file-system "$debian"' EXIT
trap 'exit 130' INT
trap 'exit 143' TERM

# Packages come from where this machine's come from, in the same way.
# shellcheck disable=SC2016  # a format of apt-get's
mirror=$(apt-get indextargets --format '$(REPO_URI)' 'Codename: bookworm' 'Component: main' 2>/dev/null | head -1)
mirror=${mirror:-http://deb.debian.org/debian}
make_debian() {
  debootstrap --variant=minbase bookworm "$debian" "$mirror" >"$debian/log" || { tail "$debian/log" >&2; return 1; }
}
timed "debootstrap from $mirror" make_debian
apt-config dump | grep -E '^Acquire::(https?|Retries)' >"$debian/etc/apt/apt.conf.d/99host" || true
cp -L /etc/resolv.conf /etc/hosts "$debian/etc/"

git clone --quiet "file://$root" "$debian/root/tvl"
say "commit $(git -C "$debian/root/tvl" rev-parse --short HEAD)"
unshare --mount --pid --fork --kill-child "$0" --inside "$debian"
say "both commands did what README.md says"
