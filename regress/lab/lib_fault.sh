#!/bin/bash
# SPDX-License-Identifier: BSD-2-Clause
# Faults of links, made where no node can see them: at the ports of the hub.
# Sourced by lib_ns.sh and lib_pair.sh, which give lab_hub_do (runs a program
# where the ports are), lab_carriers (puts carriers as $LAB/fault/*.down say)
# and lab_is_up (a node has its ports).
#
# $LAB/fault	NODE.LINK.{in,out}.KIND, the text of nft's rules; NODE.LINK.down

link_down() {
	: >"$LAB/fault/$1.$2.down"
	lab_carriers
}
link_up() {
	busybox rm -f "$LAB/fault/$1.$2.down"
	lab_carriers
}

# Prints the rules of ports' faults, for nft to take as one transaction.
lab_drops() { # node link...
	local node=$1 link dir f
	shift
	for link in "$@"; do
		for dir in in out; do
			echo "flush chain netdev lab ${node}_${link}_$dir"
			for f in "$LAB/fault/$node.$link.$dir".*; do
				[ -f "$f" ] && echo "add rule netdev lab" \
					"${node}_${link}_$dir $(<"$f")"
			done
		done
	done
}
lab_fault() { # node link in|out kind rule ("" = none)
	if [ -n "$5" ]; then
		echo "$5" >"$LAB/fault/$1.$2.$3.$4"
	else
		busybox rm -f "$LAB/fault/$1.$2.$3.$4"
	fi
}
loss() {
	local dir rule=
	[ "$3" -gt 0 ] && rule="numgen random mod 100 < $3 counter drop"
	[ "$3" -ge 100 ] && rule="counter drop"
	for dir in in out; do
		case ${4:-both} in both | "$dir")
			lab_fault "$1" "$2" $dir loss "$rule"
			;;
		esac
	done
	lab_drops "$1" "$2" | lab_hub_do nft -f -
}
one_way() {
	local rule=
	[ "$4" = on ] && rule="counter drop"
	lab_fault "$1" "$2" "$3" cut "$rule"
	lab_drops "$1" "$2" | lab_hub_do nft -f -
}
mangle() {
	local node=$1 link=$2
	shift 2
	if [ "$1" = off ]; then
		lab_hub_do tc qdisc del dev "$node-$link" root 2>/dev/null
		return 0
	fi
	lab_hub_do tc qdisc replace dev "$node-$link" root netem \
		"$@" limit 20000
}
delay() {
	if [ "$3" -eq 0 ]; then mangle "$1" "$2" off; else
		mangle "$1" "$2" delay "${3}ms" ${4:+"${4}ms"}
	fi
}
# What alpha and bravo send each other is lost, all else is not.
pair_cut() {
	lab_fault alpha lan in pair "ether saddr $(lab_mac bravo lan) counter drop"
	lab_fault bravo lan in pair "ether saddr $(lab_mac alpha lan) counter drop"
	lab_fault alpha cross in pair "counter drop"
	lab_fault alpha cross out pair "counter drop"
	lab_pair_drops
}
pair_join() {
	busybox rm -f "$LAB"/fault/*.pair
	lab_pair_drops
}
lab_pair_drops() {
	local node
	for node in alpha bravo; do
		# shellcheck disable=SC2046
		lab_is_up $node && lab_drops $node $(lab_links $node)
	done | lab_hub_do nft -f -
}
lab_vanish() { # node rule
	local link dir
	for link in $(lab_links "$1"); do
		for dir in in out; do lab_fault "$1" "$link" $dir vanish "$2"; done
	done
	# shellcheck disable=SC2046
	lab_drops "$1" $(lab_links "$1") | lab_hub_do nft -f -
}
node_vanish() {
	local link
	if [ "$1" = -c ]; then
		for link in $(lab_links "$2"); do
			: >"$LAB/fault/$2.$link.down"
		done
		lab_carriers
		set -- "$2"
	fi
	lab_vanish "$1" "counter drop"
}
node_return() {
	local link
	for link in $(lab_links "$1"); do rm -f "$LAB/fault/$1.$link.down"; done
	lab_carriers
	lab_vanish "$1" ""
}
heal() {
	local node link
	busybox rm -f "$LAB"/fault/*
	for node in alpha bravo client; do
		# shellcheck disable=SC2046
		lab_is_up "$node" && lab_drops "$node" $(lab_links "$node")
	done | lab_hub_do nft -f -
	for node in alpha bravo client; do
		lab_is_up "$node" || continue
		for link in $(lab_links "$node"); do
			echo "qdisc del dev $node-$link root"
		done
	done | lab_hub_do tc -force -batch - 2>/dev/null
	lab_carriers
}
