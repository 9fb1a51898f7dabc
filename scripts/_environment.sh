# Sourced by the other scripts, after `cd` to the checkout: finds or makes the virtual environment.
#
#   environment dev     everything for tests (what scripts/test uses)
#   environment all     what a user installs; any environment that is up to date will do
#
# Afterwards $VENV/bin comes first in PATH. Honours $ZOO_VENV (where the environment is; .venv) and
# $ZOO_PYTHON (what makes it).

VENV=${ZOO_VENV:-.venv}
export OMP_NUM_THREADS=1 # two threads are slower than one on networks this small

_say() { printf '%s\n' "$*" >&2; }

_new_enough() { "$1" -c 'import sys; sys.exit(sys.version_info < (3, 11))' >/dev/null 2>&1; }

_find_python() {
    local candidate
    if [ -n "${ZOO_PYTHON:-}" ]; then
        _new_enough "$ZOO_PYTHON" && echo "$ZOO_PYTHON" && return
        _say "ZOO_PYTHON=$ZOO_PYTHON is not a Python 3.11 or newer."
        return 1
    fi
    for candidate in python3.11 python3.12 python3.13 python3.14 python3 python; do
        _new_enough "$candidate" && command -v "$candidate" && return
    done
    _say "The zoo needs Python 3.11 or newer, and none is on PATH (python3 is $(python3 --version 2>&1))."
    _say "Install one, or name it: ZOO_PYTHON=/path/to/python3.11 $0"
    return 1
}

# What the environment was made from. No stamp, or another one: install again.
_fingerprint() {
    "$1" - <<'PYTHON'
import hashlib, pathlib, sys
made_from = [pathlib.Path(name).read_bytes() for name in ("pyproject.toml", "constraints.txt")]
made_from += [sys.version.encode(), str(pathlib.Path.cwd()).encode()]
print(hashlib.sha256(b"\0".join(made_from)).hexdigest())
PYTHON
}

# Runs pip with its output in a log; shows what it is at on a terminal, and the end of the log on failure.
_pip_install() {
    local log="$VENV/install.log" line status=0
    if [ -t 2 ]; then
        "$VENV/bin/python" -m pip --disable-pip-version-check install "$@" 2>&1 | tee "$log" |
            while IFS= read -r line; do printf '\r\033[K  %.72s' "$line" >&2; done || status=1
        printf '\r\033[K' >&2
    else
        "$VENV/bin/python" -m pip --disable-pip-version-check install "$@" >"$log" 2>&1 </dev/null || status=1
    fi
    if [ "$status" -ne 0 ]; then
        tail -n 25 "$log" >&2
        _say "The installation failed; the end of $log is above. Mend what it says and run this again."
        return 1
    fi
}

environment() {
    local extra=$1 python stamp="$VENV/.zoo-stamp" wanted began=$SECONDS
    if [ -x "$VENV/bin/python" ] && _new_enough "$VENV/bin/python"; then
        wanted=$(_fingerprint "$VENV/bin/python")
        if [ "$extra" = all ] && [ -f "$stamp" ] && grep -q '^dev ' "$stamp"; then
            extra=dev # never take away what tests need
        fi
    else
        python=$(_find_python) || return 1
        _say "Making a virtual environment in $VENV with $("$python" --version)."
        if ! "$python" -m venv --clear "$VENV"; then
            _say "$python cannot make virtual environments. On Debian and Ubuntu: apt install python3-venv"
            return 1
        fi
        wanted=$(_fingerprint "$VENV/bin/python")
    fi
    if [ "$(cat "$stamp" 2>/dev/null)" != "$extra $wanted" ]; then
        _say "Installing neuroai-zoo[$extra] into $VENV: about 1.2 GB, a few minutes the first time."
        rm -f "$stamp"
        _pip_install --editable ".[$extra]" --constraint constraints.txt || return 1
        echo "$extra $wanted" >"$stamp"
        _say "Installed in $((SECONDS - began)) s."
    fi
    VENV=$(cd "$VENV" && pwd)
    export PATH="$VENV/bin:$PATH"
}
