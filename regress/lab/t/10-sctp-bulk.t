#!/bin/bash
# SPDX-License-Identifier: BSD-2-Clause
# Bulk: integrity under a change of keys, heartbeats beside it, a receiver that
# stands still until every buffer is full.  Under emulation the ciphers decide
# how fast it is.
# lab: long
# lab: timeout 240
. "$LAB_ROOT/regress/lab/lib.sh"
. "$LAB_ROOT/regress/lab/lib_sctp.sh"

settle() { wait_for "$1" false; }
begin() { # args for both
	pair_start bravo -c 20 -n 0 "$@"
	pair_start alpha -c 20 "$@"
	pair_wait_up || bail "not paired"
}
finish() {
	pair_kill alpha
	pair_kill bravo
}

nodes_up
pair_keys

# Heartbeats alone, to compare with.
begin -B 65536 -n 0
settle 4
pair_stat bravo
alone=$(stat_of '.links[0].p99_us')
finish

begin -B 65536
settle 2
pair_stat bravo
settle 6
pair_stat bravo
diag "bulk at full speed: $STAT"
diag "$(stat_of '"\(.bulk_bytes / .ms / 1000 * 10 | floor / 10) MB/s sealed"')"
is "$(stat_of '.bulk_rx > 50')" true "bulk moves ($(stat_of .bulk_rx) messages)"
is "$(stat_of '.bulk_gaps + .corrupt + .bad + .ctl_gaps')" 0 \
	"all of them whole and in order"
diag "heartbeats: p99 $(stat_of '.links[0].p99_us') us, alone $alone us"
# A stalled virtual CPU is in every p99; medians tell who waits for whom.
is "$(stat_of '.links[0].p50_us < .bulk_p50_us / 2')" true \
	"heartbeats overtake bulk: $(stat_of '.links[0].p50_us') us, $(stat_of .bulk_p50_us) us"
at_most "$(stat_of '.links[0].p99_us')" 1000000 \
	"heartbeats beside bulk: p99 in us"
at_most "$(stat_of '.ctl_max_us')" 1000000 "messages on ctl beside bulk, in us"
pair_stat alpha
is "$(stat_of '.bulk_sent > 50 and .writable > 0')" true \
	"the sender is held up by credit, and goes on"
finish

# Keys change every 50 records, in both directions, under traffic and loss.
begin -B 8192 -r 50
loss alpha cross 3
settle 8
heal
pair_stat bravo
diag "keys change under way: $STAT"
is "$(stat_of '.bulk_gaps + .corrupt + .bad + .ctl_gaps')" 0 \
	"keys change under loss: $(stat_of .bulk_rx) messages, none lost"
is "$(stat_of '.rekeys > 3')" true \
	"keys of bulk changed $(stat_of .rekeys) times"
is "$(stat_of '[.links[].rekeys] | min > 0')" true \
	"keys of heartbeats changed, too"
refuse "no association was lost over it" \
	grep -q ' lost ' "$(pair_log alpha)" "$(pair_log bravo)"
finish

# A window far beyond the socket buffers, and a receiver that stands still:
# the kernel gives messages in parts then.
begin -B 131000 -w 33554432
settle 1
for _ in 1 2; do
	node_signal bravo pair STOP
	settle 2
	node_signal bravo pair CONT
	settle 4
done
pair_stat bravo
diag "full buffers: $STAT"
is "$(stat_of '.bulk_gaps + .corrupt + .bad')" 0 \
	"full buffers: $(stat_of .bulk_rx) messages, whole and in order"
is "$(stat_of '.parts > 0')" true "full buffers: messages came in parts"
pair_stat alpha
is "$(stat_of '.corrupt + .ctl_gaps')" 0 "full buffers: ctl is not touched"
refuse "full buffers: no association is lost" \
	grep -q ' lost ' "$(pair_log alpha)" "$(pair_log bravo)"
finish
nodes_down
done_testing
