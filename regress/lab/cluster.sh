#!/bin/bash
# SPDX-License-Identifier: BSD-2-Clause
# A running pair with one service, for the demo and for lab scripts:
#	volume orders -> ext4 on /srv/orders -> records -> address 192.0.2.80
# and the lockspace "default".  Comes after lib.sh.
#
#	cluster_up [MIB]	nodes, disks, both daemons; alpha has the data.
#				CLUSTER_STEPS: more steps, before the addresses;
#				CLUSTER_EXTRA: more blocks;
#				cluster_before: what is to be done before the
#				configuration is written (redefine it)
#	node_start NODE		had, with HAD_SELF_FENCE_FAKE where
#				CLUSTER_RESET says so (NODE is appended)
#	node_again NODE		the same after a loss of power
#	whole			paired and in sync again
#	said NODE RULE		the rule is among what NODE's why tells
#	forgive			an operator's "thaw": services may move by
#				themselves again (R10)
#	events_have NODE TEXT	a note of NODE has it
#	cluster_paired		true if both nodes say they are paired
#	service_on NODE		true if NODE says that it runs shop
#	in_sync			true if alpha and bravo both say in-sync
#	status NODE FILTER	jq -r FILTER of hactl status --json
#	writer_start, writer_stop	records write on the client; log in
#				$LAB/records.log
#	gap_ms FROM [TO]	longest time between two answers in that span of
#				now_ms, the span's ends included
#	verify			every acknowledged record is read back
#	quiesce			stops the service for good
#	backing_equal		checksums of both backing devices' data, after
#				quiesce; where they differ is kept in the logs
#	answers NODE		true if NODE's hardware answers for the address

VIP=192.0.2.80
VIP6=2001:db8::80
PORT=9000

cluster_conf() {
	conf_write <<-EOF
		volume orders {
			device "/dev/lab/orders"
		}
		address web {
			$VIP/24 interface lan0
		}
		address web6 {
			$VIP6/64 interface lan0
		}
		lockspace default {
		}
		service shop {
			prefer alpha
			start {
				volume orders
				mount orders on "/srv/orders" type ext4
				command records {
					start "$LAB_BIN/tools/records serve :: $PORT /srv/orders </dev/null >/dev/null 2>&1 &"
				}
				${CLUSTER_STEPS:-}
				address web
				address web6
			}
		}
		${CLUSTER_EXTRA:-}
	EOF
}

cluster_before() { :; }
cluster_up() {
	local mib=${1:-48} node
	nodes_up || return 1
	for node in alpha bravo; do
		disk_make $node orders "$mib" >/dev/null || return 1
		on $node mkdir -p /srv/orders || return 1
	done
	cluster_before || return 1
	cluster_conf || return 1
	on alpha hactl volume create orders --mkfs ext4 || return 1
	on bravo hactl volume create orders || return 1
	node_start alpha && node_start bravo
}
node_start() {
	if [ -n "${CLUSTER_RESET:-}" ]; then
		HAD_SELF_FENCE_FAKE=$CLUSTER_RESET.$1 had_start "$1"
	else
		had_start "$1"
	fi
}
node_again() {
	power_cut "$1"
	power_on "$1" && node_start "$1"
}

status() { hactl "$1" status --json | jq -r "$2"; }

cluster_paired() {
	[ "$(status alpha '.nodes[0].state')" = paired ] &&
		[ "$(status bravo '.nodes[0].state')" = paired ]
}
service_on() {
	[ "$(status "$1" '.services[0].on + " " + .services[0].state')" = "$1 running" ]
}
said() {
	hactl "$1" why --json |
		jq -e --arg r "$2" 'any(.events[]; .rule == $r)' >/dev/null
}
events_have() { grep -qF "$2" "$(had_log "$1")"; }
whole() { wait_for 40 cluster_paired && wait_for 60 in_sync; }
forgive() {
	hactl alpha thaw || return
	wait_for 1 false || true
}
in_sync() {
	[ "$(status alpha '.volumes[0].connection')" = in-sync ] &&
		[ "$(status bravo '.volumes[0].connection')" = in-sync ]
}
links_up() {
	[ "$(status "$1" '[.links[] | select(.state == "up")] | length')" = "$2" ]
}

# The log is on the client, which may be a machine of its own.
writer_log() { on client cat "$LAB/records.log"; }
writer_began() { [ -n "$(writer_log 2>/dev/null | head -n 1)" ]; }
writer_start() {
	on client mkdir -p "$LAB" || return
	on client records write $VIP $PORT "$LAB/records.log" \
		</dev/null >"$LAB/records.json" 2>"$LAB/records.err" &
	writer_pid=$!
	wait_for 20 writer_began
}
writer_stop() {
	on client pkill -TERM -f "records write $VIP $PORT"
	wait "$writer_pid" 2>/dev/null
	true
}
gap_ms() {
	writer_log | awk -v from="$1" -v to="${2:-$(now_ms)}" '
		BEGIN { last = from }
		$1 < from { next }
		$1 > to { exit }
		{ if ($1 - last > gap) gap = $1 - last; last = $1 }
		END { if (to - last > gap) gap = to - last; print gap + 0 }'
}
# True once the client has got an answer after that time.
answered_since() {
	[ "$(on client tail -n 1 "$LAB/records.log" | cut -d' ' -f1)" -gt "$1" ]
}
verify() { on client records verify $VIP $PORT "$LAB/records.log"; }

# Of the part that holds data: the metadata differ, of course.
data_sum() {
	local bytes
	bytes=$(hactl "$1" --json volume dump orders | jq .data_bytes)
	head -c "$bytes" "$(disk_file "$1" orders)" | sha256sum | cut -d' ' -f1
}
# With the service stopped on both nodes: nothing writes any more.
quiesce() {
	hactl alpha standby --force alpha >/dev/null
	hactl bravo standby --force bravo >/dev/null
	wait_for 30 nothing_runs
}
nothing_runs() {
	[ "$(status alpha '.services[0].state + .services[0].on')" = stopped ] &&
		[ "$(status bravo '.services[0].state + .services[0].on')" = stopped ]
}
backing_equal() {
	[ "$(data_sum alpha)" = "$(data_sum bravo)" ] && return
	# Which blocks of 4 KiB, for the log.
	cmp -l "$(disk_file alpha orders)" "$(disk_file bravo orders)" 2>&1 |
		awk '{ b = int(($1 - 1) / 4096) } b != last { print "block " b; last = b }' |
		head -n 20 >"$LAB/log/differ"
	false
}

mac_of() { on "$1" cat /sys/class/net/lan0/address; }
