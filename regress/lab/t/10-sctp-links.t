#!/bin/bash
# SPDX-License-Identifier: BSD-2-Clause
# What links do to the transport: silent loss, one-way loss, carrier, paths
# that are missing at first, and packets that take the wrong cable.
# lab: timeout 180
# lab: long
. "$LAB_ROOT/regress/lab/lib.sh"
. "$LAB_ROOT/regress/lab/lib_sctp.sh"

paths_ok() {
	pair_stat alpha
	[ "$(stat_of '[.links[].ctl_path] | join(" ")')" = "1 1" ]
}
settle() { wait_for "$1" false; }

nodes_up
pair_keys
pair_start alpha -c 10
pair_start bravo -c 10
check "paired" pair_wait_up
settle 2
pair_stat bravo
quiet=$(stat_of .ctl_max_us)
diag "nothing wrong: worst latency $quiet us"

# The primary path dies without a word.  Kernel defaults: over a second.
pair_stat bravo
loss alpha cross 100
settle 4
pair_stat bravo
diag "primary path silently lost: $STAT"
is "$(stat_of .ctl_gaps)" 0 "primary path silently lost: no message is lost"
at_most "$(stat_of .ctl_max_us)" 250000 \
	"primary path silently lost: the latest message, in us"
settle 2
pair_stat bravo
is "$(stat_of '.links[1].hb > 30')" true "the other link's heartbeats pass"
is "$(stat_of '.links[0].hb')" 0 "this link's do not"
refuse "no association is lost" grep -q ' lost ' "$(pair_log alpha)"
t=$(boot_ms)
heal
check "healed: the path is active again" wait_for 5 saw alpha "$t" \
	'path 2 ctl 0 active'
settle 1
pair_stat bravo
settle 1
pair_stat bravo
is "$(stat_of '.links[0].hb > 5')" true "healed: heartbeats on both links"
refuse "healed: no association was lost" grep -q ' lost ' "$(pair_log alpha)"

# One way only.
pair_stat alpha
pair_stat bravo
one_way alpha cross in on
settle 2
pair_stat alpha
is "$(stat_of .ctl_gaps)" 0 "one-way loss: messages pass"
at_most "$(stat_of .ctl_max_us)" 300000 "one-way loss: the latest, in us"
settle 2
pair_stat alpha
is "$(stat_of '.links[0].hb')" 0 \
	"one-way loss: the deaf end hears no heartbeats on that link"
is "$(stat_of '.links[1].hb > 20')" true "one-way loss: it does on the other"
pair_stat bravo
is "$(stat_of '.links[0].hb > 20')" true \
	"one-way loss: the other end hears them still"
is "$(stat_of .ctl_gaps)" 0 "one-way loss: messages pass the other way"
at_most "$(stat_of .ctl_max_us)" 300000 "one-way loss: the latest of them, in us"
heal
settle 1

# A heartbeat that goes by the other cable proves nothing about this one.
on alpha ip link set cross0 down
on bravo ip link set cross0 down
on alpha ip route add 10.77.0.2 via 192.0.2.12
on bravo ip route add 10.77.0.1 via 192.0.2.11
check "the crossover's addresses are reached by the LAN" \
	on alpha ping -q -c 1 -W 2 -I 192.0.2.11 10.77.0.2
settle 1
pair_stat alpha
pair_stat bravo
settle 2
pair_stat alpha
a=$(stat_of '.links[0].hb')
pair_stat bravo
is "$a $(stat_of '.links[0].hb')" "0 0" \
	"heartbeats of the crossover do not go by the LAN"
on alpha ip link set cross0 up
on bravo ip link set cross0 up
on alpha ip route del 10.77.0.2 via 192.0.2.12
on bravo ip route del 10.77.0.1 via 192.0.2.11
settle 1
t=$(boot_ms)
pair_kill alpha
pair_kill bravo

# A link that is cut when they meet is used once it is there.
link_down alpha cross
pair_start alpha -c 10
pair_start bravo -c 10
one_link_up() { saw alpha 0 'up 2 ctl 0' && saw alpha 0 'up 2 hb 1'; }
check "paired by one link" wait_for 10 one_link_up
settle 1
pair_stat alpha
diag "by one link: $STAT"
link_up alpha cross
check "its heartbeats begin" wait_for 10 saw alpha 0 'up 2 hb 0'
check "ctl has both paths in the end" wait_for 20 paths_ok
settle 1
pair_stat bravo
is "$(stat_of '.corrupt')" 0 "nothing was mixed up"
pair_stop alpha
pair_stop bravo

# The crossover speaks IPv4, the LAN IPv6.
PAIR_LINKS=six pair_start alpha -c 10
PAIR_LINKS=six pair_start bravo -c 10
check "one link by IPv4, one by IPv6: paired" pair_wait_up
check "both are paths of ctl" wait_for 20 paths_ok
loss alpha cross 100
settle 2
pair_stat bravo
settle 1
pair_stat bravo
is "$(stat_of '.ctl_rx > 20 and .ctl_gaps == 0 and .links[1].hb > 5')" true \
	"IPv6 alone carries it"
pair_kill alpha
pair_kill bravo
nodes_down
done_testing
