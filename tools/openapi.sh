#!/usr/bin/env bash
# Check openapi.json: `lint` (redocly), and `breaking [RELEASED [NEW]]` (oasdiff), what would break a client of the last release.
# `install` brings both tools.
. "$(dirname "$0")/lib.sh"

CLIENT=clients/typescript
RELEASED=tests/contracts/released-openapi.json

main() {
    local command=$1
    shift
    "$command" "$@"
}

lint() {
    tools/client.sh
    find_node
    REDOCLY_TELEMETRY=off REDOCLY_SUPPRESS_UPDATE_NOTICE=true \
        "$node" $CLIENT/node_modules/@redocly/cli/bin/cli.js lint openapi.json --extends recommended-strict --format stylish
}

breaking() {
    install
    if ! .tools/bin/oasdiff breaking --fail-on ERR "${1:-$RELEASED}" "${2:-openapi.json}"; then
        echo
        fail "clients of the last release would break (see above). Keep what they use, and mark it as deprecated (docs/api.md)." \
            "At a release: make release-api"
    fi
}

install() {
    one_at_a_time
    [[ -x .tools/bin/oasdiff ]] || rm -f .tools/stamps/oasdiff
    once .tools/stamps/oasdiff "$(digest_of_files tools/oasdiff/go.mod tools/oasdiff/go.sum)" build_oasdiff
}

build_oasdiff() {
    say "oasdiff, into .tools/bin (a minute)"
    mkdir -p .tools/bin
    (cd tools/oasdiff && GO_MOD=tools/oasdiff/go.mod GOFLAGS="-trimpath -buildvcs=false" ../go.sh build -o "$ROOT/.tools/bin/oasdiff" github.com/oasdiff/oasdiff)
}

main "$@"
