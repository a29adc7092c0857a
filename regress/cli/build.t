#!/bin/bash
# SPDX-License-Identifier: BSD-2-Clause
# What the Makefile promises: every kind of build, the hardening of a release,
# an installation into a directory; and rc/deps, which names only what is
# missing.  BIN is where the binaries are.
set -u
BIN=${BIN:-build/release}
tmp=$(mktemp -d) || exit 1
trap 'rm -rf "$tmp"' EXIT
# The variables of a make that runs this are not for those started here.
for v in MAKEFLAGS MAKELEVEL MFLAGS PURE CODEC CORE NODE DRIVER HAD HACTL HALOCK \
	SIM O WERROR CC BUILD; do
	unset "$v"
done
n=0 bad=0
is() { # description expected-status pattern command...
	local what=$1 want=$2 pattern=$3 out rc
	shift 3
	n=$((n + 1))
	out=$(timeout 110 "$@" 2>&1 </dev/null)
	rc=$?
	if [ "$rc" -eq "$want" ] && grep -qE -- "$pattern" <<<"$out"; then
		echo "ok $n - $what"
	else
		bad=$((bad + 1))
		echo "not ok $n - $what"
		printf '%s\n' "status $rc, expected $want and /$pattern/:" "$out" |
			tail -n 20 | sed 's/^/# /'
	fi
}

# One small library shows that the flags of each kind go together.
for kind in debug asan tsan cov; do
	is "BUILD=$kind compiles and links" 0 . sh -c "make -s BUILD=$kind O=$tmp/$kind \
		WERROR=-Werror $tmp/$kind/libhalock.so && echo done"
done
is "BUILD=cov writes notes for gcov" 0 'gcno' ls "$tmp/cov/lockmgr"
is "BUILD=tsan is under its eyes" 0 '__tsan' nm "$tmp/tsan/libhalock.so"
is "BUILD=asan is under its eyes" 0 '__asan' nm "$tmp/asan/libhalock.so"
is "another kind is refused" 2 'expected release, debug, asan, tsan or cov' \
	make BUILD=fast
for target in all install check lint sim fuzz lab bench demo deps clean; do
	is "make $target is there" 0 . sh -c "make -n $target >/dev/null && echo yes"
done

for bin in had hactl; do
	is "$bin: position independent" 0 'DYN' readelf -h "$BIN/$bin"
	is "$bin: relocations read-only" 0 'GNU_RELRO' readelf -lW "$BIN/$bin"
	is "$bin: bound at start" 0 'BIND_NOW|NOW' readelf -dW "$BIN/$bin"
	is "$bin: no executable stack" 0 'GNU_STACK.* RW ' readelf -lW "$BIN/$bin"
	is "$bin: stacks are protected" 0 '__stack_chk_fail' nm -D "$BIN/$bin"
	is "$bin: string functions are checked" 0 '__[a-z]+_chk' nm -D "$BIN/$bin"
done

# Installed from a copy that is built already: nothing is compiled here.
d=$tmp/dest
is "make install DESTDIR=" 0 . sh -c "make -s O=$BIN -o all install DESTDIR=$d && echo done"
for f in sbin/had sbin/hactl lib/libhalock.a lib/libhalock.so.0 include/halock.h \
	share/doc/had/examples/had.conf share/man/man8/had.8 share/man/man8/hactl.8 \
	share/man/man5/had.conf.5 share/man/man3/halock.3 lib/systemd/system/had.service; do
	is "installed: $f" 0 . sh -c "test -s $d/usr/$f && echo yes"
done
is "installed: the directory of the configuration" 0 . sh -c "test -d $d/etc/had && echo yes"
is "the unit starts what was installed" 0 '^ExecStart=/usr/sbin/had' \
	cat "$d/usr/lib/systemd/system/had.service"
is "a program builds with what was installed" 0 . sh -c "printf '%s\n' '#include <halock.h>' \
	'int main(void) { return halock_mode_parse(\"EX\") == HALOCK_EX ? 0 : 1; }' >$tmp/x.c &&
	cc -I$d/usr/include -o $tmp/x $tmp/x.c -L$d/usr/lib -lhalock &&
	LD_LIBRARY_PATH=$d/usr/lib $tmp/x && echo yes"
is "nothing else was installed" 1 '^0$' sh -c "find $d -type f | grep -vcE '/(s?bin|lib|include|share)/'"

# A machine on which three packages are missing, and an apt that only tells.
mkdir "$tmp/bin"
cat >"$tmp/bin/dpkg-query" <<'END'
#!/bin/sh
for last; do :; done
case $last in
jq | fio) exit 1 ;;
socat) [ -e "$0.done" ] || { printf config-files && exit; } ;;
esac
printf installed
END
cat >"$tmp/bin/apt-get" <<'END'
#!/bin/sh
echo "apt-get $*"
END
chmod +x "$tmp/bin/"*
is "rc/deps --check names what is missing, and only that" 1 '^missing: fio socat jq$' \
	env PATH="$tmp/bin:$PATH" rc/deps --check
is "rc/deps says what it installs" 1 '^rc/deps: installing fio socat jq$' \
	env PATH="$tmp/bin:$PATH" rc/deps
is "and asks apt for no other" 1 'install fio socat jq$' \
	env PATH="$tmp/bin:$PATH" rc/deps
is "what did not come is named" 1 'still missing: fio socat jq' \
	env PATH="$tmp/bin:$PATH" rc/deps
printf '#!/bin/sh\nprintf installed\n' >"$tmp/bin/dpkg-query"
is "with everything there it does nothing" 0 '^rc/deps: nothing is missing$' \
	env PATH="$tmp/bin:$PATH" rc/deps
is "rc/deps --list says what each is for" 0 'qemu-system-x86 +lab' rc/deps --list
is "rc/deps: another option shows the use" 64 'usage' rc/deps --force
is "continuous integration runs make check" 0 'exec make .*check' cat .ci/run
echo "1..$n"
[ "$bad" -eq 0 ]
