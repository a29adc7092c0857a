/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Arbiters of the daemon: fence agents, the witness, lock disks, the
 * watchdog; and what else tells who is cut off: ping nodes, ARP, devices that
 * links share.
 */
#include <errno.h>
#include <openssl/evp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "drive_int.h"
#include "keyfile.h"
#include "log.h"
#include "netdev.h"

/* Links and services together are what arp.h has room for. */
enum { PROBE_MS = 1000, PROBE_ADDRS = ARP_QUESTIONS_MAX - HAD_LINKS_MAX };

/* --- fence agents --- */

static enum arb_result
result_of(enum fa_result r)
{
	switch (r) {
	case FA_OK:
		return ARB_RES_OK;
	case FA_IS_ON:
		return ARB_RES_IS_ON;
	case FA_IS_OFF:
		return ARB_RES_IS_OFF;
	case FA_FAILED:
		return ARB_RES_FAILED;
	case FA_TIMEOUT:
		break;
	}
	return ARB_RES_TIMEOUT;
}

static void
fence_ended(void *ctx, uint32_t token, enum fa_result r, const char *text)
{
	struct nd_event e = {.type = ND_EV_ARB};

	e.u.arb.type = ARB_EV_FENCED;
	e.u.arb.u.fenced.token = token;
	e.u.arb.u.fenced.result = result_of(r);
	e.u.arb.u.fenced.text = text;
	drive_step(ctx, &e);
}

void
drive_fence(void *ctx, uint8_t node, uint8_t level, enum arb_action action,
    uint32_t token)
{
	static const enum fa_action as[] = {
	    [ARB_DO_OFF] = FA_OFF,
	    [ARB_DO_STATUS] = FA_STATUS,
	    [ARB_DO_MONITOR] = FA_MONITOR,
	    [ARB_DO_ON] = FA_ON,
	};
	struct drive *d = ctx;
	const struct conf_node *n = conf_node(d->conf, node);

	ASSERT(n != NULL && level < n->n_fences);
	fence_run(d->fence, &n->fences[level], n->name, as[action], token);
}

void
drive_fence_cancel(void *ctx, uint32_t token)
{
	fence_cancel(((struct drive *)ctx)->fence, token);
}

/* --- voters --- */

static void
voted(struct drive *d, uint8_t voter, uint64_t epoch, enum arb_vote vote,
    uint8_t holder, uint64_t holder_epoch)
{
	struct nd_event e = {.type = ND_EV_ARB};

	e.u.arb.type = ARB_EV_VOTE;
	e.u.arb.u.vote.voter = voter;
	e.u.arb.u.vote.epoch = epoch;
	e.u.arb.u.vote.vote = vote;
	e.u.arb.u.vote.holder = holder;
	e.u.arb.u.vote.holder_epoch = holder_epoch;
	drive_step(d, &e);
}

static void
voter_up(struct drive *d, uint8_t voter, bool up, uint8_t holder,
    uint64_t holder_epoch)
{
	struct nd_event e = {.type = ND_EV_ARB};

	e.u.arb.type = ARB_EV_VOTER;
	e.u.arb.u.voter.voter = voter;
	e.u.arb.u.voter.up = up;
	e.u.arb.u.voter.holder = holder;
	e.u.arb.u.voter.holder_epoch = holder_epoch;
	drive_step(d, &e);
}

static void
witness_answer(void *ctx, uint64_t epoch, enum wl_vote vote, uint8_t holder,
    uint64_t holder_epoch)
{
	static const enum arb_vote as[] = {
	    [WL_GRANTED] = ARB_VOTE_GRANTED,
	    [WL_DENIED] = ARB_VOTE_DENIED,
	    [WL_UNREACHABLE] = ARB_VOTE_UNREACHABLE,
	};

	voted(ctx, 0, epoch, as[vote], holder, holder_epoch);
}

static void
witness_up(void *ctx, bool up)
{
	voter_up(ctx, 0, up, 0, 0);
}

static void
witness_note(
    void *ctx, enum had_level level, const char *object, const char *text)
{
	drive_note(ctx, level, "", object, text);
}

