#!/bin/bash
# SPDX-License-Identifier: BSD-2-Clause
# Link domains (R2): two VLANs over one device are one domain, which the
# kernel says; links that the file puts into one domain are one as well.
# lab: timeout 300
# lab: long
# shellcheck source=../lib.sh
. "$LAB_ROOT/regress/lab/lib.sh"
# shellcheck source=../cluster.sh
. "$LAB_ROOT/regress/lab/cluster.sh"
# shellcheck source=../lib_arbiter.sh
. "$LAB_ROOT/regress/lab/lib_arbiter.sh"

# red and blue are VLANs on lan0, cross is a wire of its own.
conf_links() {
	echo "link cross $(lab_cross "$1") interface \"cross0\" ${domain_cross:-}"
	echo "link red 10.10.0.$(lab_host "$1") interface \"lan0.10\""
	echo "link blue 10.20.0.$(lab_host "$1") interface \"lan0.20\" ${domain_blue:-}"
}
vlans() { # node
	local v
	for v in 10 20; do
		echo "link add link lan0 name lan0.$v type vlan id $v"
		echo "addr add 10.$v.0.$(lab_host "$1")/24 dev lan0.$v"
		echo "link set lan0.$v up"
	done | ip -n "$1" -batch -
}
cluster_before() { vlans alpha && vlans bravo; }
is_alone() { [ "$(status "$1" '.nodes[0].state')" = alone ]; }
jeopardy_is() { [ "$(status "$1" .jeopardy)" = "$2" ]; }
lost() { [ "$(status "$1" '.nodes[1].state')" = lost ]; }

modprobe 8021q
check "a pair is up" cluster_up 24
check "paired" wait_for 20 cluster_paired
check "shop runs on alpha" wait_for 30 service_on alpha
check "both copies are equal" wait_for 60 in_sync
check "three links are up" wait_for 20 links_up alpha 3
check "two domains: no jeopardy" wait_for 10 jeopardy_is alpha false
check "the client writes" writer_start

# Without the wire two links are left, of one domain.
link_down alpha cross
check "wire cut: two links are up" wait_for 15 links_up alpha 2
check "wire cut: and that is jeopardy" wait_for 10 jeopardy_is alpha true
check "wire cut: for bravo, too" wait_for 10 jeopardy_is bravo true
wait_for 2 false
loss alpha lan 100
check "both VLANs cut: bravo is lost, not dead" wait_for 15 lost alpha
check "both VLANs cut: bravo takes nothing" never_for 4 service_on bravo
check "both VLANs cut: alpha keeps shop" service_on alpha
loss alpha lan 0
link_up alpha cross
check "whole again" whole
check "no jeopardy" wait_for 20 jeopardy_is alpha false

# Without the VLANs the wire is left.
loss alpha lan 100
check "VLANs cut: one link is up" wait_for 15 links_up alpha 1
check "VLANs cut: jeopardy" wait_for 10 jeopardy_is alpha true
loss alpha lan 0
check "whole again" whole
check "three links are up again" wait_for 20 links_up alpha 3

# From full redundancy all at once is a death: two domains fell silent.
power_cut bravo
check "all at once: alpha goes on alone" wait_for 20 is_alone alpha
check "all at once: served" served
power_on bravo
check "VLANs again" vlans bravo
check "bravo is back" node_start bravo
check "whole again" whole
writer_stop

# The file says that the wire and blue (and so red) are one domain.
had_stop bravo
had_stop alpha
domain_cross="domain duct" domain_blue="domain duct"
check "the file with one domain" cluster_conf
check "alpha starts" node_start alpha
check "bravo starts" node_start bravo
check "whole again" whole
check "three links are up again" wait_for 20 links_up alpha 3
check "one domain: jeopardy with all links up" wait_for 10 jeopardy_is alpha true

check "shop runs" wait_for 30 one_owner
check "every acknowledged record is there" verify
check "the service is stopped on both" quiesce
check "both disks are equal" backing_equal
done_testing
