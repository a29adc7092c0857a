#!/bin/bash
# SPDX-License-Identifier: BSD-2-Clause
# The guard and the address drivers on the lab's kernel: the programs of
# regress/unit that build namespaces of their own run here, too.  Kernels
# differ in what nftables can do to an element that exists, so what passes on
# the build machine need not pass here.
# lab: timeout 450
. "$LAB_ROOT/regress/lab/lib.sh"

# Emulation is slow: the same tests at a quarter of the pace.
[ "$LAB_MODE" = guest ] && export VIP_NET_SCALE=4
programs=${LAB_ENV_VIP:-$LAB_BIN/unit}

run() { # PROGRAM
	local log=$LAB/log/$1.log what name
	timeout 100 "$programs/$1" >"$log" 2>&1
	while read -r what name; do
		case $what in
		OK) ok "$1: ${name//_/ }" ;;
		*) not_ok "$1: ${name//_/ }" "see $1.log" ;;
		esac
	done < <(sed -n '/tests listed below/q; s/^\[ *\(OK\|FAILED\) *\] test_\(.*\)/\1 \2/p' "$log" |
		sort -u -k2)
	check "$1 ended well" grep -q '^\[  PASSED  \] [1-9][0-9]* test' "$log"
	refuse "$1 left nothing out" grep -q SKIPPED "$log"
	sed -n 's/^\([a-z].*[0-9] us.*\)/# \1/p' "$log"
}

# The others run natively in each check, and here in make lab (21-vip-drivers).
for program in ${LAB_VIP_PROGRAMS:-vip_guard_test vip_move_test}; do
	run "$program"
done
done_testing
