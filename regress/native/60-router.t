#!/bin/bash
# SPDX-License-Identifier: BSD-2-Clause
# Virtual routers, two nodes of had with nothing between them but the LAN:
# election, every fault, what others do to the address, tracked things, CARP,
# IPv6, virtual MACs.  Never two answer.
# lab: timeout 240
. "$LAB_ROOT/regress/lab/lib.sh"
. "$LAB_ROOT/regress/lab/lib_router.sh"

both() { # text of both, priorities 200 and 100
	router_conf alpha "$1; priority 200"
	router_conf bravo "$1; priority 100"
}
started() { had_start alpha && had_start bravo; }
stopped() {
	had_stop alpha
	had_stop bravo
}
# Probes that two answered while the commands ran, and the longest silence.
watched() { # id command...
	local id=$1
	shift
	prober_start "$id" -m arp -i lan0 "$GW" || return
	lab_nap 0.3
	"$@"
	lab_nap "${AFTER:-1.5}"
	prober_stop "$id"
	DUPS=$(prober_get "$id" .duplicates)
	LONGEST=$(prober_get "$id" '.longest_ms | ceil')
}
one_holder() { # id description limit
	is "$DUPS" 0 "$1: never two"
	at_most "$LONGEST" "$2" "$1: silence, in ms"
}

nodes_up
sniff_start
both 'vrrp 3 vrid 90; interval 100ms'
check "two routers start" started
check "the better one has it" wait_for 5 held_by alpha
is "$(router_get alpha .state) $(router_get bravo .state)" "ACTIVE BACKUP" \
	"each says what it is"
is "$(router_get bravo .master)" 192.0.2.11 "and who the master is"
check "hactl addresses is for eyes, too" sh -c \
	"nsenter -t $(lab_pid alpha) -n -m $LAB_BIN/hactl addresses | grep -q 'router gw'"

watched kill had_kill alpha
one_holder kill 450
check "killed: the other has it" held_by bravo
check "killed: the address is still on its interface" sh -c \
	"nsenter -t $(lab_pid alpha) -n ip addr | grep -q $GW"
watched return had_start alpha
one_holder return 20
check "back: it does not take it" held_by bravo

freeze_and_thaw() {
	freeze bravo
	lab_nap 1
	thaw bravo
}
watched freeze freeze_and_thaw
one_holder freeze 450
check "frozen and thawed: the other has it" held_by alpha
check "and it is backup" wait_for 3 router_is bravo BACKUP

watched link link_down alpha lan
check "its cable is out: the other has it" held_by bravo
at_most "$LONGEST" 450 "cable: silence, in ms"
link_up alpha lan
check "back: backup" wait_for 5 router_is alpha BACKUP
watched release hactl bravo release gw
one_holder release 150
check "released: the other has it" held_by alpha
watched stop had_stop alpha
one_holder stop 150
check "stopped: the other has it" held_by bravo
check "stopped: nothing is left" sh -c \
	"! nsenter -t $(lab_pid alpha) -n ip addr | grep -q $GW"
check "stopped: no table is left" sh -c \
	"! nsenter -t $(lab_pid alpha) -n nft list tables | grep -q had_"

# Somebody takes the address away, or flushes the tables.
strip() { on bravo ip addr del "$GW/24" dev lan0; }
watched strip strip
one_holder strip 100
is "$(hactl bravo --json addresses | jq '.addresses[0].stripped')" 1 "it is counted"
flush() { on bravo nft flush ruleset; }
watched flush flush
one_holder flush 100
check "the tables are back" sh -c \
	"nsenter -t $(lab_pid bravo) -n nft list tables | grep -q had_guard_vr"
had_stop bravo

# Preemption, after a while.
both 'vrrp 3 vrid 90; interval 100ms; preempt after 1s'
had_start bravo
check "alone it is active" wait_for 5 held_by bravo
AFTER=3 watched preempt had_start alpha
one_holder preempt 30
check "the better one has taken it" held_by alpha

# One-way loss: it hears nobody, and all hear it.
watched oneway one_way alpha lan in on
is "$DUPS" 0 "it hears nothing: never two"
one_way alpha lan in off
stopped

# Tracked things.
touch "$LAB/up"
router_conf alpha "vrrp 3 vrid 90; interval 100ms; preempt after 0ms; priority 200
	track file \"$LAB/up\" weight 1
	track check \"test -e $LAB/up\" every 100ms weight -150
	track process nosuchprogram weight 10"
router_conf bravo 'vrrp 3 vrid 90; interval 100ms; preempt after 0ms; priority 100'
check "tracked: start" started
check "tracked: all is well" wait_for 5 held_by alpha
weighs() { [ "$(router_get alpha .priority)" = "$1" ]; }
echo 3 >"$LAB/up"
check "tracked: the number in a file counts" wait_for 3 weighs 203
watched track rm -f "$LAB/up"
one_holder track 60
check "tracked: the check fails, and the other has it" held_by bravo
check "tracked: the priority says so" weighs 50
AFTER=2 watched track2 touch "$LAB/up"
one_holder track2 60
check "tracked: and back" held_by alpha

# A reload changes what it changes, and nothing else.
moves() { router_get alpha '"\(.transitions) \(.became_active) \(.since_ms > 2000)"'; }
echo 3 >"$LAB/up"
wait_for 3 weighs 203
lab_nap 2.2
before=$(moves)
router_conf alpha "vrrp 3 vrid 90; interval 100ms; preempt after 0ms; priority 180
	track process nosuchprogram weight 10
	track file \"$LAB/up\" weight 1"
check "reload: taken" hactl alpha reload
check "reload: the new priority counts, and the number in the file still does" \
	weighs 183
is "$(moves)" "$before" "reload: nothing has moved"
router_conf alpha 'vrrp 3 vrid 91; interval 100ms; preempt after 0ms; priority 180'
refuse "reload: another vrid is refused" hactl alpha reload
is "$(hactl alpha reload 2>&1 | grep -c 'reload without it first')" 1 \
	"reload: with how it can be done"
stopped

# IPv6, with a virtual MAC; and CARP.
GW=2001:db8::90 GW_PREFIX=64
both 'vrrp 3 vrid 90; interval 100ms; virtual mac'
check "IPv6: start" started
check "IPv6: active" wait_for 5 router_is alpha ACTIVE
check "IPv6: it answers" wait_for 5 on client ping -c 1 -W 1 $GW
is "$(on client ip -6 neigh show $GW | sed 's/.*lladdr \([^ ]*\).*/\1/')" \
	00:00:5e:00:02:5a "IPv6: by its virtual MAC"
had_kill alpha
check "IPv6: the other has it" wait_for 5 router_is bravo ACTIVE
check "IPv6: it answers" wait_for 5 on client ping -c 1 -W 1 $GW
had_stop bravo
had_start alpha
had_stop alpha
GW=192.0.2.90 GW_PREFIX=24
router_conf alpha "carp vhid 90; password $PASS"
router_conf bravo "carp vhid 90; password $PASS; skew 50"
check "CARP: start" started
check "CARP: the lower skew has it" wait_for 8 held_by alpha
AFTER=5 watched carp had_kill alpha
one_holder carp 4300
check "CARP: the other has it" held_by bravo
had_stop bravo
is "$(sniff_bad)" "" "tcpdump finds nothing wrong"
done_testing
