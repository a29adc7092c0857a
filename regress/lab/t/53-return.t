#!/bin/bash
# SPDX-License-Identifier: BSD-2-Clause
# A node that is back at once after its death: associations of its peer to the
# dead daemon are still there, and the kernel may still hold the disk for it.
# lab: long
# lab: timeout 300
# shellcheck source=../lib.sh
. "$LAB_ROOT/regress/lab/lib.sh"
# shellcheck source=../cluster.sh
. "$LAB_ROOT/regress/lab/cluster.sh"
whole() {
	wait_for 30 cluster_paired && wait_for 60 in_sync
}

check "a pair is up" cluster_up 24
check "paired" wait_for 20 cluster_paired
check "shop runs on alpha" wait_for 30 service_on alpha
check "both copies are equal" wait_for 60 in_sync
check "the client writes" writer_start
active=alpha other=bravo
for round in 1 2; do
	power_cut $active
	power_on $active
	had_start $active
	check "$round: $other has shop" wait_for 30 service_on $other
	check "$round: whole again" whole
	# One by itself in ten minutes (R10); the next one is wanted, too.
	check "$round: thawed" hactl $other thaw shop
	[ $active = alpha ] && active=bravo other=alpha || active=alpha other=bravo
done

# The same, made certain: somebody has the disk while the daemon starts.
had_kill $other
on $other flock -x /dev/lab/orders sleep 4 &
sleep 0.5
had_start $other
check "a disk in use is waited for" wait_for 10 \
	grep -q 'in use by another process; waiting' "$(had_log $other)"
check "and used when it is free" whole

writer_stop
check "every acknowledged record is there" verify
check "the service is stopped on both" quiesce
check "both disks are equal" backing_equal
done_testing
