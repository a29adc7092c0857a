#!/bin/bash
# SPDX-License-Identifier: BSD-2-Clause
# lab: timeout 400
# lab: long
# The ten lines of README.md, typed as they stand there on two machines with
# Debian's systemd; then what the units promise: readiness, reload, a clean
# goodbye, a new start after SIGKILL, and the witness's.
#
# The lab is the machine of those lines: its addresses are theirs already,
# "vi" fills in the interfaces' names and both keys (and longer timers, since
# an emulated machine may stand still for a second), the volume's disk is where
# the example has it, and a stand-in is the database that it runs.
# shellcheck source=../lib.sh
. "$LAB_ROOT/regress/lab/lib.sh"
# shellcheck source=../cluster.sh
. "$LAB_ROOT/regress/lab/cluster.sh"

export LAB_SYSTEMD="alpha bravo"
mapfile -t lines < <(sed -n '/^## A real pair/,/^## /s/^    //p' "$LAB_ROOT/README.md")

# Line N on a node, as an administrator would type it; the build is done.
types() { # node line
	on "$1" env -u BUILD "MAKEFLAGS=O=build/${BUILD:-release}" \
		bash -c "cd $LAB_ROOT && $2" </dev/null
}
worst=0
typed() { # node line
	local rc=0
	types "$1" "$2" >"$LAB/log/$1.line" 2>&1 || rc=$?
	[ $rc -le $worst ] && return
	cat "$LAB/log/$1.line"
	return 1
}
both() { # description line
	local rc=0
	typed bravo "$2" >"$LAB/bravo.said" &
	check "alpha: $1" typed alpha "$2"
	wait $! || rc=$?
	check "bravo: $1" eval "cat '$LAB/bravo.said'; [ $rc -eq 0 ]"
}
# What the lines need around them.
prepare() { # node
	on "$1" bash -s <<-'END'
		mkdir -p /dev/vg0 /usr/local/bin
		ln -sfn /dev/lab/orders /dev/vg0/orders
		cd /usr/local/bin || exit
		command -v sudo >/dev/null ||
			printf '#!/bin/sh\nexec "$@"\n' >sudo
		cat >vi <<-'VI'
			#!/bin/sh
			a=$(sed -n 1p /run/share/keys) b=$(sed -n 2p /run/share/keys)
			exec sed -i "s/\"eno1\"/\"lan0\"/; s/\"enp3s0\"/\"cross0\"/
				s/heartbeat 100ms/heartbeat 500ms/; s/dead 500ms/dead 5s/
				s/sha256:0*1\"/$a\"/; s/sha256:0*2\"/$b\"/" "$1"
		VI
		cat >pg_ctlcluster <<-'PG'
			#!/bin/sh
			pid=/run/pg.pid
			case $3 in
			start)
				setsid sleep 100000 </dev/null >/dev/null 2>&1 &
				echo $! >$pid ;;
			stop) kill "$(cat $pid)" && rm $pid ;;
			status) kill -0 "$(cat $pid)" ;;
			esac
		PG
		printf '#!/bin/sh\nexit 0\n' >pg_isready
		chmod 755 vi pg_ctlcluster pg_isready sudo 2>/dev/null || :
	END
}
unit() { # node unit property
	on "$1" systemctl show -P "$3" "$2" </dev/null
}
unit_is() { [ "$(unit "$1" "$2" "$3")" = "$4" ]; }
booted() { [ "$(on "$1" systemctl is-active had-lab.target </dev/null)" = active ]; }
journal_has() { # node unit text
	on "$1" journalctl -q -o cat -u "$2" </dev/null | grep -qE -- "$3"
}
had_status() { on "$1" hactl status --json </dev/null | jq -r "$2"; }
runs_on() {
	[ "$(had_status "$1" '.services[0].on + " " + .services[0].state')" = "$1 running" ]
}
paired() {
	[ "$(had_status alpha '.nodes[0].state')" = paired ] &&
		[ "$(had_status bravo '.nodes[0].state')" = paired ]
}
synced() { [ "$(had_status "$1" '.volumes[0].connection')" = in-sync ]; }
journals() {
	for node in alpha bravo; do
		lab_ready "$node" && on "$node" journalctl -q -b -o short-monotonic </dev/null \
			>"$LAB/log/$node.journal"
	done
}
trap journals EXIT

