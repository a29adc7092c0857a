#!/bin/bash
# SPDX-License-Identifier: BSD-2-Clause
# hactl volume, on files in place of devices and without a daemon.  BIN is
# where the binaries are.
set -u
BIN=${BIN:-build/release}
export PATH=$PATH:/usr/sbin:/sbin
tmp=$(mktemp -d) || exit 1
trap 'rm -rf "$tmp"' EXIT
n=0 bad=0
is() { # description expected-status pattern command...
	local what=$1 want=$2 pattern=$3 out rc
	shift 3
	n=$((n + 1))
	out=$(timeout 60 "$@" 2>&1 </dev/null)
	rc=$?
	if [ "$rc" -eq "$want" ] && grep -qE -- "$pattern" <<<"$out"; then
		echo "ok $n - $what"
	else
		bad=$((bad + 1))
		echo "not ok $n - $what"
		printf '%s\n' "status $rc, expected $want and /$pattern/:" "$out" | sed 's/^/# /'
	fi
}
# This machine is alpha: by the address that every machine has.
sed "s,^\tdevice .*,\tdevice \"$tmp/disk\",; s,10\.77\.0\.1 ,127.0.0.1 ," \
	etc/had.conf >"$tmp/had.conf"
grep -q "device \"$tmp/disk\"" "$tmp/had.conf" || { echo "Bail out! no volume"; exit 1; }
vol=$(sed -n 's/^volume \([a-z]*\) {.*/\1/p' etc/had.conf | head -n 1)
h="$BIN/hactl -r $tmp/run -s $tmp/state -f $tmp/had.conf"
fresh() {
	rm -f "$tmp/disk"
	truncate -s 32M "$tmp/disk"
}
sum() { sha256sum <"$tmp/disk"; }

is "a device that is not there" 73 'disk: No such file' $h volume create "$vol"
for holds in ext4 xfs swap LVM2_member; do
	fresh
	case $holds in
	ext4) mkfs.ext4 -q -F "$tmp/disk" ;;
	xfs) truncate -s 320M "$tmp/disk" && mkfs.xfs -q -f "$tmp/disk" ;;
	swap) mkswap "$tmp/disk" >/dev/null 2>&1 ;;
	LVM2_member)
		# A label of LVM: sector 1, with its checksum.
		printf 'LABELONE\1\0\0\0\0\0\0\0' | dd of="$tmp/disk" bs=512 seek=1 conv=notrunc 2>/dev/null
		printf '\x20\0\0\0LVM2 001' | dd of="$tmp/disk" bs=1 seek=532 conv=notrunc 2>/dev/null
		crc=$(dd if="$tmp/disk" bs=1 skip=532 count=492 2>/dev/null | perl -e '
			local $/; my $d = <STDIN>; my $c = 0xf597a6cf;
			for my $b (unpack "C*", $d) {
				$c ^= $b;
				$c = $c & 1 ? ($c >> 1) ^ 0xedb88320 : $c >> 1 for 1 .. 8;
			}
			print pack "V", $c')
		printf %s "$crc" | dd of="$tmp/disk" bs=1 seek=528 conv=notrunc 2>/dev/null
		;;
	esac
	[ "$(blkid -p -o value -s TYPE "$tmp/disk")" = $holds ] ||
		{ echo "Bail out! no $holds"; exit 1; }
	before=$(sum)
	is "a device that holds $holds is refused, by name" 73 "holds .*$holds|$holds" \
		$h volume create "$vol"
	is "and is as it was" 0 '^$' test "$before" = "$(sum)"
done
fresh
is "an empty one is taken" 0 'metadata written' $h volume create "$vol"
is "dump: it is blank" 0 '"blank": ?true' $h --json volume dump "$vol"
is "dump for eyes has the name" 0 "$vol" $h volume dump "$vol"
is "its own metadata is not overwritten" 73 'force' $h volume create "$vol"
is "with --force it is" 0 'metadata written' $h volume create --force "$vol"
is "--mkfs makes a file system first" 0 'metadata written' \
	$h volume create --force --mkfs ext4 "$vol"
is "dump: it is not blank" 0 '"blank": ?false' $h --json volume dump "$vol"
is "the file system is there" 0 '^ext4$' blkid -p -o value -s TYPE "$tmp/disk"
is "and fits before the metadata" 0 'Pass 5' \
	sh -c "head -c \$($h --json volume dump $vol | jq .data_bytes) $tmp/disk >$tmp/fs && e2fsck -fn $tmp/fs"
is "--keep-data and --mkfs exclude each other" 64 'volume create' \
	$h volume create --keep-data --mkfs ext4 "$vol"
is "no other file system is made" 64 'ext4 and xfs' $h volume create --mkfs vfat "$vol"
is "a volume that the file does not name" 64 'nothing' $h volume create nothing
is "damaged metadata are named, not guessed" 65 'no metadata of had' \
	sh -c "truncate -s 31M $tmp/disk; $h volume dump $vol"
echo "1..$n"
[ "$bad" -eq 0 ]
