#!/bin/bash
# SPDX-License-Identifier: BSD-2-Clause
# What the lab promises, wherever its nodes are namespaces.  Sourced by the
# self-tests of the guest (t/00-lab.t) and of this machine (../native).

carrier() { # node link 0|1
	local v top
	top=/proc/$(lab_pid "$1")/root
	read -r v <"$top/sys/class/net/${2}0/carrier" &&
		[ "$v" = "$3" ]
}
reach() { on "$1" ping -q -n -c 2 -i 0.02 -W 0.4 "$2"; }
lone_ping() { on "$1" ping -q -n -c 1 -W 0.4 "$2"; }
echoes() { on "$1" awk '/^Icmp:/ && n++ { print $10 }' /proc/net/snmp; }
proc_state() { sed -n 's/^.*) \([A-Z]\) .*/\1/p' "/proc/$(had_pid "$1")/stat"; }
running() { [ "$(proc_state "$1")" != T ]; }

self_reach() {
	check "nodes come up" nodes_up
	check "alpha reaches bravo by lan" wait_for 5 reach alpha 192.0.2.12
	check "alpha reaches bravo by cross" wait_for 5 reach alpha 10.77.0.2
	check "the client reaches bravo" wait_for 5 reach client 192.0.2.12
	check "the client reaches alpha by IPv6" \
		wait_for 5 reach client 2001:db8::11
	refuse "the client has no cross" reach client 10.77.0.1
	is "$(on alpha hostname) $(on bravo hostname)" "alpha bravo" \
		"each node has its name"
}

self_links() {
	link_down alpha lan
	check "link_down: alpha's carrier is lost" wait_for 3 carrier alpha lan 0
	check "link_down: bravo's is not" carrier bravo lan 1
	refuse "link_down: nothing passes" reach alpha 192.0.2.12
	link_up alpha lan
	check "link_up: the carrier is back" wait_for 3 carrier alpha lan 1
	check "link_up: alpha reaches bravo" wait_for 5 reach alpha 192.0.2.12
	link_down bravo cross
	check "a crossover's carrier is lost at one end" \
		wait_for 3 carrier bravo cross 0
	check "and at the other" wait_for 3 carrier alpha cross 0
	link_up bravo cross
	check "and comes back at both" wait_for 5 reach alpha 10.77.0.2
}

self_silence() {
	local before got
	loss alpha lan 100
	check "loss: the carrier stays" carrier alpha lan 1
	refuse "loss 100: nothing passes" reach alpha 192.0.2.12
	check "loss 100: the other link is untouched" reach alpha 10.77.0.2
	loss alpha lan 0
	check "loss 0: all passes" wait_for 5 reach alpha 192.0.2.12
	loss alpha cross 50 in
	got=$(on alpha ping -q -n -c 60 -i 0.01 -W 0.3 10.77.0.2 |
		sed -n 's/.*, \([0-9]*\) received.*/\1/p')
	check "loss 50 in: some pass, some do not ($got of 60)" \
		test "$got" -gt 5 -a "$got" -lt 55
	loss alpha cross 0
	is "$(on alpha ping -q -n -c 20 -i 0.01 -W 1 10.77.0.2 |
		sed -n 's/.*, \([0-9]*\) received.*/\1/p')" 20 \
		"loss 0: all of 20 pass"

	one_way alpha lan in on
	before=$(echoes bravo)
	refuse "one_way in: no answer comes" lone_ping alpha 192.0.2.12
	is "$(echoes bravo)" $((before + 1)) "one_way in: the request went out"
	one_way alpha lan in off
	one_way alpha lan out on
	before=$(echoes bravo)
	refuse "one_way out: no answer comes" lone_ping alpha 192.0.2.12
	is "$(echoes bravo)" "$before" "one_way out: the request did not go out"
	one_way alpha lan out off
	check "one_way off: all passes" wait_for 5 reach alpha 192.0.2.12
}

