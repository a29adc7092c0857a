#!/bin/bash
# SPDX-License-Identifier: BSD-2-Clause
# Routers of a pair come, change and go with a reload, on one node first and
# then on the other: what stays has no outage, no second holder and no
# transition, and both nodes tell the truth in between.
# lab: long
# lab: timeout 180
# shellcheck source=../lib.sh
. "$LAB_ROOT/regress/lab/lib.sh"
export LAB_HEARTBEAT=300ms LAB_DEAD=2s

# NAME=NUMBER,PRIORITY HERE,PRIORITY THERE:ADDRESS,...: the file of a node,
# below the head that both have.
router() {
	local name=${1%%=*} words=${1#*=} h
	local hosts=${words#*:} number alpha bravo
	IFS=, read -r number alpha bravo <<<"${words%:*}"
	for h in ${hosts//,/ }; do
		printf 'address a%s {\n\t192.0.2.%s/24 interface lan0\n}\n' "$h" "$h"
	done
	printf 'router %s {\n\tvrrp 3 vrid %s; interval 500ms\n' "$name" "$number"
	printf '\tpriority %s on alpha; priority %s on bravo\n' "$alpha" "$bravo"
	for h in ${hosts//,/ }; do
		printf '\taddress a%s\n' "$h"
	done
	echo '}'
}
file() { # node router...
	local node=$1 r
	shift
	{
		cat "$LAB/head"
		for r; do router "$r"; done
	} >"$LAB/$node.conf"
	node_put "$node" "$LAB/$node.conf" /etc/had/had.conf
}
said() { hactl "$1" "${@:2}" reload 2>&1; }
of() { # node name filter
	hactl "$1" --json addresses | jq -r ".routers[] | select(.name == \"$2\") | $3"
}
state_is() { [ "$(of "$1" "$2" .state)" = "$3" ]; }
routers() { hactl "$1" --json addresses | jq -r '[.routers[].name] | join(" ")'; }
routers_are() { [ "$(routers "$1")" = "$2" ]; }
whole() { [ "$(hactl "$1" --json status | jq -r .state)" = OK ]; }
differs() { hactl "$1" status | grep -q "$2 has another configuration"; }
on_lan() { on "$1" ip -o addr show dev lan0 | grep -q " 192.0.2.$2/"; }
off_lan() { ! on_lan "$@"; }
answers() { on client ping -c 1 -W 1 "192.0.2.$1"; }
holds_three() {
	[ "$(hactl alpha --json addresses |
		jq '[.routers[] | select(.state == "ACTIVE")] | length')" = 3 ]
}
moves() { # of what stays
	local n
	for n in alpha bravo; do
		hactl $n --json addresses | jq -c '[.routers[] |
			select(.name == "keep" or .name == "other").transitions]'
	done | paste -sd ' '
}

nodes_up
conf_write </dev/null
cp "$LAB/had.conf" "$LAB/head"
KEEP=keep=90,200,100:90 OTHER=other=91,100,200:91 MORE=more=92,200,100:92,94
GO=go=93,200,100:93 NEW=new=96,100,200:96
for n in alpha bravo; do file $n $KEEP $OTHER $MORE $GO; done
# Alpha, which is first, has all of them.
check "alpha starts" had_start alpha
check "alpha has them" wait_for 10 state_is alpha other ACTIVE
check "bravo starts" had_start bravo
check "they are a pair" wait_for 30 whole alpha
check "bravo takes other" hactl alpha release other
check "bravo has it" wait_for 5 state_is bravo other ACTIVE
check "alpha has what it is to have" holds_three
before=$(moves)
for h in 90 91 94; do
	prober_start $h -I 20000 -m arp -i lan0 192.0.2.$h
done

# One comes, on alpha first, which is not the better one: while only alpha has
# it, it is alpha's.
file alpha $KEEP $OTHER $MORE $GO $NEW
is "$(said alpha --dry-run)" "it would be applied: routers 1 added, 0 removed, 0 changed, 4 kept; addresses 1 added, 0 removed: +new; nothing is interrupted" \
	"come: what it would do"
is "$(said alpha)" "applied: routers 1 added, 0 removed, 0 changed, 4 kept; addresses 1 added, 0 removed: +new" \
	"come: and what it did"
check "come: alpha takes it" wait_for 5 state_is alpha new ACTIVE
check "come: it answers" wait_for 3 answers 96
check "come: alpha says that bravo's file is another" wait_for 3 differs alpha bravo
is "$(routers bravo)" "keep other more go" "come: bravo has not got it"
file bravo $KEEP $OTHER $MORE $GO $NEW
check "come: bravo, too" hactl bravo reload
check "come: bravo knows of alpha" wait_for 3 state_is bravo new BACKUP
check "come: bravo says that all is well" wait_for 3 whole bravo
is "$(of alpha new .transitions) $(of bravo new .transitions)" "2 1" \
	"come: it has not moved"

# Another address for one of two, on the backup first.
file bravo $KEEP $OTHER more=92,200,100:97,94 $GO $NEW
check "addresses: bravo" hactl bravo reload
check "addresses: the one that is to go still answers" answers 92
file alpha $KEEP $OTHER more=92,200,100:97,94 $GO $NEW
check "addresses: alpha" hactl alpha reload
check "addresses: the new one answers" wait_for 3 answers 97
check "addresses: the old one is off" wait_for 3 off_lan alpha 92
is "$(of alpha more '"\(.state) \(.transitions)"') $(of bravo more .transitions)" \
	"ACTIVE 2 1" "addresses: the router goes on"

# One goes, on its master first: bravo has it then.  And from bravo.
prober_start 93 -I 5000 -m arp -i lan0 192.0.2.93
file alpha $KEEP $OTHER more=92,200,100:97,94 $NEW
check "go: alpha" hactl alpha reload
check "go: bravo has it" wait_for 3 state_is bravo go ACTIVE
check "go: it is off" wait_for 3 off_lan alpha 93
check "go: alpha has it no more" wait_for 3 routers_are alpha "keep other more new"
lab_nap 0.5
prober_stop 93
is "$(prober_get 93 .duplicates)" 0 "go: never two"
at_most "$(prober_get 93 '.longest_ms | ceil')" 700 "go: silence, in ms"
file bravo $KEEP $OTHER more=92,200,100:97,94 $NEW
check "go: bravo, too" hactl bravo reload
check "go: it is nobody's" wait_for 3 off_lan bravo 93
refuse "go: and silent" answers 93

# It returns to one node and leaves it again.
file bravo $KEEP $OTHER more=92,200,100:97,94 $NEW $GO
check "return: bravo" hactl bravo reload
check "return: bravo takes it" wait_for 5 state_is bravo go ACTIVE
file bravo $KEEP $OTHER more=92,200,100:97,94 $NEW
check "return: and not" hactl bravo reload
check "return: it is off" wait_for 3 off_lan bravo 93

# What is wrong changes nothing.
file alpha $KEEP other=90,100,200:91 more=92,200,100:97,94 $NEW
refuse "refused: a number twice" hactl alpha reload
file alpha $KEEP $OTHER more=98,200,100:97,94 $NEW
is "$(said alpha | sed 's/.*address a9[47] /address /')" \
	"address goes from router more to another: reload without it first, then with it; the running configuration stays" \
	"refused: another number for the same addresses"
file alpha $KEEP $OTHER more=92,200,100:97,94 $NEW
echo 'volume late {' >>"$LAB/alpha.conf"
node_put alpha "$LAB/alpha.conf" /etc/had/had.conf
refuse "refused: half a file" hactl alpha reload
is "$(routers alpha)" "keep other more new" "refused: alpha has what it had"
check "refused: and both are well" wait_for 3 whole bravo

for h in 90 91 94; do
	prober_stop $h
	is "$(prober_get $h .duplicates)" 0 "$h, which stayed: never two"
	at_most "$(prober_get $h '.longest_ms | ceil')" 100 "$h: silence, in ms"
done
is "$(moves)" "$before" "what stayed has made no transition"
done_testing
