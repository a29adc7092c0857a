/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Driver: the guard, a dead man's switch in nftables (family netdev, ingress
 * and egress of the interfaces, so ARP, IPv4, IPv6 and neighbour discovery).
 *
 * had_guard  persistent.  Drops everything from and to a service address that
 *            does not carry the permission: one bit of the packet's mark,
 *            which it clears before (nobody else can grant it) and after
 *            (nobody else sees it).
 * had_lease  owned by this process's socket (NFT_TABLE_F_OWNER): the kernel
 *            removes it when the process dies.  Gives the permission to
 *            packets of the addresses in its sets open4 and open6, as long as
 *            its set lease has an element, which runs out on its own; and
 *            drops the others too, so that a flush of had_guard opens nothing
 *            while the daemon lives.
 *
 * Dead daemon: had_lease is gone, nothing gets the permission.  Frozen
 * daemon: the lease runs out.  Flushed ruleset: had_lease survives (it is
 * owned) and still drops; had_guard is put back at once.  Packets are dropped
 * silently: no reset, no ICMP error, so that TCP retries until somebody
 * answers.
 *
 * Why the daemon renews the lease, and not the outgoing packet in an egress
 * rule ("update @lease { mark timeout T }"), although the kernel can do that,
 * also for frames of a packet socket:
 *
 * - SCTP: the kernel sends heartbeats, acknowledgements and retransmissions
 *   on its own, so a rule that sees them keeps a frozen daemon's lease alive.
 *   What is sealed in a DATA chunk tells it nothing, and a retransmitted one
 *   looks like the first.
 * - Adverts: an expired lease would begin anew with the first advert that a
 *   thawed daemon sends, before it has looked around; the daemon's renewal is
 *   refused when it is late.  A rule knows one time for all addresses and any
 *   advert; one element for each router, renewed by each of 255 adverts, costs
 *   190 ns an advert, 48 us a tick, where one batch for all costs 15 us.
 *
 * The daemon counts the lease from a time before it sent, so nothing is lost
 * by it: the lease ends before the same time after the packet left.
 *
 * A guard of virtual routers (VIP_GUARD_ROUTER) does some things more:
 *
 * - Adverts pass it outward.
 * - A virtual hardware address of no open address neither gets nor sends
 *   anything: a backup does not forward, and switches do not learn from it.
 * - An address with a hardware address is never seen with another one.  The
 *   interface below would answer ARP for it: dropped.  Packets from it leave
 *   by the interface below: they get the virtual source address.  And the
 *   kernel asks there for its neighbours: see vip_guard_primary.
 * - Packets to an address with no_accept are dropped, but not ARP and
 *   neighbour discovery.
 *
 * A guard of shared addresses (VIP_GUARD_SHARE) judges by the client, too:
 *
 * - A hash of its address is one of VIP_GUARD_BUCKETS.  Packets, questions and
 *   answers of one whose bucket is not in the set buckets are dropped in both
 *   directions, so that exactly one of the machines that share an address
 *   speaks with it.  An error that a router reports counts for the client that
 *   it is about.
 * - Clients send to the address's group, so that all of the machines hear
 *   them: ARP and neighbour discovery that the kernel sends for it say so, and
 *   what comes in by it counts as sent to this machine.  Frames leave with the
 *   interface's own source address.
 */
#ifndef VIP_GUARD_H
#define VIP_GUARD_H

#include <systemd/sd-event.h>

#include "vip.h"

/*
 * There may be one guard of each class, independent of one another: tables
 * had_guard and had_lease for the addresses of services, had_guard_vr and
 * had_lease_vr for those of virtual routers; each with its bit of the packet
 * mark, which had uses between its own chains; had_guard_share and
 * had_lease_share for shared ones.
 */
enum vip_guard_class { VIP_GUARD_SERVICE, VIP_GUARD_ROUTER, VIP_GUARD_SHARE };
#define VIP_GUARD_MARK 0x08000000u
#define VIP_GUARD_MARK_VR 0x04000000u
#define VIP_GUARD_MARK_SHARE 0x02000000u

