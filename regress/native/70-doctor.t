#!/bin/bash
# SPDX-License-Identifier: BSD-2-Clause
# hactl doctor: what a machine lacks is found, named with its place and its
# remedy, and what is well is not.  No daemon runs.
# lab: timeout 120
. "$LAB_ROOT/regress/lab/lib.sh"
LAB_CLUSTER='silent peer takeover'

conf() { # more
	conf_write <<-END
		volume data {
			device "/dev/lab/data"
		}
		address web {
			192.0.2.80/24 interface lan0
		}
		address web6 {
			2001:db8::80/64 interface lan0
		}
		router web {
			vrrp 3 vrid 51
			address web
			virtual mac
		}
		router web6 {
			vrrp 3 vrid 51
			address web6
		}
		$1
	END
}
doctor() { on alpha hactl -f "${file:-/etc/had/had.conf}" doctor "$@"; }
# Runs it; found CHECK prints "LEVEL OBJECT: TEXT" of each of its lines.
look() {
	doctor --json >"$LAB/doctor.json" 2>"$LAB/log/doctor.err"
	status=$?
}
found() {
	jq -r --arg c "$1" '.checks[] | select(.check == $c) |
		"\(.level) \(.object): \(.text)"' "$LAB/doctor.json"
}
rules() { # nft's words for table foreign; one line each
	on alpha nft delete table inet foreign 2>/dev/null
	printf 'table inet foreign {\n%s\n}\n' "$1" >"$LAB/rules"
	on alpha nft -f "$LAB/rules" || bail "nft refuses $1"
	look
}
input='chain input { type filter hook input priority 0; policy'
has() { # text, pattern, name
	if grep -qE -- "$2" <<<"$1"; then ok "$3"; else not_ok "$3" "$1"; fi
}

nodes_up alpha bravo
conf ''
on alpha hactl doctor extra >"$LAB/text" 2>&1
is "$? $(cut -d: -f1 "$LAB/text")" "64 usage" "an argument is refused"

# Nothing stands in the way.
look
is "$(found firewall)" "ok : none of 0 chains of others drops what had sends" "no foreign chain"
is "$(found node)" "ok alpha: is this machine" "the node is found by its addresses"
is "$(found link)" "ok cross: 10.77.0.1 on cross0
ok lan: 192.0.2.11 on lan0" "its links have their addresses"
is "$(found links)" "ok : 2, and no two share a device" "the links are apart"
is "$(found interface | sort)" "ok cross0: it has a carrier
ok lan0: it has a carrier" "each interface is there, once"
is "$(found nftables)" "ok ingress: the kernel has it
ok egress: the kernel has it" "the hooks are asked for"
refuse "asking leaves no table behind" on alpha nft list table netdev had_doctor
is "$(jq -r '.version, (.checks[0] | keys | join(" "))' "$LAB/doctor.json" | xargs)" \
	"1 check fix level object text" "the keys of the JSON"
is "$(jq '[.checks[] | select((.level == "ok") != (.fix == ""))] | length' "$LAB/doctor.json")" 0 \
	"what is wrong has a remedy, what is well has none"

# Chains of others.
rules "$input accept; tcp dport 22 accept; ip protocol 112 counter drop; }"
has "$(found firewall)" "^fail inet foreign input: drops protocol 112 .*: rule 'ip protocol (112|vrrp) counter .*drop \(handle [0-9]+\)'$" \
	"a rule that drops protocol 112 is named: table, chain, rule"
is "$(found firewall | wc -l)" 1 "and 132 is not"
is $status 2 "that is status 2"
doctor >"$LAB/text" 2>&1
is $? 2 "as text, too"
has "$(cat "$LAB/text")" "^FAIL  firewall inet foreign input: drops protocol 112" "the text names it"
has "$(cat "$LAB/text")" "^      fix: nft insert rule inet foreign input meta l4proto 112 accept" "and the remedy"
has "$(tail -n 1 "$LAB/text")" "^mend what failed" "the last line sums up"
on alpha nft insert rule inet foreign input meta l4proto 112 accept
look
is "$(found firewall)" "ok : none of 1 chain of others drops what had sends" "the remedy is one"

rules "$input drop; meta l4proto { 112, 132 } accept; }"
is "$(found firewall | cut -d' ' -f1)" ok "policy drop with a rule that accepts is well"
rules "$input drop; ct state established,related accept; iifname lo accept; tcp dport 22 accept; }"
is "$(found firewall | grep -c '^fail inet foreign input: has the policy drop, and no rule accepts protocol 1[13]2')" 2 \
	"policy drop without one fails for both protocols"
rules "$input drop; ip protocol vrrp accept; ip6 nexthdr vrrp accept; sctp dport 7750-7755 accept; }"
is "$(found firewall | cut -d' ' -f1)" ok "ports of SCTP are a rule that accepts"
rules "$input drop; ip saddr 192.0.2.0/24 accept; iifname { lan0, cross0 } meta l4proto 132 accept; }"
has "$(found firewall)" "^warn inet foreign input: has the policy drop, and only rules with conditions that accept protocol 112" \
	"a condition that may hold is a warning"
