#!/bin/bash
# SPDX-License-Identifier: BSD-2-Clause
# The lab without its guest: the same faults in namespaces of this machine,
# and that nothing of them reaches the machine.
# lab: timeout 120
. "$LAB_ROOT/regress/lab/lib.sh"
. "$LAB_ROOT/regress/lab/selftest.sh"

is "$(ip -br link | awk '{ print $1 }' | xargs)" lo \
	"a script has no network of the machine"
check "its /etc is a copy" touch /etc/.lab-was-here
self_reach
self_links
self_silence
self_vanish
self_daemon
self_disk
self_prober
self_prober_tcp
nodes_down
is "$(ip netns list)" "" "nodes_down: nothing is left"
done_testing