self_vanish() {
	node_vanish alpha
	refuse "node_vanish: no lan" reach bravo 192.0.2.11
	refuse "node_vanish: no cross" reach bravo 10.77.0.1
	check "node_vanish: its carriers stay" carrier alpha lan 1
	check "node_vanish: the others meet" reach bravo 192.0.2.100
	node_return alpha
	check "node_return: lan" wait_for 5 reach bravo 192.0.2.11
	check "node_return: cross" wait_for 5 reach bravo 10.77.0.1
	node_vanish -c alpha
	check "node_vanish -c: its lan carrier goes" \
		wait_for 3 carrier alpha lan 0
	check "node_vanish -c: its cross carrier goes" \
		wait_for 3 carrier alpha cross 0
	node_return alpha
	check "node_return: carriers and all" wait_for 5 reach bravo 192.0.2.11
	one_way alpha cross in on
	link_down alpha lan
	heal
	check "heal: cross" wait_for 5 reach bravo 10.77.0.1
	check "heal: lan" wait_for 5 reach bravo 192.0.2.11
}

# A daemon's stand-in: it has a control socket and dies when told to.
self_daemon() {
	local pid kept
	cat >"$LAB/standin" <<-'END'
		#!/bin/bash
		mkdir -p /run/had
		exec socat UNIX-LISTEN:/run/had/ctl.sock,fork EXEC:/bin/true
	END
	printf '#!/bin/sh\necho no such configuration\nexit 1\n' >"$LAB/dies"
	chmod +x "$LAB/standin" "$LAB/dies"
	LAB_HAD=$LAB/dies refuse "had_start: false when it dies" had_start bravo
	check "had_start: its last words are kept" \
		grep -q "no such conf" "$(had_log bravo)"
	LAB_HAD=$LAB/standin check "had_start: true when it listens" \
		had_start alpha
	pid=$(had_pid alpha)
	check "had_running: alpha" had_running alpha
	refuse "had_running: not bravo" had_running bravo
	freeze alpha
	is "$(proc_state alpha)" T "freeze: stopped"
	thaw alpha
	check "thaw: runs" wait_for 3 running alpha
	check "had_kill: gone" had_kill alpha
	refuse "had_kill: not running" had_running alpha
	on alpha rm /run/had/ctl.sock
	LAB_HAD=$LAB/standin had_start alpha
	check "had_stop: gone" had_stop alpha
	on alpha rm -f /run/had/ctl.sock
	LAB_HAD=$LAB/standin had_start alpha
	pid=$(had_pid alpha)
	on alpha touch /run/old /etc/had/kept /var/lib/had/kept /srv/kept
	on alpha ip addr add 192.0.2.80/24 dev lan0
	on alpha nft add table inet mine
	on alpha mount -t tmpfs x /mnt
	LAB_HAD=$LAB/standin check "reboot: comes back with its daemon" \
		reboot alpha
	refuse "reboot: the old daemon is dead" kill -0 "$pid"
	refuse "reboot: /run is empty" node_has alpha /run/old
	for kept in /etc/had/kept /var/lib/had/kept /srv/kept; do
		check "reboot: $kept is there" node_has alpha $kept
	done
	refuse "reboot: its addresses are gone" \
		on alpha sh -c 'ip addr | grep -q 192.0.2.80'
	refuse "reboot: its nft tables are gone" on alpha nft list table inet mine
	refuse "reboot: its mounts are gone" on alpha mountpoint -q /mnt
	check "reboot: alpha reaches bravo" wait_for 5 reach alpha 192.0.2.12
	power_cut alpha
	check "power_cut: bravo's end of the crossover loses its carrier" \
		wait_for 3 carrier bravo cross 0
	check "power_cut: its lan does not" carrier bravo lan 1
	check "power_on" power_on alpha
	check "power_on: no daemon by itself" lab_gone alpha had
	check "power_on: the crossover is back" wait_for 5 reach bravo 10.77.0.1
	refuse "configuration of one node is not the other's" \
		node_has bravo /etc/had/kept
}

self_disk() {
	local d
	is "$(disk_make alpha one 8) $(disk_make bravo one 8)" \
		"/dev/lab/one /dev/lab/one" "disks have one path on all nodes"
	for d in alpha bravo; do
		on $d sh -c "echo $d | dd of=/dev/lab/one conv=notrunc" 2>/dev/null
	done
	is "$(on alpha head -n 1 /dev/lab/one) $(on bravo head -n 1 /dev/lab/one)" \
		"alpha bravo" "and are two disks"
	is "$(on alpha sh -c 'wc -c </dev/lab/one')" 8388608 "of the given size"
}

