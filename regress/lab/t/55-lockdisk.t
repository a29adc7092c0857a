#!/bin/bash
# SPDX-License-Identifier: BSD-2-Clause
# Three voters: the witness and two lock disks.  Any one of them may be lost;
# with two lost nobody gets a lease.
# lab: timeout 420
# lab: long
# shellcheck source=../lib.sh
. "$LAB_ROOT/regress/lab/lib.sh"
# shellcheck source=../cluster.sh
. "$LAB_ROOT/regress/lab/cluster.sh"
# shellcheck source=../lib_arbiter.sh
. "$LAB_ROOT/regress/lab/lib_arbiter.sh"

cluster_before() {
	witness_make && lockdisk_make lock1 && lockdisk_make lock2 || return
	# shellcheck disable=SC2034
	LAB_CLUSTER="$(witness_line)
	lock disk \"/dev/lab/lock1\"
	lock disk \"/dev/lab/lock2\""
	witness_start
}
lock_init() { lockdisk_init lock1 && lockdisk_init lock2; }
state_is() { [ "$(status "$1" '.nodes[0].state')" = "$2" ]; }
# How often did it stop its data (R7)?
stops() { grep -c "data stops here" "$(had_log "$1")"; }
demoted() { [ "$(stops "$1")" -gt "${2:-0}" ]; }
holders() {
	status "$1" '[.arbiters[] | select(.kind == "lock disk") | .holder] | join(" ")'
}
disks_have() { [ "$(holders "$1")" = "$2 $2" ]; }

export LAB_DISK_DM=1
check "a pair is up" cluster_up 24
check "a file that is no lock disk is said" \
	wait_for 10 events_have alpha "lock disk"
is "$(hactl alpha lockdisk create /dev/lab/orders 2>&1 | cut -c1-36)" \
	"hactl: /dev/lab/orders is no lock di" "a disk of data cannot become one"
check "lock disks are made" lock_init
check "alpha's voters answer" wait_for 20 voters_answer alpha 3
check "bravo's voters answer" wait_for 20 voters_answer bravo 3
check "paired" wait_for 20 cluster_paired
check "shop runs on alpha" wait_for 30 service_on alpha
check "both copies are equal" wait_for 60 in_sync
check "the client writes" writer_start
prober_start all "$VIP"

# All three.
pair_cut
check "cut: bravo is inert" wait_for 20 state_is bravo inert
check "cut: alpha acts alone" wait_for 20 state_is alpha alone
check "cut: the lock disks have alpha" wait_for 10 disks_have bravo alpha
check "cut: served" served
pair_join
check "cut: whole again" whole

# Without one disk: a majority is enough; loss alone changes nothing.
epoch=$(status alpha .epoch)
disk_fails alpha lock1 all
check "disk lost: noticed" wait_for 20 voters_answer alpha 2
check "disk lost: by bravo" wait_for 20 voters_answer bravo 2
is "$(status alpha .state)" DEGRADED "disk lost: degraded"
check "disk lost: shop stays" service_on alpha
is "$(status alpha .epoch)" "$epoch" "disk lost: no new epoch"
power_cut alpha
check "two voters: bravo has shop" wait_for 30 service_on bravo
check "two voters: served" served
check "alpha comes back" node_again alpha
check "two voters: whole again" whole

# Without the witness and that disk: no majority, the active node stops.
witness_stop KILL
check "one voter: noticed" wait_for 20 voters_answer bravo 1
pair_cut
check "one voter: bravo stops its data (R7)" wait_for 20 demoted bravo
check "one voter: nothing is acknowledged" held_for 3
check "one voter: nobody has shop" never_for 2 service_on alpha
disk_works alpha lock1
check "two voters again: somebody may act" wait_for 60 one_owner
check "two voters again: served" served 40
pair_join
check "two voters again: whole" whole

# Lock disks alone, the active node is cut off from all but its disks.
owner=alpha other=bravo
service_on bravo && owner=bravo other=alpha
node_vanish $owner
check "disks alone: $owner goes on by the lease on the disks" \
	wait_for 20 state_is $owner alone
check "disks alone: $other is refused" wait_for 20 state_is $other inert
node_return $owner
check "disks alone: whole" whole
check "disks alone: shop stayed" service_on $owner
witness_start
check "the witness is back" wait_for 20 voters_answer alpha 3

prober_stop all
is "$(prober_get all .duplicates)" 0 "no duplicate answer in all that"
writer_stop
check "every acknowledged record is there" verify
check "the service is stopped on both" quiesce
check "both disks are equal" backing_equal
done_testing
