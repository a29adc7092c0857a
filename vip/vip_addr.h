/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Driver: addresses of interfaces, by rtnetlink.  It watches addresses and
 * carrier, and knows all places where a service address currently is.
 */
#ifndef VIP_ADDR_H
#define VIP_ADDR_H

#include <systemd/sd-event.h>

#include "vip.h"

/* Called from the loop, never from inside vip_addr_add or vip_addr_del. */
struct vip_addr_cb {
	/* Somebody else removed address id from its interface. */
	void (*stripped)(void *ctx, uint16_t id);
	/* Also called once per interface and once per change. */
	void (*carrier)(void *ctx, const char *ifname, bool up);
};

struct vip_addr;
/*
 * n addresses, copied.  watch: further interfaces whose carrier is reported
 * (those of the addresses always are), n_watch names, copied.  The first
 * carrier reports come from the loop, soon after.  NULL and errno, with err
 * filled in.
 */
struct vip_addr *vip_addr_new(sd_event *, const struct vip_addr_conf *,
    uint16_t n, const char (*watch)[16], uint16_t n_watch,
    const struct vip_addr_cb *, void *ctx, char *err, size_t err_size);
void vip_addr_free(struct vip_addr *); /* leaves addresses as they are */

/*
 * After a reload: what old, which is to be freed next, has put on interfaces
 * is watched by this one.  An id means the same address, or old has not put it
 * anywhere.
 */
void vip_addr_adopt(struct vip_addr *, const struct vip_addr *old);

/*
 * Puts address id on its interface: no duplicate address detection (the guard
 * makes it unnecessary), IPv6 deprecated so that the node itself does not
 * choose it as a source.  One that is there already is success.  Other places
 * of the same address (another prefix, another interface) are removed.
 * Blocks for some 20 us.  0, or -1 and errno.
 */
int vip_addr_add(struct vip_addr *, uint16_t id);

/*
 * Removes it from every place where it is.  Returns the number of places
 * (0: it was nowhere), or -1 and errno.
 */
int vip_addr_del(struct vip_addr *, uint16_t id);

/* As the kernel last told. */
bool vip_addr_present(const struct vip_addr *, uint16_t id);
bool vip_addr_carrier(const struct vip_addr *, const char *ifname);

#endif
