#!/bin/bash
# SPDX-License-Identifier: BSD-2-Clause
# Two ends of the transport: pairing, and every way in which one of them can
# go.  Bounds leave room for emulation.
# lab: timeout 180
. "$LAB_ROOT/regress/lab/lib.sh"
. "$LAB_ROOT/regress/lab/lib_sctp.sh"

all_lost() { # since reason
	[ "$(events alpha "lost 2 .* $2" |
		awk -v t="$1" '$1 >= t' | cut -d' ' -f4,5 | sort -u | wc -l)" -eq 4 ]
}
refused_both() { saw alpha "$1" 'refused 2 0' && saw alpha "$1" 'refused 2 1'; }
paths_ok() {
	pair_stat alpha
	[ "$(stat_of '[.links[].ctl_path] | join(" ")')" = "1 1" ]
}
inc_of() { events alpha 'up 2 ctl 0' | tail -n 1 | cut -d' ' -f6; }

nodes_up
pair_keys

# Both at once: their INITs cross.
pair_start alpha -c 20 &
pair_start bravo -c 20
wait
check "both ends connect at once: all four associations are up" pair_wait_up
is "$(events alpha 'up 2' | wc -l) $(events bravo 'up 1' | wc -l)" "4 4" \
	"simultaneous INITs make one association of each kind"
wait_for 3 false
pair_stat alpha
is "$(stat_of '.links[0].primary')" true "the crossover is the primary path"
is "$(stat_of '[.links[].ctl_path] | join(" ")')" "1 1" "both paths are active"
is "$(stat_of '.ctl_gaps + .corrupt + .bad')" 0 \
	"$(stat_of .ctl_rx) messages arrived in order and whole"
is "$(stat_of '.ctl_rx > 50 and .links[0].hb > 20 and .links[1].hb > 20')" true \
	"heartbeats pass on both links"
is "$(stat_of .oversize)" EMSGSIZE "a message that is too long is EMSGSIZE"

# SIGKILL: the kernel says ABORT for it and then refuses INITs.
first=$(inc_of)
t=$(sctp_stranger kill "$(node_pid bravo pair)" 9)
wait_for 5 all_lost "$t" TP_ABORTED
check "SIGKILL: all associations are aborted" all_lost "$t" TP_ABORTED
at_most "$(since alpha "$t" 'lost 2 .* TP_ABORTED')" 100 \
	"SIGKILL: noticed, in ms"
for a in 'ctl 0' 'bulk 0' 'hb 0' 'hb 1'; do
	at_most "$(since alpha "$t" "lost 2 $a TP_ABORTED")" 200 \
		"SIGKILL: $a is lost, in ms"
done
wait_for 3 refused_both "$t"
for l in 0 1; do
	at_most "$(since alpha "$t" "refused 2 $l")" 800 \
		"SIGKILL: the kernel refuses a fresh INIT on link $l, soon"
done
pair_stat alpha
is "$(stat_of .oversize)" ENOTCONN "nothing can be sent when it is gone"
pair_start bravo -c 20
check "it comes back: paired again" pair_wait_up bravo
wait_for 1 false
check "it has another incarnation" test "$(inc_of)" -gt "$first"
pair_stat alpha
is "$(stat_of '.ctl_gaps + .corrupt')" 0 "and counts from the beginning"

# SIGSTOP: no association is lost, the kernel answers, the daemon does not.
t=$(sctp_stranger kill "$(node_pid bravo pair)" 19)
wait_for 1 false
pair_stat alpha
wait_for 2 false
pair_stat alpha
is "$(stat_of '[.links[].hb] | add')" 0 "frozen: its heartbeats are silent"
check "frozen: its kernel is seen alive ($(stat_of .alive) times)" \
	test "$(stat_of .alive)" -ge 4
refuse "frozen: no association is lost" saw alpha "$t" 'lost'
sctp_stranger kill "$(node_pid bravo pair)" 18 >/dev/null
wait_for 1 false
pair_stat alpha
is "$(stat_of '.links[0].hb > 5 and .links[1].hb > 5')" true \
	"thawed: heartbeats again"
is "$(stat_of '.ctl_gaps + .corrupt')" 0 "thawed: no message was lost"

# A restart that nobody could tell of.
t=$(boot_ms)
node_vanish bravo
first=$(inc_of)
pair_kill bravo
pair_start bravo -c 20
node_return bravo
check "restarted behind a cut: paired again" pair_wait_up bravo
check "restarted behind a cut: the old associations are lost" \
	saw alpha "$t" 'lost 2 ctl 0 TP_(RESTARTED|ABORTED|TIMEOUT)'
wait_for 1 false
check "restarted behind a cut: another incarnation" \
	test "$(inc_of)" -gt "$first"
pair_stat alpha
is "$(stat_of '.corrupt')" 0 "restarted behind a cut: nothing is mixed up"

# A restart with more addresses than before, which a kernel refuses as long as
# it has the old association.
one_link_up() { saw alpha "$1" 'up 2 ctl 0' && saw alpha "$1" 'up 2 hb 1'; }
pair_kill bravo
t=$(boot_ms)
PAIR_LINKS=lan pair_start bravo -c 20
check "with fewer addresses: paired by those" wait_for 10 one_link_up "$t"
node_vanish bravo
pair_kill bravo
pair_start bravo -c 20
node_return bravo
check "restarted with more addresses: paired by all" pair_wait_up bravo
check "restarted with more addresses: all paths are used in the end" \
	wait_for 20 paths_ok

# A clean end is no ABORT.
t=$(boot_ms)
pair_stop bravo
check "SIGTERM: it ends" pair_gone bravo
check "SIGTERM: associations are shut down" all_lost "$t" TP_SHUTDOWN
refuse "SIGTERM: none is aborted" saw alpha "$t" 'lost .* TP_ABORTED'
is "$(events bravo 'lost 1 .* TP_LOCAL' |
	awk -v t="$t" '$1 >= t' | wc -l)" 4 \
	"SIGTERM: its own end is told as local"
busy() { # of alpha, in clock ticks
	awk '{ print $14 + $15 }' "/proc/$(node_pid alpha pair)/stat"
}
before=$(busy)
wait_for 3 false
at_most $(($(busy) - before)) 150 \
	"sockets that were shut down keep nobody busy: ticks of 10 ms in 3 s"
pair_stop alpha
check "alone it ends at once" pair_gone alpha

# Sysctls that hurt are complained of, and left as they are.
on alpha sysctl -qw net.sctp.prsctp_enable=0
pair_start alpha
check "a sysctl that hurts is named" wait_for 5 saw alpha 0 \
	'note 4 transport: net.sctp.prsctp_enable is 0'
is "$(on alpha sysctl -n net.sctp.prsctp_enable)" 0 "and not written"
pair_kill alpha
nodes_down
done_testing
