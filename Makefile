# SPDX-License-Identifier: BSD-2-Clause
#
# had: one non-recursive Makefile for GNU make, no configure step.
#	make [all]	build into build/$(BUILD)
#	make check	everything that proves it; ends with N passed, N failed
#	make bench	figures; make bench-vip: those of virtual routers
#	make demo	two nodes, a service and every kind of trouble, narrated
# BUILD=release|debug|asan|tsan|cov, CC=gcc|clang, V=1 shows commands.

BUILD ?= release
CC = gcc
V ?= 0
PREFIX ?= /usr
SYSCONFDIR ?= /etc
DESTDIR ?=
WERROR ?=

O := build/$(BUILD)
VERSION := 0.1.0
DEPS_STAMP := build/.deps

ifeq ($(V),0)
Q := @
SAY = @echo "  $(1)	$(2)"
else
Q :=
SAY = @:
endif

# Pure: bytes in, structs out.  No I/O, no clock, no allocation after start.
CODEC := \
	src/evlog.c \
	src/rule.c \
	src/wire.c \
	src/conf_lex.c \
	src/conf_parse.c \
	src/conf_service.c \
	src/conf_value.c \
	src/conf_addr.c \
	src/conf_check.c \
	src/conf_check_service.c \
	src/conf_check_arbiter.c \
	src/conf_timers.c \
	src/conf_print.c \
	src/conf_arbiter.c \
	src/conf_check_router.c \
	src/conf_merge.c \
	src/conf_print_router.c \
	src/conf_router.c \
	src/conf_hmac.c \
	src/conf_print_arbiter.c \
	src/import.c \
	src/import_lex.c \
	src/import_keepalived.c \
	src/import_keepalived_address.c \
	src/import_keepalived_build.c \
	src/import_keepalived_hmac.c \
	src/import_keepalived_instance.c \
	src/import_keepalived_track.c \
	src/import_keepalived_use.c \
	src/fence_agent.c \
	src/lockdisk_slot.c \
	src/lockdisk_vote.c \
	src/witness_conf.c \
	src/witness_file.c \
	src/witness_wire.c \
	src/statefile.c \
	mirror/dirtymap.c \
	mirror/rangelock.c \
	mirror/mmeta.c \
	mirror/mproto.c \
	mirror/nbd_proto.c \
	lockmgr/lock_proto.c \
	lockmgr/lock_wire.c \
	vip/vip_packet.c \
	vip/share_wire.c \
	vip/adv_frame.c \
	vip/vrrp_packet.c \
	vip/vrrp_auth.c \
	vip/sha1.c \
	vip/carp_packet.c \
	vip/carp_replay.c

# Pure: deterministic state machines.
CORE := \
	src/arb.c \
	src/arb_fence.c \
	src/arb_vote.c \
	src/witness_core.c \
	src/member.c \
	src/member_arb.c \
	src/member_peer.c \
	src/member_pair.c \
	src/member_msg.c \
	src/svc.c \
	src/svc_plan.c \
	src/svc_fsm.c \
	src/svc_op.c \
	src/svc_word.c \
	src/svc_op_start.c \
	src/svc_limit.c \
	src/svc_msg.c \
	sctp/link.c \
	vip/vip.c \
	vip/vip_cell.c \
	vip/share.c \
	vip/vr.c \
	vip/vr_advert.c \
	vip/vr_cell.c \
	vip/vr_conf.c \
	vip/vr_group.c \
	vip/vr_peer.c \
	vip/vr_split.c \
	vip/vr_wire.c \
	vip/vr_status.c \
	vip/vr_time.c \
	mirror/mirror.c \
	mirror/mload.c \
	mirror/msave.c \
	mirror/msess.c \
	mirror/mrole.c \
	mirror/mstatus.c \
	mirror/mdecide.c \
	mirror/mwrite.c \
	mirror/mread.c \
	mirror/mfail.c \
	mirror/mpeer.c \
	mirror/mintent.c \
	mirror/resync.c \
	lockmgr/lock.c \
	lockmgr/lock_table.c \
	lockmgr/lock_queue.c \
	lockmgr/lock_master.c \
	lockmgr/lock_own.c \
	lockmgr/lock_query.c \
	lockmgr/lock_status.c \
	lockmgr/lock_dist.c \
	lockmgr/lock_recover.c \
	lockmgr/lock_client.c