# Moves an address from alpha to bravo with a gap; prints how long it took.
self_move() { # address/length gap
	local t0
	t0=$(now_ms)
	on alpha ip addr del "$1" dev lan0
	sleep "$2"
	on bravo ip addr add "$1" dev lan0 $3
	echo $(($(now_ms) - t0))
}

self_prober() {
	local took len dups route first macs
	on alpha ip addr add 192.0.2.80/24 dev lan0
	prober_start arp 192.0.2.80 || bail "no prober: make tests"
	sleep 0.3
	took=$(self_move 192.0.2.80/24 0.3 "")
	sleep 0.3
	prober_stop arp
	read -r len dups route < <(prober_get arp '"\(.longest_ms | floor) \(
		.duplicates) " + ([.outages[] | select(.len_ms > 250) |
		.from, .to] | join(" "))')
	check "prober: an outage of 300 ms and its making ($len, took $took)" \
		test "$len" -ge 295 -a "$len" -le $((took + 20))
	is "$route" "$(lab_mac alpha lan) $(lab_mac bravo lan)" \
		"prober: who answered before and after"
	is "$dups" 0 "prober: no duplicate in a move"

	prober_start dup 192.0.2.80
	sleep 0.2
	on alpha ip addr add 192.0.2.80/24 dev lan0
	sleep 0.2
	on alpha ip addr del 192.0.2.80/24 dev lan0
	prober_stop dup
	read -r dups first macs < <(prober_get dup '"\(.duplicates) \(
		.first_duplicate_ms // 0 | floor) \(.answers | length)"')
	check "prober: duplicates while both have the address" \
		test "$dups" -gt 5
	check "prober: first bravo alone, then both" test "$first" -gt 100
	is "$macs" 2 "prober: both are counted"

	on alpha ip addr add 2001:db8::80/64 dev lan0 nodad
	prober_start nd 2001:db8::80
	sleep 0.3
	took=$(self_move 2001:db8::80/64 0.3 nodad)
	sleep 0.3
	prober_stop nd
	read -r len dups < <(prober_get nd '"\(.longest_ms | floor) \(
		.duplicates)"')
	check "prober: the same by IPv6 ($len, took $took)" \
		test "$len" -ge 290 -a "$len" -le $((took + 150))
	is "$dups" 0 "prober: no duplicate there"
	on alpha ip addr add 2001:db8::80/64 dev lan0 nodad
	prober_start nd2 2001:db8::80
	sleep 0.2
	prober_stop nd2
	check "prober: IPv6 duplicates" test "$(prober_get nd2 .duplicates)" -gt 5

	prober_start echo -m icmp 192.0.2.11
	sleep 0.2
	one_way alpha lan in on
	sleep 0.2
	one_way alpha lan in off
	sleep 0.2
	prober_stop echo
	len=$(prober_get echo '.longest_ms | floor')
	check "prober: echoes lost while alpha is deaf ($len ms)" \
		test "$len" -ge 195 -a "$len" -le 2000
}

self_prober_tcp() {
	local bytes broken refused connects len
	local server="TCP-LISTEN:7,reuseaddr,fork"
	node_spawn alpha echo socat "$server" EXEC:cat
	wait_for 5 on alpha grep -q ':0007 ' /proc/net/tcp
	prober_start tcp -m tcp -e -I 5000 -p 7 192.0.2.11
	prober_start idle -m tcp -p 7 192.0.2.11
	sleep 0.3
	# The server with all that it forked.
	kill -TERM -- "-$(node_pid alpha echo)"
	sleep 0.4
	node_spawn alpha echo socat "$server" EXEC:cat
	sleep 0.5
	prober_stop tcp
	prober_stop idle
	read -r bytes broken refused connects len < <(prober_get tcp '"\(
		.answered) \(.resets + .closes) \(.refused) \(.connects) \(
		.longest_ms | floor)"')
	check "prober: TCP bytes come back" test "$bytes" -gt 20
	check "prober: a broken connection is seen" test "$broken" -ge 1
	check "prober: refused while nobody listens" test "$refused" -ge 3
	is "$connects $(prober_get idle .connects)" "2 2" \
		"prober: connected again once"
	check "prober: the outage of the connection" test "$len" -ge 250
}
