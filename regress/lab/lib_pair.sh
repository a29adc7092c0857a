#!/bin/bash
# SPDX-License-Identifier: BSD-2-Clause
# Nodes as emulated machines, one each; sourced by lib.sh, which says what
# the functions do.  A power cut is the death of the emulator: what its
# kernel had not written to the disk is lost.
#
# The client's machine is the switch as well: its bridges join alpha's and
# bravo's lan and cross, and faults are made at its ports.  A cable is a pair
# of UNIX datagram sockets, so nothing leaves this machine.  A carrier is
# lost by the emulator's word.
#
# Other than in namespaces: $LAB is not seen in the nodes; "on" costs 0.1 s;
# a node that is cut takes no carrier from the other until link_down is said.
#
# $LAB/node/NODE	pid (of the emulator), tty.in, mon, disks
# $LAB/node/NODE/share	cmd.ID, in.ID, out.ID, rc.ID: one command and what
#			became of it; NAME.pid, NAME.log: node_spawn;
#			etc, var, srv: what outlives a power cut

# shellcheck source=regress/lab/lib_fault.sh
. "$LAB_ROOT/regress/lab/lib_fault.sh"

lab_is_up() {
	local pid stat
	[ -s "$LAB/node/$1/pid" ] || return 1
	pid=$(<"$LAB/node/$1/pid")
	{ read -r stat <"/proc/$pid/stat"; } 2>/dev/null || return 1
	case ${stat##*) } in [ZX]*) return 1 ;; esac
}
lab_port_mac() { # node link
	lab_mac "$1" "$2" | sed 's/:0\([12]\):\(..\)$/:1\1:\2/'
}
lab_cable() { # id local remote mac
	echo "-netdev dgram,id=$1,local.type=unix,local.path=net/$2,remote.type=unix,remote.path=net/$3" \
		"-device virtio-net-pci,id=nic-$1,netdev=$1,mac=$4,romfile="
}

power_on() { # node
	local n=$LAB/node/$1 link node disk args
	mkdir -p "$n/share/etc" "$n/share/var" "$n/share/srv" "$LAB/net"
	rm -f "$n/pid" "$n"/tty.* "$n"/share/{ready,cmd.*,in.*,out.*,rc.*,*.pid}
	mkfifo "$n/tty.in" "$n/tty.out"
	echo node >"$n/share/job"
	case " ${LAB_SYSTEMD:-} " in *" $1 "*) echo systemd >"$n/share/job" ;; esac
	{
		grep -E '^(BUILD|HAD_|LAB_ENV_)' "$LAB_JOB/share/env"
		echo "LAB_NODE=$1 LAB_HOST=$(lab_host "$1")"
		echo "LAB_CROSS=$(lab_cross "$1")"
	} >"$n/share/env"
	args=$(
		if [ "$1" = client ]; then
			for node in alpha bravo; do
				for link in lan cross; do
					lab_cable "$node-$link" "sw-$node-$link" \
						"$node-$link" "$(lab_port_mac $node $link)"
				done
			done
		else
			for link in lan cross; do
				lab_cable $link "$1-$link" "sw-$1-$link" \
					"$(lab_mac "$1" $link)"
			done
		fi
		for disk in "$LAB/disk/$1".*; do
			[ -f "$disk" ] || continue
			echo "-drive file=disk/${disk##*/},format=raw,if=none,id=d-${disk##*.}"
			echo "-device virtio-blk-pci,drive=d-${disk##*.},serial=${disk##*.}"
		done
	)
	# shellcheck disable=SC2086
	(cd "$LAB" && exec "$LAB_ROOT/regress/lab/guest/boot" "$n/share" \
		"$LAB/log/$1.console" "${LAB_CPUS:-1}" "${LAB_MIB:-768}" \
		-chardev "pipe,id=tty,path=node/$1/tty" -serial chardev:tty \
		-chardev "socket,id=mon,path=net/mon-$1,server=on,wait=off" \
		-mon chardev=mon,mode=readline $args) \
		>>"$LAB/log/$1.qemu.log" 2>&1 </dev/null &
	echo $! >"$n/pid"
	disown $!
	wait_for "${LAB_BOOT:-90}" lab_ready "$1" || return
	[ "$1" = client ] || lab_carriers
}
# Stops waiting for a machine that has died.
lab_ready() { [ -e "$LAB/node/$1/share/ready" ]; }

