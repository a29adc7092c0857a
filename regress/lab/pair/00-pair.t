#!/bin/bash
# SPDX-License-Identifier: BSD-2-Clause
# The lab with one machine per node: they meet, faults between them work,
# and a power cut takes what was not yet on the disk.
# lab: timeout 300
. "$LAB_ROOT/regress/lab/lib.sh"

reach() { on "$1" ping -q -n -c 2 -i 0.2 -W 1 "$2"; }
carrier() { [ "$(on "$1" cat "/sys/class/net/${2}0/carrier" 2>&1)" = "$3" ]; }

# Files of this machine that a guest will try to change.
mine=$LAB_ROOT/build/lab/host.$$
etc=/etc/had-guest.$$
mkdir -p "$mine"
echo mine >"$mine/kept"
echo mine >"$mine/removed"
trap 'rm -rf "$mine" "$etc"' EXIT
state_of_mine() {
	stat -c '%n %i %a %u %s %Y %Z' "$mine" "$mine"/*
	cat "$mine"/*
}
before=$(state_of_mine)
readonly_host() { # node: what its emulator was told
	tr '\0' '\n' <"/proc/$(<"$LAB/node/$1/pid")/cmdline" |
		grep -qE '^local,path=/,mount_tag=host,.*readonly=on(,|$)'
}

disk_make alpha data 16 >/dev/null
check "machines come up" nodes_up || bail "no machines"
is "$(on alpha uname -r)" "$("$LAB_ROOT/regress/lab/kernel")" "Debian's kernel"
check "alpha reaches bravo by lan" wait_for 20 reach alpha 192.0.2.12
check "alpha reaches bravo by cross" wait_for 20 reach alpha 10.77.0.2
check "the client reaches alpha" wait_for 20 reach client 192.0.2.11
is "$(on alpha sh -c 'wc -c; exit 3' <<<"12345"; echo $?)" $'6\n3' \
	"commands get their input and give their status"

# What a guest does to this machine's files is seen by itself alone.
check "a guest writes where it likes" on client sh -c "
	echo guest >>$mine/kept && rm $mine/removed && chmod 600 $mine/kept &&
	echo guest >$mine/made && mkdir $mine/dir && echo guest >$etc && sync"
is "$(on client sh -c "cat $mine/kept; ls $mine; cat $etc" | xargs)" \
	"mine guest dir kept made guest" "and sees what it wrote"
is "$(state_of_mine)" "$before" "this machine's files are as they were"
refuse "nor is there a new one" test -e "$etc"
refuse "another guest does not see it, either" on alpha test -e "$mine/made"
for node in alpha bravo client; do
	check "$node: the emulator itself refuses to write" readonly_host $node
done
refuse "the files cannot be mounted a second time, to write" on client mount \
	-t 9p -o trans=virtio,version=9p2000.L,rw host /mnt

node_vanish alpha
refuse "node_vanish: no lan" reach bravo 192.0.2.11
refuse "node_vanish: no cross" reach bravo 10.77.0.1
check "node_vanish: carriers stay" carrier alpha lan 1
node_return alpha
check "node_return" wait_for 20 reach bravo 192.0.2.11
link_down alpha cross
check "link_down: the carrier is lost at one end" wait_for 10 carrier alpha cross 0
check "and at the other" wait_for 10 carrier bravo cross 0
link_up alpha cross
check "link_up" wait_for 20 reach bravo 10.77.0.1

node_spawn alpha sleeper sleep 1000
check "a program runs there" node_alive alpha sleeper
on alpha sh -c 'mkfs.ext4 -q /dev/lab/data && mount /dev/lab/data /mnt &&
	echo safe >/mnt/safe && sync && echo lost >/mnt/lost && touch /run/old'
check "power_cut" power_cut alpha
refuse "a machine without power does nothing" on alpha true
check "its peer is alive" on bravo true
check "power_on" power_on alpha
refuse "/run is new" on alpha test -e /run/old
refuse "the program is gone" node_alive alpha sleeper
check "the disk is there" on alpha mount /dev/lab/data /mnt
is "$(on alpha cat /mnt/safe)" safe "what was on the disk is there"
refuse "what was only in memory is not" on alpha grep -q lost /mnt/lost
check "and it is back on the lan" wait_for 20 reach bravo 192.0.2.11
nodes_down
done_testing
