#!/bin/bash
# SPDX-License-Identifier: BSD-2-Clause
# lab: timeout 240
# What an operator types: every view as JSON with the keys it has always had,
# plans before deeds, and 'silent peer wait', where nothing moves by itself.
# The lists of keys are in regress/lab/golden; the log of a run has the new ones.
# shellcheck source=../lib.sh
. "$LAB_ROOT/regress/lab/lib.sh"

VIP=192.0.2.80
golden=$LAB_ROOT/regress/lab/golden
export LAB_SILENT="wait"
conf() {
	conf_write <<-EOF
		address web {
			$VIP/24 interface lan0
		}
		lockspace default {
		}
		service web {
			prefer alpha
			start {
				address web
			}
			check "test ! -e /run/unwell" every 500ms timeout 2s
		}
	EOF
}
status() { hactl "$1" status --json | jq -r "$2"; }
service_on() { [ "$(status "$1" '.services[0].on + " " + .services[0].state')" = "$1 running" ]; }
state_is() { [ "$(status "$1" '.nodes[0].state')" = "$2" ]; }
peer_is() { [ "$(status "$1" '.nodes[1].state')" = "$2" ]; }
keys() {
	jq -r '[paths | map(if type == "number" then "[]" else . end) | join(".")] | unique[]'
}
same_keys() { # NAME ARG...
	local name=$1
	shift
	hactl alpha "$@" --json | keys >"$LAB/log/$name.keys"
	diff -u "$golden/$name.keys" "$LAB/log/$name.keys"
}

nodes_up
conf
check "both start" eval 'had_start alpha && had_start bravo'
check "web runs on alpha" wait_for 30 service_on alpha
on alpha hactl lock a -- sleep 100 &
on bravo hactl lock a -- true &
sleep 2
for view in status links addresses volumes locks events why; do
	check "hactl $view --json has its keys" same_keys $view $view
done
is "$(hactl alpha status --json | jq .version)" 1 "the schema has a version"
check "the forecast names this rule" test -n "$(status alpha .forecast | grep -E 'R3')"
check "loop lag is reported" test "$(status alpha .daemon.loop_lag_p99_us)" -ge 0
kill %1 2>/dev/null

plan=$(hactl bravo --dry-run takeover web)
check "the plan is not empty" test -n "$plan"
diag "$plan"
check "nothing was done" service_on alpha
plan=$(hactl alpha --dry-run standby alpha)
check "standby has a plan, too" test -n "$plan"
check "nothing was done" service_on alpha
check "takeover moves it" hactl bravo takeover web
check "it runs on bravo" wait_for 10 service_on bravo
refuse "takeover again: it runs here already" hactl bravo takeover web
refuse "an unknown service is refused" hactl bravo takeover nothing
refuse "an unknown node is refused" hactl bravo standby charlie
refuse "seed: refused while the peer is heard" hactl bravo seed --peer-is-down alpha

# R11 and a check that fails: the service is started again, or moves.
on bravo touch /run/unwell
check "a failing check moves the service" wait_for 20 service_on alpha
on bravo rm /run/unwell

# R3 wait: from silence of everything nothing moves, an operator decides.
power_cut alpha
check "silence is noticed" wait_for 10 peer_is bravo lost
sleep 2
refuse "nothing moves by itself" service_on bravo
check "status says who decides" test -n "$(status bravo .action)"
check "the operator decides" hactl bravo seed --peer-is-down alpha
check "then it runs on bravo" wait_for 10 service_on bravo
check "why tells of the seed" test -n "$(hactl bravo why | grep -i seed)"
power_on alpha
check "alpha comes back" had_start alpha
check "and is paired" wait_for 20 state_is alpha paired
check "bravo keeps the service (R10)" service_on bravo

# The daemon is down: the last state and its age.
had_stop bravo
hactl bravo status >"$LAB/log/down" 2>&1
is $? 3 "daemon down: status 3"
check "daemon down: last state, with its age" grep -q 'last state, .* old' "$LAB/log/down"
check "alpha took over on the goodbye" wait_for 10 service_on alpha
done_testing
