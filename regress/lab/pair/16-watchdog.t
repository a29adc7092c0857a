#!/bin/bash
# SPDX-License-Identifier: BSD-2-Clause
# A machine that resets itself, one emulator per node: a watchdog that is fed
# lets it live, one that is not resets it, also when the program that fed it
# was killed; a clean stop disarms it; sysrq resets at once.
# lab: timeout 400
. "$LAB_ROOT/regress/lab/lib.sh"

arm() {
	on alpha modprobe softdog </dev/null && wait_for 20 node_has alpha /dev/watchdog &&
		node_spawn alpha wd arbiters watchdog /dev/watchdog 3 &&
		wait_for 20 grep -q '^armed: Software Watchdog, 3 s' "$LAB/log/alpha.wd.log"
}
gone() { lab_is_down alpha; }
again() {
	power_cut alpha
	: >"$LAB/log/alpha.wd.log"
	power_on alpha
}

check "alpha comes up" nodes_up alpha || bail "no machine"
check "a watchdog is armed" arm || bail "no watchdog"
check "fed, the machine lives" never_for 8 gone
is "$(on alpha arbiters watchdog /dev/watchdog 3 </dev/null)" \
	"refused: /dev/watchdog: another program has it" "nobody else gets it"
node_signal alpha wd TERM
check "a clean stop disarms it" wait_for 10 grep -q '^disarmed' "$LAB/log/alpha.wd.log"
check "and the machine lives" never_for 8 gone

: >"$LAB/log/alpha.wd.log"
check "armed again" arm
node_signal alpha wd USR1
check "not fed, the machine is reset" wait_for 60 gone

check "it is switched on" again
check "armed" arm
node_signal alpha wd KILL
check "its feeder killed, the machine is reset" wait_for 60 gone

check "it is switched on again" again
on alpha modprobe softdog nowayout=1 </dev/null
wait_for 20 node_has alpha /dev/watchdog
is "$(on alpha arbiters watchdog /dev/watchdog 3 </dev/null | cut -c1-50)" \
	"refused: /dev/watchdog: its driver has nowayout se" "nowayout is refused"
check "and was not armed by that" never_for 8 gone
node_spawn alpha sysrq arbiters sysrq
check "sysrq resets it" wait_for 60 gone
done_testing
