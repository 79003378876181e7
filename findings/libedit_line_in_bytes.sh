#!/bin/bash
# Guess: libedit's el_line() and el_deletestr() speak of the same line, so deleting as many characters as the line has before
# the cursor (cursor - buffer) clears what was typed, whatever it was.
#
# Truth (libedit 3.1-20221030, UTF-8 locale): el_line() gives the line as bytes, while el_cursor() and el_deletestr() count
# characters. With "abc" both are 3. With "h\u00e9llo" el_line() has 6 bytes before the cursor and el_cursor() is 5;
# el_deletestr(6) asks for more than there is, does nothing at all and says nothing: the line stays.
#
# Why it matters: a program that clears the line at Ctrl-C in this way passes every test in English and keeps the text of
# everybody who types an accent. Counting by el_cursor() is right for both.
#
#   findings/libedit_line_in_bytes.sh      # Debian 12; needs gcc and python3
set -euo pipefail

folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"

version=3.1-20221030-2
apt-get download -qq "libedit-dev=$version" "libedit2=$version" 2>/dev/null
for package in ./*.deb; do dpkg -x "$package" package; done
echo "libedit $version"

cat >line.c <<'END'
#include <histedit.h>
#include <locale.h>
#include <stdio.h>

static unsigned char Report(EditLine *el, int key) {
  const LineInfo *line = el_line(el);
  const int before = (int)(line->cursor - line->buffer), cursor = el_cursor(el, 0);
  (void)key;
  el_deletestr(el, before);
  line = el_line(el);
  fprintf(stderr, "[%d %d %d]", before, cursor, (int)(line->lastchar - line->buffer));
  return CC_NORM;
}
static char *Prompt(EditLine *el) { (void)el; return ">"; }

int main(void) {
  int count;
  EditLine *el;
  setlocale(LC_ALL, "C.UTF-8");
  el = el_init("finding", stdin, stdout, stderr);
  el_set(el, EL_PROMPT, Prompt);
  el_set(el, EL_EDITOR, "emacs");
  el_set(el, EL_ADDFN, "report", "report", Report);
  el_set(el, EL_BIND, "^T", "report", NULL);
  el_gets(el, &count);
  el_end(el);
  return 0;
}
END
library=$(find package -name 'libedit.so.2' -printf '%h\n')
gcc -Ipackage/usr/include line.c -o line "$library/libedit.so.2"

cat >type.py <<'END'
"""Types a line and Ctrl-T at a terminal of its own, and prints what is said in brackets."""
import os, pty, re, select, sys

pid, terminal = pty.fork()
if pid == 0:
    os.execve("./line", ["./line"], {**os.environ, "TERM": "xterm", "LD_LIBRARY_PATH": sys.argv[2]})
seen, typed = b"", False
while not (found := re.search(rb"\[(.*?)\]", seen)):
    if not select.select([terminal], [], [], 20)[0]:
        sys.exit("no answer")
    seen += os.read(terminal, 4096)
    if b">" in seen and not typed:
        os.write(terminal, sys.argv[1].encode() + b"\x14")
        typed = True
os.write(terminal, b"\n")
print(found[1].decode())
END

# Bytes before the cursor by el_line, el_cursor, and bytes that are left after el_deletestr of as many as the first says.
failed=0
check() {
  local found
  found=$(python3 type.py "$1" "$library")
  echo "$1: $found"
  [ "$found" = "$2" ] || { echo "expected $2"; failed=1; }
}
check abc "3 3 0"
check "héllo" "6 5 6"
check "é" "2 1 2"
exit $failed