enum { VIP_GUARD_BUCKETS = 64 }; /* the same on all machines */

struct vip_guard_cb {
	/*
	 * Somebody else changed had_guard; it has been put back (ok), or that
	 * failed (text) and is tried again.
	 */
	void (*flushed)(void *ctx, bool ok, const char *text);
};

struct vip_guard_conf {
	/*
	 * Borrowed by vip_guard_new.  Those of family 0 are skipped, but
	 * counted: ids are indexes here.  For one with has_mac not its own
	 * interface is guarded, but those below, which must be in ifnames.
	 */
	const struct vip_addr_conf *addrs;
	uint16_t n;
	/*
	 * Interfaces to guard beside those of the addresses: every one over
	 * which the machine could leak a service address; had's links at
	 * least.  One that does not exist yet is guarded when it appears.
	 */
	const char (*ifnames)[16]; /* borrowed by vip_guard_new */
	uint16_t n_ifnames;
	enum vip_guard_class class;
};

struct vip_guard;
/*
 * Installs the guard, closed, in one batch; tables of a dead daemon are
 * replaced in the same batch, so that there is never a moment without.
 * NULL and errno if the kernel cannot do it (netdev egress needs 5.16) or
 * another daemon owns it; err says which.
 */
struct vip_guard *vip_guard_new(sd_event *, const struct vip_guard_conf *,
    const struct vip_guard_cb *, void *ctx, char *err, size_t err_size);

/*
 * Guards other addresses and interfaces from now on, of the same class: one
 * batch, atomic.  What is open stays open; an id that is must mean the same
 * address.  0, or -1, errno and vip_guard_error; then nothing has changed.
 */
int vip_guard_reload(struct vip_guard *, const struct vip_guard_conf *);

/*
 * remove: takes both tables away (clean stop, after all addresses are off
 * their interfaces).  Otherwise had_guard stays and keeps them silent.
 */
void vip_guard_free(struct vip_guard *, bool remove);

/*
 * Lets exactly the addresses of open speak until the time given
 * (CLOCK_BOOTTIME).  If that has already passed or is less than a tick of the
 * kernel off (see vip_guard_tick_us), which happens when the process was
 * stopped in between, everything is closed:
 * -1 and ETIMEDOUT.  With open empty, until means nothing.  One batch, atomic,
 * some 15 us if only the time has changed.  0, or -1, errno and
 * vip_guard_error; then what was open before stays open until its own time has
 * come.
 */
int vip_guard_lease(
    struct vip_guard *, const struct vip_set *open, monotime_t until);

/*
 * The kernel counts a lease in ticks: it ends up to two of them early, never
 * late.  So a lease must be longer than two ticks and what lies between two
 * renewals.
 */
uint32_t vip_guard_tick_us(void);

/*
 * The primary IPv4 address of an interface below one with has_mac (4 bytes;
 * NULL: none).  Where this machine itself asks there for a neighbour on
 * behalf of such an address, it asks in the name of the primary address
 * instead; without one it cannot ask.  0, or -1, errno and vip_guard_error.
 */
int vip_guard_primary(
    struct vip_guard *, const char *ifname, const uint8_t *addr);

/*
 * Of shared addresses: only clients of these buckets are heard and answered,
 * bit i is bucket i; none before the first call.  One batch, atomic.  0, or -1,
 * errno and vip_guard_error; then it is as before.
 */
int vip_guard_buckets(struct vip_guard *, uint64_t buckets);

/* Text of the last failure, "egress chain: Operation not supported". */
const char *vip_guard_error(const struct vip_guard *);

struct vip_guard_stats {
	uint64_t batches, failed, restored;
	uint32_t lease_us_last, lease_us_max; /* duration of vip_guard_lease */
};
void vip_guard_stats(const struct vip_guard *, struct vip_guard_stats *);

#endif
