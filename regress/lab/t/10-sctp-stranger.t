#!/bin/bash
# SPDX-License-Identifier: BSD-2-Clause
# Strangers of each kind are refused within two seconds, counted, told at most
# once a second, and keep nobody out.
# lab: timeout 180
. "$LAB_ROOT/regress/lab/lib.sh"
. "$LAB_ROOT/regress/lab/lib_sctp.sh"

settle() { wait_for "$1" false; }
told() { # since regex [node]
	events "${3:-alpha}" 'stranger' | awk -v t="$1" '$1 >= t' | grep -q "$2"
}
# The address of bravo, but bravo's daemon is not there.
try() { # name mode node local localport remote remoteport why
	local t out
	t=$(boot_ms)
	out=$(on "$3" sctp_stranger "$2" "$4" "$5" "$6" "$7")
	case $out in
	closed* | refused*) at_most "${out#* }" 2000 "$1: refused, in ms" ;;
	*) not_ok "$1: refused" "$out" ;;
	esac
	check "$1: told why" wait_for 3 told "$t" "$8"
}

nodes_up
pair_keys
pair_start alpha -c 50
settle 1

try "unknown address" silent client 192.0.2.100 7770 192.0.2.11 7770 \
	'its address is not configured'
try "unknown address, heartbeat port" plain client 192.0.2.100 7773 \
	192.0.2.11 7773 'its address is not configured'
try "wrong port" silent bravo 192.0.2.12 9999 192.0.2.11 7770 \
	'its port is not'
try "address of the other link" silent bravo 192.0.2.12 7772 10.77.0.1 7772 \
	'its address is not configured'
try "silent" silent bravo 192.0.2.12 7770 192.0.2.11 7770 \
	'did not prove itself in time'
try "plain bytes" plain bravo 192.0.2.12 7770 192.0.2.11 7770 \
	'not a record of ours'
try "oversized" oversized bravo 192.0.2.12 7770 192.0.2.11 7770 \
	'too long a message'
try "old TLS" tls12 bravo 192.0.2.12 7770 192.0.2.11 7770 \
	'handshake failed'
try "silent on bulk" silent bravo 192.0.2.12 7771 192.0.2.11 7771 \
	'did not prove itself in time'

# A peer with another key than the pinned one.
t=$(boot_ms)
PAIR_KEY=$LAB/mallory.pem pair_start bravo -c 50
check "wrong pin: refused and told" wait_for 8 told "$t" \
	'its key is not the configured one'
settle 3
refuse "wrong pin: nothing is up" grep -q ' up ' "$(pair_log alpha)"
refuse "wrong pin: not at the other end either" \
	grep -q ' up ' "$(pair_log bravo)"
pair_kill bravo

# Another cluster, right keys.
t=$(boot_ms)
pair_start bravo -c 50 -g other
check "another cluster: the server refuses and tells" wait_for 8 told "$t" \
	'another cluster' bravo
refuse "another cluster: nothing is up" grep -q ' up ' "$(pair_log alpha)"
pair_kill bravo

# A crowd of strangers keeps nobody out and does not fill the log.
cat >"$LAB/crowd" <<-'END'
	for i in 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15; do
		sctp_stranger silent 192.0.2.100 $((20000 + i)) 192.0.2.11 7770
		sctp_stranger plain 192.0.2.100 $((30000 + i)) 192.0.2.11 7773
	done
END
t=$(boot_ms)
on client sh "$LAB/crowd" >"$LAB/log/crowd" 2>&1 &
crowd=$!
settle 1
pair_start bravo -c 50
check "a crowd: the real peer is paired meanwhile" pair_wait_up
wait $crowd
pair_stat alpha
check "a crowd: all are counted ($(stat_of .strangers))" \
	test "$(stat_of .strangers)" -ge 35
lines=$(events alpha stranger | awk -v t="$t" '$1 >= t' | wc -l)
span=$((($(boot_ms) - t) / 1000 + 2))
at_most "$lines" "$span" "a crowd: lines, at most one a second"
is "$(grep -cE "closed|refused" "$LAB/log/crowd")" 30 "a crowd: each is refused"
pair_stop alpha
pair_stop bravo
nodes_down
done_testing
