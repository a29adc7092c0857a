#!/bin/bash
# SPDX-License-Identifier: BSD-2-Clause
# The examples of virtual routers in had.conf(5), as they stand there but for
# the name of the interface, each beside what its text speaks of.
# lab: timeout 120
. "$LAB_ROOT/regress/lab/lib.sh"
. "$LAB_ROOT/regress/lab/lib_router.sh"

# Each literal block that has a router, in a file of its own.
awk -v dir="$LAB" '/^.Sh EXAMPLES/ { on = 1 } /^.Sh SEE/ { on = 0 }
	on && /^.Bd/ { text = ""; show = 1; next }
	/^.Ed/ { if (text ~ /router/) print text > (dir "/example." ++n); show = 0 }
	show { sub("eno1", "lan0"); text = text $0 "\n" }' "$LAB_ROOT/man/had.conf.5"
example() {
	# Each is a cluster of its own.
	on alpha rm -f /var/lib/had/state
	node_put alpha "$LAB/example.$1" /etc/had/had.conf
	check "example $1: starts" had_start alpha
}
answers() { on client ping -c 1 -W 1 "$1"; }
state() { router_is alpha "$1"; }
holds() { on bravo ip -o addr show | grep -q " $1/"; }
holds_not() { ! holds "$1"; }

nodes_up
is "$(ls "$LAB"/example.* | wc -l)" 5 "five examples"
sniff_start

example 1
check "example 1: active" wait_for 5 state ACTIVE
check "example 1: answers" wait_for 3 answers 192.0.2.1
had_stop alpha

cat >"$LAB/ka.conf" <<-END
	global_defs {
		vrrp_version 2
	}
	vrrp_instance front {
		state BACKUP
		interface lan0
		virtual_router_id 80
		priority 150
		advert_int 1
		authentication {
			auth_type PASS
			auth_pass s3cr3t12
		}
		virtual_ipaddress {
			192.0.2.80/24 dev lan0
			192.0.2.81/24 dev lan0
		}
	}
END
node_spawn bravo keepalived "$(type -P keepalived)" -n -l -P -f "$LAB/ka.conf" \
	-p /run/ka.pid -r /run/ka-vrrp.pid
check "example 2: keepalived is master" wait_for 8 holds 192.0.2.80
example 2
heard() { [ "$(router_get alpha .received)" -ge 2 ]; }
check "example 2: hears it" wait_for 8 heard
is "$(router_get alpha '"\(.state) \(.rejected)"')" "BACKUP {}" \
	"example 2: believes it, and is backup"
keepalived_stop bravo
check "example 2: keepalived stopped: active" wait_for 5 state ACTIVE
check "example 2: one address" wait_for 3 answers 192.0.2.80
check "example 2: the other" wait_for 3 answers 192.0.2.81
had_stop alpha

GW=192.0.2.90 PASS=secret UCARP_VHID=7
ucarp_start bravo 100
check "example 3: ucarp is master" wait_for 12 holds 192.0.2.90
example 3
check "example 3: hears it" wait_for 8 heard
is "$(router_get alpha '"\(.state) \(.rejected)"')" "BACKUP {}" \
	"example 3: believes it, and is backup"
ucarp_stop bravo
gw_clean bravo
check "example 3: ucarp stopped: active" wait_for 8 state ACTIVE
check "example 3: answers" wait_for 3 answers 192.0.2.90
had_stop alpha

example 5
check "example 5: the router follows its service" wait_for 8 state ACTIVE
check "example 5: answers" wait_for 3 answers 192.0.2.80
refuse "example 5: nobody else moves it" hactl alpha release web
hactl alpha stop -y web >/dev/null
check "example 5: the service stopped: backup" wait_for 5 state BACKUP
check "example 5: silent" wait_for 3 sh -c \
	"! nsenter -t $(lab_pid client) -n ping -c 1 -W 1 192.0.2.80"
had_stop alpha
is "$(sniff_bad)" "" "tcpdump finds nothing wrong"

# tcpdump takes what signs an advert for a part of it, and finds its checksum
# wrong.
for n in alpha bravo; do
	for k in 1 2; do
		echo "hex:$(printf "%064d" $k)" >"$LAB/key"
		node_put $n "$LAB/key" /etc/had/vrrp.key$k
	done
done
example 4
check "example 4: active" wait_for 5 state ACTIVE
node_put bravo "$LAB/example.4" /etc/had/had.conf
check "example 4: starts on the other machine, too" had_start bravo
bravo_hears() { [ "$(router_get bravo .received)" -ge 5 ]; }
check "example 4: which hears it" wait_for 5 bravo_hears
is "$(router_get bravo '"\(.state) \(.rejected)"')" "BACKUP {}" \
	"example 4: believes it, and is backup"
check "example 4: a stranger says that he is the owner" \
	on client adverts lan0 forge 192.0.2.66 95 255 192.0.2.95 10
refused() { [ "$(router_get alpha '.rejected["hmac-missing"]')" = 10 ]; }
check "example 4: he is refused" wait_for 3 refused
is "$(router_get alpha .state)" ACTIVE "example 4: and changes nothing"
had_stop alpha
check "example 4: stopped: the other one has it" wait_for 3 router_is bravo ACTIVE
check "example 4: answers" wait_for 3 answers 192.0.2.95
had_stop bravo
done_testing
