#!/bin/bash
# SPDX-License-Identifier: BSD-2-Clause
# Routers come, change and go with a reload, on two nodes that hold some each:
# what stays has no outage, no second holder and no transition.
# lab: timeout 90
. "$LAB_ROOT/regress/lab/lib.sh"
. "$LAB_ROOT/regress/lab/lib_router.sh"

# NAME=VRID,STATEMENTS:HOST,...: the file of a node.
file() { # node router...
	local node=$1 n=1 r name vrid words hosts h
	[ "$1" = bravo ] && n=2
	shift
	{
		printf 'cluster lab-%s {\n}\nnode %s {\n\tid %d\n}\n' "$node" "$node" $n
		for r; do
			name=${r%%=*} vrid=${r#*=} hosts=${r##*:}
			words=${vrid#*,}
			words=${words%:*}
			vrid=${vrid%%,*}
			for h in ${hosts//,/ }; do
				printf 'address a%s {\n\t192.0.2.%s/24 interface lan0\n}\n' "$h" "$h"
			done
			printf 'router %s {\n\tvrrp 3 vrid %s; interval 100ms; %s\n' \
				"$name" "$vrid" "$words"
			for h in ${hosts//,/ }; do
				printf '\taddress a%s\n' "$h"
			done
			echo '}'
		done
	} >"$LAB/$node.conf"
	node_put "$node" "$LAB/$node.conf" /etc/had/had.conf
}
said() { # what the reload of a node says
	hactl "$1" "${@:2}" reload 2>&1
}
# Of one of the two addresses that a router has.
part() { sed 's/.*address a9[57] /address /'; }
router() { # node name filter
	hactl "$1" --json addresses | jq -r ".routers[] | select(.name == \"$2\") | $3"
}
state_is() { [ "$(router "$1" "$2" .state)" = "$3" ]; }
on_lan() { on "$1" ip -o addr show | grep -q " 192.0.2.$2/"; }
off_lan() { ! on_lan "$@"; }
answers() { on client ping -c 1 -W 1 "192.0.2.$1"; }
moves() { # of what stays, on both
	local n
	for n in alpha bravo; do
		router $n keep .transitions
		router $n other .transitions
	done | paste -sd ' '
}

nodes_up
KEEP_A='keep=90,priority 200:90' OTHER_A='other=91,priority 100:91'
KEEP_B='keep=90,priority 100:90' OTHER_B='other=91,priority 200:91'
GO_A='go=93,priority 200:93' GO_B='go=93,priority 100:93'
file alpha "$KEEP_A" "$OTHER_A" 'more=92,priority 200:94,95' "$GO_A"
file bravo "$KEEP_B" "$OTHER_B" 'more=92,priority 100:94,95' "$GO_B"
check "alpha starts" had_start alpha
check "bravo starts" had_start bravo
for r in keep more go; do
	check "alpha has $r" wait_for 5 state_is alpha $r ACTIVE
done
# Whoever was first has it, and gives it to the better one when asked to.
wait_for 5 state_is bravo other ACTIVE || hactl alpha release other
check "bravo has other" wait_for 5 state_is bravo other ACTIVE
lab_nap 0.5
before=$(moves)
for h in 90 91 95; do
	prober_start $h -m arp -i lan0 192.0.2.$h
done

# One comes: by the rules, when nobody is heard.
file alpha "$KEEP_A" "$OTHER_A" 'more=92,priority 200:94,95' "$GO_A" \
	'new=96,priority 200; virtual mac:96'
is "$(said alpha --dry-run)" "it would be applied: routers 1 added, 0 removed, 0 changed, 4 kept; addresses 1 added, 0 removed: +new; nothing is interrupted" \
	"come: what it would do"
is "$(said alpha)" "applied: routers 1 added, 0 removed, 0 changed, 4 kept; addresses 1 added, 0 removed: +new" \
	"come: and what it did"
check "come: alpha has it" wait_for 3 state_is alpha new ACTIVE
check "come: it answers" wait_for 3 answers 96
is "$(on client ip -4 neigh show 192.0.2.96 | sed 's/.*lladdr \([^ ]*\).*/\1/')" \
	00:00:5e:00:01:60 "come: by its virtual MAC"
file bravo "$KEEP_B" "$OTHER_B" 'more=92,priority 100:94,95' "$GO_B" \
	'new=96,priority 100; virtual mac:96'
check "come: bravo, too" hactl bravo reload
check "come: bravo hears alpha" wait_for 3 state_is bravo new BACKUP
is "$(said bravo)" "nothing changed" "once more changes nothing"

# Addresses of one that runs.
file alpha "$KEEP_A" "$OTHER_A" 'more=92,priority 200:97,95' "$GO_A" \
	'new=96,priority 200; virtual mac:96'
is "$(said alpha)" "applied: routers 0 added, 0 removed, 1 changed, 4 kept; addresses 1 added, 1 removed: ~more" \
	"addresses: one comes, one goes"
check "addresses: the new one answers" wait_for 2 answers 97
check "addresses: the old one is off" wait_for 2 off_lan alpha 94
refuse "addresses: and silent" answers 94
check "addresses: bravo, too" file bravo "$KEEP_B" "$OTHER_B" \
	'more=92,priority 100:97,95' "$GO_B" 'new=96,priority 100; virtual mac:96'
check "addresses: bravo takes it" hactl bravo reload
is "$(router alpha more .transitions) $(router bravo more .state)" "2 BACKUP" \
	"addresses: the router goes on"

# One goes: its addresses fall silent, the other one is told, and has it.
file alpha "$KEEP_A" "$OTHER_A" 'more=92,priority 200:97,95' \
	'new=96,priority 200; virtual mac:96'
prober_start 93 -m arp -i lan0 192.0.2.93
check "go: alpha" hactl alpha reload
check "go: bravo has it" wait_for 2 state_is bravo go ACTIVE
check "go: it is off" wait_for 2 off_lan alpha 93
prober_stop 93
is "$(prober_get 93 .duplicates)" 0 "go: never two"
at_most "$(prober_get 93 '.longest_ms | ceil')" 150 "go: silence, in ms"
is "$(hactl alpha --json addresses | jq -c '[.routers[].name, (.addresses | length)]')" \
	'["keep","other","more","new",5]' "go: it is gone from the list"
file alpha "$KEEP_A" "$OTHER_A" 'more=92,priority 200:97,95'
check "go: the one with a virtual MAC" hactl alpha reload
check "go: its interface is gone" wait_for 2 sh -c \
	"! nsenter -t $(lab_pid alpha) -n ip link | grep -q 'had96-4'"
check "go: bravo has that, too" wait_for 2 state_is bravo new ACTIVE

# What is refused, and changes nothing.
file alpha "$KEEP_A" 'other=90,priority 100:91' 'more=92,priority 200:97,95'
refuse "refused: a number twice" hactl alpha reload
file alpha "$KEEP_A" "$OTHER_A" 'more=98,priority 200:97,95'
is "$(said alpha | part)" \
	"address goes from router more to another: reload without it first, then with it; the running configuration stays" \
	"refused: another number for the same addresses"
file alpha "$KEEP_A" "$OTHER_A" 'more=92,priority 200; virtual mac:97,95'
refuse "refused: a virtual MAC for one that runs" hactl alpha reload
check "refused: all is as it was" state_is alpha more ACTIVE

lab_nap 0.3
for h in 90 91 95; do
	prober_stop $h
	is "$(prober_get $h .duplicates)" 0 "$h, which stayed: never two"
	at_most "$(prober_get $h '.longest_ms | ceil')" 40 "$h: silence, in ms"
done
is "$(moves)" "$before" "what stayed has made no transition"

# A daemon dies, its file changes, another one starts: what it left there is
# bravo's by then.
file alpha "$KEEP_A" "$OTHER_A"
prober_start left -m arp -i lan0 192.0.2.95
check "left: alpha is killed" had_kill alpha
check "left: its address is there" on_lan alpha 95
check "left: bravo has it" wait_for 3 state_is bravo more ACTIVE
check "left: another alpha starts, without it" had_start alpha
check "left: it is gone" wait_for 2 off_lan alpha 95
lab_nap 0.3
prober_stop left
is "$(prober_get left .duplicates)" 0 "left: never two"
grep -q '192.0.2.95/24 was left by a daemon' "$(had_log alpha)"
is $? 0 "left: and alpha says so"

# A second had on the same machine, with sockets and a state of its own, by
# mistake: whatever guard it would have, or none, it removes nothing that the
# first one put there.
second() { # name text: its file
	{
		printf 'cluster second {\n}\nnode second {\n\tid 1\n}\n'
		echo "$2"
	} >"$LAB/second.conf"
	node_put alpha "$LAB/second.conf" /run/second.conf
	on alpha timeout 10 "$LAB_BIN/had" -d -f /run/second.conf \
		-r /run/second -s /run/second-state >"$LAB/log/second.$1.log" 2>&1
	is $? 69 "second: $1: it ends"
	grep -qF '192.0.2.90/24 was put there by a had and is not in this file, and it is not removed: table had_lease_vr (another had may own it)' \
		"$LAB/log/second.$1.log"
	is $? 0 "second: $1: and says why"
	check "second: $1: the address is there" on_lan alpha 90
}
check "second: alpha has an address" hactl bravo release keep
check "second: and answers for it" wait_for 2 state_is alpha keep ACTIVE
before=$(moves)
node_spawn alpha monitor "$(type -P ip)" monitor address
prober_start second -m arp -i lan0 192.0.2.90
second nothing ''
second router 'address x { 192.0.2.77/24 interface lan0 }
	router x { vrrp 3 vrid 77; address x }'
second service 'address x { 192.0.2.77/24 interface lan0 }
	service x { start { address x } }'
lab_nap 0.3
prober_stop second
is "$(prober_get second .duplicates)" 0 "second: never two"
at_most "$(prober_get second '.longest_ms | ceil')" 40 "second: silence, in ms"
is "$(moves)" "$before" "second: no transition"
node_signal alpha monitor TERM
is "$(grep -c '192\.0\.2\.' "$LAB/log/alpha.monitor.log")" 0 \
	"second: no address came or went"

had_stop alpha
had_stop bravo
check "stopped: nothing is left" sh -c \
	"! nsenter -t $(lab_pid alpha) -n ip addr | grep -q '192.0.2.9'"
done_testing
