#!/bin/bash
# SPDX-License-Identifier: BSD-2-Clause
# Nodes as namespaces; sourced by lib.sh, which says what the functions do.
#
# Every link of a node is a veth whose other end is a port in the network
# namespace "hub", where a bridge per link joins the ports.  All faults are
# made there, so that a node sees them as it would see a fault of the cable
# or the switch: nftables at a port drops (it works in kernels without
# netem), netem delays, and a port that is down takes the carrier away.
#
# Under emulation a dynamically linked program takes 30 ms to start, busybox
# 8 ms and the shell's own words nothing; the hot paths below are made so.
#
# $LAB/node/NODE	pid (of the process that holds the mount namespace),
#			NAME.pid (of what node_spawn started), etc, var, srv,
#			dev (/dev/lab)

# shellcheck source=regress/lab/lib_fault.sh
. "$LAB_ROOT/regress/lab/lib_fault.sh"

lab_is_up() { [ -e "/run/netns/$1" ]; }
lab_pid() { { echo "$(<"$LAB/node/$1/pid")"; } 2>/dev/null; }

# Sets lab_path to where a program is: busybox would take its own for it.
lab_find() { # program
	lab_path=$1
	case $1 in */*) return ;; esac
	hash "$1" 2>/dev/null
	lab_path=${BASH_CMDS[$1]:-$(type -P "$1")}
	[ -n "$lab_path" ] && return
	echo "lab: no program $1" >&2
	return 127
}
on() {
	local node=$1 lab_path
	lab_find "$2" || return
	shift 2
	busybox nsenter -t "$(lab_pid "$node")" -n -m -u -- "$lab_path" "$@"
}

# Runs as the first process of a node's mount namespace.
lab_node_init() { # node
	local n=$LAB/node/$1 d b=/bin/busybox
	$b hostname "$1"
	exec 9<"$LAB_ROOT"
	for d in /run /srv; do
		$b mount -t tmpfs -o mode=755 "$1" $d
		case $LAB_ROOT in
		$d/*)
			mkdir -p "$LAB_ROOT"
			mount -c --rbind /proc/self/fd/9 "$LAB_ROOT"
			;;
		esac
	done
	exec 9<&-
	$b mkdir -p /run/lock /run/netns
	$b mount -o bind "$n/etc" /etc/had
	$b mount -o bind "$n/var" /var/lib/had
	$b mount -o bind "$n/dev" /dev/lab
	case $LAB_ROOT in /srv/*) ;; *) $b mount -o bind "$n/srv" /srv ;; esac
	$b mount -t tmpfs -o mode=755 had /dev/had
	$b mount -t sysfs sysfs /sys
	$b mount -t cgroup2 cgroup /sys/fs/cgroup 2>/dev/null
	echo 0 >/proc/sys/net/ipv6/conf/default/accept_dad
	echo 0 >/proc/sys/net/ipv6/conf/all/accept_dad
	echo "$BASHPID" >"$n/pid"
	exec sleep infinity
}

lab_hub() {
	ip netns list 2>/dev/null | grep -q '^hub' && return
	ip netns add hub
	ip -n hub -batch - <<-'END'
		link set lo up
		link add br-lan type bridge forward_delay 0 mcast_snooping 0
		link add br-cross type bridge forward_delay 0 mcast_snooping 0
		link set br-lan up
		link set br-cross up
	END
	lab_hub_do nft add table netdev lab
}

lab_hub_do() {
	local lab_path
	lab_find "$1" || return
	shift
	busybox nsenter --net=/run/netns/hub -- "$lab_path" "$@"
}

lab_ports_up() { # node
	local link mtu
	for link in $(lab_links "$1"); do
		mtu=1500
		[ "$link" = cross ] && mtu=${LAB_CROSS_MTU:-1500}
		echo "link add $1-$link mtu $mtu type veth peer name ${link}0" \
			"address $(lab_mac "$1" "$link") mtu $mtu netns $1"
		echo "link set $1-$link master br-$link"
	done | ip -n hub -batch - || return
	for link in $(lab_links "$1"); do
		echo "add chain netdev lab $1_${link}_out" \
			"{ type filter hook ingress device \"$1-$link\" priority 0; }"
		echo "add chain netdev lab $1_${link}_in" \
			"{ type filter hook egress device \"$1-$link\" priority 0; }"
	done | lab_hub_do nft -f - || return
	busybox rm -f "$LAB/fault/$1".*
}

power_on() { # node
	local n=$LAB/node/$1 host
	host=$(lab_host "$1")
	busybox mkdir -p "$n/etc" "$n/var" "$n/srv" "$n/dev"
	busybox rm -f "$n"/*pid
	ip netns add "$1" && lab_ports_up "$1" || return
	export -f lab_node_init
	nsenter --net="/run/netns/$1" unshare --mount --uts \
		--propagation private bash -c "lab_node_init $1" \
		>>"$LAB/log/$1.init.log" 2>&1 </dev/null &
	disown $!
	wait_for 20 test -s "$n/pid" || return
	{
		echo "link set lo up"
		echo "addr add 192.0.2.$host/24 dev lan0"
		echo "addr add 2001:db8::$host/64 dev lan0 nodad"
		echo "link set lan0 up"
		if [ "$1" != client ]; then
			echo "addr add $(lab_cross "$1")/24 dev cross0"
			echo "link set cross0 up"
		fi
	} | ip -n "$1" -batch -
	lab_carriers
}

nodes_up() {
	local node job jobs=()
	lab_hub
	[ $# -gt 0 ] || set -- alpha bravo client
	for node in "$@"; do
		power_on "$node" &
		jobs+=($!)
	done
	for job in "${jobs[@]}"; do wait "$job" || return; done
	lab_carriers
}

# Processes in the node's network namespace, whatever they are.
lab_processes() { # node
	stat -Lc '%i %n' "/run/netns/$1" /proc/[0-9]*/ns/net 2>/dev/null |
		awk 'NR == 1 { want = $1; ok = $2 ~ /^\/run/; next }
			ok && $1 == want { split($2, a, "/"); print a[3] }'
}

