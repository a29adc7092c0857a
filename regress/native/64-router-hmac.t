#!/bin/bash
# SPDX-License-Identifier: BSD-2-Clause
# Adverts that are signed, on two machines: nobody else moves the address, by
# adverts of his own or by a recording; keys change by reloads; and a machine
# that cannot sign is led out mode by mode.
# lab: timeout 120
. "$LAB_ROOT/regress/lab/lib.sh"
. "$LAB_ROOT/regress/lab/lib_router.sh"

state() { router_is "$1" "$2"; }
rejected() { router_get "$1" ".rejected[\"$2\"] // 0"; }
all_rejected() { router_get "$1" '.rejected | to_entries | map("\(.key) \(.value)") | join(", ")'; }
has_rejected() { [ "$(rejected "$1" "$2")" -ge "$3" ]; }
moves() { echo "$(router_get alpha .transitions) $(router_get bravo .transitions)"; }
key() { # node name text: in a file that only root may read
	printf '%s\n' "$3" >"$LAB/key"
	node_put "$1" "$LAB/key" "/etc/had/$2"
}
hmac() { # node statements: the router, with what is in its hmac
	local prio=200
	[ "$1" = bravo ] && prio=100
	router_conf "$1" "vrrp 3 vrid 90; interval 100ms; priority $prio; ${2:+hmac { $2 \}}"
}
advert() { on client adverts lan0 "$@"; }
forge() { advert forge "$1" 90 "$2" "$GW" "$3"; }
log_has() { grep -qF "$2" "$(had_log "$1")"; }

nodes_up
K1=0123456789abcdef0123456789abcdef
for n in alpha bravo; do
	key $n one "$K1"
	key $n two "hex:$(printf '%064d' 7)"
	hmac $n 'key 1 file /etc/had/one'
	check "$n starts" had_start $n
done
wait_for 5 state alpha ACTIVE || hactl bravo release gw
check "alpha has it" wait_for 5 state alpha ACTIVE
check "bravo hears it" wait_for 3 state bravo BACKUP
is "$(all_rejected alpha)$(all_rejected bravo)" "" "nothing was refused"
before=$(moves)
prober_start outage -m arp -i lan0 "$GW"

check "a stranger says that he is the owner" forge 192.0.2.66 255 20
check "and that the master goes" forge 192.0.2.11 0 20
check "bravo counts it" wait_for 2 has_rejected bravo hmac-missing 40
check "alpha counts it" wait_for 2 has_rejected alpha hmac-missing 20
check "an advert is recorded" advert record 192.0.2.11 "$LAB/advert.bin"
check "and played" advert play "$LAB/advert.bin" 20
check "bravo counts that" wait_for 2 has_rejected bravo hmac-replay 20
is "$(all_rejected bravo)" "hmac-missing 40, hmac-replay 20" "and nothing else"
check "the log names it" log_has bravo "router gw: advert from 192.0.2.66: refused: hmac-missing"

# Another key: beside the old one, to sign with, alone.
for words in 'key 1 file /etc/had/one; key 2 file /etc/had/two; sign 1' \
	'key 1 file /etc/had/one; key 2 file /etc/had/two; sign 2' \
	'key 2 file /etc/had/two'; do
	for n in alpha bravo; do
		hmac $n "$words"
		check "$n: $words" hactl $n reload
		lab_nap 0.3
	done
done
check "the recording is of a key that is gone" advert play "$LAB/advert.bin" 1
refuses() { [ "$(rejected bravo hmac-key)$(rejected bravo hmac-stale)" != 00 ]; }
check "bravo says so" wait_for 2 refuses
is "$(moves)" "$before" "no transition"

# What is no key is refused, and the old one stays.
on alpha chmod 640 /etc/had/one
hmac alpha 'key 2 file /etc/had/two; key 1 file /etc/had/one; sign 2'
refuse "a file that others may read" hactl alpha reload
check "is named" log_has alpha "router gw: key 1: file /etc/had/one: mode 0640 lets others at the key"
key alpha one short
refuse "a key that is short" hactl alpha reload
check "is named, too" log_has alpha "key 1: file /etc/had/one: the first line has 5 bytes, expected a key of 32"
on alpha rm /etc/had/one
refuse "a file that is not there" hactl alpha reload
check "and that" log_has alpha "key 1: file /etc/had/one: No such file"
refuse "the keys are in no line" grep -rqF -e "$K1" -e "$(printf '%060d' 0)" "$LAB/log"
lab_nap 0.3
prober_stop outage
is "$(prober_get outage .duplicates)" 0 "never two"
at_most "$(prober_get outage '.longest_ms | ceil')" 60 "silence, in ms"
is "$(moves)" "$before" "no transition, still"
had_stop bravo

# Beside one that cannot sign; then it goes, and the modes follow.
hmac alpha 'key 1 file /etc/had/two; mode receive-only'
check "alpha only receives" hactl alpha reload
keepalived_start bravo 250 "preempt_delay 0"
on_lan() { on "$1" ip -o addr show | grep -q " $GW/"; }
check "keepalived has it" wait_for 8 on_lan bravo
check "alpha believes it" wait_for 3 state alpha BACKUP
keepalived_stop bravo
keepalived_clean bravo
check "keepalived is gone: alpha has it" wait_for 4 state alpha ACTIVE
hmac bravo 'key 1 file /etc/had/two; mode receive-only'
check "bravo comes instead" had_start bravo
check "bravo hears alpha" wait_for 3 state bravo BACKUP
before=$(moves)
for mode in permissive enforce; do
	for n in alpha bravo; do
		hmac $n "key 1 file /etc/had/two; mode $mode"
		check "$mode: $n" hactl $n reload
		lab_nap 0.3
	done
done
is "$(moves)" "$before" "no transition"
is "$(all_rejected bravo)" "" "nothing was refused by bravo"
forged=$(rejected alpha hmac-missing)
check "and now a stranger is refused" forge 192.0.2.66 255 3
check "it is counted" wait_for 2 has_rejected alpha hmac-missing $((forged + 3))
check "alpha has it still" state alpha ACTIVE
had_kill alpha
check "alpha is killed: bravo has it" wait_for 3 state bravo ACTIVE
had_stop bravo
on bravo chmod 604 /etc/had/two
refuse "with a file that others may read bravo does not start" had_start bravo
check "and says why" log_has bravo "router gw: key 1: file /etc/had/two: mode 0604"
done_testing
