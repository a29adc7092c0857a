#!/bin/bash
# SPDX-License-Identifier: BSD-2-Clause
# The library of lab scripts.  A script begins with
#	. "$LAB_ROOT/regress/lab/lib.sh"
# and is run by regress/lab/run.  Nodes are alpha, bravo and client; links
# are lan and cross.  In guest and native mode a node is a set of namespaces
# (lib_ns.sh), in pair mode an emulated machine (lib_pair.sh).
#
#	node	lan0 (all in one switch)	cross0 (alpha and bravo)
#	alpha	192.0.2.11  2001:db8::11	10.77.0.1
#	bravo	192.0.2.12  2001:db8::12	10.77.0.2
#	client	192.0.2.100 2001:db8::100
#
# Results (TAP)
#	plan N			how many tests there will be, or
#	done_testing		at the end, instead
#	ok NAME, not_ok NAME [WHY]
#	is GOT WANTED NAME	equal strings
#	at_most GOT LIMIT NAME	integers (a missing or odd GOT fails)
#	check NAME COMMAND...	the command succeeds; what it prints is shown
#				only if it does not
#	refuse NAME COMMAND...	the command fails
#	skip NAME WHY, skip_all WHY, diag TEXT, bail WHY (ends the script)
#	logs_keep		keep this script's logs although it is good
#
# Nodes
#	nodes_up [NODE...]	boots them (default all three).  In pair mode
#				those in LAB_SYSTEMD with Debian's systemd
#	nodes_down		all gone
#	on NODE COMMAND...	runs it there, with this script's functions out
#				of reach; LAB_BIN and the tools are in PATH
#	power_cut NODE		it is gone at once, with all that ran there, its
#				addresses, nft tables, mounts and /run
#	power_on NODE		boots it; /etc/had, /var/lib/had, /srv and disks
#				are as they were
#	reboot NODE		power_cut, power_on, had_start if had was running
#	disk_make NODE NAME MIB	an empty disk; prints its path there, which is
#				/dev/lab/NAME on every node.  A loop device in
#				guests, a file natively; -f: a file anyhow.
#				In pair mode before the node is booted.
#				With LAB_DISK_DM set (guest): one that can fail
#	disk_share NAME MIB	an empty disk that alpha and bravo both have
#	disk_fails NODE NAME HOW	I/O errors from now on; HOW is all, writes,
#				or FIRST-LAST, in KiB
#	disk_works NODE NAME	and no more; it holds what it held
#	disk_file NODE NAME	the file behind it, as the script sees it
#
# The daemon
#	conf_write [<TEXT]	the same had.conf for alpha and bravo: cluster
#				and nodes, then the text of standard input.
#				LAB_HEARTBEAT (100ms), LAB_DEAD (1s),
#				LAB_SILENT (takeover); makes keys where none
#				are.  LAB_CLUSTER, if set, stands in the cluster
#				in place of "silent peer", LAB_NODE in each
#				node, and conf_links NODE prints its links
#	had_start NODE [ARG...]	had -d -f /etc/had/had.conf; comes back when its
#				control socket is there; false: it died.
#				LAB_HAD: another program in its place
#	had_stop NODE		SIGTERM, and waits (30 s)
#	had_kill NODE		SIGKILL, and waits
#	had_running NODE	true while its process is there
#	had_pid NODE, had_log NODE (path)
#	freeze NODE, thaw NODE	SIGSTOP, SIGCONT of had
#	hactl NODE ARG...
#
# Faults; "in" is towards the node, "out" away from it.  Nothing of it can be
# seen from within the node, but for its carrier where that is said.
#	link_down NODE LINK	the cable is out: carrier lost (cross: both ends)
#	link_up NODE LINK
#	loss NODE LINK PERCENT [in|out|both]	silent; 0 ends it
#	one_way NODE LINK in|out on|off		silent, everything
#	delay NODE LINK MS [JITTER_MS]		of what goes in; 0 ends it
#	mangle NODE LINK NETEM...		netem's words, for what goes in;
#						"off" ends it
#	node_vanish NODE	all its links dead at once, carriers stay;
#				-c: the carriers go, too
#	node_return NODE	undoes that
#	pair_cut, pair_join	alpha and bravo do not hear each other on any
#				link; carriers stay, and all others hear both
#	heal			undoes every fault of every node's links
#
# Time and measuring
#	now_ms			milliseconds since 1970
#	wait_for SECONDS COMMAND...	until it succeeds, every 50 ms
#	never_for SECONDS COMMAND...	it fails all that time
#	prober_start ID ARG...	regress/lab/tools/prober on the client
#	prober_stop ID		ends it
#	prober_get ID FILTER	jq -r FILTER of what it reported
#
# LAB is a directory of this script alone, LAB/log holds what is kept when
# it fails; LAB_MODE is guest, native or pair; LAB_ROOT the checkout.