nodes_up() {
	local node job jobs=()
	[ $# -gt 0 ] || set -- alpha bravo client
	# The first to look for the kernel may have to make the initramfs.
	"$LAB_ROOT/regress/lab/kernel" >/dev/null || return
	for node in "$@"; do
		power_on "$node" &
		jobs+=($!)
	done
	for job in "${jobs[@]}"; do wait "$job" || return; done
}
power_cut() { # node
	lab_is_up "$1" || return 0
	kill -KILL "$(<"$LAB/node/$1/pid")"
	wait_for 10 lab_is_down "$1"
}
lab_is_down() { ! lab_is_up "$1"; }
nodes_down() {
	local node
	for node in alpha bravo client; do power_cut "$node"; done
	rm -rf "$LAB"/node/* "$LAB"/net/* "$LAB"/disk/* "$LAB"/fault/*
}

# --- programs there --------------------------------------------------------

on() {
	local node=$1 s id rc
	s=$LAB/node/$1/share
	shift
	lab_is_up "$node" || return 255
	id=$BASHPID.$SRANDOM
	cat >"$s/in.$id"
	printf '%q ' "$@" >"$s/cmd.$id"
	echo "$id" >"$LAB/node/$node/tty.in"
	until [ -e "$s/rc.$id" ]; do
		lab_is_up "$node" || return 255
		lab_nap 0.02
	done
	rc=$(<"$s/rc.$id")
	cat "$s/out.$id"
	rm -f "$s"/{cmd,in,out,rc}."$id"
	return "$rc"
}
lab_hub_do() { on client "$@"; }

node_put() { # node file path
	# shellcheck disable=SC2016
	on "$1" sh -c 'umask 077; cat >"$1.new" && mv "$1.new" "$1"' - "$3" <"$2"
}
node_has() { on "$1" test -e "$2" </dev/null; }
node_spawn() { # node name command...
	local node=$1 name=$2
	shift 2
	touch "$LAB/node/$node/share/$name.log"
	ln -sfn "$LAB/node/$node/share/$name.log" "$LAB/log/$node.$name.log"
	# shellcheck disable=SC2016
	on "$node" setsid -f bash -c 'n=$0; echo $$ >"/run/share/$n.pid"
		exec "$@" >>"/run/share/$n.log" 2>&1' "$name" "$@" </dev/null &&
		wait_for 10 test -s "$LAB/node/$node/share/$name.pid"
}
node_pid() {
	[ -s "$LAB/node/$1/share/$2.pid" ] &&
		echo "$(<"$LAB/node/$1/share/$2.pid")"
}
node_alive() { # node name
	local pid
	pid=$(node_pid "$1" "$2") || return 1
	on "$1" kill -0 "$pid" </dev/null 2>/dev/null
}
node_signal() { # node name signal
	local pid
	pid=$(node_pid "$1" "$2") && on "$1" kill -"$3" "$pid" </dev/null
}

# --- disks and carriers ----------------------------------------------------

disk_file() { echo "$LAB/disk/$1.$2"; }
disk_make() { # [-f] node name mib
	[ "$1" = -f ] && shift
	lab_is_up "$1" && return 1
	truncate -s "${3}M" "$LAB/disk/$1.$2" && echo "/dev/lab/$2"
}

lab_carriers() {
	local node link state
	for node in alpha bravo; do
		lab_is_up "$node" || continue
		for link in lan cross; do
			state=on
			[ -e "$LAB/fault/$node.$link.down" ] && state=off
			if [ $link = cross ]; then
				[ -e "$LAB/fault/alpha.cross.down" ] && state=off
				[ -e "$LAB/fault/bravo.cross.down" ] && state=off
			fi
			echo "set_link $link $state"
		done | (cd "$LAB" && socat -t 0.3 - "UNIX:net/mon-$node") >/dev/null
	done
}
