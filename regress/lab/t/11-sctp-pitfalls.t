#!/bin/bash
# SPDX-License-Identifier: BSD-2-Clause
# What is odd about SCTP, as far as no other script meets it on its way:
# regress/lab/PITFALLS has all of it.
# lab: timeout 180
. "$LAB_ROOT/regress/lab/lib.sh"
. "$LAB_ROOT/regress/lab/lib_sctp.sh"

settle() { wait_for "$1" false; }
all_lost() { # since reason
	[ "$(events alpha "lost 2 .* $2" |
		awk -v t="$1" '$1 >= t' | cut -d' ' -f4,5 | sort -u | wc -l)" -eq 4 ]
}
began() { saw "$1" 0 started; }
flooded() {
	pair_stat "$1"
	[ "$(stat_of '.bulk_rx > 10')" = true ]
}
# Local addresses of alpha's endpoints, each once.
bound() {
	on alpha cat /proc/net/sctp/eps | awk 'NR > 1 && $6 ~ /^777/ {
		for (i = 9; i <= NF; i++) print $i }' | sort -u | tr '\n' ' '
}

nodes_up
pair_keys

# Full speed in both directions, with messages as long as they may be.
pair_start alpha -c 5 -B 131040
pair_start bravo -c 5 -B 131040
pair_wait_up || bail "not paired"
check "the longest message passes, from alpha" wait_for 20 flooded bravo
check "the longest message passes, from bravo" wait_for 20 flooded alpha
is "$(stat_of '.corrupt + .bulk_gaps + .bad')" 0 "whole and in order"

# Explicit addresses only: others come and go, an equal one as well.
is "$(bound)" "10.77.0.1 192.0.2.11 " "no socket has another address than those configured"
t=$(boot_ms)
on alpha ip addr add 10.77.0.1/32 dev lan0
on alpha ip addr add 192.0.2.80/24 dev lan0
on client ip addr add 10.77.0.1/24 dev lan0
settle 1
on alpha ip addr del 10.77.0.1/32 dev lan0
on alpha ip addr del 192.0.2.80/24 dev lan0
on client ip addr del 10.77.0.1/24 dev lan0
settle 1
refuse "other addresses of the host, and equal ones, end no association" \
	saw alpha "$t" 'lost'
pair_stat alpha
pair_stat bravo
settle 2
pair_stat bravo
is "$(stat_of '.links[0].hb > 5 and .links[1].hb > 5')" true "heartbeats pass"

# A clean end in the middle of all that, with much unread: no ABORT.
t=$(boot_ms)
pair_stop bravo
check "SIGTERM under full load: it ends" pair_gone bravo
wait_for 5 all_lost "$t" TP_SHUTDOWN
check "SIGTERM under full load: all associations are shut down" \
	all_lost "$t" TP_SHUTDOWN
refuse "SIGTERM under full load: none is aborted" saw alpha "$t" 'lost .* TP_ABORTED'

# And a dirty one: whoever sends into it gets an error, never a signal.
pair_start bravo -c 5 -B 131040
check "paired again" pair_wait_up bravo
wait_for 20 flooded bravo
t=$(boot_ms)
pair_kill bravo
check "SIGKILL under full load: it is told" wait_for 5 saw alpha "$t" 'lost 2 ctl 0'
settle 1
check "SIGKILL under full load: who was sending lives" node_alive alpha pair
pair_kill alpha

# A clean end that nobody hears of, and then none at all: what is left of it
# keeps no port.
pair_start alpha -c 20
pair_start bravo -c 20
pair_wait_up || bail "not paired"
node_vanish bravo
node_signal bravo pair TERM
refuse "alone behind a cut its end takes longer" wait_for 1 pair_gone bravo
pair_kill bravo
pair_start bravo -c 20
check "its ports are free again at once" wait_for 5 began bravo
node_return bravo
check "and it is paired" pair_wait_up bravo
pair_kill alpha
pair_kill bravo

nodes_down
done_testing