: "${LAB_ROOT:?is set by regress/lab/run}" "${LAB:?}" "${LAB_MODE:?}"
LAB_BIN=$LAB_ROOT/build/${BUILD:-release}
PATH=$LAB_BIN:$LAB_BIN/tools:$PATH:/usr/sbin:/sbin
export PATH LAB_BIN LC_ALL=C
set -u

# --- results ---------------------------------------------------------------

lab_n=0 lab_bad=0 lab_planned=
plan() {
	lab_planned=$1
	echo "1..$1"
}
done_testing() {
	[ -n "$lab_planned" ] || echo "1..$lab_n"
	lab_planned=$lab_n
	exit $((lab_bad > 0))
}
diag() { printf '%s\n' "$*" | sed 's/^/# /'; }
ok() {
	lab_n=$((lab_n + 1))
	echo "ok $lab_n - $1"
}
not_ok() {
	lab_n=$((lab_n + 1)) lab_bad=$((lab_bad + 1))
	echo "not ok $lab_n - $1"
	[ -z "${2:-}" ] || diag "  $2"
	return 1
}
is() {
	if [ "$1" = "$2" ]; then ok "$3"; else
		not_ok "$3" "got '$1', wanted '$2'"
	fi
}
at_most() {
	if [ -n "$1" ] && [ "$1" -le "$2" ] 2>/dev/null; then
		ok "$3 ($1, at most $2)"
	else
		not_ok "$3" "got '$1', wanted at most $2"
	fi
}
check() {
	local name=$1
	shift
	if "$@" >"$LAB/log/.out" 2>&1; then ok "$name"; else
		not_ok "$name" "failed: $* ($(tail -n 3 "$LAB/log/.out"))"
	fi
}
refuse() {
	local name=$1
	shift
	if "$@" >"$LAB/log/.out" 2>&1; then
		not_ok "$name" "succeeded: $* ($(tail -n 3 "$LAB/log/.out"))"
	else
		ok "$name"
	fi
}
skip() {
	lab_n=$((lab_n + 1))
	echo "ok $lab_n - $1 # SKIP $2"
}
skip_all() {
	echo "1..0 # SKIP $1"
	exit 0
}
bail() {
	not_ok "can go on" "$*"
	exit 1
}
logs_keep() { touch "$LAB/log/.keep"; }

# --- time ------------------------------------------------------------------

now_ms() {
	local t=${EPOCHREALTIME/[.,]/}
	echo $((t / 1000))
}
# Milliseconds left until $1, 0 when it has passed.
lab_until() {
	local t=${EPOCHREALTIME/[.,]/}
	[ "$1" -gt $((t / 1000)) ]
}
# Sleeps without a program: reads from a pipe that nobody writes to.
lab_nap() { # seconds
	local fd
	exec {fd}<>"$LAB/.nap"
	read -rt "$1" -u "$fd"
	exec {fd}<&-
}
[ -p "$LAB/.nap" ] || mkfifo "$LAB/.nap"
wait_for() {
	local end
	end=$(($(now_ms) + $1 * 1000))
	shift
	until "$@" >/dev/null 2>&1; do
		lab_until $end || return 1
		lab_nap 0.05
	done
}
never_for() {
	local end
	end=$(($(now_ms) + $1 * 1000))
	shift
	while lab_until $end; do
		"$@" >/dev/null 2>&1 && return 1
		lab_nap 0.05
	done
	return 0
}

# --- addresses -------------------------------------------------------------