static void
disk_answer(void *ctx, uint64_t epoch, enum ld_vote vote, uint8_t holder,
    uint64_t holder_epoch, const char *text)
{
	static const enum arb_vote as[] = {
	    [LD_GRANTED] = ARB_VOTE_GRANTED,
	    [LD_DENIED] = ARB_VOTE_DENIED,
	    [LD_UNREACHABLE] = ARB_VOTE_UNREACHABLE,
	};
	struct drive_disk_voter *v = ctx;

	if (text[0] != '\0')
		drive_note(v->drive, HAD_WARN, "R6", v->name, text);
	voted(v->drive, v->voter, epoch, as[vote], holder, holder_epoch);
}

static void
disk_up(void *ctx, bool up, const char *text)
{
	struct drive_disk_voter *v = ctx;
	struct ld_status st;

	ld_status(v->disk, &st);
	if (text[0] != '\0')
		drive_note(v->drive, HAD_WARN, "R6", v->name, text);
	voter_up(v->drive, v->voter, up, st.holder, st.holder_epoch);
}

void
drive_vote(void *ctx, uint8_t voter, uint64_t epoch)
{
	struct drive *d = ctx;

	if (d->witness != NULL && voter == 0) {
		wl_ask(d->witness, epoch);
		return;
	}
	for (unsigned i = 0; i < d->conf->n_lock_disks; i++)
		if (d->disk_voters[i].voter == voter)
			ld_ask(d->disk_voters[i].disk, epoch);
}

static int
witness_new(struct drive *d)
{
	static const struct wl_cb cb = {
	    .answer = witness_answer,
	    .up = witness_up,
	    .note = witness_note,
	};
	const struct conf_witness *w = &d->conf->witness;
	struct wl_conf c = {
	    .port = w->port,
	    .self = d->self,
	    .incarnation = d->incarnation,
	    .dead_ms = d->conf->t.dead_ms,
	};
	char why[512];

	if (w->addr[0] == '\0')
		return 0;
	memcpy(c.addr, w->addr, sizeof(c.addr));
	memcpy(c.pin, w->key, sizeof(c.pin));
	memcpy(c.cluster, d->conf->cluster, sizeof(c.cluster));
	c.key = keyfile_load(d->o.key_path, why, sizeof(why));
	if (c.key != NULL) {
		d->witness = wl_new(d->event, &c, &cb, d, why, sizeof(why));
		EVP_PKEY_free(c.key);
	}
	if (d->witness == NULL)
		log_warnx("witness: %s", why);
	return d->witness != NULL ? 0 : -1;
}

static int
disks_new(struct drive *d)
{
	static const struct ld_cb cb = {.answer = disk_answer, .up = disk_up};
	uint8_t first = d->conf->witness.addr[0] != '\0';

	for (unsigned i = 0; i < d->conf->n_lock_disks; i++) {
		struct drive_disk_voter *v = &d->disk_voters[i];
		struct ld_conf c = {
		    .path = d->conf->lock_disks[i],
		    .cluster = d->conf->cluster,
		    .incarnation = d->incarnation,
		    .self = d->self,
		    .deadline_ms = d->conf->t.dead_ms,
		    .probe_ms = PROBE_MS,
		};

		v->drive = d;
		v->voter = (uint8_t)(first + i);
		snprintf(v->name, sizeof(v->name), "lock disk %u", i + 1);
		v->disk = ld_new(d->event, &c, &cb, v);
		if (v->disk == NULL) {
			log_warn("lock disk: %s", c.path);
			return -1;
		}
	}
	return 0;
}

/* --- the watchdog, and the last resort --- */

static void
starve(void *ctx)
{
	((struct drive *)ctx)->starving = true;
}

static void
self_fence_conf(struct drive *d, struct selffence_conf *c)
{
	memset(c, 0, sizeof(*c));
	c->how = d->conf->self_fence;
	c->fake = getenv("HAD_SELF_FENCE_FAKE");
	c->starve = starve;
	c->ctx = d;
}

