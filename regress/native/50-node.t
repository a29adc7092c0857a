#!/bin/bash
# SPDX-License-Identifier: BSD-2-Clause
# One node with a service, and no kernel modules: start and reverse stop,
# rollback, deadlines, what a dead daemon leaves behind, the guard when
# somebody flushes it, and a kernel without SCTP.  Then what the manual shows.
# lab: timeout 150
. "$LAB_ROOT/regress/lab/lib.sh"
VIP=192.0.2.80
VIP6=2001:db8::80

conf() { # start of the second command
	cat >"$LAB/had.conf" <<-END
		cluster lab {
			heartbeat 100ms
			dead 500ms
		}
		node alpha {
			id 1
			key "$(lab_key alpha)"
			link lan 192.0.2.11 interface "lan0"
		}
		address web {
			$VIP/24 interface lan0
		}
		address web6 {
			$VIP6/64 interface lan0
		}
		lockspace default {
		}
		service web {
			start {
				command one {
					start "echo +one >>/run/order"
					stop "echo -one >>/run/order"
				}
				command two {
					start "$1"
					stop "echo -two >>/run/order"
					timeout 2s
				}
				address web
				address web6
			}
		}
	END
	node_put alpha "$LAB/had.conf" /etc/had/had.conf
}
status() { hactl alpha status --json | jq -r "$1"; }
service_is() { [ "$(status '.services[0].state')" = "$1" ]; }
order() { on alpha cat /run/order | xargs; }
has_address() { on alpha ip -o addr show dev lan0 | grep -q " $1/"; }
has_no_address() { ! has_address "$1"; }
reaches() { on client ping -c 1 -W 1 "$1"; }
silent() { ! on client timeout 2 ping -q -c 2 -i 0.2 -W 1 "$1"; }
guard() { on alpha nft list table netdev had_guard; }
drops() { guard | grep -q drop; }

nodes_up alpha client
conf 'echo +two >>/run/order'
check "a single node starts" had_start alpha
check "its service runs" wait_for 10 service_is running
is "$(order | sed 's/.*+one/+one/')" "+one +two" "steps in order"
check "its address answers, IPv4" wait_for 5 reaches $VIP
check "its address answers, IPv6" wait_for 5 reaches $VIP6

# The guard is put back when somebody flushes it.
check "the guard drops by default" drops
on alpha nft flush ruleset
check "flushed: it is back" wait_for 3 drops
check "flushed: it was counted" wait_for 3 sh -c \
	"[ \"\$(nsenter -t $(lab_pid alpha) -n -m $LAB_BIN/hactl --json | jq .daemon.guard_flushed)\" -ge 1 ]"
check "flushed: the address answers" wait_for 5 reaches $VIP
on alpha ip addr del $VIP/24 dev lan0
check "an address that somebody took away is put back" wait_for 3 has_address $VIP

# Examples of hactl(8), each as it stands there.
awk '/^.Sh EXAMPLES/ { on = 1 } /^.Sh SEE/ { on = 0 }
	/^.Ed/ { show = 0 } show { print } on && /^.Bd/ { show = 1 }' \
	"$LAB_ROOT/man/hactl.8" >"$LAB/examples"
check "hactl(8) has examples" test "$(wc -l <"$LAB/examples")" -ge 4
while read -r line; do
	on alpha timeout 3 sh -c "PATH=$LAB_BIN:\$PATH; $line" >"$LAB/log/example" 2>&1 </dev/null
	rc=$?
	case "$line:$rc" in
	*:0 | *' -w:124') ok "hactl(8): $line" ;;
	# It runs here already, and there is no other node.
	*takeover*:[1-9]*) check "hactl(8): $line" grep -q 'runs' "$LAB/log/example" ;;
	*) not_ok "hactl(8): $line" "status $rc: $(tail -n 2 "$LAB/log/example")" ;;
	esac
done <"$LAB/examples"
is "$(on alpha sh -c "cd /etc/had && $LAB_BIN/had -n -f had.conf" | grep -c 'configuration ok')" 1 \
	"had(8): had -n -f had.conf"
