#!/bin/bash
# SPDX-License-Identifier: BSD-2-Clause
# Outage of an address, as a client sees it that asks by ARP each
# millisecond: had with heartbeats of 20 ms beside keepalived with adverts of
# 100 ms, one fault of each in turn.
# lab: timeout 420
. "$LAB_ROOT/regress/lab/lib.sh"
. "$LAB_ROOT/regress/bench/lib.sh"
export LAB_HEARTBEAT=20ms LAB_DEAD=${LAB_ENV_DEAD:-200ms}
VIP=192.0.2.80

other() { if [ "$1" = alpha ]; then echo bravo; else echo alpha; fi; }
# hactl takes a while to start in the guest: one look, not many.
had_whole() { # sets OWNER
	local n
	OWNER=
	for n in alpha bravo; do
		OWNER=$(hactl $n --json status 2>"$LAB/log/hactl" | jq -r '
			select(.state == "OK" and ([.links[] |
			select(.state == "up")] | length) == 2) |
			.services[0].on')
		[ -n "$OWNER" ] || return
	done
}
ka_whole() { # sets OWNER
	local n='' node
	for node in alpha bravo; do
		node_alive $node keepalived || return
		ka_holds $node && OWNER=$node && n+=1
	done
	[ "$n" = 1 ]
}
settled() { # had|ka SECONDS
	local end
	end=$(($(now_ms) + $2 * 1000))
	until "$1_whole"; do
		lab_until "$end" || return
		lab_nap 0.5
	done
}

# One kind of fault of the node that has the address, and its end.
had_kill_do() { had_kill "$1"; }
had_kill_undo() { had_start "$1"; }
had_freeze_do() { freeze "$1"; }
had_freeze_undo() { thaw "$1"; }
had_vanish_do() { node_vanish "$1"; }
had_vanish_undo() { node_return "$1"; }
had_planned_do() { hactl "$(other "$1")" takeover web >/dev/null; }
had_planned_undo() { :; }
ka_kill_do() { ka_kill "$1"; }
ka_kill_undo() {
	ka_clean "$1"
	ka_start "$1"
}
ka_freeze_do() { ka_freeze "$1"; }
ka_freeze_undo() { ka_thaw "$1"; }
ka_vanish_do() { node_vanish "$1"; }
ka_vanish_undo() { node_return "$1"; }
ka_planned_do() { ka_stop "$1"; }
ka_planned_undo() { ka_start "$1"; }

# One fault of one of them.  Sets OUTAGE and DUPS, of the thaw, too.  What
# vanishes is gone for its neighbours; that it comes back alive is another
# story, with a prober of its own: BACK, answers by two until one yields.
measure() { # had|ka KIND ID
	local who=$1 kind=$2 id=$3 vip=$VIP from to moved said
	[ "$who" = ka ] && vip=$KA_VIP
	OUTAGE='' DUPS='' BACK=''
	if ! settled "$who" 20; then
		not_ok "$id: whole before the fault"
		[ "$who" = ka ] || for to in alpha bravo; do
			diag "$(hactl $to status 2>&1)"
		done
		return
	fi
	from=$OWNER
	to=$(other "$from")
	# One takeover by itself in ten minutes (R10), but for an operator.
	[ "$who" = ka ] || hactl "$from" thaw >/dev/null
	lab_nap 0.3
	prober_start "$id" -m arp -i lan0 "$vip" || return
	lab_nap 0.5
	"${who}_${kind}_do" "$from"
	lab_nap 1
	if [ "$kind" = freeze ]; then
		"${who}_freeze_undo" "$from"
		lab_nap 1
	fi
	prober_stop "$id"
	[ "$kind" != vanish ] || come_back "$who" "$from" "$id-back" "$vip"
	read -r OUTAGE DUPS moved said <<<"$(prober_get "$id" '"\(.longest_ms) \(.duplicates) " +
		"\(.answers["'"$(lab_mac "$to" lan)"'"] != null) stalls \(.stalls), \(.answers)"')"
	diag "$id: from $from, outage $OUTAGE ms, duplicates $DUPS, $said"
	if [ "$moved" != true ]; then
		not_ok "$id: it moved" "$to never answered"
		OUTAGE='' DUPS=''
	fi
	case $kind in kill | planned) "${who}_${kind}_undo" "$from" ;; esac
	[ "$who" = had ] || settled ka 3 || ka_mend "$from"
}
come_back() { # had|ka NODE ID ADDRESS
	prober_start "$3" -m arp -i lan0 "$4" || return
	lab_nap 0.3
	"${1}_vanish_undo" "$2"
	lab_nap 1
	prober_stop "$3"
	BACK=$(prober_get "$3" .duplicates)
}
# Two masters: that does not heal by itself.
ka_mend() {
	node_alive "$1" keepalived && ka_stop "$1"
	ka_clean "$1"
	ka_start "$1"
}

compare() { # KIND LIMIT METHOD
	local kind=$1 i had='' ka='' had_d='' ka_d='' had_b='' ka_b=''
	case " ${LAB_ENV_KINDS:-$1} " in *" $1 "*) ;; *) return ;; esac
	for ((i = 1; i <= $(runs 3); i++)); do
		measure had "$kind" "had-$kind-$i"
		had+=" $OUTAGE" had_d+=" $DUPS" had_b+=" $BACK"
		measure ka "$kind" "ka-$kind-$i"
		ka+=" $OUTAGE" ka_d+=" $DUPS" ka_b+=" $BACK"
	done
	row "vip/$kind/20ms" ms "$had" "$KA" "$ka" "$3" "<= $2"
	ROW_OF=max row "vip/$kind/20ms/duplicates" answers "$had_d" "$KA" "$ka_d" \
		"probes that two stations answered, the most of any run" "<= 0"
	[ "$kind" != vanish ] || ROW_OF=max row "vip/return/20ms/duplicates" \
		answers "$had_b" "$KA" "$ka_b" \
		"probes that two answered after a node that was only cut off came back, the most of any run"
}

KA="keepalived v3 100 ms"
check "nodes" nodes_up
conf_write <<-END
	address web {
		$VIP/24 interface lan0
	}
	service web {
		prefer alpha
		start {
			address web
		}
	}
END
check "had on alpha" had_start alpha
check "had on bravo" had_start bravo
check "had: a pair, and the address" settled had 30
check "keepalived on alpha" ka_start alpha 101
check "keepalived on bravo" ka_start bravo 100
check "keepalived: one master" settled ka 15

compare kill 100 "SIGKILL of the daemon (keepalived: parent and child)"
compare freeze 200 "SIGSTOP of the daemon, SIGCONT after the move"
compare vanish 300 "all links of the node silent at once"
compare planned 50 "had: hactl takeover; keepalived: SIGTERM of the master"
done_testing