void
drive_self_fence(void *ctx, const char *why)
{
	struct drive *d = ctx;
	struct selffence_conf c;
	int done;

	self_fence_conf(d, &c);
	drive_note(d, HAD_ERR, "R12", "node", why);
	done = selffence_now(&c, why);
	if (done < 0)
		drive_note(d, HAD_ERR, "R12", "node",
		    "this node cannot reset itself: an operator must");
}

static void
armed(struct drive *d, bool on)
{
	struct nd_event e = {.type = ND_EV_WATCHDOG};

	e.u.watchdog.armed = on;
	drive_step(d, &e);
}

/* Every heartbeat: feeds while the node may hold what it holds (R7). */
static void
feed(struct drive *d)
{
	if (d->watchdog == NULL || d->starving)
		return;
	if (!nd_may_feed(d->nd, drive_now())) {
		if (!d->hungry)
			drive_note(d, HAD_ERR, "R7", "watchdog",
			    "not fed: this node may not hold its data and has "
			    "not stopped it yet");
		d->hungry = true;
		return;
	}
	d->hungry = false;
	if (wd_feed(d->watchdog) < 0)
		log_warn("watchdog: %s", d->conf->watchdog);
}

static void
watchdog_new(struct drive *d)
{
	struct selffence_conf c;
	struct wd_info info;
	char why[300];

	self_fence_conf(d, &c);
	if (c.how != CONF_SELF_FENCE_OFF &&
	    selffence_check(&c, why, sizeof(why)) < 0)
		drive_note(d, HAD_ERR, "R12", "self fence", why);
	if (d->conf->watchdog[0] == '\0')
		return;
	d->watchdog = wd_open(d->conf->watchdog,
	    d->conf->watchdog_timeout_ms / 1000, NULL, why, sizeof(why));
	if (d->watchdog == NULL) {
		drive_note(d, HAD_ERR, "R7", "watchdog", why);
		return;
	}
	wd_info(d->watchdog, &info);
	snprintf(why, sizeof(why), "armed, %s, %u s%s", info.identity,
	    info.timeout_s,
	    info.caused_reset ? "; the last reset was its work" : "");
	drive_note(d, HAD_INFO, "R7", "watchdog", why);
	armed(d, true);
}

/* --- who is cut off --- */

static void
pings_changed(void *ctx, uint32_t answered)
{
	struct nd_event e = {.type = ND_EV_PINGS};

	e.u.pings.answered = answered;
	drive_step(ctx, &e);
}

static int
pings_new(struct drive *d)
{
	struct ping_conf c = {
	    .n = d->conf->n_pings,
	    .period_ms = d->conf->t.heartbeat_ms,
	    .dead_ms = d->conf->t.lease_ms,
	};
	char why[200];

	if (c.n == 0)
		return 0;
	for (unsigned i = 0; i < c.n; i++)
		c.addrs[i] = d->conf->pings[i];
	d->ping = ping_new(d->event, &c, pings_changed, d, why, sizeof(why));
	if (d->ping == NULL)
		log_warnx("ping: %s", why);
	return d->ping != NULL ? 0 : -1;
}

/* Another machine answers: for the address of a service, or of a link. */
static void
arp_heard(void *ctx, const char *ifname, const char *addr)
{
	struct drive *d = ctx;
	struct nd_event e = {.type = ND_EV_ADVERT};

	e.u.advert.kind = ND_ADVERT_ARP;
	for (unsigned i = 0; i < d->conf->n_addresses; i++) {
		if (strcmp(d->conf->addresses[i].addr, addr) == 0 &&
		    strcmp(d->conf->addresses[i].ifname, ifname) == 0) {
			e.u.advert.address = (uint16_t)i;
			drive_step(d, &e);
			return;
		}
	}
	e.u.advert.address = ND_LINK_ADDRESS;
	for (unsigned i = 0; i < d->conf->n_nodes; i++) {
		const struct conf_node *n = &d->conf->nodes[i];

		for (uint8_t l = 0; n->id != d->self && l < n->n_links; l++) {
			if (strcmp(n->links[l].addr, addr) != 0 ||
			    strcmp(d->me->links[l].ifname, ifname) != 0)
				continue;
			e.peer = n->id;
			e.u.advert.link = l;
			drive_step(d, &e);
			return;
		}
	}
}

