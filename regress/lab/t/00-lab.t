#!/bin/bash
# SPDX-License-Identifier: BSD-2-Clause
# The lab itself: what the guest's kernel has, and that each fault does what
# it says and is undone.
# lab: timeout 240
. "$LAB_ROOT/regress/lab/lib.sh"
. "$LAB_ROOT/regress/lab/selftest.sh"

self_kernel() {
	local rtt
	check "the kernel has SCTP" test -e /proc/net/sctp/assocs
	check "the kernel has nbd" test -b /dev/nbd0
	check "the kernel is not the host's own" test -d "/lib/modules/$(uname -r)"
	on alpha nft -f - <<-'END'
		table netdev probe {
			set lease { type ipv4_addr; flags dynamic, timeout; }
			chain out {
				type filter hook egress device "lan0" priority 0;
				ip daddr 192.0.2.12 update @lease { ip daddr timeout 1s }
			}
		}
	END
	reach alpha 192.0.2.12 >/dev/null
	check "nftables has egress hooks and sets with timeouts" \
		on alpha sh -c 'nft list set netdev probe lease | grep -q 192.0.2.12'
	delay alpha cross 60
	rtt=$(on alpha ping -q -n -c 3 -i 0.1 10.77.0.2 |
		sed -n 's#^rtt.* = \([0-9]*\)\..*#\1#p')
	check "delay 60: the round trip is longer ($rtt ms)" test "$rtt" -ge 60
	delay alpha cross 0
	rtt=$(on alpha ping -q -n -c 5 -i 0.05 10.77.0.2 |
		sed -n 's#^rtt.* = \([0-9]*\)\..*#\1#p')
	check "delay 0: it is not ($rtt ms)" test "$rtt" -lt 50
	check "disks are block devices" on alpha test -b "$(disk_make alpha two 4)"
}

self_sctp() {
	node_spawn alpha sctp sctp_test -H 10.77.0.1 -P 7000 -l
	wait_for 5 on alpha grep -q 10.77.0.1 /proc/net/sctp/eps
	on bravo timeout 20 sctp_test -H 10.77.0.2 -P 7001 -h 10.77.0.1 \
		-p 7000 -s -x 1 -X 1 >"$LAB/log/sctp.log" 2>&1
	check "SCTP passes between the nodes" \
		grep -q 'recvmsg' "$LAB/log/alpha.sctp.log"
}

self_reach
self_kernel
self_sctp
self_links
self_silence
self_vanish
self_daemon
self_disk
self_prober
self_prober_tcp
nodes_down
is "$(ip netns list)" "" "nodes_down: nothing is left"
done_testing