# Pure: one node, all cores composed.
NODE := \
	src/node.c \
	src/node_member.c \
	src/node_arb.c \
	src/node_share.c \
	src/node_vr.c \
	src/node_vr_adv.c \
	src/node_vr_auth.c \
	src/node_vr_event.c \
	src/node_vr_peer.c \
	src/node_vr_reload.c \
	src/node_net.c \
	src/node_note.c \
	src/node_session.c \
	src/node_svc.c \
	src/node_mir.c \
	src/node_lock.c \
	src/node_status.c

# Pure: a small world around two nodes, for hactl faults.
FAULTS := \
	src/faults.c \
	src/faults_arbiter.c \
	src/faults_disk.c \
	src/faults_hit.c \
	src/faults_host.c \
	src/faults_mend.c \
	src/faults_net.c \
	src/faults_remedy.c \
	src/faults_verdict.c \
	src/faults_world.c

# They touch the world.
DRIVER := \
	src/log.c \
	src/loop.c \
	src/worker.c \
	src/state.c \
	src/svc_run.c \
	src/track.c \
	src/svc_run_job.c \
	src/svc_run_proc.c \
	src/ctl.c \
	src/keyfile.c \
	src/hmac_file.c \
	src/fence.c \
	src/arp.c \
	src/lockdisk.c \
	src/netdev.c \
	src/lockdisk_create.c \
	src/ping.c \
	src/selffence.c \
	src/watchdog.c \
	src/witness_conn.c \
	src/witness_link.c \
	src/witness_sock.c \
	src/witness_store.c \
	sctp/assoc.c \
	sctp/assoc_info.c \
	sctp/assoc_io.c \
	sctp/assoc_note.c \
	sctp/assoc_open.c \
	sctp/msgq.c \
	sctp/sctp_sock.c \
	sctp/seal.c \
	sctp/seal_tls.c \
	vip/vip_addr.c \
	vip/vip_guard.c \
	vip/vip_guard_claim.c \
	vip/vip_guard_msg.c \
	vip/vip_guard_nft.c \
	vip/vip_guard_share.c \
	vip/vip_sweep.c \
	vip/share_group.c \
	vip/vip_announce.c \
	vip/vr_facts.c \
	vip/vr_mac.c \
	vip/vr_sock.c \
	vip/vr_unicast.c \
	mirror/mdisk.c \
	mirror/nbd.c \
	mirror/nbd_req.c \
	mirror/nbd_out.c \
	mirror/nbd_shake.c \
	mirror/nbd_kernel.c \
	mirror/mvolume.c \
	lockmgr/lock_sock.c

HAD := \
	src/had.c \
	src/drive.c \
	src/drive_arb.c \
	src/drive_ctl.c \
	src/drive_events.c \
	src/drive_json.c \
	src/drive_json_arb.c \
	src/drive_net.c \
	src/drive_reload.c \
	src/drive_share.c \
	src/drive_vip.c \
	src/drive_vr.c \
	src/drive_json_vr.c \
	src/drive_vol.c

HACTL := \
	src/hactl.c \
	src/hactl_act.c \
	src/hactl_ask.c \
	src/hactl_cmd.c \
	src/hactl_conf.c \
	src/hactl_doctor.c \
	src/hactl_doctor_kernel.c \
	src/hactl_doctor_net.c \
	src/hactl_doctor_rules.c \
	src/hactl_doctor_walk.c \
	src/hactl_faults.c \
	src/hactl_faults_text.c \
	src/hactl_fence.c \
	src/hactl_lock.c \
	src/hactl_table.c \
	src/hactl_metrics.c \
	src/hactl_router.c \
	src/hactl_text.c \
	src/hactl_volume.c

