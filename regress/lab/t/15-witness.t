#!/bin/bash
# SPDX-License-Identifier: BSD-2-Clause
# had-witness on the client's machine, and had's client of it on the nodes:
# who gets the lease, what is durable, who is refused.
# lab: timeout 300
. "$LAB_ROOT/regress/lab/lib.sh"

W=$LAB/witness
C=$LAB/witness.conf
log=$LAB/log/client.witness.log

# Two clusters: shop has alpha (1) and bravo (2), bank has carol (1).
conf() {
	echo "listen 192.0.2.100"
	echo "listen 2001:db8::100"
	echo "cluster shop"
	echo "node 1 $(cat "$LAB/alpha.pin")"
	echo "node 2 $(cat "$LAB/bravo.pin")"
	echo "cluster bank"
	echo "node 1 $(cat "$LAB/carol.pin")"
}
listens() { [ "$(grep -c 'listens at' "$log")" -ge 2 ]; }
witness_start() {
	rm -f "$log"
	node_spawn client witness had-witness -d "$W" -f "$C" &&
		wait_for 10 listens
}
witness_gone() { ! node_alive client witness; }
witness_stop() { # signal
	node_signal client witness "$1"
	wait_for 10 witness_gone
}
# What a node gets, notes left out.
ask() { # who node-id cluster machine args...
	local who=$1 id=$2 cluster=$3 node=$4
	shift 4
	on "$node" witness_client -i "$id" -k "$LAB/$who.pem" -g "$cluster" \
		-w "${WITNESS:-192.0.2.100}" -p "${PIN:-$(cat "$LAB/witness.pin")}" \
		"$@" 2>&1
}
alpha() { shop alpha alpha -W "$@"; }
bravo() { shop bravo bravo -W "$@"; }
shop() { # who machine args...
	local who=$1 node=$2 id=1
	[ "$who" = bravo ] && id=2
	shift 2
	ask "$who" $id shop "$node" "$@" | grep -v '^note'
}
bank() { ask carol 1 bank alpha -W "$@" | grep -v '^note'; }
flip() { # file offset
	printf '\x55' | dd of="$1" bs=1 seek="$2" conv=notrunc 2>/dev/null
}

nodes_up
mkdir -p "$W"
for n in alpha bravo carol mallory; do
	sctp_stranger keygen "$LAB/$n.pem" >"$LAB/$n.pin" || bail keygen
done
had-witness -g -d "$W" >"$LAB/witness.pin" || bail "had-witness -g"
is "$(had-witness -g -d "$W")" "$(cat "$LAB/witness.pin")" \
	"the key is made once"
conf >"$C"
check "configuration and records are good" had-witness -n -d "$W" -f "$C"
witness_start || bail "the witness does not start"

# --- who gets it -----------------------------------------------------------

is "$(alpha 5)" "granted 5" "the first one to ask gets it"
is "$(alpha 5)" "granted 5" "and again, when it asks again"
is "$(bravo 5)" "denied 5 1 5" "the other one does not: told who has it"
is "$(bravo 4)" "denied 4 1 5" "nor an older epoch"
is "$(alpha 4)" "denied 4 1 5" "nobody gets an older epoch"
is "$(bravo 6)" "granted 6" "a higher epoch supersedes"
is "$(alpha 5 6)" "denied 5 2 6
denied 6 2 6" "and then the first one is denied"
is "$(bank 5)" "granted 5" "another cluster has a lease of its own"
is "$(WITNESS=2001:db8::100 bravo 6)" "granted 6" "the same over IPv6"

one=0
for e in 11 12 13 14 15 16; do
	alpha $e >"$LAB/a.out" &
	pid=$!
	bravo $e >"$LAB/b.out"
	wait $pid
	[ "$(cat "$LAB/a.out" "$LAB/b.out" | grep -c "^granted $e")" = 1 ] &&
		[ "$(cat "$LAB/a.out" "$LAB/b.out" | grep -c "^denied $e")" = 1 ] &&
		one=$((one + 1))
done
is $one 6 "of two at once, one gets it, each time"

# --- durable ---------------------------------------------------------------

is "$(bravo 20)" "granted 20" "bravo has epoch 20"
witness_stop KILL
is "$(had-witness -s -d "$W" -f "$C")" "shop: node 2 has epoch 20
bank: node 1 has epoch 5" "killed: the records are there"
witness_start || bail "the witness does not start again"
is "$(alpha 20)" "denied 20 2 20" "after a kill it still knows"
is "$(bravo 20)" "granted 20" "and the holder has it still"
is "$(bank 5 6)" "granted 5
granted 6" "the other cluster, too"

mkdir "$W/shop.lease.new" # cannot be written now
is "$(alpha 21)" "unreachable 21" "not durable, not granted"
check "and said why" grep -q 'shop.lease: open failed' "$log"
is "$(bank 7)" "granted 7" "the other cluster does not suffer"
rmdir "$W/shop.lease.new"
is "$(bravo 21)" "granted 21" "what was not granted is free"
check "a second witness on the same records is refused" \
	sh -c "had-witness -d $W -f $C 2>&1 | grep -q 'another had-witness'"

# --- comes and goes --------------------------------------------------------

node_spawn alpha stay witness_client -i 1 -k "$LAB/alpha.pem" -g shop \
	-w 192.0.2.100 -p "$(cat "$LAB/witness.pin")" -D 600
