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

# The host's files are below a tmpfs and cannot be had for writing; the one
# place of the host that can is the share.  What comes of it on the host, the
# pair's script sees, which runs there.
self_readonly() {
	local f
	is "$(findmnt -n -o FSTYPE /)" overlay "the root is an overlay"
	check "of the host's files" sh -c \
		"findmnt -n -o OPTIONS / | grep -q 'lowerdir=/host,upperdir=/rw'"
	# The overlay takes what is written ...
	for f in /etc/passwd "$LAB_ROOT/README.md"; do
		check "$f: may be changed" sh -c "echo '# guest' >>$f"
		is "$(tail -n 1 "$f")" "# guest" "$f: is changed here"
		sed -i '$d' "$f"
	done
	# ... and nobody else: not by another mount, nor as a disk.
	refuse "the host's files cannot be mounted to write" mount -t 9p \
		-o trans=virtio,version=9p2000.L,rw host /mnt
	is "$(awk '$3 == "9p" { print $1, $2 }' /proc/mounts | grep -v ' /run/share')" "" \
		"no other 9p is in sight than the share"
	is "$(cat /sys/bus/virtio/drivers/9pnet_virtio/virtio*/mount_tag | tr '\0' '\n' | sort | xargs)" \
		"host share" "and there are no more than these two"
	is "$(find /sys/block -name 'vd*' -o -name 'sd*')" "" "no disk of the host is there"
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
self_readonly
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
