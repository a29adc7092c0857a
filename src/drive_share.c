/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Shared addresses: what the node orders is done by their guard at once, and
 * the result comes back after the step.
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "drive_int.h"
#include "log.h"
#include "share_group.h"

static void
cb_flushed(void *ctx, bool ok, const char *text)
{
	struct nd_event e = {.type = ND_EV_VIP, .shared = true};

	if (!ok)
		log_warnx(
		    "guard of shared addresses: cannot be put back: %s", text);
	e.u.vip.type = VIP_EV_FLUSHED;
	e.u.vip.u.flushed.ok = ok;
	e.u.vip.u.flushed.text = text;
	drive_step(ctx, &e);
}

void
drive_share_lease(
    void *ctx, uint64_t seq, const struct vip_set *open, monotime_t until)
{
	struct drive *d = ctx;
	struct nd_event e = {.type = ND_EV_VIP, .shared = true};
	bool ok = vip_guard_lease(d->share_guard, open, until) == 0;

	e.u.vip.type = VIP_EV_LEASED;
	e.u.vip.u.leased.seq = seq;
	e.u.vip.u.leased.ok = ok;
	e.u.vip.u.leased.text = ok ? "" : vip_guard_error(d->share_guard);
	drive_step(d, &e);
}

void
drive_share_serve(void *ctx, uint32_t seq, uint64_t buckets)
{
	struct drive *d = ctx;
	struct nd_event e = {.type = ND_EV_SERVED};

	e.u.served.seq = seq;
	e.u.served.ok = vip_guard_buckets(d->share_guard, buckets) == 0;
	if (!e.u.served.ok)
		log_warnx("guard of shared addresses: %s",
		    vip_guard_error(d->share_guard));
	drive_step(d, &e);
}

/* What of an address only a shared one has. */
void
drive_share_place(const struct drive *d, uint16_t id, struct vip_addr_conf *a)
{
	if (!d->conf->addresses[id].share)
		return;
	a->shared = true;
	share_mac(a->mac, a->family, a->bytes);
}

/* An interface may be another one than before. */
void
drive_share_join(struct drive *d)
{
	const char *name = "";

	if (d->share_group != NULL &&
	    share_group_join(d->share_group, &name) > 0)
		log_warn("address %s: group", name);
}

/* addrs: with family 0 for those of others. */
int
drive_share_new(struct drive *d, const struct vip_addr_conf *addrs, uint16_t n,
    char *err, size_t size)
{
	static const struct vip_guard_cb cb = {.flushed = cb_flushed};
	char names[HAD_LINKS_MAX][16];
	struct vip_guard_conf gc = {.addrs = addrs,
	    .n = n,
	    .ifnames = (const char(*)[16])names,
	    .n_ifnames = d->me->n_links,
	    .class = VIP_GUARD_SHARE};
	bool any = false;

	for (uint16_t i = 0; i < n; i++)
		any = any || addrs[i].family != 0;
	if (!any)
		return 0;
	for (unsigned l = 0; l < d->me->n_links; l++)
		memcpy(names[l], d->me->links[l].ifname, 16);
	d->share_guard = vip_guard_new(d->event, &gc, &cb, d, err, size);
	if (d->share_guard == NULL)
		return -1;
	d->share_group = share_group_new(addrs, n);
	if (d->share_group == NULL) {
		snprintf(err, size, "groups: %s", strerror(errno));
		return -1;
	}
	drive_share_join(d);
	return 0;
}

void
drive_share_free(struct drive *d, bool remove)
{
	share_group_free(d->share_group);
	if (d->share_guard != NULL)
		vip_guard_free(d->share_guard, remove);
	d->share_group = NULL;
	d->share_guard = NULL;
}
