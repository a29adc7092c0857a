#!/bin/bash
# SPDX-License-Identifier: BSD-2-Clause
# One node, no peer, no SCTP: the lock manager from the program down to the
# core and back.  Who holds, who waits, who may not; and that no command
# outlives its lock, whoever is killed.
# lab: timeout 120
. "$LAB_ROOT/regress/lab/lib.sh"

dir=$LAB/lock
mkdir "$dir"
chmod 777 "$dir"

conf() {
	cat <<-END
		cluster lab {
			heartbeat 100ms
			dead 500ms
		}
		node alpha {
			id 1
			key "$(lab_key alpha)"
			link lan 192.0.2.11 interface "lan0"
		}
		lockspace default {
		}
		lockspace jobs {
			group daemon
			locks 4
		}
	END
}

lock() { hactl alpha lock "$@"; }
# Runs it; sets rc, out (both outputs).
try() {
	out=$("$@" 2>&1)
	rc=$?
}
try_lock() { try lock "$@"; }
# The command of a holder: holds on until FILE.go appears.
cat >"$dir/hold" <<'END'
#!/bin/bash
# FILE [TRAP]
echo $$ >"$1.pid.new"
echo $PPID >"$1.hactl"
echo "$HAD_LOCK_TOKEN" >"$1.token"
mv "$1.pid.new" "$1.pid"
[ -z "${2:-}" ] || trap "$2" TERM
until [ -e "$1.go" ]; do
	read -rt 0.05 <>"$1.fifo"
