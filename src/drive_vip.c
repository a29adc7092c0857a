/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Addresses: what the vip core orders is done by netlink and packet sockets
 * at once, and the result comes back after the step.
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "drive_int.h"
#include "log.h"

static void
cb_stripped(void *ctx, uint16_t id)
{
	struct nd_event e = {.type = ND_EV_VIP};

	e.u.vip.type = VIP_EV_STRIPPED;
	e.u.vip.u.stripped.id = id;
	drive_step(ctx, &e);
}

static void
cb_carrier(void *ctx, const char *ifname, bool up)
{
	struct nd_event e = {.type = ND_EV_VIP};

	e.u.vip.type = VIP_EV_CARRIER;
	e.u.vip.u.carrier.ifname = ifname;
	e.u.vip.u.carrier.up = up;
	drive_step(ctx, &e);
}

static void
cb_flushed(void *ctx, bool ok, const char *text)
{
	struct nd_event e = {.type = ND_EV_VIP};

	if (!ok)
		log_warnx("guard: cannot be put back: %s", text);
	e.u.vip.type = VIP_EV_FLUSHED;
	drive_step(ctx, &e);
}

static void
cb_conflict(void *ctx, uint16_t id, const uint8_t mac[6])
{
	struct nd_event e = {.type = ND_EV_VIP};

	e.u.vip.type = VIP_EV_CONFLICT;
	e.u.vip.u.conflict.id = id;
	memcpy(e.u.vip.u.conflict.mac, mac, 6);
	drive_step(ctx, &e);
}

void
drive_addr_add(void *ctx, uint16_t id)
{
	struct drive *d = ctx;
	struct nd_event e = {.type = ND_EV_VIP};

	e.u.vip.type = VIP_EV_ADDED;
	e.u.vip.u.result.id = id;
	e.u.vip.u.result.ok = vip_addr_add(d->addr, id) == 0;
	e.u.vip.u.result.text = e.u.vip.u.result.ok ? "" : strerror(errno);
	drive_step(d, &e);
}

void
drive_addr_del(void *ctx, uint16_t id)
{
	struct drive *d = ctx;
	struct nd_event e = {.type = ND_EV_VIP};
	int n = vip_addr_del(d->addr, id);

	e.u.vip.type = VIP_EV_REMOVED;
	e.u.vip.u.result.id = id;
	e.u.vip.u.result.ok = n >= 0;
	e.u.vip.u.result.found = n > 0;
	e.u.vip.u.result.text = n >= 0 ? "" : strerror(errno);
	drive_step(d, &e);
}

void
drive_lease(
    void *ctx, uint64_t seq, const struct vip_set *open, monotime_t until)
{
	struct drive *d = ctx;
	struct nd_event e = {.type = ND_EV_VIP};
	bool ok = vip_guard_lease(d->guard, open, until) == 0;

	e.u.vip.type = VIP_EV_LEASED;
	e.u.vip.u.leased.seq = seq;
	e.u.vip.u.leased.ok = ok;
	e.u.vip.u.leased.text = ok ? "" : vip_guard_error(d->guard);
	drive_step(d, &e);
}

void
drive_announce(void *ctx, uint16_t id)
{
	struct drive *d = ctx;

	if (vip_announce_send(d->announce, id) < 0)
		log_warn(
		    "address %s: announcement", d->conf->addresses[id].name);
}

int
drive_vip_new(struct drive *d)
{
	static const struct vip_addr_cb addr_cb = {
	    .stripped = cb_stripped, .carrier = cb_carrier};
	static const struct vip_guard_cb guard_cb = {.flushed = cb_flushed};
	static const struct vip_announce_cb announce_cb = {
	    .conflict = cb_conflict};
	struct vip_addr_conf addrs[HAD_ADDRESSES_MAX];
	char links[HAD_LINKS_MAX][16];
	uint16_t n = d->conf->n_addresses;
	struct vip_guard_conf gc = {.addrs = addrs,
	    .n = n,
	    .ifnames = (const char(*)[16])links,
	    .n_ifnames = d->me->n_links};
	char err[256] = "";

	memset(addrs, 0, sizeof(addrs));
	memset(links, 0, sizeof(links));
	for (unsigned i = 0; i < n; i++) {
		const struct conf_address *a = &d->conf->addresses[i];

		memcpy(addrs[i].name, a->name, sizeof(addrs[i].name));
		addrs[i].family = a->family;
		memcpy(addrs[i].bytes, a->bytes, sizeof(addrs[i].bytes));
		addrs[i].prefix = a->prefix;
		memcpy(addrs[i].ifname, a->ifname, sizeof(addrs[i].ifname));
	}
	for (unsigned l = 0; l < d->me->n_links; l++)
		memcpy(links[l], d->me->links[l].ifname, sizeof(links[l]));
	/* The guard first: it is closed before an address can appear. */
	if (n > 0) {
		d->guard = vip_guard_new(
		    d->event, &gc, &guard_cb, d, err, sizeof(err));
		if (d->guard == NULL)
			goto fail;
	}
	d->addr = vip_addr_new(d->event, addrs, n, (const char(*)[16])links,
	    d->me->n_links, &addr_cb, d, err, sizeof(err));
	if (d->addr == NULL)
		goto fail;
	if (n > 0) {
		d->announce = vip_announce_new(
		    d->event, addrs, n, &announce_cb, d, err, sizeof(err));
		if (d->announce == NULL)
			goto fail;
	}
	return 0;
fail:
	log_warnx("addresses: %s", err);
	return -1;
}

void
drive_vip_free(struct drive *d, bool remove)
{
	if (d->announce != NULL)
		vip_announce_free(d->announce);
	if (d->addr != NULL)
		vip_addr_free(d->addr);
	if (d->guard != NULL)
		vip_guard_free(d->guard, remove);
	d->announce = NULL;
	d->addr = NULL;
	d->guard = NULL;
}