static void
ask(struct drive *d, const char *ifname, const char *addr)
{
	if (arp_probe(d->arp, ifname, addr) < 0)
		log_debug("arp: %s on %s: %s", addr, ifname, strerror(errno));
}

/* Who has the addresses of services?  Not this node. */
static void
probe_services(struct drive *d)
{
	unsigned asked = 0;

	nd_status(d->nd, drive_now(), d->status);
	for (uint16_t i = 0; i < d->conf->n_addresses; i++) {
		const struct conf_address *a = &d->conf->addresses[i];

		if (d->status->vip.addrs[i].state != VIP_OFF ||
		    conf_is_hole(a->name))
			continue;
		ask(d, a->ifname, a->addr);
		if (++asked == PROBE_ADDRS)
			return;
	}
}

/* Asks for what is silent, on every link, until somebody has decided. */
static void
probe(struct drive *d, monotime_t now)
{
	bool quiet = false;

	for (unsigned i = 0; i < d->conf->n_nodes; i++) {
		const struct conf_node *n = &d->conf->nodes[i];

		if (n->id == d->self || !nd_may_probe(d->nd, n->id, now))
			continue;
		quiet = true;
		for (uint8_t l = 0; l < n->n_links; l++)
			ask(d, d->me->links[l].ifname, n->links[l].addr);
	}
	if (quiet)
		probe_services(d);
}

/* R2: two links over one device are one link domain. */
static void
domains(struct drive *d)
{
	struct nd_event e = {.type = ND_EV_DOMAIN};

	for (uint8_t l = 1; l < d->me->n_links; l++) {
		for (uint8_t o = 0; o < l; o++) {
			if (!netdev_share("/sys/class/net",
				d->me->links[l].ifname, d->me->links[o].ifname))
				continue;
			e.u.domain.link = l;
			e.u.domain.other = o;
			drive_step(d, &e);
		}
	}
}

static void
cb_beat(void *ctx, monotime_t now)
{
	struct drive *d = ctx;

	feed(d);
	probe(d, now);
	loop_timer_at(d->arb_timer, mt_add_ms(now, d->conf->t.heartbeat_ms));
}

/* Before the node starts: its orders need the drivers. */
int
drive_arb_new(struct drive *d)
{
	if (d->conf->n_nodes < 2)
		return 0;
	d->fence = fence_new(d->event, fence_ended, d);
	d->arp = arp_new(d->event, arp_heard, d);
	d->arb_timer = loop_timer_new(d->event, cb_beat, d);
	if (d->fence == NULL || d->arp == NULL || d->arb_timer == NULL) {
		log_warn("arbiters: start");
		return -1;
	}
	if (witness_new(d) < 0 || disks_new(d) < 0 || pings_new(d) < 0)
		return -1;
	return 0;
}

/* After it has started. */
void
drive_arb_begin(struct drive *d)
{
	if (d->conf->n_nodes < 2)
		return;
	domains(d);
	watchdog_new(d);
	loop_timer_at(d->arb_timer, drive_now());
}

/* clean: nothing runs here any more, the watchdog may be disarmed. */
void
drive_arb_free(struct drive *d, bool clean)
{
	if (d->watchdog != NULL && clean && !d->starving &&
	    wd_close(d->watchdog) < 0)
		log_warn("watchdog: %s cannot be disarmed: this machine will "
			 "be reset",
		    d->conf->watchdog);
	if (d->ping != NULL)
		ping_free(d->ping);
	for (unsigned i = 0; i < d->conf->n_lock_disks; i++)
		if (d->disk_voters[i].disk != NULL)
			ld_free(d->disk_voters[i].disk);
	if (d->witness != NULL)
		wl_free(d->witness);
	if (d->arp != NULL)
		arp_free(d->arp);
	if (d->fence != NULL)
		fence_free(d->fence);
	loop_timer_free(d->arb_timer);
}