done
exit 0
END
chmod +x "$dir/hold"
# shellcheck disable=SC2317 # called by check
# Sets holder, a job of this shell.  $dir/NAME.pid is of the command, .hactl
# of its hactl.
hold() { # NAME TRAP lock-arguments...
	local name=$1 trap=$2
	shift 2
	rm -f "$dir/$name".*
	mkfifo "$dir/$name.fifo"
	lock "$@" -- "$dir/hold" "$dir/$name" "$trap" >"$dir/$name.out" 2>&1 &
	holder=$!
	wait_for 10 test -e "$dir/$name.pid"
}
# shellcheck disable=SC2317 # called by check
release() { # name
	touch "$dir/$1.go"
	wait "$holder"
}
# shellcheck disable=SC2317 # called by check
gone() { # name: the command of a holder
	local stat
	{ read -r stat <"/proc/$(<"$dir/$1.pid")/stat"; } 2>/dev/null || return 0
	case ${stat##*) } in [ZX]*) return 0 ;; esac
	return 1
}
locks() { hactl alpha locks "$@"; }
# shellcheck disable=SC2317 # called by check
waits() { locks | grep -q "$1.*waiting"; }

nodes_up alpha
conf >"$LAB/had.conf"
node_put alpha "$LAB/had.conf" /etc/had/had.conf
check "a single node starts, without SCTP" had_start alpha
check "its lockspaces run" wait_for 5 \
	sh -c "grep -q 'locks: .*running' '$(had_log alpha)'"
is "$(on alpha stat -c '%a %F' /run/had/lock.sock)" "666 socket" \
	"everybody may connect"

# What a command gets, and what comes back from it.
try_lock a -- sh -c 'echo $HAD_LOCK_TOKEN'
first=$out
check "the command finds a token" test "$first" -gt 0
try_lock a -- sh -c 'echo $HAD_LOCK_TOKEN'
check "the next one a larger" test "$out" -gt "$first"
try_lock a -- sh -c 'exit 7'
is "$rc" 7 "the command's exit status"
try_lock a -- sh -c 'kill -TERM $$'
is "$rc" 143 "128 and the signal that ended it"
try_lock a -- sh -c 'echo $#' sh {1..300}
is "$rc:$out" 0:300 "a command of many words"
try_lock a -- /nonexistent
is "$rc" 127 "no such command"
try_lock -m XX a -- true
is "$rc:$out" "64:hactl: lock: XX: not a mode: NL CR CW PR PW EX" \
	"no such mode"
try_lock -n -w 1 a -- true
is "$rc" 64 "-n and -w exclude each other"
try_lock -w never a -- true
is "$rc" 64 "not a number of seconds"
try_lock -s nowhere a -- true
is "$rc" 69 "no such lockspace"
try_lock "$(printf 'x%.0s' {1..65})" -- true
is "$rc" 64 "a name of 65 bytes"

# Somebody else has it.
check "a holder" hold h '' h
try_lock -n h -- echo never
is "$rc:$out" "75:hactl: lock h: busy" "-n gives up at once"
start=$(now_ms)
try_lock -w 0.4 h -- echo never
is "$rc:$out" "75:hactl: lock h: not granted in time" "-w gives up, too"
check "but not before" test $(($(now_ms) - start)) -ge 400
is "$(locks h | grep -c "h .*alpha .* $(<"$dir/h.hactl") .*granted .*EX")" 1 \
	"hactl locks: who holds it"
lock h -- touch "$dir/waited" >/dev/null 2>&1 &
waiter=$!
check "another waits" wait_for 5 waits h
is "$(locks --blocked | grep -c 'h .*waiting')" 1 \
	"hactl locks --blocked: it alone"
locks --blocked | grep waiting >"$LAB/log/why"
check "and why: the holder's pid" grep -q "$(<"$dir/h.hactl")" "$LAB/log/why"
refuse "it has not run" test -e "$dir/waited"
check "the holder lets go" release h
check "then it is the next one's" wait $waiter
check "and its command ran" test -e "$dir/waited"
check "nobody holds anything" \
	sh -c "echo '$(locks)' | grep -q ' 0 granted and 0 waiting'"

check "a reader" hold r '' -m PR r
try_lock -n -m PR r -- true
is "$rc" 0 "PR beside PR"
try_lock -n -m EX r -- true
is "$rc" 75 "EX not beside PR"
release r

# Six shells, five times each, one counter.
echo 0 >"$dir/count"
cat >"$dir/add" <<'END'
#!/bin/bash
read -r n <"$1"
echo $((n + 1)) >"$1"
END
chmod +x "$dir/add"
pids=()
for i in 1 2 3 4 5 6; do
	(for _ in 1 2 3 4 5; do
		lock count -- "$dir/add" "$dir/count" || exit
	done) >/dev/null 2>&1 &
	pids+=($!)
done
bad=0
for i in "${pids[@]}"; do wait "$i" || bad=$((bad + 1)); done
is "$bad:$(<"$dir/count")" 0:30 "one at a time: no addition is lost"

# Whoever is killed.
check "a holder" hold k '' k
kill -KILL "$(<"$dir/k.pid")"
wait "$holder"
is $? 137 "its command killed: 137"
try_lock -n k -- true
is "$rc" 0 "and the lock free"
check "a holder" hold k '' k
kill -INT "$(<"$dir/k.hactl")"
wait "$holder"
is $? 130 "an interrupt is the command's"
check "a holder" hold k '' k
lock -w 10 k -- touch "$dir/k.after" >/dev/null 2>&1 &
waiter=$!
wait_for 5 waits k
kill -KILL "$(<"$dir/k.hactl")"
wait "$holder" 2>/dev/null
check "hactl killed: its command dies with it" wait_for 2 gone k
wait $waiter
is "$?:$(ls "$dir/k.after")" "0:$dir/k.after" "and the lock is the next one's"

# Without a command.
mkfifo "$dir/in"
lock n <"$dir/in" >"$dir/n.token" 2>&1 &
holder=$!
exec {in}>"$dir/in"
check "prints its token" wait_for 5 grep -qx '[0-9][0-9]*' "$dir/n.token"
try_lock -n n -- true
is "$rc" 75 "and holds the lock"
exec {in}>&-
wait $holder
is $? 0 "until its input ends"
try_lock -n n -- true
is "$rc" 0 "then it is free"

# Groups and limits.
as() { # uid gid groups hactl-arguments...
	local who=(--reuid "$1" --regid "$2" --clear-groups)
	[ -z "$3" ] || who=("${who[@]::4}" --groups "$3")
	shift 3
	try on alpha setpriv "${who[@]}" "$LAB_BIN/hactl" lock "$@"
}
as 65534 65534 "" -s jobs j -- true
is "$rc:$out" "77:hactl: lockspace jobs: not in its group" "a stranger"
as 65534 1 "" -s jobs j -- true
is "$rc" 0 "by its primary group"
as 65534 65534 1 -s jobs j -- true
is "$rc" 0 "by a supplementary group"
as 65534 1 "" j -- true
is "$rc" 77 "not in a lockspace without a group"
for i in 1 2 3 4; do
	mkfifo "$dir/full.$i"
	lock -s jobs "full$i" <"$dir/full.$i" >/dev/null 2>&1 &
	eval "exec {f$i}>'$dir/full.$i'"
done
wait_for 5 sh -c "[ \$('$LAB_BIN/hactl' -r /proc/$(lab_pid alpha)/root/run/had \
	locks | grep -c 'full.*granted') = 4 ]"
try_lock -s jobs one-more -- true
is "$rc:$out" "69:hactl: lock one-more: No locks available" \
	"a lockspace has as many locks as it is allowed"
for i in 1 2 3 4; do eval "exec {f$i}>&-"; done

# The example of halock(3) with the libraries as they are installed.
awk '/^\.Bd -literal/ { next } /^\.Ed/ { on = 0 }
	on { gsub(/\\e/, "\\"); gsub(/\\&/, ""); print }
	/^\.\\" example begins/ { on = 1 }' \
	"$LAB_ROOT/man/halock.3" >"$dir/ex.c"
mkdir "$dir/lib"
ln -s "$LAB_BIN/libhalock.so" "$dir/lib/libhalock.so"
ln -s "$LAB_BIN/libhalock.so" "$dir/lib/libhalock.so.0"
cp "$LAB_ROOT/lockmgr/halock.h" "$dir/lib"
check "a program with libhalock.a" cc -Wall -Werror -I"$dir/lib" \
	-o "$dir/static" "$dir/ex.c" "$LAB_BIN/libhalock.a" -lpthread
check "a program with libhalock.so" cc -Wall -Werror -I"$dir/lib" \
	-o "$dir/shared" "$dir/ex.c" -L"$dir/lib" -lhalock
# A value lives as long as there is a lock on its name.
hold job '' -m NL job
try on alpha "$dir/static"
is "$rc:${out%%token*}" "0:run 1, " "the first runs"
try on alpha env LD_LIBRARY_PATH="$dir/lib" "$dir/shared"
is "$rc:${out%%token*}" "0:run 2, " "the second knows of it by the value"
release job
is "$(nm -D --defined-only "$LAB_BIN/libhalock.so" | awk '$2 == "T"' |
	grep -vc ' halock_')" 0 "libhalock.so exports nothing else"

