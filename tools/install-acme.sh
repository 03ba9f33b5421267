#!/usr/bin/env bash
# What the tests of ACME need, into .tools/acme: pebble (an authority, Go) and Knot DNS (Debian's package, unpacked).
. "$(dirname "$0")/lib.sh"

PEBBLE=v2.10.3
HOME_OF_ACME=.tools/acme
apt_folder=$ROOT/.tools/apt-acme

main() {
    mkdir -p $HOME_OF_ACME
    once $HOME_OF_ACME/.pebble-stamp "$(digest $PEBBLE)" install_pebble
    install_knot
}

install_pebble() {
    say "pebble $PEBBLE for the tests of ACME, into $HOME_OF_ACME"
    GOBIN=$ROOT/$HOME_OF_ACME tools/go.sh install "github.com/letsencrypt/pebble/v2/cmd/pebble@$PEBBLE"
}

install_knot() {
    runs_knot $HOME_OF_ACME/knotd && return
    local found
    found=$(on_path knotd)
    if [[ -n $found ]] && runs_knot "$found"; then
        ln -sf "$found" $HOME_OF_ACME/knotd
        return
    fi
    unpack_debians_knot || true
    rm -rf "$apt_folder"
    runs_knot $HOME_OF_ACME/knotd ||
        fail "the tests of ACME need Knot DNS: sudo apt-get install knot (it cannot be had here by itself)"
}

runs_knot() { [[ -x $1 ]] && "$1" --version 2>/dev/null | grep -q '^knotd (Knot DNS)'; }

# Without root and without a trace outside: lists and cache of our own.
unpack_debians_knot() {
    [[ -n $(on_path apt-get) && -n $(on_path dpkg) ]] || return 1
    local root=$ROOT/$HOME_OF_ACME/knot said package
    local settings=(-o "Dir::State::Lists=$apt_folder/lists" -o "Dir::Cache=$apt_folder/cache" -o Debug::NoLocking=true
        -o APT::Sandbox::User=)
    say "Knot DNS for the tests of ACME, from Debian's packages, into $HOME_OF_ACME"
    rm -rf "$root" "$apt_folder"
    mkdir -p "$root" "$apt_folder"/{lists/partial,cache/archives/partial,packages}
    said=$(apt-get --quiet --quiet "${settings[@]}" update 2>&1) || { echo "$said" >&2; return 1; }
    # shellcheck disable=SC2046
    (cd "$apt_folder/packages" && apt-get --quiet --quiet "${settings[@]}" download knot $(libraries_of_knot "${settings[@]}")) || return 1
    for package in "$apt_folder"/packages/*.deb; do dpkg -x "$package" "$root" || return 1; done
    cat >$HOME_OF_ACME/knotd <<SCRIPT
#!/bin/sh
LD_LIBRARY_PATH='$root/usr/lib/$(uname -m)-linux-gnu:$root/lib/$(uname -m)-linux-gnu' exec '$root/usr/sbin/knotd' "\$@"
SCRIPT
    chmod +x $HOME_OF_ACME/knotd
}

# Those that this machine lacks.
libraries_of_knot() {
    local package
    for package in $(apt-cache "$@" depends --recurse --no-recommends --no-suggests --no-conflicts --no-breaks --no-replaces \
        --no-enhances knot | grep -E '^lib' | grep -vE '^lib(c6|gcc-s1|perl|db|gdbm|slang|newt|debconfclient)'); do
        [[ $(dpkg-query -W -f '${db:Status-Abbrev}' "$package" 2>/dev/null) == ii* ]] || echo "$package"
    done
}

main "$@"
