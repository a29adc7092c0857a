/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Virtual routers: packets and facts of interfaces go to the node, its adverts
 * to the packet sockets.
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "drive_int.h"
#include "hmac_file.h"
#include "log.h"

static void
cb_packets(void *ctx, uint16_t iface, const struct vrs_packet *p, unsigned n)
{
	struct nd_packet list[VRS_PACKETS_MAX];
	struct nd_event e = {.type = ND_EV_VR_PACKET};

	ASSERT(n <= NITEMS(list));
	for (unsigned i = 0; i < n; i++)
		list[i] = (struct nd_packet){p[i].ip, p[i].len};
	e.u.packet.ifx = iface;
	e.u.packet.n = (uint16_t)n;
	e.u.packet.list = list;
	drive_step(ctx, &e);
}

static void
cb_iface(void *ctx, uint16_t iface, const struct vrs_iface *f)
{
	struct nd_event e = {.type = ND_EV_VR_IFACE};
	struct nd_vr_iface *to = &e.u.iface.facts;
	struct drive *d = ctx;
	char names[VR_IFS_MAX][16];

	e.u.iface.ifx = iface;
	to->carrier = f->exists && f->up && f->carrier && f->has_mac;
	to->has4 = f->has4;
	to->has6 = f->has6;
	memcpy(to->mac, f->mac, sizeof(to->mac));
	memcpy(to->addr4, f->addr4, sizeof(to->addr4));
	memcpy(to->addr6, f->addr6, sizeof(to->addr6));
	if (d->router_guard != NULL && iface < nd_vr_ifaces(d->conf, names))
		(void)vip_guard_primary(
		    d->router_guard, names[iface], f->has4 ? f->addr4 : NULL);
	drive_step(d, &e);
}

static void
cb_flushed(void *ctx, bool ok, const char *text)
{
	struct nd_event e = {.type = ND_EV_VIP, .elected = true};

	if (!ok)
		log_warnx("guard of routers: cannot be put back: %s", text);
	e.u.vip.type = VIP_EV_FLUSHED;
	e.u.vip.u.flushed.ok = ok;
	e.u.vip.u.flushed.text = text;
	drive_step(ctx, &e);
}

static void
cb_track(void *ctx, uint16_t id, bool up, int32_t value)
{
	struct nd_event e = {.type = ND_EV_VR_TRACK};

	e.u.track.id = id;
	e.u.track.up = up;
	e.u.track.value = value;
	drive_step(ctx, &e);
}

static void
cb_lost(void *ctx, const char *name, bool ok, const char *text)
{
	(void)ctx;
	if (ok)
		log_warnx(
		    "interface %s: somebody removed it; it is back", name);
	else
		log_warnx("interface %s: somebody removed it; not back yet: "
			  "%s",
		    name, text);
}

/* The carrier of an interface that a router depends on. */
void
drive_vr_carrier(struct drive *d, const char *ifname, bool up)
{
	for (uint16_t i = 0; i < d->conf->n_tracks; i++)
		if (d->conf->tracks[i].type == CONF_TRACK_INTERFACE &&
		    strcmp(d->conf->tracks[i].what, ifname) == 0)
			cb_track(d, i, up, 0);
}

void
drive_vr_lease(
    void *ctx, uint64_t seq, const struct vip_set *open, monotime_t until)
{
	struct drive *d = ctx;
	struct nd_event e = {.type = ND_EV_VIP, .elected = true};
	bool ok = vip_guard_lease(d->router_guard, open, until) == 0;

	e.u.vip.type = VIP_EV_LEASED;
	e.u.vip.u.leased.seq = seq;
	e.u.vip.u.leased.ok = ok;
	e.u.vip.u.leased.text = ok ? "" : vip_guard_error(d->router_guard);
	drive_step(d, &e);
}

void
drive_vr_send(
    void *ctx, uint16_t ifx, const uint8_t *frame, size_t len, bool resolve)
{
	struct drive *d = ctx;

	if (!resolve) {
		vrs_send(d->vrs, ifx, frame, len);
		return;
	}
	ASSERT(len > ADV_ETH_LEN);
	if (vru_send(d->vru, vrs_iface(d->vrs, ifx)->ifindex,
		frame + ADV_ETH_LEN, len - ADV_ETH_LEN) < 0) {
		uint32_t more;

		if (log_allowed(&d->vru_limit, drive_now(), &more))
			log_warn("router: advert to one machine");
	}
}

