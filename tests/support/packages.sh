#!/bin/sh
# Installs the programs the tests drive, Chromium, OpenLDAP's slapd and Dovecot, or says how to.
missing=""
PATH="$PATH:/usr/sbin:/usr/local/sbin"
command -v chromium >/dev/null 2>&1 || missing=" chromium"
command -v slapd >/dev/null 2>&1 || missing="$missing slapd"
command -v dovecot >/dev/null 2>&1 || missing="$missing dovecot-imapd"
[ -z "$missing" ] && exit 0

if [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null 2>&1; then
    echo "Installing for the tests:$missing"
    export DEBIAN_FRONTEND=noninteractive
    # slapd is only run by tests, with a configuration of their own
    echo "slapd slapd/no_configuration boolean true" | debconf-set-selections 2>/dev/null
    # shellcheck disable=SC2086  # each name an argument of its own
    apt-get update -q >/dev/null && apt-get install -q -y --no-install-recommends $missing >/dev/null && exit 0
fi
echo "The tests also drive real programs that are not here: ${missing# }" >&2
echo "Install them first (Debian: sudo apt-get install ${missing# }); only what needs none of them can be tested until then: make check." >&2
exit 1