lab_host() {
	case $1 in alpha) echo 11 ;; bravo) echo 12 ;; client) echo 100 ;; esac
}
lab_links() {
	case $1 in client) echo lan ;; *) echo lan cross ;; esac
}
lab_cross() {
	case $1 in alpha) echo 10.77.0.1 ;; bravo) echo 10.77.0.2 ;; esac
}
lab_mac() { # node link
	case $2 in
	lan) printf '02:00:00:00:01:%02x\n' "$(lab_host "$1")" ;;
	cross) printf '02:00:00:00:02:%02x\n' "$(lab_host "$1")" ;;
	esac
}

# shellcheck source=regress/lab/lib_ns.sh
case $LAB_MODE in
pair) . "$LAB_ROOT/regress/lab/lib_pair.sh" ;;
*) . "$LAB_ROOT/regress/lab/lib_ns.sh" ;;
esac

# --- the daemon ------------------------------------------------------------

hactl() {
	local node=$1
	shift
	on "$node" "$LAB_BIN/hactl" "$@"
}
had_log() { echo "$LAB/log/$1.had.log"; }

lab_key() { # node
	local out="$LAB/node/$1/key"
	if [ ! -s "$out" ]; then
		# Standard input is what conf_write has yet to read.
		hactl "$1" keygen </dev/null >"$LAB/node/$1/keygen" 2>&1 ||
			diag "keygen: $(cat "$LAB/node/$1/keygen")"
		grep -oE 'sha256:[0-9a-f]{64}' "$LAB/node/$1/keygen" |
			head -n 1 >"$out"
	fi
	cat "$out"
}

conf_links() {
	echo "link cross $(lab_cross "$1") interface \"cross0\""
	echo "link lan 192.0.2.$(lab_host "$1") interface \"lan0\""
}
conf_write() {
	local node id conf=$LAB/had.conf
	{
		echo "cluster lab {"
		echo "	heartbeat ${LAB_HEARTBEAT:-100ms}"
		echo "	dead ${LAB_DEAD:-1s}"
		echo "${LAB_CLUSTER-	silent peer ${LAB_SILENT:-takeover}}"
		echo "}"
		id=0
		for node in alpha bravo; do
			id=$((id + 1))
			cat <<-END
				node $node {
					id $id
					key "$(lab_key $node)"
					$(conf_links $node)
					${LAB_NODE:-}
				}
			END
		done
		cat
	} >"$conf"
	for node in alpha bravo; do
		node_put "$node" "$conf" /etc/had/had.conf || return
	done
	cp "$conf" "$LAB/log/had.conf"
}

had_start() {
	local node=$1 end
	shift
	node_spawn "$node" had "${LAB_HAD:-$LAB_BIN/had}" -d \
		-f /etc/had/had.conf "$@" || return
	end=$(($(now_ms) + 15000))
	until node_has "$node" /run/had/ctl.sock; do
		had_running "$node" || return 1
		lab_until $end || return 1
		lab_nap 0.02
	done
}
had_pid() { node_pid "$1" had; }
had_running() { node_alive "$1" had; }
lab_gone() { ! node_alive "$1" "$2"; }
had_signal() { node_signal "$2" had "$1"; }
lab_stopped() { grep -q '^State:.T' "/proc/$(had_pid "$1")/status"; }
freeze() {
	had_signal STOP "$1"
	[ "$LAB_MODE" = pair ] || wait_for 5 lab_stopped "$1"
}
thaw() { had_signal CONT "$1"; }
had_kill() {
	had_signal KILL "$1"
	wait_for 10 lab_gone "$1" had
}
had_stop() {
	had_signal TERM "$1"
	wait_for 30 lab_gone "$1" had
}
reboot() {
	local was=
	had_running "$1" && was=1
	power_cut "$1"
	power_on "$1" || return
	[ -z "$was" ] || had_start "$1"
}

# --- measuring -------------------------------------------------------------

prober_start() {
	local id=$1
	shift
	node_spawn client "prober.$id" prober "$@" || return
	wait_for 10 grep -q '^probing' "$LAB/log/client.prober.$id.log"
}
prober_stop() {
	node_signal client "prober.$1" TERM
	wait_for 10 lab_gone client "prober.$1"
}
prober_get() {
	sed -n '/^{/,$p' "$LAB/log/client.prober.$1.log" | jq -r "$2"
}
