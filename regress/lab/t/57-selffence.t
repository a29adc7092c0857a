#!/bin/bash
# SPDX-License-Identifier: BSD-2-Clause
# What will not stop (R12): its users are killed, else the node resets itself,
# and nothing is started elsewhere before it is known to be dead.
# lab: timeout 420
# lab: long
# shellcheck source=../lib.sh
. "$LAB_ROOT/regress/lab/lib.sh"
# shellcheck source=../cluster.sh
. "$LAB_ROOT/regress/lab/cluster.sh"
# shellcheck source=../lib_arbiter.sh
. "$LAB_ROOT/regress/lab/lib_arbiter.sh"

# shellcheck disable=SC2034
LAB_CLUSTER='silent peer takeover
	self fence sysrq'
# Its stop hangs as long as that file is there.
# shellcheck disable=SC2034
CLUSTER_STEPS="command stubborn {
					start \"true\"
					stop \"trap '' TERM; while [ -e $LAB/stubborn ]; do sleep 1; done\"
					timeout 3s
				}"
fake=$LAB/fake
export CLUSTER_RESET=$fake
fenced() { [ -s "$fake.$1" ]; }
self_fenced() { [ "$(status "$1" .self_fenced)" = true ]; }
failed() { [ "$(status "$1" '.services[0].state')" = failed ]; }

power_serve
check "a pair is up" cluster_up 24
check "paired" wait_for 20 cluster_paired
check "shop runs on alpha" wait_for 30 service_on alpha
check "both copies are equal" wait_for 60 in_sync
check "the client writes" writer_start
prober_start all "$VIP"

# A user of the mount that is none of the service's: it is killed.
node_spawn alpha user sh -c 'cd /srv/orders && exec sleep 1000'
check "user: shop moves nevertheless" hactl bravo takeover
check "user: to bravo" wait_for 40 service_on bravo
refuse "user: it was killed" node_alive alpha user
refuse "user: alpha has no mount" has_mount alpha
refuse "user: no node was reset" fenced alpha
check "user: served" served
check "user: back to alpha" hactl alpha takeover
check "user: alpha has shop" wait_for 40 service_on alpha
check "whole" whole

# A stop that hangs.  The reset is only asked for: the peer waits.
: >"$LAB/stubborn"
hactl bravo takeover >"$LAB/log/takeover" 2>&1
check "hangs: alpha resets itself" wait_for 40 fenced alpha
check "hangs: with the reason" \
	grep -q '^sysrq: service shop will not stop' "$fake.alpha"
check "hangs: R12 is told" said alpha R12
check "hangs: the status says so" self_fenced alpha
is "$(status alpha .state)" CRITICAL "hangs: critical"
check "hangs: bravo does not start it" never_for 8 service_on bravo
refuse "hangs: bravo has no mount" has_mount bravo
is "$(wc -l <"$fake.alpha")" 1 "hangs: once"
t=$(now_ms)
power_cut alpha
check "dead: now bravo has shop" wait_for 30 service_on bravo
check "dead: served" served
diag "dead: served again after $(gap_ms "$t") ms"
rm -f "$fake.alpha"

# The same with the reset done.
export CLUSTER_RESET=$LAB/power/self
rm -f "$LAB/stubborn"
check "alpha comes back" node_again alpha
check "whole again" whole
check "back to alpha" hactl alpha takeover
check "alpha has shop" wait_for 40 service_on alpha
had_stop bravo # its next daemon is reset as well
check "bravo starts" node_start bravo
check "whole" whole
check "an operator has looked (R10)" forgive
: >"$LAB/stubborn"
hactl bravo takeover >>"$LAB/log/takeover" 2>&1
check "reset: alpha is off" wait_for 40 is_dark alpha
check "reset: bravo has shop" wait_for 30 service_on bravo
check "reset: served" served
rm -f "$LAB/stubborn"
check "alpha comes back" node_again alpha
check "whole again" whole
check "shop stayed on bravo" service_on bravo
check "an operator has looked (R10)" forgive

# A mount that nobody can end: something is mounted upon it.
on bravo mkdir -p /srv/orders/sub
on bravo mount -t tmpfs none /srv/orders/sub
hactl alpha takeover >>"$LAB/log/takeover" 2>&1
check "busy mount: bravo is off" wait_for 60 is_dark bravo
check "busy mount: alpha has shop" wait_for 30 service_on alpha
check "busy mount: served" served
check "bravo comes back" node_again bravo
check "whole again" whole

prober_stop all
is "$(prober_get all .duplicates)" 0 "no duplicate answer in all that"
writer_stop
check "every acknowledged record is there" verify
check "the service is stopped on both" quiesce
check "both disks are equal" backing_equal
done_testing
