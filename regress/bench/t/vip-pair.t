#!/bin/bash
# SPDX-License-Identifier: BSD-2-Clause
# Outage of a router's address when its two nodes are a pair and have a
# crossover: what one knows the other is told, and need not wait for three
# adverts.  had beside keepalived, both with adverts of 100 ms, then of 1 s, and
# equal priorities, in one segment; each fault meets both.
# lab: timeout 900
. "$LAB_ROOT/regress/lab/lib.sh"
. "$LAB_ROOT/regress/lab/lib_router.sh"
. "$LAB_ROOT/regress/bench/lib.sh"
# Of the crossover: as often as the shorter advert, its end as soon as can be.
export LAB_HEARTBEAT=${LAB_ENV_HEARTBEAT:-100ms} LAB_DEAD=${LAB_ENV_DEAD:-240ms}
VIP=192.0.2.91 KA_VIP=192.0.2.92

other() { if [ "$1" = alpha ]; then echo bravo; else echo alpha; fi; }
# hactl takes a while to start in the guest: one look, not many.
had_whole() { # sets OWNER
	local n OWNERS=''
	for n in alpha bravo; do
		[ "$(hactl $n --json status | jq -r '[.state, ([.links[] |
			select(.state == "up")] | length)] | join(" ")')" = "OK 2" ] ||
			return
		router_is $n ACTIVE && OWNERS+=$n
	done
	case $OWNERS in alpha | bravo) OWNER=$OWNERS ;; *) return 1 ;; esac
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
ka_up() {
	KA_VRID=92 GW=$KA_VIP KA_INT=$(calc "$MS_EACH / 1000") \
		keepalived_start "$1" 100 nopreempt
}
ka_planned() {
	keepalived_stop "$1"
	GW=$KA_VIP keepalived_clean "$1"
}
# Both on one node, which is FROM.
align() {
	settled had 30 || return
	FROM=$OWNER TO=$(other "$OWNER")
	settled ka 10 || {
		ka_planned alpha
		ka_planned bravo
		ka_up "$FROM"
		wait_for 10 ka_holds "$FROM"
		ka_up "$TO"
	}
	settled ka 10 || return
	[ "$OWNER" = "$FROM" ] && return
	ka_planned "$OWNER"
	ka_up "$OWNER"
	settled ka 10
}
strike() { # kind
	case $1 in
	vanish) node_vanish "$FROM" ;;
	link) link_down "$FROM" lan ;;
	planned)
		hactl "$FROM" release gw >/dev/null
		ka_planned "$FROM"
		;;
	esac
}
unstrike() {
	case $1 in
	vanish) node_return "$FROM" ;;
	link) link_up "$FROM" lan ;;
	planned) ka_up "$FROM" ;;
	esac
}
# Not from the fault: to start hactl takes half a second under emulation.
result() { # id; sets MS DUPS
	local moved
	read -r MS DUPS moved <<<"$(prober_get "$1" "\"\(.longest_ms) \(.duplicates) \(
		.answers | has(\"$(lab_mac "$TO" lan)\"))\"")"
	if [ "$moved" != true ]; then
		not_ok "$1: $TO has it"
		MS=''
	fi
}
compare() { # kind goal method [runs]
	local kind=$1 i id had='' ka='' had_d='' ka_d='' h hd
	case " ${LAB_ENV_KINDS:-$1} " in *" $1 "*) ;; *) return ;; esac
	for ((i = 1; i <= $(runs "${4:-3}"); i++)); do
		id=$kind-$EACH-$i
		if ! align; then
			not_ok "$id: whole before the fault" "$(hactl alpha status 2>&1)"
			continue
		fi
		lab_nap 1
		prober_start "had-$id" -m arp -i lan0 $VIP
		prober_start "ka-$id" -m arp -i lan0 $KA_VIP
		lab_nap 0.5
		strike "$kind"
		lab_nap "$(calc "1.5 + 4 * $MS_EACH / 1000")"
		prober_stop "had-$id"
		prober_stop "ka-$id"
		unstrike "$kind"
		result "had-$id"
		h=$MS hd=$DUPS
		result "ka-$id"
		diag "$id: from $FROM: had $h ms, keepalived $MS ms, duplicates $hd, $DUPS"
		[ -n "$h" ] && [ -n "$MS" ] || continue
		had+=" $h" had_d+=" $hd" ka+=" $MS" ka_d+=" $DUPS"
	done
	row "vip/$kind-pair/$EACH" ms "$had" "$KA" "$ka" "$3" "$2"
	ROW_OF=max row "vip/$kind-pair/$EACH/duplicates" answers "$had_d" \
		"$KA" "$ka_d" "probes that two stations answered, the most of any run" "<= 0"
}

compare_all() { # advert-ms text
	MS_EACH=$1 EACH=$2 KA="keepalived v3 $2"
	conf_write <<-END
		address gw {
			$VIP/24 interface lan0
		}
		router gw {
			vrrp 3 vrid 91
			interval ${1}ms
			address gw
		}
	END
	check "$2: had on alpha" had_start alpha
	check "$2: had on bravo" had_start bravo
	check "$2: keepalived on alpha" ka_up alpha
	check "$2: keepalived on bravo" ka_up bravo
	check "$2: had is a pair, and has the address" settled had 40
	compare vanish "<= 0.75 of peer" "all links of the node silent at once"
	compare link "<= 0.1 of peer" \
		"the cable of the LAN is out; the crossover tells"
	compare planned "<= 0.1 of peer" \
		"had: hactl release, keepalived: SIGTERM of the master" "$3"
	for n in alpha bravo; do
		ka_planned $n
		had_stop $n
	done
}

check "nodes" nodes_up
compare_all 100 100ms 15
compare_all 1000 1s 3
done_testing
