#!/bin/bash
# SPDX-License-Identifier: BSD-2-Clause
# The kernel's NBD client on had's server and disk driver, without a mirror:
# a file system on /dev/nbdN keeps its contents, the daemon may die and come
# back without an I/O error, and what a dead daemon left can be cleaned up.
# The node is in a network namespace of its own, where the nbd netlink family
# does not exist.
# lab: timeout 240
. "$LAB_ROOT/regress/lab/lib.sh"
[ "$LAB_MODE" = guest ] || skip_all "needs a kernel with nbd"

sock=/run/nbd.sock
link=/dev/had/disk
id=had:lab:alpha:disk

disk=/srv/disk.img
serve() { # NAME ARG...
	local name=$1
	shift
	node_spawn alpha "$name" nbd_file -vv "$@" $sock $disk || return
	wait_for 20 grep -q "^attached" "$LAB/log/alpha.$name.log"
}
attached_to() { sed -n 's/^attached //p' "$LAB/log/alpha.$1.log" | tail -n 1; }
queue() { cat "/sys/block/nbd$1/queue/$2"; }
sum() { on alpha sh -c "sha256sum <$1" | cut -d' ' -f1; }

plan 34
nodes_up alpha
on alpha truncate -s 128M /srv/disk.img

modprobe -r nbd
on alpha nbd_file -C had:lab: >"$LAB/log/missing.log" 2>&1
is $? 1 "without the module it is refused"
check "and the message names the fix" grep "modprobe nbd" "$LAB/log/missing.log"
modprobe nbd nbds_max=16 || bail "no nbd module"

check "attaches" serve first -k -c 4 -i $id -l $link -t 3 -T 60
n=$(attached_to first)
is "$(on alpha readlink $link)" "/dev/nbd$n" "the link names the device"
is "$(cat "/sys/block/nbd$n/backend")" $id "the device carries its name"
is "$(queue "$n" max_sectors_kb)" 512 "requests may be 512 KiB long"
is "$(queue "$n" logical_block_size)" 512 "sectors have the disk's size"
is "$(on alpha blockdev --getsize64 $link)" $((128 << 20)) "and it the size"

check "ext4 is made on it" on alpha mkfs.ext4 -q $link
on alpha mkdir -p /srv/mnt
check "and mounted" on alpha mount -t ext4 $link /srv/mnt
on alpha sh -c 'dd if=/dev/urandom of=/srv/mnt/a bs=1M count=24 2>/dev/null'
a=$(sum /srv/mnt/a)

# The daemon dies under load.  Writes wait, and go on with its successor.
on alpha sh -c '
	dd if=/dev/urandom of=/srv/mnt/b bs=64k count=512 conv=fsync \
		>/srv/dd.log 2>&1
	echo $? >/srv/dd.rc' &
dd=$!
sleep 1
node_signal alpha first KILL
wait_for 10 lab_gone alpha first
sleep 2
check "a new daemon takes the device back" \
	serve second -k -c 4 -i $id -l $link -t 3 -T 60
is "$(attached_to second)" "$n" "it is the same device"
wait $dd
is "$(on alpha cat /srv/dd.rc)" 0 "the writer saw no error"
is "$(dmesg | grep -c "I/O error, dev nbd$n")" 0 "nor did the kernel"
b=$(sum /srv/mnt/b)

# It hangs for longer than the kernel waits: connections die and come back.
node_signal alpha second STOP
on alpha sh -c '
	dd if=/dev/urandom of=/srv/mnt/c bs=64k count=64 conv=fsync \
		>/srv/dd.log 2>&1
	echo $? >/srv/dd.rc' &
dd=$!
sleep 8
node_signal alpha second CONT
wait $dd
is "$(on alpha cat /srv/dd.rc)" 0 "a freeze gives no error either"
is "$(dmesg | grep -c "I/O error, dev nbd$n")" 0 "and none in the kernel"
check "connections were replaced" \
	grep -q "client [5-9]: the kernel" "$LAB/log/alpha.second.log"
c=$(sum /srv/mnt/c)

on alpha umount /srv/mnt
node_signal alpha second TERM
check "ends in order" wait_for 20 lab_gone alpha second
refuse "and the device is free" grep -q . "/sys/block/nbd$n/pid"

# What was written is on the disk, whoever reads it.
on alpha mount -o loop,ro /srv/disk.img /srv/mnt
is "$(sum /srv/mnt/a)" "$a" "the first file is on the disk"
is "$(sum /srv/mnt/b)" "$b" "so is the one that was being written"
is "$(sum /srv/mnt/c)" "$c" "and the third"
on alpha umount /srv/mnt

# A daemon dies for good; its device is cleaned up and nothing else is.
serve third -k -c 2 -i $id -t 3 -T 600
n=$(attached_to third)
node_signal alpha third KILL
wait_for 10 lab_gone alpha third
is "$(on alpha nbd_file -C had:lab:bravo:)" "cleaned 0" "not by another's name"
is "$(on alpha nbd_file -C had:lab:alpha:)" "cleaned 1" "cleaned up by its name"
refuse "then it is free" grep -q . "/sys/block/nbd$n/pid"

# A block device with sectors of 4 KiB, which nobody else gets meanwhile.
truncate -s 64M "$LAB/blk"
disk=$(losetup -f --show -b 4096 "$LAB/blk")
check "serves a block device" serve fourth -k -c 1 -i $id -l $link
n=$(attached_to fourth)
check "directly, and holes can be punched" grep -q "sector 4096, direct, trim" \
	"$LAB/log/alpha.fourth.log"
is "$(queue "$n" logical_block_size)" 4096 "and its sectors"
refuse "it cannot be mounted beside" on alpha mount "$disk" /srv/mnt
check "a file system is made on it" on alpha mkfs.ext4 -q $link
check "and mounted with discard" on alpha mount -o discard $link /srv/mnt
on alpha dd if=/dev/urandom of=/srv/mnt/a bs=1M count=8 conv=fsync \
	2>/dev/null
a=$(sum /srv/mnt/a)
check "holes are punched" on alpha fstrim /srv/mnt
on alpha umount /srv/mnt
node_signal alpha fourth TERM
wait_for 20 lab_gone alpha fourth
check "it is free again" on alpha mount -o ro "$disk" /srv/mnt
is "$(sum /srv/mnt/a)" "$a" "and has what was written"
on alpha umount /srv/mnt
losetup -d "$disk"
done_testing
