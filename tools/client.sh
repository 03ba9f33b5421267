#!/usr/bin/env bash
# Generate the TypeScript client from openapi.json and compile it with its example, into clients/typescript/dist. What has not
# changed is not compiled again.
. "$(dirname "$0")/lib.sh"

CLIENT=clients/typescript

main() {
    one_at_a_time
    find_node
    once $CLIENT/node_modules/.stamp "$(digest_of_files $CLIENT/package.json $CLIENT/package-lock.json)" install
    once $CLIENT/dist/.stamp "$(digest_of_files openapi.json $CLIENT/package-lock.json $CLIENT/*.json $CLIENT/src/index.ts $CLIENT/examples/*.ts)" build
}

install() { npm_ci $CLIENT; }

build() {
    rm -rf $CLIENT/dist
    PATH=$(dirname "$node"):$PATH "${npm[@]}" --prefix $CLIENT run --silent build
}

main