# A program of its own, on a third machine.
WITNESS := \
	src/witness.c \
	src/witness_serve.c

HALOCK := \
	lockmgr/halock.c \
	lockmgr/halock_sync.c

SIM := $(wildcard regress/sim/*.c)
ARB_EX := $(wildcard regress/exhaust/arb_*.c)
MIR_EX := $(wildcard regress/exhaust/mir_*.c)
TESTS := $(wildcard regress/unit/*_test.c)
FUZZ := $(wildcard regress/fuzz/*_fuzz.c)
TOOLS := $(wildcard regress/lab/tools/*.c) $(wildcard regress/bench/tools/*.c) \
	$(wildcard regress/interop/*.c)
MAN := $(wildcard man/*.[1-8])

exist = $(wildcard $(1))
CODEC := $(call exist,$(CODEC))
CORE := $(call exist,$(CORE))
NODE := $(call exist,$(NODE))
DRIVER := $(call exist,$(DRIVER))
HAD := $(call exist,$(HAD))
HACTL := $(call exist,$(HACTL))
FAULTS := $(call exist,$(FAULTS))
HALOCK := $(call exist,$(HALOCK))
WITNESS := $(call exist,$(WITNESS))
PURE := $(CODEC) $(CORE) $(NODE)

obj = $(patsubst %.c,$(O)/%.o,$(1))

LIBS := -lsctp -lnftnl -lmnl -lssl -lcrypto -lsystemd -luring -lbsd \
	-ljansson -lxxhash -lblkid -lpthread

CPPFLAGS += -D_GNU_SOURCE -DHAD_VERSION='"$(VERSION)"' \
	-DSYSCONFDIR='"$(SYSCONFDIR)"' -DPREFIX='"$(PREFIX)"' \
	-Isrc -Isctp -Ivip -Imirror -Ilockmgr
WARN := -Wall -Wextra -Wshadow -Wstrict-prototypes -Wmissing-prototypes \
	-Wpointer-arith -Wcast-qual -Wwrite-strings -Wundef -Wvla \
	-Wno-missing-field-initializers $(WERROR)
CSTD := -std=gnu11 -fno-strict-aliasing -fPIC -pthread

ifeq ($(BUILD),release)
OPT := -O2 -g -fstack-protector-strong -fstack-clash-protection \
	-D_FORTIFY_SOURCE=2 -fcf-protection
LDOPT := -Wl,-z,relro,-z,now,-z,noexecstack
else ifeq ($(BUILD),debug)
OPT := -O0 -g3
else ifeq ($(BUILD),asan)
OPT := -O1 -g -fsanitize=address,undefined -fno-omit-frame-pointer \
	-fno-sanitize-recover=undefined
LDOPT := -fsanitize=address,undefined
else ifeq ($(BUILD),tsan)
OPT := -O1 -g -fsanitize=thread
LDOPT := -fsanitize=thread
else ifeq ($(BUILD),cov)
OPT := -O0 -g --coverage
LDOPT := --coverage
else
$(error BUILD=$(BUILD): expected release, debug, asan, tsan or cov)
endif
CFLAGS_ALL = $(CSTD) $(OPT) $(WARN) $(CFLAGS)

BINS := $(if $(wildcard src/had.c),$(O)/had) \
	$(if $(wildcard src/hactl.c),$(O)/hactl) \
	$(if $(wildcard src/witness.c),$(O)/had-witness) \
	$(if $(HALOCK),$(O)/libhalock.a $(O)/libhalock.so)
SIMBIN := $(if $(SIM),$(O)/sim $(O)/arb_ex $(O)/mir_ex)
TESTBINS := $(patsubst regress/unit/%.c,$(O)/unit/%,$(TESTS))
TOOLBINS := $(patsubst %.c,$(O)/tools/%,$(notdir $(TOOLS)))

.PHONY: all install check lint unit sim fuzz fuzzbins lab bench bench-vip demo deps clean \
	tests lab-tools asan-tests mutants
.SECONDARY:
all: $(BINS)

tests: $(TESTBINS) $(SIMBIN) lab-tools

lab-tools: $(TOOLBINS)

$(O)/%.o: %.c Makefile
	@mkdir -p $(@D)
	$(call SAY,CC,$<)
	$(Q)$(CC) $(CPPFLAGS) $(CFLAGS_ALL) -MMD -MP -c -o $@ $<

$(O)/libpure.a: $(call obj,$(PURE))
	$(call SAY,AR,$@)
	$(Q)rm -f $@ && ar rcs $@ $^

$(O)/libdriver.a: $(call obj,$(DRIVER))
	$(call SAY,AR,$@)
	$(Q)rm -f $@ && ar rcs $@ $^

$(O)/libhalock.a: $(call obj,$(HALOCK) $(call exist,lockmgr/lock_proto.c))
	$(call SAY,AR,$@)
	$(Q)rm -f $@ && ar rcs $@ $^

$(O)/libhalock.so: $(call obj,$(HALOCK) $(call exist,lockmgr/lock_proto.c))
	$(call SAY,LD,$@)
	$(Q)$(CC) $(CFLAGS_ALL) $(LDFLAGS) $(LDOPT) -shared \
	    -Wl,-soname,libhalock.so.0 -Wl,--no-undefined \
	    -Wl,--version-script=lockmgr/halock.map \
	    -o $@ $^ -lpthread
	$(Q)ln -sf libhalock.so $(O)/libhalock.so.0

ARCHIVES := $(O)/libpure.a $(O)/libdriver.a

$(O)/had: $(call obj,$(HAD)) $(ARCHIVES)
	$(call SAY,LD,$@)
	$(Q)$(CC) $(CFLAGS_ALL) $(LDFLAGS) $(LDOPT) -o $@ \
	    $(call obj,$(HAD)) -Wl,--start-group $(ARCHIVES) -Wl,--end-group \
	    $(LIBS)

$(O)/had-witness: $(call obj,$(WITNESS)) $(ARCHIVES)
	$(call SAY,LD,$@)
	$(Q)$(CC) $(CFLAGS_ALL) $(LDFLAGS) $(LDOPT) -o $@ \
	    $(call obj,$(WITNESS)) -Wl,--start-group $(ARCHIVES) \
	    -Wl,--end-group $(LIBS)

# For the tests of what hactl prints.
$(O)/libhactl.a: $(call obj,$(filter-out src/hactl.c,$(HACTL)) $(FAULTS))
	$(call SAY,AR,$@)
	$(Q)rm -f $@ && ar rcs $@ $^

$(O)/hactl: $(call obj,$(HACTL) $(FAULTS)) $(ARCHIVES) $(O)/libhalock.a
	$(call SAY,LD,$@)
	$(Q)$(CC) $(CFLAGS_ALL) $(LDFLAGS) $(LDOPT) -o $@ \
	    $(call obj,$(HACTL) $(FAULTS)) -Wl,--start-group \
	    $(O)/libhalock.a \
	    $(ARCHIVES) -Wl,--end-group $(LIBS)

# What a replay line is good for: the commit that it was built from.
$(O)/regress/sim/sim.o: CPPFLAGS += \
	-DSIM_COMMIT='"$(shell git describe --always --dirty 2>/dev/null)"'
$(O)/regress/sim/sim.o: $(wildcard .git/logs/HEAD)

# The simulator links the very objects of the daemon.
$(O)/sim: $(call obj,$(SIM)) $(ARCHIVES)
	$(call SAY,LD,$@)
	$(Q)$(CC) $(CFLAGS_ALL) $(LDFLAGS) $(LDOPT) -o $@ $(call obj,$(SIM)) \
	    -Wl,--start-group $(ARCHIVES) -Wl,--end-group $(LIBS)

# Every history of a small world, not a sample.
$(O)/arb_ex: $(call obj,$(ARB_EX)) $(O)/libpure.a
	$(call SAY,LD,$@)
	$(Q)$(CC) $(CFLAGS_ALL) $(LDFLAGS) $(LDOPT) -o $@ \
	    $(call obj,$(ARB_EX)) $(O)/libpure.a -lbsd -lxxhash

$(O)/mir_ex: $(call obj,$(MIR_EX)) $(O)/libpure.a
	$(call SAY,LD,$@)
	$(Q)$(CC) $(CFLAGS_ALL) $(LDFLAGS) $(LDOPT) -Wl,-z,muldefs -o $@ \
	    $(call obj,$(MIR_EX)) $(O)/libpure.a -lbsd -lxxhash

$(O)/unit/%: $(O)/regress/unit/%.o $(ARCHIVES) $(O)/libhalock.a $(O)/libhactl.a
	@mkdir -p $(@D)
	$(call SAY,LD,$@)
	$(Q)$(CC) $(CFLAGS_ALL) $(LDFLAGS) $(LDOPT) -o $@ $< \
	    -Wl,--start-group $(O)/libhactl.a $(O)/libhalock.a $(ARCHIVES) \
	    -Wl,--end-group -lcmocka $(LIBS)

$(O)/tools/%: $(O)/regress/lab/tools/%.o $(ARCHIVES) $(O)/libhalock.a
	@mkdir -p $(@D)
	$(call SAY,LD,$@)
	$(Q)$(CC) $(CFLAGS_ALL) $(LDFLAGS) $(LDOPT) -o $@ $< \
	    -Wl,--start-group $(O)/libhalock.a $(ARCHIVES) -Wl,--end-group \
	    $(LIBS)

$(O)/tools/%: $(O)/regress/bench/tools/%.o $(ARCHIVES) $(O)/libhalock.a
	@mkdir -p $(@D)
	$(call SAY,LD,$@)
	$(Q)$(CC) $(CFLAGS_ALL) $(LDFLAGS) $(LDOPT) -o $@ $< \
	    -Wl,--start-group $(O)/libhalock.a $(ARCHIVES) -Wl,--end-group \
	    $(LIBS)

$(O)/tools/%: $(O)/regress/interop/%.o $(ARCHIVES) $(O)/libhalock.a
	@mkdir -p $(@D)
	$(call SAY,LD,$@)
	$(Q)$(CC) $(CFLAGS_ALL) $(LDFLAGS) $(LDOPT) -o $@ $< \
	    -Wl,--start-group $(O)/libhalock.a $(ARCHIVES) -Wl,--end-group \
	    $(LIBS)

-include $(shell find $(O) build/fuzz/obj -name '*.d' 2>/dev/null)

# What a fresh machine lacks is installed once; build/.deps remembers.
$(DEPS_STAMP): rc/deps
	@mkdir -p $(@D)
	$(Q)rc/deps
	@touch $@

deps:
	$(Q)rc/deps

export PURE CODEC CORE NODE FAULTS DRIVER HAD HACTL HALOCK WITNESS SIM O

lint: all
	$(Q)regress/lint/run

unit: $(TESTBINS)
	$(Q)regress/check unit

# SEEDS=n of them from SEED=x, on all processors.
sim: $(SIMBIN)
	$(Q)$(O)/sim -j $$(nproc) -n $(or $(SEEDS),200) $(if $(SEED),-s $(SEED))

# Each parser under libFuzzer with ASan and UBSan; TIME=seconds per target.
FUZZFLAGS := -std=gnu11 -D_GNU_SOURCE -g -O1 -fno-strict-aliasing \
	-fsanitize=address,undefined -fno-sanitize-recover=undefined
FUZZOBJ := $(patsubst %.c,build/fuzz/obj/%.o,$(PURE) src/log.c \
	$(call exist,sctp/seal.c sctp/seal_tls.c))
build/fuzz/obj/%.o: %.c Makefile
	@mkdir -p $(@D)
	$(call SAY,FUZZ,$<)
	$(Q)clang $(CPPFLAGS) $(FUZZFLAGS) -fsanitize=fuzzer-no-link -MMD -MP \
	    -c -o $@ $<

build/fuzz/libpure.a: $(FUZZOBJ)
	$(Q)rm -f $@ && ar rcs $@ $^

build/fuzz/%: regress/fuzz/%.c build/fuzz/libpure.a
	@mkdir -p $(@D)
	$(call SAY,FUZZ,$@)
	$(Q)clang $(CPPFLAGS) $(FUZZFLAGS) -fsanitize=fuzzer -o $@ $< \
	    build/fuzz/libpure.a -lssl -lcrypto -lsystemd -lbsd -lxxhash
FUZZBINS := $(patsubst regress/fuzz/%.c,build/fuzz/%,$(FUZZ))
fuzzbins: $(FUZZBINS)
fuzz: $(FUZZBINS)
	$(Q)for t in $(FUZZBINS); do \
	    regress/fuzz/short $$t $(or $(TIME),600) || exit 1; done

# Bugs of other systems, one at a time: a test has to catch each.
mutants:
	$(Q)regress/mutants/run -j2

lab: all tests
	$(Q)regress/lab/run -m guest $(or $(T),regress/lab/t/*.t)

bench: $(DEPS_STAMP)
	$(Q)$(MAKE) --no-print-directory all tests
	$(Q)regress/bench/run

# Virtual routers alone: half an hour.
bench-vip: $(DEPS_STAMP)
	$(Q)$(MAKE) --no-print-directory all tests
	$(Q)regress/bench/run vip-fault vip-dup vip-many vip-pair

demo: $(DEPS_STAMP)
	$(Q)$(MAKE) --no-print-directory all lab-tools
	$(Q)regress/demo/run

# Built thrice: as released, by the other compiler, and with sanitizers.
check: $(DEPS_STAMP)
	$(Q)$(MAKE) --no-print-directory -j2 WERROR=-Werror all tests
	$(Q)$(MAKE) --no-print-directory -j2 WERROR=-Werror CC=clang \
	    O=build/clang all
	$(Q)$(MAKE) --no-print-directory -j2 BUILD=asan WERROR=-Werror \
	    asan-tests
	$(Q)$(MAKE) --no-print-directory -j2 fuzzbins
	$(Q)regress/check

asan-tests: $(TESTBINS)

install: all
	install -d $(DESTDIR)$(PREFIX)/sbin $(DESTDIR)$(PREFIX)/lib \
	    $(DESTDIR)$(PREFIX)/include $(DESTDIR)$(SYSCONFDIR)/had \
	    $(DESTDIR)$(PREFIX)/share/doc/had/examples \
	    $(DESTDIR)$(PREFIX)/lib/systemd/system
	install -m 755 $(O)/had $(O)/hactl $(O)/had-witness \
	    $(DESTDIR)$(PREFIX)/sbin
	install -m 644 $(O)/libhalock.a $(DESTDIR)$(PREFIX)/lib
	install -m 755 $(O)/libhalock.so $(DESTDIR)$(PREFIX)/lib/libhalock.so.0
	ln -sf libhalock.so.0 $(DESTDIR)$(PREFIX)/lib/libhalock.so
	install -m 644 lockmgr/halock.h $(DESTDIR)$(PREFIX)/include
	install -m 644 etc/*.conf $(DESTDIR)$(PREFIX)/share/doc/had/examples
	install -m 644 etc/witness/witness.conf \
	    $(DESTDIR)$(PREFIX)/share/doc/had/examples
	install -m 644 rc/had.service rc/had-witness.service \
	    $(DESTDIR)$(PREFIX)/lib/systemd/system
	for m in $(MAN); do s=$${m##*.}; \
	    install -d $(DESTDIR)$(PREFIX)/share/man/man$$s && \
	    install -m 644 $$m $(DESTDIR)$(PREFIX)/share/man/man$$s || exit 1; \
	done

clean:
	rm -rf build
