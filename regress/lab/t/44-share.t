#!/bin/bash
# SPDX-License-Identifier: BSD-2-Clause
# An address that both nodes answer for, each some of the clients: 100 clients
# ask all the time while daemons die, freeze, stop and return.  Each question
# has one answer, or none for a while; never two.
# lab: long
# lab: timeout 300
# shellcheck source=../lib.sh
. "$LAB_ROOT/regress/lab/lib.sh"
export LAB_HEARTBEAT=100ms LAB_DEAD=1s

WEB=192.0.2.80 WEB6=2001:db8::80 FIRST=192.0.2.120
ask() { on client askers -i lan0 -n 100 -w 500 $WEB $FIRST | tail -n 1; }
# Answers of alpha and bravo to one question of each client.
answers() { ask | jq -r '"\(.by["11"] // 0) \(.by["12"] // 0) \(.twice)"'; }
shared() {
	local a b twice
	read -r a b twice < <(answers)
	[ "$((a + b))" = 100 ] && [ "$a" -gt 25 ] && [ "$b" -gt 25 ] &&
		[ "$twice" = 0 ]
}
alone() { # node
	case $1 in
	alpha) [ "$(answers)" = "100 0 0" ] ;;
	bravo) [ "$(answers)" = "0 100 0" ] ;;
	esac
}
share_get() { hactl "$1" --json addresses | jq -r ".shares$2"; }
serves() { [ "$(share_get "$1" .serves)" = "$2" ]; }
# Questions that two answered, and that nobody did, while the commands ran.
watched() { # id command...
	local id=$1
	shift
	node_spawn client "askers.$id" askers -b -i lan0 -n 100 -w 200 $WEB \
		$FIRST || return
	wait_for 10 grep -q '^asking' "$LAB/log/client.askers.$id.log"
	lab_nap 0.5
	"$@"
	lab_nap "${AFTER:-3}"
	node_signal client "askers.$id" TERM
	wait_for 10 lab_gone client "askers.$id"
	sed -n '/^{/p' "$LAB/log/client.askers.$id.log" >"$LAB/askers"
	diag "$id: $(cat "$LAB/askers")"
	if [ "${TWICE:-0}" = 0 ]; then
		is "$(jq -r .twice "$LAB/askers")" 0 "$id: never two"
	else
		check "$id: two for no longer than $TWICE questions" \
			[ "$(jq -r .twice "$LAB/askers")" -le "$TWICE" ]
	fi
	is "$(jq -r .no_group "$LAB/askers")" 0 "$id: all answers name the group"
}

check "nodes" nodes_up
conf_write <<-END
	address web {
		$WEB/24 interface lan0
		share
	}
	address web6 {
		$WEB6/64 interface lan0
		share
	}
END
check "alpha starts" had_start alpha
check "bravo starts" had_start bravo
check "each has its half" wait_for 20 serves alpha 32
check "and says so" wait_for 10 serves bravo 32
check "each client has one server" wait_for 5 shared
is "$(share_get alpha .state) $(share_get bravo .state)" "SHARING SHARING" \
	"hactl addresses says it"
check "for eyes, too" sh -c \
	"nsenter -t $(lab_pid alpha) -n -m $LAB_BIN/hactl addresses | grep -q '32 of 64 shares'"
check "IPv4: a packet is answered" on client ping -c 1 -W 2 $WEB
check "IPv6: a packet is answered" on client ping -c 1 -W 2 $WEB6
is "$(on client ip neigh show $WEB | sed 's/.*lladdr \([^ ]*\).*/\1/')" \
	01:00:5e:7f:02:50 "the client knows the group"
is "$(on client ip -6 neigh show $WEB6 | sed 's/.*lladdr \([^ ]*\).*/\1/')" \
	33:33:ff:00:00:80 "for IPv6, too"

watched kill had_kill bravo
check "killed: the other serves all" wait_for 5 alone alpha
watched return had_start bravo
check "back: each its half" wait_for 10 shared

freeze_and_thaw() {
	freeze alpha
	lab_nap 4
	check "frozen: the other serves all" wait_for 5 serves bravo 64
	thaw alpha
}
AFTER=5 watched freeze freeze_and_thaw
check "thawed: each its half" wait_for 10 shared

watched stop had_stop alpha
check "stopped: the other serves all" wait_for 5 alone bravo
check "stopped: nothing is left of it" sh -c \
	"! nsenter -t $(lab_pid alpha) -n ip addr | grep -q $WEB/"
check "stopped: no table is left" sh -c \
	"! nsenter -t $(lab_pid alpha) -n nft list tables | grep -q had_"
watched start had_start alpha
check "started: each its half" wait_for 10 shared

watched cable link_down alpha lan
check "no cable: the other serves all" wait_for 5 alone bravo
AFTER=4 watched cable_back link_up alpha lan
check "the cable is back: each its half" wait_for 10 shared

watched vanish node_vanish bravo
check "vanished: the other serves all" wait_for 10 alone alpha
# Both served all of them while nothing joined them, which silent peer takeover
# accepts; until the first heartbeat neither can know.  One round at most.
AFTER=6 TWICE=100 watched vanish_return node_return bravo
check "it is back: each its half" wait_for 15 shared

flush() { on bravo nft flush ruleset; }
strip() { on alpha ip addr del $WEB/24 dev lan0; }
watched flush flush
watched strip strip
check "flushed and stripped: each its half" wait_for 5 shared
check "standby" hactl bravo standby bravo
check "standby: the other serves all" wait_for 5 alone alpha
check "online" hactl bravo online bravo
check "online: each its half" wait_for 5 shared
done_testing
