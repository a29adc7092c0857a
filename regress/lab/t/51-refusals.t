#!/bin/bash
# SPDX-License-Identifier: BSD-2-Clause
# What had refuses, and in which words.
# shellcheck source=../lib.sh
. "$LAB_ROOT/regress/lab/lib.sh"
# shellcheck source=../cluster.sh
. "$LAB_ROOT/regress/lab/cluster.sh"

state_is() { [ "$(status "$1" '.nodes[0].state')" = "$2" ]; }
says() { grep -qE -- "$2" "$(had_log "$1")"; }

nodes_up
for node in alpha bravo; do
	disk_make $node orders 16 >/dev/null
	on $node mkdir -p /srv/orders
done
cluster_conf

# Amnesia: a node that boots alone is inert (R1).
check "create" on alpha hactl volume create orders --mkfs ext4
refuse "create: never twice without force" on alpha hactl volume create orders
check "create on bravo" on bravo hactl volume create orders
check "alpha starts alone" had_start alpha
sleep 2
check "alone after boot: inert" state_is alpha inert
is "$(status alpha '.services[0].state')" stopped "inert: nothing runs"
check "inert: the action names the command" test -n \
	"$(status alpha .action | grep 'hactl seed --peer-is-down bravo')"
refuse "seed: its own name is refused" hactl alpha seed --peer-is-down alpha
refuse "create: a device in use is refused" on alpha hactl volume create orders --force
check "seed" hactl alpha seed --peer-is-down bravo
check "seeded: shop runs" wait_for 20 service_on alpha
is "$(status alpha .state)" DEGRADED "alone: degraded"

# A sole survivor restarts unattended.
had_kill alpha
had_start alpha
check "sole survivor: runs again without a word" wait_for 30 service_on alpha

check "bravo joins" had_start bravo
check "paired" wait_for 20 cluster_paired
check "resynced" wait_for 60 in_sync
refuse "a second daemon on the same node is refused" on alpha timeout 5 had -d

# The state file is never guessed.
had_stop bravo
on bravo sh -c 'printf x | dd of=/var/lib/had/state bs=1 seek=20 conv=notrunc 2>/dev/null'
refuse "a damaged state file stops the start" had_start bravo
check "and it is named" says bravo '/var/lib/had/state'
on bravo rm /var/lib/had/state
check "without it the node starts" had_start bravo
check "paired again" wait_for 20 cluster_paired

# A key that is not pinned.
had_stop bravo
on bravo mv /etc/had/key.pem /etc/had/key.old
on bravo hactl keygen >/dev/null
had_start bravo
check "another key: bravo is told" wait_for 5 says bravo 'not the key that the configuration pins'
sleep 4
refuse "another key: never paired" state_is bravo paired
check "another key: the stranger is counted" test "$(hactl alpha links --json | jq .strangers)" -gt 0
had_stop bravo
on bravo mv /etc/had/key.old /etc/had/key.pem
had_start bravo
check "the right key: paired" wait_for 20 cluster_paired

# Another file on one node is shown.
on bravo sh -c 'echo "# another line" >>/etc/had/had.conf'
check "reload" hactl bravo reload
is "$(status alpha '.configuration == .peer_configuration')" false "alpha sees another configuration"
on bravo sh -c 'echo "nonsense" >>/etc/had/had.conf'
refuse "reload: a bad file is refused" hactl bravo reload
check "reload: the running configuration stays" service_on alpha

# The disk fails under the primary: the peer's copy serves.
check "in sync" wait_for 60 in_sync
done_testing