is "${#lines[@]}" 10 "README has ten lines" || bail "other lines than expected"
disk_make alpha orders 16 >/dev/null
disk_make bravo orders 16 >/dev/null
check "three machines" nodes_up || bail "no machines"
is "$(on alpha cat /proc/1/comm) $(on bravo cat /proc/1/comm)" \
	"systemd systemd" "process 1 of both is systemd"
for node in alpha bravo; do
	check "$node: systemd has started what there is" wait_for 60 booted $node ||
		diag "$(on $node systemctl list-jobs --no-pager </dev/null)"
done
check "alpha is prepared" prepare alpha
check "bravo is prepared" prepare bravo

# Before its first line: a kernel that is kept from having SCTP.
on alpha sh -c 'echo install sctp /bin/false >/etc/modprobe.d/no-sctp.conf' </dev/null
on alpha hactl keygen >"$LAB/log/keygen" 2>&1 </dev/null
key=$(grep -oE 'sha256:[0-9a-f]{64}' "$LAB/log/keygen" | head -n 1)
sed -e "s/\"eno1\"/\"lan0\"/; s/\"enp3s0\"/\"cross0\"/; s/sha256:0*1\"/$key\"/" \
	"$LAB_ROOT/etc/had.conf" >"$LAB/early.conf"
node_put alpha "$LAB/early.conf" /etc/had/had.conf
on alpha timeout 20 had -d >"$LAB/log/no-sctp" 2>&1 </dev/null
check "a kernel that may not load SCTP: one line, with the fix" \
	grep -q 'has no SCTP.*modprobe sctp.*linux-image.*modprobe.d' "$LAB/log/no-sctp"
on alpha sh -c 'rm -rf /etc/modprobe.d/no-sctp.conf /etc/had/*' </dev/null

# --- the lines ---------------------------------------------------------------

both "${lines[0]}" "${lines[0]}"
both "${lines[1]%%  *}" "${lines[1]}"
for node in alpha bravo; do
	grep -oE 'sha256:[0-9a-f]{64}' "$LAB/log/$node.line" | head -n 1
done >"$LAB/keys"
is "$(sort -u "$LAB/keys" | grep -c sha256)" 2 "each has a key line of its own"
both "${lines[2]}" "${lines[2]}"
cp "$LAB/keys" "$LAB/node/alpha/share/keys"
cp "$LAB/keys" "$LAB/node/bravo/share/keys"
both "${lines[3]%%  *}" "${lines[3]}"
worst=1 # the doctor warns of what an emulated machine lacks
both "${lines[4]%%  *}" "${lines[4]}"
worst=0
check "line 5 proves the timers" grep -q 'takeover' "$LAB/log/alpha.line"
check "and says what is well" grep -q '^OK *link lan' "$LAB/log/alpha.line"
worst=1 # a single fault waits for an operator: that of the LAN's switch
both "${lines[5]%%  *}" "${lines[5]}"
worst=0
check "line 6 tells of single faults" grep -q 'single faults:' "$LAB/log/alpha.line"
check "alpha: ${lines[6]%%  *}" typed alpha "${lines[6]}"
check "bravo: the same without --mkfs" typed bravo "${lines[6]/ --mkfs ext4/}"
both "${lines[7]}" "${lines[7]}"
both "${lines[8]}" "${lines[8]}"
for node in alpha bravo; do
	is "$(unit $node had ActiveState) $(unit $node had UnitFileState)" \
		"active enabled" "$node: had is active and enabled when the line returns"
done
check "they are paired" wait_for 40 paired
check "shop runs on alpha" wait_for 60 runs_on alpha
check "the copies are in sync" wait_for 60 synced bravo
worst=1 # degraded, if something has just moved
both "${lines[9]%%  *}" "${lines[9]}"
worst=0
check "line 10 shows state and what happens if it dies now" \
	grep -qE 'if alpha dies now: bravo takes shop' "$LAB/log/bravo.line"