stay=$LAB/log/alpha.stay.log
ups() { [ "$(grep -c ' up$' "$stay")" -ge "$1" ]; }
downs() { [ "$(grep -c ' down$' "$stay")" -ge "$1" ]; }
check "a node knows that the witness works" wait_for 10 ups 1
node_signal client witness STOP
check "frozen: it does not" wait_for 5 downs 1
check "and says so" grep -q 'does not answer' "$stay"
node_signal client witness CONT
check "thawed: it does" wait_for 10 ups 2
one_way client lan in on
check "cut off: it does not" wait_for 5 downs 2
t=$(now_ms)
is "$(shop bravo bravo -D 500 22)" "unreachable 22" "an ask does not hang"
at_most $(($(now_ms) - t)) 2000 "but ends in time, in ms"
one_way client lan in off
check "back: it does" wait_for 10 ups 3
witness_stop KILL
check "killed: it does not" wait_for 5 downs 3
witness_start || bail "the witness does not start a third time"
check "restarted: it does" wait_for 10 ups 4
lines=$(grep -c '^note' "$stay")
at_most "$lines" 14 "a few lines about all that"
node_signal alpha stay TERM

# --- strangers -------------------------------------------------------------

told() { grep -q "refused.*$1" "$log"; }
for mode in silent plain oversized tls12; do
	out=$(on bravo sctp_stranger $mode 192.0.2.12 9999 192.0.2.100 7770)
	case $out in
	closed* | refused*) at_most "${out#* }" 2500 "$mode: out, in ms" ;;
	*) not_ok "$mode: out" "$out" ;;
	esac
done
check "silent: told" wait_for 3 told 'did not prove itself in time'
# One line a second for all strangers together: this one may come within the
# second of the one before, and is told the next time.
asked() { # text who node-id cluster machine
	local text=$1
	shift
	out=$(ask "$@" -D 700 30)
	wait_for 1 told "$text"
}
told_of() { # description text who node-id cluster machine
	local desc=$1
	shift
	asked "$@"
	is "$(tail -n 1 <<<"$out")" "unreachable 30" "$desc gets nothing"
	check "$desc: told" wait_for 15 asked "$@"
}
told_of "an unknown key" 'its key is in no cluster' mallory 1 shop bravo
check "it is told at the other end" grep -q 'it refuses this node' <<<"$out"
told_of "a key of another cluster" 'it belongs to another cluster' \
	alpha 1 bank alpha
told_of "a node id that is not of that key" 'node ids differ' alpha 2 shop alpha
out=$(PIN=$(cat "$LAB/mallory.pin") ask alpha 1 shop alpha -D 700 30)
is "$(tail -n 1 <<<"$out")" "unreachable 30" "a false witness is not believed"
check "told" grep -q 'not the witness: its key' <<<"$out"
is "$(ask alpha 1 shop alpha -L 2,shop | head -n 1)" \
	"refused: it asks for another node" "a lie about the node"
is "$(ask alpha 1 shop alpha -L 1,bank | head -n 1)" \
	"refused: it asks for another cluster" "a lie about the cluster"
for i in $(seq 1 40); do
	on bravo sctp_stranger silent 192.0.2.12 $((20000 + i)) 192.0.2.100 \
		7770 >/dev/null 2>&1 &
done
is "$(alpha 40)" "granted 40" "a crowd of strangers keeps no node out"
wait
is "$(bravo 40)" "denied 40 1 40" "nothing that they did was granted"

# --- records that cannot be ------------------------------------------------

witness_stop TERM
cp "$W/shop.lease" "$LAB/good.lease"
bad() { # name reason
	local out
	out=$(had-witness -n -d "$W" -f "$C" 2>&1)
	is $? 65 "$1: -n fails"
	check "$1: and says why" grep -q "shop.lease: $2" <<<"$out"
	witness_start
	check "$1: told at the start" grep -q "shop.lease: $2" "$log"
	is "$(ask bravo 2 shop bravo -D 700 50 | tail -n 1)" "unreachable 50" \
		"$1: nothing is granted"
	is "$(bank 7)" "granted 7" "$1: the other cluster is served"
	witness_stop TERM
}
truncate -s 40 "$W/shop.lease"
bad truncated 'truncated'
cp "$LAB/good.lease" "$W/shop.lease"
flip "$W/shop.lease" 17
bad flipped 'checksum does not match'
cp "$W/bank.lease" "$W/shop.lease"
bad foreign 'belongs to another cluster'
witness_start
out=$(ask bravo 2 shop bravo -D 2000 50)
check "a node is told of the record" \
	grep -q 'it refuses: its record of this cluster' <<<"$out"
witness_stop TERM
rm "$W/shop.lease"
mkdir "$W/shop.lease"
bad unreadable 'Is a directory'
rmdir "$W/shop.lease"
cp "$LAB/good.lease" "$W/shop.lease"
cp "$LAB/good.lease" "$W/bank.lease"
witness_start
is "$(bravo 40)" "denied 40 1 40" "the good record is good again"
witness_stop TERM
truncate -s 1 "$W/shop.lease"
refuse "with no cluster left it does not start" \
	on client timeout 10 had-witness -d "$W" -f "$C"

# --- without privileges ----------------------------------------------------

on client sh -c 'mkdir /run/w && chown nobody /run/w && cat >/run/w.conf' <"$C"
PIN=$(on client had-witness -u nobody -g -d /run/w)
rm -f "$log"
node_spawn client witness had-witness -u nobody -d /run/w -f /run/w.conf
check "it starts as nobody" wait_for 10 listens
status=/proc/$(node_pid client witness)/status
is "$(awk '/^Uid:/ { print $2, $3, $4, $5 }' "$status")" \
	"$(id -u nobody) $(id -u nobody) $(id -u nobody) $(id -u nobody)" \
	"and is nobody"
is "$(awk '/^Cap(Eff|Prm):/ { print $2 }' "$status" | sort -u)" \
	"0000000000000000" "without any capability"
is "$(alpha 1)" "granted 1" "a lease of its"
check "is on its disk" node_has client /run/w/shop.lease
done_testing
