#!/bin/sh
# Finds a Python that the course supports and hands over to install.py. Usage: install.sh book|all
# PYTHON=/path/to/python overrides the search.
here=$(dirname "$0")
supported='import sys; sys.exit(not ((3, 11) <= sys.version_info[:2] <= (3, 13)))'
seen=

try() {
    if "$1" -c "$supported" 2>/dev/null; then exec "$1" "$here/install.py" "$2"; fi
    version=$("$1" --version 2>/dev/null | head -n 1)
    if [ -n "$version" ]; then seen="$seen
    $1 is $version"; fi
}

if [ -n "$PYTHON" ]; then
    try "$PYTHON" "$1"
else
    for python in "$here/../.venv/bin/python" python3.11 python3.12 python3.13 python3 python; do
        try "$python" "$1"
    done
fi

cat >&2 <<MESSAGE

The course needs Python 3.11 (3.12 and 3.13 work too) and found none.${PYTHON:+
  PYTHON is set to '$PYTHON', which is not one.}${seen:+
  Found:$seen}

  Debian, Ubuntu   sudo apt install python3.11 python3.11-venv   (or 3.12, 3.13)
  macOS            brew install python@3.11
  anywhere         https://www.python.org/downloads/  or  uv python install 3.11

If you have one elsewhere, name it:   PYTHON=/path/to/python3.11 make book
MESSAGE
exit 1