# What is left of the node's kernel block devices would hold up umount.
lab_detach() { # node
	local d pids
	pids=" $(lab_processes "$1" | tr '\n' ' ')"
	for d in /sys/block/nbd*/pid; do
		[ -e "$d" ] || continue
		case $pids in *" $(cat "$d") "*)
			d=${d%/pid}
			nbd-client -d "/dev/${d##*/}" >/dev/null 2>&1
			;;
		esac
	done
}

power_cut() { # node
	local link p pids
	lab_is_up "$1" || return 0
	for link in $(lab_links "$1"); do
		echo "link del $1-$link"
	done | ip -n hub -force -batch - 2>/dev/null
	busybox rm -f "$LAB/fault/$1".*
	[ "$1" = client ] || : >"$LAB/fault/$1.cross.down"
	lab_carriers
	pids=$(lab_processes "$1")
	for p in $pids; do kill -STOP "$p" 2>/dev/null; done
	lab_detach "$1"
	for p in $pids; do kill -KILL "$p" 2>/dev/null; done
	wait_for 10 lab_no_process "$1"
	ip netns del "$1" 2>/dev/null
	rm -f "$LAB/node/$1"/*pid "$LAB/fault/$1.cross.down"
}
lab_no_process() { [ -z "$(lab_processes "$1")" ]; }

nodes_down() {
	local node
	for node in alpha bravo client; do
		power_cut "$node"
	done
	ip netns del hub 2>/dev/null
	[ -z "${LAB_DISK_DM:-}" ] || dmsetup remove_all
	losetup -a | sed -n "s#^\(/dev/loop[0-9]*\):.*($LAB/disk/.*#\1#p" |
		xargs -r losetup -d
	rm -f "$LAB"/disk/* "$LAB"/fault/*
	rm -rf "$LAB"/node/*
}

# --- programs there --------------------------------------------------------

node_put() { # node file path
	on "$1" sh -c 'umask 077; cat >"$1.new" && mv "$1.new" "$1"' - "$3" <"$2"
}
node_has() { [ -e "/proc/$(lab_pid "$1")/root$2" ]; }

# Starts a program there, its output in $LAB/log/NODE.NAME.log.
node_spawn() { # node name command...
	local node=$1
	local file=$LAB/node/$1/$2.pid log=$LAB/log/$1.$2.log
	shift 2
	busybox rm -f "$file"
	# shellcheck disable=SC2016
	setsid -f nsenter -t "$(lab_pid "$node")" -n -m -u -- \
		bash -c 'echo $$ >"$0.new"; mv "$0.new" "$0"; exec "$@"' \
		"$file" "$@" >>"$log" 2>&1 </dev/null
	wait_for 10 test -s "$file"
}
node_pid() {
	[ -f "$LAB/node/$1/$2.pid" ] && echo "$(<"$LAB/node/$1/$2.pid")"
}
node_alive() { # node name
	local pid stat
	pid=$(node_pid "$1" "$2") || return 1
	{ read -r stat <"/proc/$pid/stat"; } 2>/dev/null || return 1
	case ${stat##*) } in [ZX]*) return 1 ;; esac
}
node_signal() { # node name signal
	local pid
	pid=$(node_pid "$1" "$2") && kill -"$3" "$pid"
}

# --- disks -----------------------------------------------------------------

disk_file() { echo "$LAB/disk/$1.$2"; }
disk_make() { # [-f] node name mib
	local plain='' f dev
	[ "$LAB_MODE" = native ] && plain=1
	[ "$1" = -f ] && plain=1 && shift
	f=$(disk_file "$1" "$2")
	mkdir -p "$LAB/node/$1/dev"
	truncate -s "${3}M" "$f" || return
	dev=$f
	if [ -z "$plain" ]; then
		dev=$(losetup -f --show "$f") || return
	fi
	if [ -n "${LAB_DISK_DM:-}" ]; then
		[ -z "$plain" ] || return
		disk_table "$1" "$2" <<<"0 $((${3} * 2048)) linear $dev 0" ||
			return
		dev=/dev/$(dmsetup info -c --noheadings -o blkdevname \
			"lab-$1-$2")
	fi
	ln -sfn "$dev" "$LAB/node/$1/dev/$2"
	echo "/dev/lab/$2"
}

disk_share() { # name mib
	disk_make alpha "$1" "$2" || return
	mkdir -p "$LAB/node/bravo/dev"
	cp -P "$LAB/node/alpha/dev/$1" "$LAB/node/bravo/dev/$1"
}

# A table for the device mapper's disk, from standard input; a new one is
# made.  What is under way fails or ends before the new table counts.
disk_table() { # node name
	local dm=lab-$1-$2
	modprobe -q dm-mod
	export DM_DISABLE_UDEV=1
	if ! dmsetup info "$dm" >/dev/null 2>&1; then
		dmsetup create "$dm"
		return
	fi
	dmsetup load "$dm" && dmsetup suspend --noflush --nolockfs "$dm" &&
		dmsetup resume "$dm"
}
disk_fails() { # node name all|writes|FIRST-LAST
	local dev all
	dev=$(losetup -n -O NAME -j "$(disk_file "$1" "$2")")
	all=$(($(stat -c %s "$(disk_file "$1" "$2")") / 512))
	case $3 in
	all) echo "0 $all error" ;;
	writes)
		modprobe -q dm-flakey
		echo "0 $all flakey $dev 0 0 1 1 error_writes"
		;;
	*-*)
		local first=$((${3%-*} * 2)) last=$(((${3#*-} + 1) * 2))
		[ $first -gt 0 ] && echo "0 $first linear $dev 0"
		echo "$first $((last - first)) error"
		[ $last -lt $all ] &&
			echo "$last $((all - last)) linear $dev $last"
		;;
	esac | disk_table "$1" "$2"
}
disk_works() { # node name
	local dev all
	dev=$(losetup -n -O NAME -j "$(disk_file "$1" "$2")")
	all=$(($(stat -c %s "$(disk_file "$1" "$2")") / 512))
	disk_table "$1" "$2" <<<"0 $all linear $dev 0"
}

# --- faults ----------------------------------------------------------------

# Sets the ports of all links as the files in $LAB/fault say.
lab_carriers() {
	local link node state
	for link in lan cross; do
		for node in alpha bravo client; do
			[ $node$link = clientcross ] && continue
			state=up
			[ -e "$LAB/fault/$node.$link.down" ] && state=down
			# A crossover has two ends and one carrier.
			if [ $link = cross ]; then
				[ -e "$LAB/fault/alpha.cross.down" ] && state=down
				[ -e "$LAB/fault/bravo.cross.down" ] && state=down
			fi
			lab_is_up "$node" &&
				echo "link set $node-$link $state"
		done
	done | ip -n hub -force -batch - 2>/dev/null
	return 0
}