check "the file system is mounted" on alpha mountpoint -q /srv/orders
check "the client reaches the address" on client ping -q -c 1 -W 5 192.0.2.80

# --- what the unit says ------------------------------------------------------

is "$(unit alpha had Type) $(unit alpha had WatchdogUSec) $(unit alpha had Restart)" \
	"notify 10s always" "the unit is the one of rc/"
pid=$(unit alpha had MainPID)
is "$(on alpha cat "/proc/$pid/oom_score_adj" </dev/null)" -1000 \
	"memory pressure does not kill it"
on alpha sed -i 's/every 2s/every 3s/' /etc/had/had.conf </dev/null
on bravo sed -i 's/every 2s/every 3s/' /etc/had/had.conf </dev/null
check "systemctl reload" on alpha systemctl reload had </dev/null
is "$(unit alpha had MainPID)" "$pid" "reload: it is the same process"
on alpha sh -c 'echo nonsense >>/etc/had/had.conf' </dev/null
refuse "systemctl reload fails with a bad file" on alpha systemctl reload had </dev/null
is "$(unit alpha had ActiveState) $(unit alpha had MainPID)" "active $pid" \
	"and leaves what runs alone"
on alpha sed -i '$d' /etc/had/had.conf </dev/null

on alpha kill -KILL "$pid" </dev/null
check "SIGKILL: systemd starts it anew" wait_for 30 unit_is alpha had NRestarts 1
check "SIGKILL: bravo has taken over" wait_for 30 runs_on bravo
check "SIGKILL: paired again" wait_for 40 paired
check "SIGKILL: in sync again" wait_for 40 synced alpha
check "SIGKILL: what the dead one left is cleaned up" wait_for 10 \
	on alpha sh -c '! mountpoint -q /srv/orders && ! test -e /run/pg.pid'

check "systemctl stop on the active one" on bravo systemctl stop had </dev/null
is "$(unit bravo had ActiveState) $(unit bravo had Result)" "inactive success" \
	"stop: it has ended well"
check "stop: alpha runs shop" wait_for 20 runs_on alpha
check "stop: it was a goodbye" journal_has alpha had 'bravo said goodbye'
refuse "stop: bravo has no mount left" on bravo mountpoint -q /srv/orders
check "systemctl start" on bravo systemctl start had </dev/null
check "start: paired again" wait_for 40 paired

# The watchdog of systemd: a daemon that is frozen is killed and started anew.
pid=$(unit bravo had MainPID)
on bravo kill -STOP "$pid" </dev/null
check "frozen: systemd's watchdog ends it" wait_for 40 unit_is bravo had NRestarts 1
check "frozen: it is back" wait_for 40 paired

# --- the witness -------------------------------------------------------------

on bravo sed -e 's/192.0.2.20/192.0.2.12/; s/^port .*/port 7790/' \
	"$LAB_ROOT/etc/witness/witness.conf" </dev/null >"$LAB/witness.conf"
node_put bravo "$LAB/witness.conf" /etc/had/witness.conf
on bravo chmod 644 /etc/had/witness.conf </dev/null
check "systemctl enable --now had-witness" \
	on bravo systemctl enable --now had-witness </dev/null
is "$(unit bravo had-witness ActiveState) $(unit bravo had-witness StatusText)" \
	"active serving 1 clusters" "it is ready when that returns"
pid=$(unit bravo had-witness MainPID)
refuse "it does not run as root" test "$(on bravo stat -c %u "/proc/$pid" </dev/null)" = 0
is "$(on bravo stat -Lc %a /var/lib/had-witness </dev/null)" 700 "its records are its own"
on bravo kill -KILL "$pid" </dev/null
check "SIGKILL: systemd starts it anew" wait_for 30 unit_is bravo had-witness NRestarts 1
check "SIGKILL: it serves" wait_for 20 unit_is bravo had-witness ActiveState active
check "systemctl stop" on bravo systemctl stop had-witness </dev/null
is "$(unit bravo had-witness Result)" success "stop: it has ended well"
done_testing
