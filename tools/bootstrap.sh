#!/bin/sh
# Makes .venv hold exactly what uv.lock says, with nothing but Python. Repeating it costs milliseconds; what an
# interrupted run left behind is made anew. PYTHON=... names the interpreter a new environment is made with.
set -eu
cd "$(dirname "$0")/.."
unset PYTHONDONTWRITEBYTECODE PYTHONHOME PYTHONPATH VIRTUAL_ENV

UV=0.13.8
here=$(pwd -P)
venv=.venv
uv=$venv/tools/bin/uv
stamp=$venv/locked # what the environment was made from, and where; "unfinished" while that goes on
wanted="$UV $(cat uv.lock pyproject.toml vonad/__init__.py | cksum) $here"

stop() { printf 'vonad: %s\n' "$*" >&2; exit 1; }

up_to_date() { [ "$(cat "$stamp" 2>/dev/null)" = "$wanted" ] && usable; }

usable() { # made here, to the end, by a Python that still exists and fits
    case "$(cat "$stamp" 2>/dev/null || echo new)" in new | *" $here") ;; *) return 1 ;; esac
    "$venv/bin/python" -c '
import sys
sys.exit(sys.prefix == sys.base_prefix or not (3, 11) <= sys.version_info < (3, 14))' 2>/dev/null
}

find_python() { # sets $python
    if [ -n "${PYTHON:-}" ]; then set -- "$PYTHON"; else set -- python3 python3.13 python3.12 python3.11; fi
    found=
    for python in "$@"; do
        command -v "$python" >/dev/null || continue
        reason=$("$python" -c '
import sys
version = "%d.%d" % sys.version_info[:2]
if not (3, 11) <= sys.version_info < (3, 14):
    sys.exit(print("is Python " + version) or 1)
try:
    import ensurepip, venv
except ImportError:
    sys.exit(print("has no venv (Debian, Ubuntu: sudo apt-get install python%s-venv)" % version) or 1)
' 2>/dev/null) && return
        found="$found; $(command -v "$python") ${reason:-does not start}"
    done
    stop "needs Python 3.11, 3.12 or 3.13 with venv${found:-; found none}. Or name one: make PYTHON=/path/to/python3"
}

mirrored() { # uv does not read pip's configuration; a mirror or certificate meant for pip is meant for this as well
    settings=$("$venv/tools/bin/python" -m pip config list 2>/dev/null) || return 0
    setting() { printf '%s\n' "$settings" | sed -n "s/^.*\.$1='\(.*\)'$/\1/p" | head -n 1; }
    index=${UV_DEFAULT_INDEX:-${UV_INDEX_URL:-$(setting index-url)}}
    cert=${SSL_CERT_FILE:-$(setting cert)}
    [ -z "$index" ] || export UV_DEFAULT_INDEX="$index"
    [ -z "$cert" ] || export SSL_CERT_FILE="$cert"
}

up_to_date && exit 0
if command -v flock >/dev/null; then # two at once: the second waits, and finds the work done
    exec 9<"$0"
    flock 9
    up_to_date && exit 0
fi

echo "vonad: setting up .venv from uv.lock ..." >&2
help="Is this machine online? A mirror is set with: pip config set global.index-url URL"
if ! usable; then
    find_python
    "$python" -m venv --clear --without-pip "$venv" || stop "$python could not make $here/$venv"
fi
if [ "$("$uv" --version 2>/dev/null | cut -d' ' -f2)" != "$UV" ]; then
    find_python
    "$python" -m venv --clear "$venv/tools" || stop "$python could not make $here/$venv/tools"
    "$venv/tools/bin/python" -m pip install -qq --disable-pip-version-check "uv==$UV" ||
        stop "pip could not fetch uv $UV, which installs the rest. $help"
fi

mirrored
echo "-e ." >"$venv/project.txt"
"$uv" export --quiet --frozen --no-emit-project --output-file "$venv/locked.txt"
echo unfinished >"$stamp"
[ -t 2 ] && quiet= || quiet=--quiet # on a slow line it takes minutes: a person sees that something moves
"$uv" pip sync $quiet --python "$venv" --compile-bytecode \
    --build-constraints "$venv/locked.txt" "$venv/locked.txt" "$venv/project.txt" || {
    # uv fetches everything before it changes anything: after a refusal (1, 2; not a signal) all is as it was
    [ $? -gt 2 ] || echo "refused $here" >"$stamp"
    stop "could not install what uv.lock names from ${UV_DEFAULT_INDEX:-https://pypi.org/simple}. $help"
}
echo "$wanted" >"$stamp"