void
drive_vr_flush(void *ctx)
{
	vrs_flush(((struct drive *)ctx)->vrs);
}

/* Where an address is: on its interface, or on one of its router's own. */
void
drive_vr_place(const struct drive *d, uint16_t id, struct vip_addr_conf *a)
{
	const struct conf_address *c = &d->conf->addresses[id];
	const struct conf_router *r;

	if (c->router == UINT16_MAX)
		return;
	r = &d->conf->routers[c->router];
	a->no_accept =
	    r->no_accept && conf_router_rank(r, d->self) != CONF_VRRP_OWNER;
	if (!r->virtual_mac)
		return;
	vrm_name(a->ifname, r->vrid, r->family, r->id);
	vrrp_mac(a->mac, r->family, r->vrid);
	a->has_mac = true;
}

/* One that is there already stays. */
static int
make_macs(struct drive *d, char *err, size_t size)
{
	static const struct vrm_cb cb = {.lost = cb_lost};
	struct vip_addr_conf place;
	bool any = false;

	for (uint16_t i = 0; i < d->conf->n_routers; i++)
		any = any || d->conf->routers[i].virtual_mac;
	if (!any)
		return 0;
	if (d->vrm == NULL)
		d->vrm = vrm_new(d->event, &cb, d, err, size);
	if (d->vrm == NULL)
		return -1;
	for (uint16_t i = 0; i < d->conf->n_routers; i++) {
		const struct conf_router *r = &d->conf->routers[i];

		if (!r->virtual_mac || r->leaving)
			continue;
		drive_vr_place(d, r->addrs[0], &place);
		if (vrm_add(d->vrm, r->ifname, place.ifname, place.mac,
			r->family) < 0)
			log_warnx("router %s: virtual mac: %s", r->name,
			    vrm_error(d->vrm));
	}
	return 0;
}

/* The interfaces to guard: those of routers, and this node's links. */
static uint16_t
guarded(const struct drive *d, char names[][16])
{
	uint16_t n = nd_vr_ifaces(d->conf, names);

	for (unsigned l = 0; l < d->me->n_links; l++) {
		unsigned k = 0;

		while (k < n && strcmp(names[k], d->me->links[l].ifname) != 0)
			k++;
		if (k == n)
			memcpy(names[n++], d->me->links[l].ifname, 16);
	}
	return n;
}

static int
make_guard(struct drive *d, const struct vip_addr_conf *addrs, uint16_t n,
    char *err, size_t size)
{
	static const struct vip_guard_cb cb = {.flushed = cb_flushed};
	char names[VR_IFS_MAX + HAD_LINKS_MAX][16];
	struct vip_guard_conf gc = {.addrs = addrs,
	    .n = n,
	    .ifnames = (const char(*)[16])names,
	    .n_ifnames = guarded(d, names),
	    .class = VIP_GUARD_ROUTER};

	if (d->router_guard == NULL) {
		d->router_guard =
		    vip_guard_new(d->event, &gc, &cb, d, err, size);
		return d->router_guard != NULL ? 0 : -1;
	}
	if (vip_guard_reload(d->router_guard, &gc) == 0)
		return 0;
	snprintf(err, size, "guard: %s", vip_guard_error(d->router_guard));
	return -1;
}

