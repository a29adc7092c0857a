#!/bin/bash
# SPDX-License-Identifier: BSD-2-Clause
# lab: timeout 240
# The power of a node fails: its emulated machine is killed, with what was in
# the memory of its kernel and its disk's cache.  What was acknowledged is
# there, on the other node and after the return on both.
# shellcheck source=../lib.sh
. "$LAB_ROOT/regress/lab/lib.sh"
# shellcheck source=../cluster.sh
. "$LAB_ROOT/regress/lab/cluster.sh"

for node in alpha bravo; do
	disk_make $node orders 16 >/dev/null
done
check "three machines" nodes_up
for node in alpha bravo; do
	on $node mkdir -p /srv/orders
	on $node modprobe -a sctp nbd
done
cluster_conf
check "create" on alpha hactl volume create orders --mkfs ext4
check "create" on bravo hactl volume create orders
check "both start" eval 'had_start alpha && had_start bravo'
check "shop runs on alpha" wait_for 60 service_on alpha
check "in sync" wait_for 60 in_sync
check "the client writes" writer_start
sleep 2
t=$(now_ms)
power_cut alpha
check "bravo has shop" wait_for 40 service_on bravo
check "served again" wait_for 20 answered_since $((t + 1))
diag "served again after $(gap_ms "$t") ms"
sleep 1
writer_stop
check "every acknowledged record is there" verify
power_on alpha
check "alpha is back" had_start alpha
check "paired" wait_for 40 cluster_paired
check "in sync" wait_for 60 in_sync
check "every acknowledged record is still there" verify
check "the service is stopped on both" quiesce
check "both disks are equal" backing_equal
done_testing