is "$(found firewall | wc -l)" 1 "an interface of the links is no condition"
rules "chain lan { ip protocol 112 reject; }; $input accept; iifname vmap { lan0 : jump lan, eth9 : drop }; }"
has "$(found firewall)" "^fail inet foreign lan: drops protocol 112 .*: rule 'ip protocol (112|vrrp) reject" \
	"a drop behind a jump is found in its chain"
rules "chain lan { drop; }; $input accept; iifname eth9 jump lan; tcp dport 1 drop; ct state invalid drop; }"
is "$(found firewall | cut -d' ' -f1)" ok "what drops something else is well"
rules "set no { type inet_proto; elements = { 132, 47 }; }; $input accept; meta l4proto != @no accept; drop; }"
is "$(found firewall | cut -d: -f1,2 | cut -c1-47)" "fail inet foreign input: drops protocol 132 (SC" \
	"a named set is looked up, and a condition turned round"
rules "$input accept; ip saddr 10.77.0.9 ip protocol 132 drop; }"
has "$(found firewall)" "^warn inet foreign input: drops under conditions protocol 132" "a drop under a condition is a warning"
rules "chain f { type filter hook forward priority 0; policy drop; }"
is "$(found firewall)" "ok : none of 0 chains of others drops what had sends" "what is forwarded is not had's"
on alpha nft delete table inet foreign
on alpha nft -f - <<-'END'
	table netdev had_guard {
		chain c {
			type filter hook ingress device lan0 priority 0
			policy drop
		}
	}
END
look
is "$(found firewall | cut -d' ' -f1)" ok "had's own guard may drop"
on alpha nft delete table netdev had_guard
on alpha nft add table inet firewalld
look
has "$(found firewall)" "^warn firewalld: firewalld runs" "firewalld is told of"
on alpha nft delete table inet firewalld

# The machine.
has "$(found mtu)" "^warn cross0: 1500 bytes; with 9000" "a small MTU of the crossover"
is "$(found mtu | wc -l)" 1 "and of nothing else"
on alpha ip link set cross0 mtu 9000
look
is "$(found mtu)" "ok cross0: 9000 bytes" "a large one"
link_down alpha cross
look
is "$(found interface | grep -v '^ok')" "warn cross0: it has no carrier" "no carrier"
link_up alpha cross
on alpha ip addr del 10.77.0.1/24 dev cross0
on alpha ip addr add 10.77.0.1/24 dev lan0
look
is "$(found link | grep -v '^ok')" "fail cross: interface lan0 has its address 10.77.0.1, not cross0" \
	"a link's address on another interface"
on alpha ip addr del 10.77.0.1/24 dev lan0
look
is "$(found link | grep -v '^ok')" "fail cross: no interface has its address 10.77.0.1" "and on none"
on alpha ip addr add 10.77.0.1/24 dev cross0
on alpha sh -c 'echo 1 >/proc/sys/net/ipv6/conf/lan0/disable_ipv6
	echo 1 >/proc/sys/net/ipv4/conf/lan0/rp_filter'
look
has "$(found sysctl)" "^fail lan0: IPv6 is off there, and address web6" "IPv6 that is off"
has "$(found sysctl)" "^warn lan0: strict reverse path filtering .* router web$" "strict reverse paths and a virtual MAC"
on alpha sh -c 'echo 0 >/proc/sys/net/ipv6/conf/lan0/disable_ipv6
	echo 2 >/proc/sys/net/ipv4/conf/lan0/rp_filter'
look
is "$(found sysctl)" "ok : none stands in the way" "neither"

# The configuration.
conf_links() { # node
	local last=11
	[ "$1" = alpha ] || last=12
	echo "link lan 192.0.2.$last interface lan0"
	echo "link upper 198.51.100.$last interface upper0"
}
on alpha ip link add link lan0 name upper0 type macvlan mode bridge
on alpha ip addr add 198.51.100.11/24 dev upper0
on alpha ip link set upper0 up
conf 'address far {
	203.0.113.1/24 interface eth9
}
router far {
	vrrp 2 vrid 9
	address far
}'
look
is "$(found links)" "warn upper: lan and upper share a device: one fault cuts both" "links over one device"
is "$(found interface | grep fail)" "fail eth9: there is none of this name" "an interface that is not there"
printf 'cluster x {\n\tdead 5\n}\n' >"$LAB/bad.conf"
file=$LAB/bad.conf look
has "$(found configuration)" "^fail .*/bad.conf: it has errors" "errors of the configuration"
file=$LAB/none.conf look
has "$(found configuration)" "^warn .*/none.conf: there is none" "no configuration"
is "$(found interface)$(found link)" "" "then nothing is looked at that it names"
done_testing