static int
make_sockets(struct drive *d, char *err, size_t size)
{
	static const struct vrs_cb cb = {
	    .packets = cb_packets, .iface = cb_iface};
	struct vrs_addr peers[HAD_ADDRESSES_MAX], own[HAD_ADDRESSES_MAX];
	struct vrs_iface_conf ifaces[VR_IFS_MAX];
	char names[VR_IFS_MAX][16];
	struct vrs_conf vc = {.ifaces = ifaces,
	    .n_ifaces = nd_vr_ifaces(d->conf, names),
	    .peers = peers,
	    .own = own};

	memset(ifaces, 0, sizeof(ifaces));
	memset(peers, 0, sizeof(peers));
	memset(own, 0, sizeof(own));
	for (uint16_t x = 0; x < vc.n_ifaces; x++)
		memcpy(ifaces[x].name, names[x], 16);
	for (uint16_t i = 0; i < d->conf->n_addresses; i++) {
		const struct conf_address *a = &d->conf->addresses[i];
		struct vrs_addr *o = &own[vc.n_own];

		if (conf_is_hole(a->name))
			continue;
		vc.n_own++;
		o->family = a->family;
		memcpy(o->bytes, a->bytes, 16);
		o->iface = VRS_NO_IFACE;
		for (uint16_t x = 0; x < vc.n_ifaces; x++)
			if (strcmp(names[x], a->ifname) == 0)
				o->iface = x;
	}
	for (uint16_t i = 0; i < d->conf->n_routers; i++) {
		const struct conf_router *r = &d->conf->routers[i];
		uint16_t x = 0;

		if (conf_is_hole(r->name))
			continue;
		while (strcmp(names[x], r->ifname) != 0)
			x++;
		ifaces[x].want4 = ifaces[x].want4 || r->family == 4;
		ifaces[x].want6 = ifaces[x].want6 || r->family == 6;
		ifaces[x].multicast = ifaces[x].multicast || r->n_unicast == 0;
		for (uint8_t k = 0; k < r->n_unicast; k++) {
			if (vc.n_peers == NITEMS(peers))
				break;
			peers[vc.n_peers].iface = x;
			peers[vc.n_peers].family = r->family;
			memcpy(peers[vc.n_peers++].bytes, r->unicast[k], 16);
		}
	}
	d->vrs = vrs_new(d->event, &vc, &cb, d, err, size);
	return d->vrs != NULL ? 0 : -1;
}

/* What routers track now; what is known of an interface is told again. */
void
drive_vr_tracks(struct drive *d)
{
	static const struct track_cb cb = {.changed = cb_track};

	track_free(d->track);
	d->track =
	    track_new(d->event, d->conf->tracks, d->conf->n_tracks, &cb, d);
	if (d->track == NULL)
		log_warn("routers: tracked things");
	for (uint16_t i = 0; i < d->conf->n_tracks; i++)
		if (d->conf->tracks[i].type == CONF_TRACK_INTERFACE)
			cb_track(d, i,
			    vip_addr_carrier(d->addr, d->conf->tracks[i].what),
			    0);
}

int
drive_vr_new(struct drive *d, const struct vip_addr_conf *addrs, uint16_t n,
    char *err, size_t size)
{
	static const struct track_cb track_cb = {.changed = cb_track};

	if (d->conf->n_routers == 0)
		return 0;
	if (make_guard(d, addrs, n, err, size) < 0 ||
	    make_macs(d, err, size) < 0 || make_sockets(d, err, size) < 0)
		return -1;
	d->track = track_new(
	    d->event, d->conf->tracks, d->conf->n_tracks, &track_cb, d);
	d->vru = vru_new();
	if (d->track == NULL || d->vru == NULL) {
		snprintf(err, size, "sockets: %s", strerror(errno));
		return -1;
	}
	return 0;
}

/*
 * An interface that lacks the address of a family would hold all routers that
 * are on it, those that run included.
 */
static int
check_sources(const struct drive *d, char *err, size_t size)
{
	for (uint16_t i = 0; i < d->conf->n_routers; i++) {
		const struct conf_router *r = &d->conf->routers[i];
		const struct vrs_iface *f;
		uint16_t x = 0;

		if (conf_is_hole(r->name) || r->leaving ||
		    conf_router_source(r, d->self) != NULL ||
		    !nd_router_left(d->nd, i))
			continue;
		while (strcmp(d->conf->router_ifs[x], r->ifname) != 0)
			x++;
		f = vrs_iface(d->vrs, x);
		if (!f->exists || (r->family == 4 ? f->has4 : f->has6))
			continue;
		snprintf(err, size,
		    "router %s: interface %s has no IPv%u address to send from",
		    r->name, r->ifname, r->family);
		return -1;
	}
	return 0;
}

/*
 * Routers and addresses are others now.  The sockets that were in use are kept
 * until the node knows, see drive_vr_drain.
 */
