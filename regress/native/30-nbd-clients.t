#!/bin/bash
# SPDX-License-Identifier: BSD-2-Clause
# Real NBD clients on had's server and disk driver, without a mirror: nbdinfo,
# nbdcopy, qemu-img, qemu-io and fio find what they expect, errors reach the
# one that asked, and the server outlives them all.
# lab: timeout 170
. "$LAB_ROOT/regress/lab/lib.sh"

dir=$LAB/nbd
sock=$dir/sock
uri="nbd+unix:///disk?socket=$sock"
disk=$dir/disk.img
mkdir "$dir"
server=

serve() { # ARG... FILE
	: >"$LAB/log/server.log"
	nbd_file -v "${@:1:$#-1}" "$sock" "${!#}" >"$LAB/log/server.log" 2>&1 &
	server=$!
	wait_for 10 grep -q ^serving "$LAB/log/server.log"
}
stop() {
	kill -TERM $server
	wait $server
}
info() { nbdinfo --json "$uri" | jq -r ".exports[0].\"$1\""; }
io() { timeout 20 qemu-io -f raw "$uri" "$@"; }
# shellcheck disable=SC2317 # called by check
silent() {
	! grep warning "$LAB/log/server.log" | grep -v "no export of that name"
}

plan 42
truncate -s 64M "$disk"
head -c 64M /dev/urandom >"$dir/source"
check "serves a file" serve "$disk"
is "$(stat -c %a "$sock")" 600 "the socket is for its owner alone"

is "$(info export-size)" $((64 << 20)) "nbdinfo: the size"
is "$(info is_read_only)" false "nbdinfo: writable"
is "$(info can_multi_conn)" true "nbdinfo: several connections"
is "$(info can_flush)$(info can_fua)$(info can_trim)$(info can_zero)" \
	truetruetruetrue "nbdinfo: flush, FUA, trim, zeroes"
is "$(info can_df)" true "nbdinfo: structured replies"
is "$(info block_size_minimum)" 512 "nbdinfo: smallest block"
is "$(info block_size_maximum)" $((32 << 20)) "nbdinfo: largest request"
check "nbdinfo: the list has it" \
	sh -c "nbdinfo --list '$uri' | grep -q 'export=\"disk\"'"
check "nbdinfo: can connect" nbdinfo --can connect "$uri"
refuse "nbdinfo: another name is refused" \
	nbdinfo "nbd+unix:///other?socket=$sock"
check "the old clients' list works" sh -c \
	"nbd-client -l -unix '$sock' 2>&1 | grep -q '^disk$'"

check "nbdcopy: in, over several connections" timeout 60 \
	nbdcopy --connections=4 --flush "$dir/source" "$uri"
check "it is on the disk" cmp "$dir/source" "$disk"
check "nbdcopy: out" timeout 60 nbdcopy --connections=4 "$uri" "$dir/copy"
check "it is the same" cmp "$dir/source" "$dir/copy"
check "nbdcopy: out, one synchronous request at a time, 1 MiB each" timeout 60 \
	nbdcopy --synchronous --request-size=1048576 "$uri" "$dir/copy"
check "it is the same again" cmp "$dir/source" "$dir/copy"
check "nbdcopy: requests of 32 MiB" timeout 60 \
	nbdcopy --request-size=33554432 "$uri" "$dir/copy"
check "and the same" cmp "$dir/source" "$dir/copy"

check "qemu-img: equal" timeout 60 \
	qemu-img compare -f raw -F raw "$uri" "$dir/source"
check "qemu-img: out to qcow2" timeout 60 \
	qemu-img convert -f raw -O qcow2 "$uri" "$dir/copy.qcow2"
check "qemu-img: and back in" timeout 60 \
	qemu-img convert -n -f qcow2 -O raw "$dir/copy.qcow2" "$uri"
check "still the same" cmp "$dir/source" "$disk"
check "qemu-img: 4000 writes, 64 at a time, with flushes" timeout 60 qemu-img \
	bench -f raw -w -c 4000 -d 64 -s 4096 --flush-interval=64 "$uri"

check "qemu-io: write with FUA, read back" io \
	-c "write -f -P 0x5a 1M 300k" -c "read -P 0x5a 1M 300k" -c flush
check "qemu-io: zeroes, with and without a hole" io -c "write -z 1M 64k" \
	-c "write -z -u 1088k 64k" -c "read -P 0 1M 128k" \
	-c "read -P 0x5a 1152k 172k"
before=$(stat -c %b "$disk")
check "qemu-io: trim" io -c "discard 32M 32M" -c "read -P 0 32M 4M"
at_most "$(stat -c %b "$disk")" $((before - 60000)) "gives space back"

check "fio: random reads and writes, verified" timeout 60 fio --verify_state_save=0 --name=v \
	--ioengine=nbd --uri="$uri" --rw=randrw --bsrange=512-200k \
	--bs_unaligned=0 --blockalign=512 --iodepth=32 --size=24M \
	--verify=crc32c --do_verify=1 --verify_fatal=1 --fsync=50 \
	--output="$LAB/log/fio"
check "none of them had anything to complain of" silent

# A client in the middle of its requests is killed.
qemu-img bench -f raw -w -c 100000000 -d 64 -s 65536 "$uri" >/dev/null 2>&1 &
sleep 1
kill -KILL $!
wait $! 2>/dev/null
check "a killed client leaves the server well" io -c "read 0 1M"
check "it ends in order" stop

# Errors reach the one that asked.
serve -e $((5 << 20)) "$disk"
refuse "a bad byte fails the copy" timeout 60 nbdcopy "$uri" "$dir/copy"
check "elsewhere it reads" io -c "read 8M 8M"
io -c "read 5M 64k" >"$LAB/log/io" 2>&1
check "as an I/O error" grep -q "Input/output error" "$LAB/log/io"
stop

# Less than it needs of everything: slower, nothing else.
serve -m 2 -n 8 "$disk"
nbdcopy --connections=2 --requests=64 "$dir/source" "$uri" &&
	check "eight buffers are enough" cmp "$dir/source" "$disk"
stop

# Sectors of 4 KiB.
serve -b 4096 "$disk"
is "$(info block_size_minimum)" 4096 "the smallest block follows the disk"
check "and clients respect it" io -c "write -P 1 512 1k" -c "read -P 1 512 1k"
stop

refuse "a second server does not get the disk" \
	sh -c "flock '$disk' timeout 5 nbd_file '$sock' '$disk'"
is "$(ls "$dir"/sock* 2>/dev/null)" "" "and no socket is left"
done_testing
