#!/bin/bash
# SPDX-License-Identifier: BSD-2-Clause
# What the daemon costs while nothing happens, and what it leaves behind: its
# memory, its time and its wake-ups without volumes; its sockets at a clean
# stop, after its death, and where something else is in their place.
# lab: timeout 120
. "$LAB_ROOT/regress/lab/lib.sh"
VIP=192.0.2.80

conf() { # text
	cat >"$LAB/had.conf" <<-END
		cluster lab {
		}
		node alpha {
			id 1
			key "$(lab_key alpha)"
			link lan 192.0.2.11 interface "lan0"
		}
		lockspace default {
		}
		$1
	END
	node_put alpha "$LAB/had.conf" /etc/had/had.conf
}
answers() { hactl alpha status --json; }
runs() { [ "$(answers | jq -r '.services[0].state')" = running ]; }
sockets() { on alpha sh -c 'cd /run/had && find . -type s | sort | xargs'; }
incarnation() { answers | jq -r .daemon.incarnation; }

# Of the whole process, in ticks of the kernel's clock.
ticks() {
	local f
	read -ra f <"/proc/$1/stat"
	echo $((f[13] + f[14]))
}
# How often its threads went to sleep.
switches() {
	cat "/proc/$1/task/"*/status |
		awk '/^voluntary_ctxt/ { n += $2 } END { print n }'
}
field() { awk -v f="$2:" '$1 == f { print $2 }' "/proc/$1/status"; }

# Ten seconds in which nothing happens.
idle() { # name wake-ups-a-second
	local pid t w ms hz
	pid=$(had_pid alpha)
	hz=$(getconf CLK_TCK)
	sleep 1
	t=$(ticks "$pid") w=$(switches "$pid") ms=$(now_ms)
	sleep 10
	t=$(($(ticks "$pid") - t)) w=$(($(switches "$pid") - w))
	ms=$(($(now_ms) - ms))
	at_most "$((t * 1000000 / hz * 1000 / ms))" 5000 \
		"$1: millionths of a core, idle"
	at_most "$((w * 1000 / ms))" "$2" "$1: wake-ups a second"
	# One that is not measured at all would have none.
	check "$1: it was awake" test "$w" -gt 10
	at_most "$(field "$pid" VmRSS)" 20480 "$1: KiB in memory"
	at_most "$(field "$pid" VmHWM)" 20480 "$1: KiB in memory at most"
	at_most "$(field "$pid" Threads)" 3 "$1: threads"
}

nodes_up alpha
conf ''
check "a node with nothing to do starts" had_start alpha
check "it answers" wait_for 5 answers
is "$(sockets)" "./ctl.sock ./lock.sock" "its sockets are there"
idle "nothing to do" 10
had_stop alpha
is "$(sockets)" "" "a clean stop takes its sockets along"

conf "
	address web {
		$VIP/24 interface lan0
	}
	service web {
		start {
			address web
		}
	}"
check "a node with an address starts" had_start alpha
check "and holds it" wait_for 10 runs
# The guard's lease is renewed with every heartbeat.
idle "one address" 40

# A client that stays does not keep the sockets alive.
on alpha "$LAB_BIN/hactl" events -f >/dev/null 2>&1 &
on alpha "$LAB_BIN/hactl" lock one -- sleep 20 >/dev/null 2>&1 &
holds() { hactl alpha locks --json | jq -e '[.. | .name? // empty] | index("one")'; }
check "clients are connected" wait_for 5 holds
had_stop alpha
is "$(sockets)" "" "with clients, too"
wait

# Killed: the files stay, and the next daemon puts its own in their place.
check "it starts again" had_start alpha
check "it answers again" wait_for 5 answers
had_kill alpha
is "$(sockets)" "./ctl.sock ./lock.sock" "killed: its sockets are still there"
before=$(on alpha stat -c %i /run/had/ctl.sock /run/had/lock.sock | xargs)
check "killed: the next one starts" had_start alpha
check "killed: and answers" wait_for 5 answers
after=$(on alpha stat -c %i /run/had/ctl.sock /run/had/lock.sock | xargs)
refuse "killed: both sockets are new ones" test "$before" = "$after"
check "killed: locks are to be had" hactl alpha lock two -- true

# One that is still dying is waited for.
had_kill alpha
on alpha timeout -s KILL 0.6 socat UNIX-LISTEN:/run/had/ctl.sock,unlink-early,fork - \
	</dev/null >/dev/null 2>&1 &
dying() { on alpha socat -u /dev/null UNIX-CONNECT:/run/had/ctl.sock; }
check "still dying: somebody has the socket" wait_for 5 dying
had_start alpha
check "still dying: the next one waits for it" wait_for 5 answers
wait

# A second daemon is refused and takes nothing away.
first=$(incarnation)
on alpha timeout 5 "$LAB_BIN/had" -d -f /etc/had/had.conf >"$LAB/log/second" 2>&1
is $? 69 "a second daemon is refused"
check "it says why" grep -q 'control: another had answers at /run/had/ctl.sock' "$LAB/log/second"
is "$(incarnation)" "$first" "the first one still answers"
had_stop alpha

# What is no socket is somebody else's.
on alpha touch /run/had/ctl.sock
on alpha timeout 5 "$LAB_BIN/had" -d -f /etc/had/had.conf >"$LAB/log/file" 2>&1
is $? 69 "a file in the place of the socket: refused"
check "it is named" grep -q 'control: /run/had/ctl.sock: .*non-socket' "$LAB/log/file"
check "and left alone" on alpha test -f /run/had/ctl.sock
on alpha rm /run/had/ctl.sock

# In the background, named by relative paths, it finds its things all the same.
on alpha sh -c "cd /srv && mkdir -p state && cp /etc/had/had.conf /etc/had/key.pem . &&
	$LAB_BIN/had -f had.conf -k key.pem -r run -s state </dev/null >/srv/log 2>&1"
is $? 0 "in the background, with relative paths"
here() { on alpha "$LAB_BIN/hactl" -r /srv/run status --json; }
check "it answers where it was told to" wait_for 5 here
check "it reads its configuration again" on alpha "$LAB_BIN/hactl" -r /srv/run reload
check "its state is where it was told to be" on alpha test -s /srv/state/state
pid=$(on alpha pgrep -f "$LAB_BIN/had -f had.conf")
kill "$pid"
check "it ends" wait_for 10 sh -c "! kill -0 $pid"
is "$(on alpha find /srv/run -type s)" "" "and leaves no socket"
nodes_down
done_testing
