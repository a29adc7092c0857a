#!/bin/bash
# SPDX-License-Identifier: BSD-2-Clause
# More of 20-vip-guard.t: announcements read off the wire, batches of the
# guard, addresses of both nodes, virtual MACs, sockets for adverts.
# lab: long
# lab: timeout 450
export LAB_VIP_PROGRAMS="vip_wire_test vip_guard_batch_test vip_share_test vr_mac_test vr_sock_test"
# shellcheck source=20-vip-guard.t
. "$LAB_ROOT/regress/lab/t/20-vip-guard.t"
