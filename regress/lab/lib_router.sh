#!/bin/bash
# SPDX-License-Identifier: BSD-2-Clause
# Virtual routers of had, keepalived and ucarp on alpha and bravo; sourced
# after lib.sh.  Each node is a cluster of its own: nothing but the LAN is
# between them.
#
#	router_conf NODE TEXT	had.conf with address gw ($GW) and a router gw
#				of TEXT (its statements), had not started
#	router_is NODE STATE	what hactl addresses says of it
#	router_get NODE FILTER	jq of its object
#	keepalived_start NODE PRIORITY [STATEMENTS]	of the instance; VRRP
#				version $KA_VERSION (3), interval $KA_INT (0.1),
#				number $KA_VRID (90)
#	keepalived_stop NODE, keepalived_kill NODE (parent and child)
#	keepalived_pids NODE, keepalived_clean NODE
#	ucarp_start NODE SKEW ($UCARP_VHID: 90; preempts unless UCARP_PREEMPT is
#				empty), ucarp_stop NODE, ucarp_kill NODE
#	holds NODE		does it answer ARP for the address, and who else
#	holder			alpha, bravo, both or none: by who answers ARP
#	sniff_start, sniff_bad	what tcpdump on the client finds wrong in
#				adverts; empty if all is well

GW=${GW:-192.0.2.90}
PASS=s3cr3t

router_conf() { # node text
	local n=1
	[ "$1" = bravo ] && n=2
	cat >"$LAB/$1.router.conf" <<-END
		cluster lab-$1 {
		}
		node $1 {
			id $n
		}
		address gw {
			$GW/${GW_PREFIX:-24} interface lan0
		}
		router gw {
			$2
			address gw
		}
	END
	node_put "$1" "$LAB/$1.router.conf" /etc/had/had.conf
}
router_get() { hactl "$1" --json addresses | jq -r ".routers[0] | $2"; }
router_is() { [ "$(router_get "$1" .state)" = "$2" ]; }

keepalived_start() { # node priority [statements]
	cat >"$LAB/ka.$1.conf" <<-END
		global_defs {
			vrrp_version ${KA_VERSION:-3}
			router_id $1
		}
		vrrp_instance gw {
			state BACKUP
			interface lan0
			virtual_router_id ${KA_VRID:-90}
			priority $2
			advert_int ${KA_INT:-0.1}
			${3:-}
			virtual_ipaddress {
				$GW/${GW_PREFIX:-24} dev lan0
			}
		}
	END
	node_spawn "$1" keepalived "$(type -P keepalived)" -n -l -P \
		-f "$LAB/ka.$1.conf" -p /run/ka.pid -r /run/ka-vrrp.pid
}
keepalived_pids() {
	local pid
	pid=$(node_pid "$1" keepalived) || return
	echo "$pid" $(pgrep -P "$pid")
}
# shellcheck disable=SC2046
keepalived_signal() { kill "-$2" $(keepalived_pids "$1"); }
keepalived_stop() {
	node_signal "$1" keepalived TERM
	wait_for 10 lab_gone "$1" keepalived
}
keepalived_kill() {
	keepalived_signal "$1" KILL && wait_for 10 lab_gone "$1" keepalived
}
gw_clean() { on "$1" ip addr del "$GW/${GW_PREFIX:-24}" dev lan0 2>/dev/null; }
keepalived_clean() {
	gw_clean "$1"
	on "$1" busybox rm -f /run/ka.pid /run/ka-vrrp.pid
}

ucarp_start() { # node skew
	local own=192.0.2.11
	[ "$1" = bravo ] && own=192.0.2.12
	cat >"$LAB/ucarp-up" <<-END
		#!/bin/sh
		ip addr add $GW/24 dev \$1
	END
	cat >"$LAB/ucarp-down" <<-END
		#!/bin/sh
		ip addr del $GW/24 dev \$1
	END
	chmod +x "$LAB/ucarp-up" "$LAB/ucarp-down"
	node_spawn "$1" ucarp "$(type -P ucarp)" -i lan0 -s "$own" -v "${UCARP_VHID:-90}" \
		-p "$PASS" -a "$GW" -b 1 -k "$2" -r 3 -z ${UCARP_PREEMPT--P} \
		-u "$LAB/ucarp-up" -d "$LAB/ucarp-down"
}
ucarp_stop() {
	node_signal "$1" ucarp TERM
	wait_for 10 lab_gone "$1" ucarp
}
ucarp_kill() {
	node_signal "$1" ucarp KILL
	wait_for 10 lab_gone "$1" ucarp
}

# Who answers, within 300 ms; virtual MACs count as of nobody's name.
holder() {
	local macs id
	id=who-$EPOCHREALTIME
	prober_start "$id" -m arp -i lan0 "$GW" || return
	lab_nap 0.3
	prober_stop "$id"
	macs=$(prober_get "$id" '.answers | keys | join(" ")')
	rm -f "$LAB/log/client.prober.$id.log"
	case $macs in
	'') echo none ;;
	"$(lab_mac alpha lan)") echo alpha ;;
	"$(lab_mac bravo lan)") echo bravo ;;
	*' '*) echo both ;;
	*) echo "$macs" ;;
	esac
}
held_by() { [ "$(holder)" = "$1" ]; }

sniff_start() {
	node_spawn client tcpdump "$(type -P tcpdump)" -n -vvv -l -i lan0 \
		'ip proto 112 or ip6 proto 112'
	wait_for 10 grep -q 'listening' "$LAB/log/client.tcpdump.log"
}
sniff_bad() {
	node_signal client tcpdump TERM
	wait_for 10 lab_gone client tcpdump
	grep -iE 'bad|invalid|wrong|malformed|\[\|' "$LAB/log/client.tcpdump.log" |
		head -n 3
}
