#!/bin/bash
# SPDX-License-Identifier: BSD-2-Clause
# Arbiters for the pair of cluster.sh, comes after it.  Not for pair mode.
#
#	fence_lines LEVELS [TIMEOUT]	for LAB_NODE: agents/fence_power so often
#	fence_how LEVEL HOW	its agent is "ok", or does it "fail", "hang" or
#				"lie" (says done, does nothing)
#	power_serve		switches nodes off as agents (and nodes that
#				fence themselves, CLUSTER_RESET=$LAB/power/self)
#				ask for it, until the script ends
#	power_cuts NODE		how often that was done
#	is_dark NODE		true if the node is off
#	witness_make		the witness's key, on the client
#	witness_line		for LAB_CLUSTER
#	witness_start, witness_stop SIGNAL	comes back when it listens, is gone
#	lease_holder		the name of the node that the witness says
#	lockdisk_make NAME, lockdisk_init NAME	/dev/lab/NAME on both nodes, and
#				what makes it a lock disk once had.conf is there
#	voters_answer NODE N	true if NODE hears so many
#	served [SECONDS]	true once the client gets a new answer
#	has_mount NODE		true if the file system is mounted there
#	held_for SECONDS	true if nothing is acknowledged all that time
#	one_owner		true if exactly one node says that it runs shop

fence_lines() {
	local l
	for l in $(seq 1 "$1"); do
		cat <<-END
			fence "$LAB_ROOT/regress/lab/agents/fence_power" timeout ${2:-20s} {
				state "$LAB/power"
				level $l
			}
		END
	done
}
fence_how() { echo "$2" >"$LAB/power/how.$1"; }

lab_power_server() {
	local f node
	while :; do
		for f in "$LAB"/power/{alpha,bravo}.off \
			"$LAB"/power/self.{alpha,bravo}; do
			[ -e "$f" ] || continue
			node=${f##*/}
			node=${node#self.}
			node=${node%.off}
			echo "$(now_ms) $node ${f##*/}" >>"$LAB/log/power"
			power_cut "$node"
			rm -f "$f"
		done
		lab_nap 0.05
	done
}
power_serve() {
	mkdir -p "$LAB/power"
	: >"$LAB/log/power"
	lab_power_server >>"$LAB/log/power.out" 2>&1 &
	disown $!
}
power_cuts() { grep -c " $1 " "$LAB/log/power"; }
is_dark() { ! lab_is_up "$1" && [ ! -e "$LAB/node/$1/pid" ]; }

# --- voters ----------------------------------------------------------------

witness_make() {
	local id=0 node
	mkdir -p "$LAB/witness"
	on client had-witness -g -d "$LAB/witness" >"$LAB/witness.pin" || return
	{
		echo "listen 192.0.2.100"
		echo "cluster lab"
		for node in alpha bravo; do
			id=$((id + 1))
			echo "node $id $(lab_key $node)"
		done
	} >"$LAB/witness.conf"
}
witness_line() {
	echo "witness 192.0.2.100 key \"$(cat "$LAB/witness.pin")\""
}
lab_witness_listens() {
	grep -q 'listens at' "$LAB/log/client.witness.log"
}
lab_witness_gone() { ! node_alive client witness; }
witness_start() {
	rm -f "$LAB/log/client.witness.log"
	node_spawn client witness had-witness -d "$LAB/witness" \
		-f "$LAB/witness.conf" && wait_for 15 lab_witness_listens
}
witness_stop() {
	node_signal client witness "$1"
	wait_for 10 lab_witness_gone
}
lease_holder() {
	case $(had-witness -s -d "$LAB/witness" -f "$LAB/witness.conf") in
	"lab: node 1 "*) echo alpha ;;
	"lab: node 2 "*) echo bravo ;;
	*) echo nobody ;;
	esac
}
lockdisk_make() { disk_share "$1" 1; }
lockdisk_init() { hactl alpha lockdisk create "/dev/lab/$1"; }
voters_answer() { # node how-many
	[ "$(status "$1" '[.arbiters[] | select(.state == "answers")] | length')" = "$2" ]
}

# --- what the client sees --------------------------------------------------

held_for() { # seconds
	local before
	before=$(on client tail -n 1 "$LAB/records.log")
	wait_for "$1" false
	[ "$(on client tail -n 1 "$LAB/records.log")" = "$before" ]
}
served() {
	local t
	t=$(now_ms)
	wait_for "${1:-20}" answered_since "$t"
}
has_mount() { on "$1" mountpoint -q /srv/orders; }
one_owner() {
	local n=0 node
	for node in alpha bravo; do
		lab_is_up $node && service_on $node && n=$((n + 1))
	done
	[ $n = 1 ]
}
