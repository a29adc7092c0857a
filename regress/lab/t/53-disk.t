#!/bin/bash
# SPDX-License-Identifier: BSD-2-Clause
# Disks that really fail, under a client that writes all the time: the
# application sees nothing of it, reads come from the other node, the alarm is
# told, and with the disk back both copies become equal again.
# lab: timeout 420
# shellcheck source=../lib.sh
. "$LAB_ROOT/regress/lab/lib.sh"
# shellcheck source=../cluster.sh
. "$LAB_ROOT/regress/lab/cluster.sh"
export LAB_DISK_DM=1

disk_is() { [ "$(status "$1" '.volumes[0].disk')" = "$2" ]; }
peer_disk_is() { [ "$(status "$1" '.volumes[0].peer_disk')" = "$2" ]; }
alarm() { # node since-events regex
	hactl "$1" events --json | jq -e --argjson n "$2" --arg r "$3" '
		[.events[$n:][] | select(.text | test($r))] | length > 0' \
		>/dev/null
}
events_n() { hactl "$1" events --json | jq '.events | length'; }
whole() { wait_for 30 cluster_paired && wait_for 90 in_sync; }
# The kernel's word on the device and its file system since the mark.  A node
# whose daemon is killed loses its device, so this is asked before.
mark() { marked=$(dmesg | wc -l); }
no_errors() { # name
	is "$(dmesg | tail -n +$((marked + 1)) | grep -E \
		'nbd.*([Ee]rror|Remounting)' | head -n 3)" "" \
		"$1: no application saw an error"
}
# Reads a file of many blocks again, not from the page cache.
probe_sum() {
	echo 3 >/proc/sys/vm/drop_caches
	on "$1" sha256sum /srv/orders/probe | cut -d' ' -f1
}
peer_reads() { # bytes that NODE has had from the other
	status "$1" '.volumes[0].received_bytes'
}
served() { wait_for 10 answered_since "$(now_ms)"; }

check "a pair is up" cluster_up 32
check "paired" wait_for 20 cluster_paired
check "shop runs on alpha" wait_for 30 service_on alpha
check "both copies are equal" wait_for 60 in_sync
on alpha dd if=/dev/urandom of=/srv/orders/probe bs=64k count=64 conv=fsync 2>/dev/null
sum=$(probe_sum alpha)
check "the client writes" writer_start
sleep 1
is "$(status alpha .state)" OK "all is well before"

# The primary's disk is gone: every I/O fails.
mark
n=$(events_n alpha)
t=$(now_ms)
disk_fails alpha orders all
check "all fails: alpha is diskless" wait_for 10 disk_is alpha diskless
check "all fails: bravo knows" wait_for 10 peer_disk_is bravo diskless
check "all fails: served" served
diag "all fails: longest wait $(gap_ms "$t") ms"
check "all fails: nothing moved" service_on alpha
is "$(status alpha .state)" DEGRADED "all fails: alpha is degraded"
is "$(status bravo .state)" DEGRADED "all fails: bravo is degraded, too"
check "all fails: status names it" test -n \
	"$(status alpha .reason | grep 'orders has no disk here')"
check "all fails: the action says what to do" test -n \
	"$(status alpha .action | grep 'replace the disk, then restart had')"
check "all fails: the alarm is in the events" alarm alpha "$n" \
	'disk detached: .* failed .*going on with the peer'
before=$(peer_reads alpha)
is "$(probe_sum alpha)" "$sum" "all fails: reads are right"
check "all fails: they came from bravo" \
	test $(($(peer_reads alpha) - before)) -ge 4000000
no_errors "all fails"
diag "$(hactl alpha status)"
diag "bravo: $(status bravo .reason): $(status bravo .forecast)"
for node in alpha bravo; do
	check "all fails: $node's last line warns that bravo alone has the data" test -n \
		"$(status $node .forecast | grep 'if bravo dies now: .*only copy')"
	check "all fails: $node's last line says that alpha's death loses nothing" test -n \
		"$(status $node .forecast | grep 'if alpha dies now: bravo takes shop .*no data lost')"
done

# Diskless and killed: what was acknowledged is where the disk is.
t=$(now_ms)
had_kill alpha
check "diskless and killed: bravo has shop" wait_for 20 service_on bravo
check "diskless and killed: served" wait_for 10 answered_since $((t + 1))
check "diskless and killed: all records are there" verify
disk_works alpha orders
had_start alpha
check "disk is back: whole" whole
is "$(probe_sum bravo)" "$sum" "disk is back: reads are right"

# Only writes fail: the disk still reads, but had lets go of it.
mark
n=$(events_n bravo)
disk_fails bravo orders writes
check "writes fail: bravo is diskless" wait_for 10 disk_is bravo diskless
check "writes fail: served" served
check "writes fail: nothing moved" service_on bravo
check "writes fail: the alarm is in the events" alarm bravo "$n" 'disk detached'
check "takeover from the diskless node" hactl alpha takeover
check "alpha has shop" wait_for 20 service_on alpha
check "served" served
no_errors "writes fail"
disk_works bravo orders
had_stop bravo
had_start bravo
check "writes fail: whole after a restart" whole
is "$(probe_sum alpha)" "$sum" "writes fail: reads are right"

# A bad range under data that is only read.
n=$(events_n alpha)
disk_fails alpha orders 4096-24575
is "$(probe_sum alpha)" "$sum" "bad range: reads are right all the same"
check "bad range: alpha is diskless" wait_for 10 disk_is alpha diskless
check "bad range: the alarm is in the events" alarm alpha "$n" 'disk detached'
check "bad range: nothing moved" service_on alpha
check "bad range: served" served
no_errors "bad range"
disk_works alpha orders
had_stop alpha
check "bad range: bravo took shop" wait_for 20 service_on bravo
had_start alpha
check "bad range: whole after a restart" whole
check "back to alpha" hactl alpha takeover
check "alpha has shop" wait_for 20 service_on alpha

# The standby's disk.
n=$(events_n bravo)
t=$(now_ms)
disk_fails bravo orders all
check "standby: bravo is diskless" wait_for 10 disk_is bravo diskless
check "standby: alpha knows" wait_for 10 peer_disk_is alpha diskless
check "standby: served" served
at_most "$(gap_ms "$t")" 2000 "standby: the client's longest wait, in ms"
check "standby: the alarm is in the events" alarm bravo "$n" 'disk detached'
is "$(status alpha .state)" DEGRADED "standby: alpha is degraded"
for node in alpha bravo; do
	check "standby: $node's last line warns" test -n \
		"$(status $node .forecast | grep 'if alpha dies now: .*only copy')"
done
diag "alpha: $(status alpha .reason): $(status alpha .forecast)"
diag "bravo: $(status bravo .reason): $(status bravo .forecast)"
no_errors "standby"
had_kill alpha
sleep 3
refuse "standby: a node without the data does not take the service" service_on bravo
check "standby: its status says why" test -n \
	"$(status bravo '.services[0] | .reason + .why_not' | grep -i disk)"
diag "bravo: $(status bravo '.services[0] | .reason + .why_not')"
had_start alpha
runs() { service_on alpha || service_on bravo; }
check "standby: with alpha's copy back, shop runs" wait_for 40 runs
check "standby: served" served
disk_works bravo orders
had_stop bravo
had_start bravo
check "standby: whole after a restart" whole
check "standby: shop runs" wait_for 40 runs

writer_stop
check "every acknowledged record is there" verify
check "the service is stopped on both" quiesce
check "both disks are equal" backing_equal
done_testing