on alpha timeout 2 "$LAB_BIN/hactl" status -w >"$LAB/log/watch" 2>&1
is "$? $(($(grep -c 'cluster lab' "$LAB/log/watch") >= 3))" "124 1" "status -w shows it again and again"
on alpha timeout 6 "$LAB_BIN/hactl" events -f >"$LAB/log/follow" 2>&1 &
sleep 1
hactl alpha standby --force alpha >/dev/null
check "standby --force stops it" wait_for 10 service_is stopped
check "events -f shows it while it happens" wait_for 4 grep -q 'standby' "$LAB/log/follow"
wait
is "$(order | sed 's/.*+two//' | xargs)" "-two -one" "stopped in reverse"
is "$(status .state)" CRITICAL "a service that runs nowhere is critical"
hactl alpha status >/dev/null
is $? 2 "critical is status 2"
check "online" hactl alpha online alpha
check "it runs again" wait_for 10 service_is running

# A daemon that is killed: the kernel silences the address, the next cleans up.
on alpha rm /run/order
had_kill alpha
check "killed: the address is there, and silent" has_address $VIP
check "killed: IPv4 is silent" silent $VIP
check "killed: IPv6 is silent" silent $VIP6
had_start alpha
check "the next daemon starts it" wait_for 10 service_is running
is "$(order)" "-two -one +one +two" "what was left was stopped first"
check "it answers" wait_for 5 reaches $VIP
had_stop alpha
check "a clean stop takes the addresses along" has_no_address $VIP
check "IPv6, too" has_no_address $VIP6
refuse "and the guard" guard
is "$(order)" "-two -one +one +two -two -one" "and the commands, in reverse"

# A step that fails, and one that does not end.
on alpha rm /run/order
conf 'exit 3'
had_start alpha
check "a start that fails is rolled back" wait_for 10 on alpha grep -q -- -one /run/order
check "it says why" wait_for 5 sh -c "grep -q 'start failed.*step 2.*3' $(had_log alpha)"
check "no address was taken" has_no_address $VIP
check "it runs nowhere" service_is stopped
had_stop alpha
conf 'sleep 60'
t=$(now_ms)
had_start alpha
late() { grep -qE 'start failed.*step 2: timed out: signal' "$(had_log alpha)"; }
check "a step that does not end is ended" wait_for 10 late
check "at its deadline, not before" test $(($(now_ms) - t)) -ge 2000
refuse "its process is gone" pgrep -fx 'sleep 60'
had_stop alpha

# Two nodes need SCTP.
if [ -e /proc/net/sctp/assocs ]; then
	skip "no SCTP: one clear error" "this kernel has it"
else
	conf true
	sed -i '/^address web {/i node bravo {\n\tid 2\n\tkey "sha256:'"$(printf '%064d' 7)"'"\n\tlink lan 192.0.2.12 interface "lan0"\n}' "$LAB/had.conf"
	node_put alpha "$LAB/had.conf" /etc/had/had.conf
	out=$LAB/log/no-sctp
	on alpha timeout 10 "$LAB_BIN/had" -d -f /etc/had/had.conf >"$out" 2>&1
	is $? 69 "no SCTP: had ends, and its status says so"
	is "$(grep -c SCTP "$out")" 1 "no SCTP: one line"
	is "$(grep -c ' error: ' "$out")" 1 "no SCTP: it is an error, and the only one"
	said() { grep ' error: transport: ' "$out" | grep -qF -- "$1"; }
	check "no SCTP: it names the kernel" said "this kernel ($(uname -r)) has no SCTP"
	check "no SCTP: and the module" said "its module sctp is missing or kept from loading"
	check "no SCTP: the fix" said "modprobe sctp"
	check "no SCTP: the package" said "linux-image-amd64"
	check "no SCTP: what blocks it" said "/etc/modprobe.d"
	is "$(on alpha find /run/had -type s)" "" "no SCTP: no socket is left"
fi
nodes_down
done_testing
