#!/usr/bin/env bash
# The parsers that applications read bodies with, for `make parsers`, into .tools/parsers: PHP (Debian's packages, unpacked),
# Node with its packages (tests/parsers/readers/node), and the reader in Go. Those in Python are in requirements-dev.lock.
. "$(dirname "$0")/lib.sh"

READERS=tests/parsers/readers
HOME_OF_PARSERS=.tools/parsers
apt_folder=$ROOT/.tools/apt-parsers

main() {
    mkdir -p $HOME_OF_PARSERS
    install_php
    [[ -x $HOME_OF_PARSERS/node ]] || rm -f $HOME_OF_PARSERS/.node-stamp # where it was may be nothing any more
    once $HOME_OF_PARSERS/.node-stamp "$(digest_of_files $READERS/node/package.json $READERS/node/package-lock.json tools/node.lock)" install_node
    (cd $READERS/go && "$ROOT/tools/go.sh" build -o "$ROOT/$HOME_OF_PARSERS/go-reader" .)
}

# PHP

install_php() {
    runs_php $HOME_OF_PARSERS/php-cgi && return
    local found
    found=$(on_path php-cgi)
    if [[ -n $found ]] && runs_php "$found"; then
        ln -sf "$found" $HOME_OF_PARSERS/php-cgi
        return
    fi
    unpack_debians_php || true
    rm -rf "$apt_folder"
    runs_php $HOME_OF_PARSERS/php-cgi ||
        fail "make parsers needs PHP: sudo apt-get install php-cgi php-xml (it cannot be had here by itself)"
}

runs_php() { [[ -x $1 ]] && "$1" -m 2>/dev/null | grep -qi '^simplexml$'; }

unpack_debians_php() {
    [[ -n $(on_path apt-get) && -n $(on_path dpkg) ]] || return 1
    local root=$ROOT/$HOME_OF_PARSERS/php series
    rm -rf "$root" "$apt_folder"
    mkdir -p "$root" "$apt_folder"/{lists/partial,cache/archives/partial,packages}
    apt apt-get update
    series=$(apt apt-cache depends php-cgi | sed -nE 's/.*Depends: (php[0-9.]+)-cgi.*/\1/p' | head -n1)
    [[ -n $series ]] || return 1
    say "PHP for the tests, from Debian's packages ($series), into $HOME_OF_PARSERS"
    # shellcheck disable=SC2046
    (cd "$apt_folder/packages" && apt apt-get download "$series-cgi" "$series-common" "$series-xml" $(missing_libraries "$series"))
    local package
    for package in "$apt_folder"/packages/*.deb; do dpkg -x "$package" "$root"; done
    write_php_cgi "$root"
}

# Without root and without a trace outside: lists and cache of our own.
apt() {
    local command=$1 said
    shift
    local settings=(-o "Dir::State::Lists=$apt_folder/lists" -o "Dir::Cache=$apt_folder/cache" -o Debug::NoLocking=true -o APT::Sandbox::User=)
    if [[ $command == apt-get ]]; then
        said=$(apt-get --quiet --quiet "${settings[@]}" "$@" 2>&1) || { echo "$said" >&2; return 1; }
    else
        "$command" "${settings[@]}" "$@"
    fi
}

missing_libraries() {
    local package
    for package in $(apt apt-cache depends --recurse --no-recommends --no-suggests --no-conflicts --no-breaks --no-replaces --no-enhances \
        "$1-cgi" "$1-xml" | grep -E '^lib' | grep -vE '^lib(c6|perl|db|gdbm|newt|slang|textwrap|debian)'); do
        [[ $(dpkg-query -W -f '${db:Status-Abbrev}' "$package" 2>/dev/null) == ii* ]] || echo "$package"
    done
}

write_php_cgi() {
    local root=$1 modules libraries
    modules=$(dirname "$(find "$root/usr/lib/php" -name simplexml.so)")
    libraries=$root/usr/lib/$(gcc_triplet):$root/lib/$(gcc_triplet)
    cat >$HOME_OF_PARSERS/php-cgi <<SCRIPT
#!/bin/sh
LD_LIBRARY_PATH='$libraries' exec '$(find "$root/usr/bin" -name 'php-cgi*' | head -n1)' -n -d 'extension_dir=$modules' -d extension=dom -d extension=simplexml "\$@"
SCRIPT
    chmod +x $HOME_OF_PARSERS/php-cgi
}

gcc_triplet() { printf '%s-linux-gnu' "$(uname -m)"; }

# Node

install_node() {
    find_node
    say "Node's parsers, into $HOME_OF_PARSERS"
    ln -sf "$node" $HOME_OF_PARSERS/node
    cp $READERS/node/package.json $READERS/node/package-lock.json $HOME_OF_PARSERS/
    npm_ci $HOME_OF_PARSERS
}

main "$@"
