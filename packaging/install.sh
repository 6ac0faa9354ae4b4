#!/bin/sh
# Installs mcproxy on Raspberry Pi OS, Debian or Ubuntu: checks the machine, installs the package, lets the first user
# in, tries the running service and prints what to paste into a client. Running it again changes only what is missing.
#   sudo ./install.sh [PACKAGE.deb] [--user NAME]
#   sudo ./install.sh --uninstall [--purge]
set -eu

say() { printf '%s\n' "$@"; }
fail() {
	printf 'install.sh: %s\n' "$*" >&2
	exit 1
}

package= user= uninstall= purge=
while [ $# -gt 0 ]; do
	case $1 in
	--user)
		[ $# -ge 2 ] || fail "--user needs a name"
		user=$2
		shift
		;;
	--uninstall) uninstall=yes ;;
	--purge) purge=yes ;;
	-h | --help)
		sed -n '2,5s/^# \{0,1\}//p' "$0"
		exit 0
		;;
	-*) fail "there is no option $1 (--help)" ;;
	*) package=$1 ;;
	esac
	shift
done

[ "$(id -u)" = 0 ] || fail "run it as root: sudo $0"
export DEBIAN_FRONTEND=noninteractive

if [ -n "$uninstall" ]; then
	action=remove
	[ -z "$purge" ] || action=purge
	apt-get "$action" -y mcproxy
	[ -n "$purge" ] || say "The files in /etc/mcproxy, the log and the sessions are kept; --uninstall --purge removes them."
	exit 0
fi

command -v dpkg >/dev/null && command -v apt-get >/dev/null || fail "this needs Debian, Raspberry Pi OS or Ubuntu"
architecture=$(dpkg --print-architecture)
case $architecture in
amd64 | arm64) ;;
armhf) fail "this is a 32-bit system; write the 64-bit image of Raspberry Pi OS to the card" ;;
*) fail "there is no package for the architecture $architecture" ;;
esac
libc=$(dpkg-query -W -f '${Version}' libc6)
dpkg --compare-versions "$libc" ge 2.28 || fail "the C library $libc is older than 2.28; use a newer system"
page=$(getconf PAGESIZE)
case $page in
4096 | 16384 | 65536) ;;
*) fail "a page size of $page bytes was never tried" ;;
esac
say "Machine: $architecture, libc $libc, pages of $page bytes."

if [ -z "$package" ]; then
	# The newest of those beside this script.
	directory=$(dirname "$0")
	for found in "$directory"/mcproxy_*_"$architecture".deb; do
		[ -e "$found" ] || continue
		if [ -z "$package" ]; then package=$found; fi
		if dpkg --compare-versions "$(dpkg-deb -f "$found" Version)" gt "$(dpkg-deb -f "$package" Version)"; then
			package=$found
		fi
	done
fi
if [ -n "$package" ]; then
	[ -r "$package" ] || fail "$package cannot be read"
	[ "$(dpkg-deb -f "$package" Package)" = mcproxy ] || fail "$package is not the package of mcproxy"
	[ "$(dpkg-deb -f "$package" Architecture)" = "$architecture" ] || fail "$package is for another architecture"
	installed=$(dpkg-query -W -f '${db:Status-Abbrev}${Version}' mcproxy 2>/dev/null || true)
	if [ "$installed" != "ii $(dpkg-deb -f "$package" Version)" ]; then
		# apt wants a path with a slash, and its own user has to be able to read it.
		copy=$(mktemp -d)
		trap 'rm -rf "$copy"' EXIT
		chmod 755 "$copy"
		install -m 644 "$package" "$copy/mcproxy.deb"
		apt-get install -y -o Dpkg::Options::=--force-confdef -o Dpkg::Options::=--force-confold "$copy/mcproxy.deb"
	fi
elif ! command -v mcproxy >/dev/null; then
	fail "there is no package mcproxy_*_$architecture.deb beside this script; name one: $0 FILE.deb"
fi

mcproxy check || fail "the files in /etc/mcproxy have problems, shown above; correct them and run this again"
systemctl is-active --quiet mcproxy || systemctl start mcproxy || {
	journalctl --no-pager -u mcproxy -n 20 >&2
	fail "the service does not start; its last lines are above"
}

user=${user:-${SUDO_USER:-admin}}
token=
if mcproxy token list --json | grep -q "\"$user\""; then
	say "The user $user is there already; \`mcproxy token rotate $user\` makes a new token."
else
	token=$(mcproxy token add "$user" 2>/dev/null)
	say "The user $user may come in."
fi

url=$(mcproxy status --json | sed -n 's/.*"url": *"\([^"]*\)".*/\1/p' | head -1)
port=${url##*:}
port=${port%/}
local="http://127.0.0.1:${port:-3000}"
ask() {
	wget -q -O /dev/null "$local/healthz" 2>/dev/null || curl -fsS -o /dev/null "$local/healthz" 2>/dev/null
}
tries=0
until ask; do
	tries=$((tries + 1))
	[ "$tries" -lt 50 ] || fail "the service does not answer at $local; see: journalctl -u mcproxy"
	sleep 0.1
done
say "The service answers at $local."

address=$(hostname -I 2>/dev/null | cut -d' ' -f1)
public="http://${address:-127.0.0.1}:${port:-3000}/mcp"
if [ -n "$token" ]; then
	say "" "The token of $user, which is not shown again:" "  $token" "" "For Claude Code:"
	mcproxy client-config claude-code --url "$public" --token "$token" 2>/dev/null || say "  URL $public"
else
	say "Clients connect to $public."
fi