int
drive_vr_remake(struct drive *d, const struct vip_addr_conf *addrs, uint16_t n,
    char *err, size_t size)
{
	struct vrs *old = d->vrs;

	if (d->router_guard == NULL) {
		if (drive_vr_new(d, addrs, n, err, size) == 0)
			return 0;
		drive_vr_free(d, true);
		return -1;
	}
	ASSERT(d->vrs_old == NULL);
	d->vrs = NULL;
	if (make_sockets(d, err, size) < 0 || check_sources(d, err, size) < 0 ||
	    make_guard(d, addrs, n, err, size) < 0) {
		vrs_free(d->vrs);
		d->vrs = old;
		return -1;
	}
	d->vrs_old = old;
	/* As when it starts: one that cannot be made is a warning. */
	if (make_macs(d, err, size) < 0)
		log_warnx("routers: virtual mac: %s", err);
	return 0;
}

/* What came in by the sockets before is not lost. */
void
drive_vr_drain(struct drive *d)
{
	if (d->vrs_old == NULL)
		return;
	vrs_read(d->vrs_old);
	vrs_free(d->vrs_old);
	d->vrs_old = NULL;
}

static void
router_gone(void *ctx, const struct conf_router *r)
{
	struct vip_addr_conf place;
	struct drive *d = ctx;

	if (!r->virtual_mac || d->vrm == NULL)
		return;
	vrm_name(place.ifname, r->vrid, r->family, r->id);
	(void)vrm_del(d->vrm, place.ifname);
}

/* What left has left: its places are free, and its interfaces go. */
void
drive_vr_tidy(struct drive *d)
{
	char err[256] = "";

	if (!nd_reload_tidy(d->nd, d->conf, router_gone, d))
		return;
	if (drive_vip_remake(d, err, sizeof(err)) < 0)
		log_warnx("addresses: %s", err);
	drive_vr_drain(d);
}

static int
read_hmac_keys(struct conf *c)
{
	char why[512];

	for (uint16_t i = 0; i < c->n_hmac_keys; i++) {
		struct conf_hmac_key *k = &c->hmac_keys[i];

		if (k->file[0] == '\0' ||
		    hmac_file_read(k, why, sizeof(why)) == 0)
			continue;
		log_warnx("router %s: key %u: file %s",
		    c->routers[k->router].name, k->id, why);
		return -1;
	}
	return 0;
}

/* The files of each router's password and keys, into the configuration. */
int
drive_vr_passwords(struct conf *c)
{
	for (uint16_t i = 0; i < c->n_routers; i++) {
		struct conf_router *r = &c->routers[i];
		size_t most = r->proto == CONF_CARP ? 20 : 8;
		char line[64] = "";
		FILE *f;

		if (r->password_file[0] == '\0')
			continue;
		f = fopen(r->password_file, "re");
		if (f == NULL || fgets(line, sizeof(line), f) == NULL) {
			log_warnx("router %s: password file %s: %s", r->name,
			    r->password_file,
			    f == NULL ? strerror(errno) : "empty");
			if (f != NULL)
				fclose(f);
			return -1;
		}
		fclose(f);
		line[strcspn(line, "\r\n")] = '\0';
		if (line[0] == '\0' || strlen(line) > most) {
			log_warnx("router %s: password file %s: the first line "
				  "has %zu bytes, expected 1 to %zu",
			    r->name, r->password_file, strlen(line), most);
			return -1;
		}
		snprintf(
		    r->password, sizeof(r->password), "%.*s", (int)most, line);
		explicit_bzero(line, sizeof(line));
	}
	return read_hmac_keys(c);
}

void
drive_vr_free(struct drive *d, bool remove)
{
	track_free(d->track);
	vru_free(d->vru);
	drive_vr_drain(d);
	if (d->vrs != NULL)
		vrs_free(d->vrs);
	if (d->vrm != NULL)
		vrm_free(d->vrm);
	if (d->router_guard != NULL)
		vip_guard_free(d->router_guard, remove);
	d->track = NULL;
	d->vru = NULL;
	d->vrs = NULL;
	d->vrm = NULL;
	d->router_guard = NULL;
}