# The daemon.
check "a holder" hold d '' d
before=$(<"$dir/d.token")
start=$(now_ms)
had_kill alpha
check "had killed: the command dies" wait_for 5 gone d
at_most $(($(now_ms) - start)) 1000 "at once"
wait "$holder"
is "$?:$(<"$dir/d.out")" "74:hactl: lock d: lost: the daemon is gone" \
	"and hactl says why"
try_lock d -- true
is "$rc" 69 "without a daemon there is no lock"
on alpha rm -f /run/had/ctl.sock
check "had starts over a dead one's socket" had_start alpha
try_lock -w 10 d -- sh -c 'echo $HAD_LOCK_TOKEN'
check "tokens go on growing" test "$out" -gt "$before"

check "a command that ends when asked" hold d \
	"echo asked; exit 3" d
( had_stop alpha ) &
stop=$!
wait "$holder"
is "$?:$(sort "$dir/d.out" | xargs)" \
	"74:asked hactl: lock d: lost: this node may not hold locks" \
	"had stops: it is asked first"
wait $stop
on alpha rm -f /run/had/ctl.sock
had_start alpha
check "a command that does not listen" hold d "echo no" d
( had_stop alpha ) &
stop=$!
wait "$holder"
is $? 74 "had stops: it loses"
check "it was asked and then killed" grep -qx no "$dir/d.out"
check "it is gone" gone d
wait $stop
is $? 0 "and had has ended"
done_testing
