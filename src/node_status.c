/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What the node says about itself: state, its cause, the next command, and
 * what would happen if the active node died now.
 */
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "node_int.h"

/* The worst thing found so far wins; of equals, the first. */
static void PRINTF_LIKE(4, 5) finding(struct nd_status *s,
    enum nd_health health, const char *action, const char *fmt, ...)
{
	va_list ap;

	if (health <= s->health)
		return;
	s->health = health;
	va_start(ap, fmt);
	vsnprintf(s->reason, sizeof(s->reason), fmt, ap);
	va_end(ap);
	snprintf(s->action, sizeof(s->action), "%s", action);
}

static const char *
node_name(const struct nd *nd, uint8_t id)
{
	const struct conf_node *n = conf_node(nd->conf, id);

	return n != NULL ? n->name : "nobody";
}

static void
look_at_services(const struct nd *nd, struct nd_status *s)
{
	char action[200];

	for (uint16_t i = 0; i < s->svc.n_services; i++) {
		const char *name = nd->conf->services[i].name;
		enum svc_state st = s->svc.services[i].state;

		snprintf(action, sizeof(action), "hactl why %s", name);
		if (st == SVC_FAILED)
			finding(s, ND_CRITICAL, action,
			    "service %s will not stop: %s", name,
			    s->svc.services[i].reason);
		else if (s->svc.services[i].stopped)
			finding(s, ND_DEGRADED, action,
			    "service %s is stopped by an operator; 'hactl "
			    "start %s'",
			    name, name);
		else if (s->svc.services[i].held[0] != '\0')
			finding(s,
			    s->svc.services[i].on == 0 ? ND_CRITICAL
						       : ND_DEGRADED,
			    action, "service %s is frozen (R10): %s", name,
			    s->svc.services[i].held);
		else if (s->svc.services[i].on == 0 && nd->state != MB_INERT &&
			 st == SVC_STOPPED)
			finding(s, ND_CRITICAL, action,
			    "service %s runs nowhere: %s", name,
			    s->svc.services[i].reason);
		else if (s->svc.services[i].barred)
			finding(s, ND_DEGRADED, action,
			    "service %s failed here: %s", name,
			    s->svc.services[i].reason);
		else if (s->svc.services[i].degraded)
			finding(s, ND_DEGRADED, action,
			    "the health check of service %s times out", name);
		if (s->svc.services[i].frozen)
			finding(s, ND_DEGRADED, "hactl thaw",
			    "%s is frozen by an operator: nothing moves by "
			    "itself",
			    s->svc.frozen ? "everything" : name);
	}
}

static void
look_at_volume(const struct nd *nd, struct nd_status *s, uint16_t i)
{
	const struct mir_status *v = &s->vols[i];
	const char *name = nd->conf->volumes[i].name;
	char action[200];

	snprintf(action, sizeof(action), "hactl volumes, then had.conf(5)");
	if (v->conn == MIR_CONN_SPLIT) {
		snprintf(action, sizeof(action),
		    "decide whose data to keep, then 'hactl volume resync %s "
		    "--from NODE'",
		    name);
		finding(s, ND_CRITICAL, action,
		    "volume %s has diverged: both nodes have data that the "
		    "other lacks",
		    name);
	} else if (v->disk == MIR_DISK_FAILED) {
		snprintf(action, sizeof(action),
		    "if it was never created here: 'hactl volume create %s'",
		    name);
		finding(
		    s, ND_DEGRADED, action, "volume %s: %s", name, v->error);
	} else if (v->disk == MIR_DISK_NONE) {
		finding(s, ND_DEGRADED, "replace the disk, then restart had",
		    "volume %s has no disk here: %s", name, v->error);
	} else if (v->conn == MIR_CONN_NOCOPY &&
		   v->peer_disk == MIR_DISK_NONE) {
		finding(s, ND_DEGRADED,
		    "replace the other node's disk, then restart had there",
		    "volume %s has its only copy here: the other node has no "
		    "disk",
		    name);
	} else if (v->sync.active) {
		finding(s, ND_DEGRADED, "wait, see 'hactl volumes'",
		    "volume %s is being resynced", name);
	} else if (nd->n_peers > 0 && v->conn != MIR_CONN_INSYNC) {
		finding(s, ND_DEGRADED, "hactl volumes",
		    "volume %s is not in sync: %s%s%s", name,
		    mir_conn_name(v->conn), v->error[0] ? ": " : "", v->error);
	}
}

static void
look_at_peer(const struct nd *nd, struct nd_status *s, unsigned i)
{
	const struct nd_peer *p = &nd->peers[i];
	const char *name = p->conf->name;
	unsigned down = 0, which = 0;
	char action[200];

	for (unsigned l = 0; l < nd->me->n_links; l++) {
		if (s->links[i][l].state == LNK_DOWN) {
			down++;
			which = l;
		}
	}
	if (p->verdict != MB_PEER_ALIVE) {
		snprintf(action, sizeof(action),
		    "look at %s; 'hactl why' has the evidence", name);
		if (nd->state == MB_INERT)
			snprintf(action, sizeof(action),
			    "start %s, or, if it is down for certain: "
			    "hactl seed --peer-is-down %s",
			    name, name);
		finding(s, ND_DEGRADED, action, "%s is %s", name,
		    p->verdict == MB_PEER_UNKNOWN ? "not there"
						  : mb_peer_name(p->verdict));
	} else if (down > 0) {
		snprintf(action, sizeof(action),
		    "check the cable on %s, then 'hactl links'",
		    nd->me->links[which].ifname);
		finding(s, ND_DEGRADED, action,
		    down == 1 && nd->me->n_links == 2
			? "one of two links to %s is down"
			: "links to %s are down",
		    name);
	} else if (nd->watchdog_armed && !p->watchdog_armed) {
		snprintf(
		    action, sizeof(action), "look at had's log on %s", name);
		finding(s, ND_DEGRADED, action,
		    "the watchdog of %s is not armed (R7)", name);
	} else if (p->digest != nd->conf->digest) {
		finding(s, ND_DEGRADED,
		    "copy had.conf to the other node, then 'hactl reload' "
		    "on both",
		    "%s has another configuration", name);
	}
}

/* R5: an operator is waited for. */
static void
look_at_verdict(const struct nd *nd, struct nd_status *s)
{
	char action[200];

	for (unsigned i = 0; i < s->arb.n_peers; i++) {
		const char *name = node_name(nd, s->arb.peers[i].id);

		if (s->arb.peers[i].state != ARB_FROZEN)
			continue;
		snprintf(action, sizeof(action),
		    "look at %s; if it is off for certain: 'hactl fence "
		    "confirm %s'",
		    name, name);
		finding(s, ND_CRITICAL, action,
		    "nobody can say whether %s is off: everything is frozen "
		    "(R5)",
		    name);
	}
	if (nd->no_data)
		finding(s, ND_CRITICAL, "check the links and the witness",
		    "this node has lost its peer and has no lease: its data "
		    "is stopped (R7)");
}

/* Arbiters that would be missed. */
static void
look_at_arbiters(const struct nd *nd, struct nd_status *s)
{
	char action[200];

	for (unsigned i = 0; i < s->arb.n_voters; i++) {
		bool witness = i == 0 && nd->conf->witness.addr[0] != '\0';

		if ((s->arb.voters_up >> i & 1) != 0)
			continue;
		if (witness)
			finding(s, ND_DEGRADED,
			    "look at the witness; 'hactl why' has the cause",
			    "the witness does not answer (R6)");
		else
			finding(s, ND_DEGRADED,
			    "look at its device; 'hactl why' has the cause",
			    "lock disk %u does not answer (R6)",
			    i + 1 - (nd->conf->witness.addr[0] != '\0'));
	}
	for (unsigned i = 0; i < s->arb.n_peers; i++) {
		const char *name = node_name(nd, s->arb.peers[i].id);

		if (s->arb.peers[i].n_levels == 0 ||
		    s->arb.peers[i].tested.us == 0 || s->arb.peers[i].test_ok)
			continue;
		snprintf(action, sizeof(action), "hactl fence test %s", name);
		finding(s, ND_DEGRADED, action,
		    "the fence agent of %s failed its last test (R5)", name);
	}
}

/* R9: by which evidence this node is the one that is cut off. */
static void
look_at_isolation(const struct nd *nd, struct nd_status *s)
{
	bool carrier = false;

	for (uint16_t i = 0; i < nd->conf->n_addresses; i++)
		carrier |= !nd->no_carrier[i] &&
			   !conf_is_hole(nd->conf->addresses[i].name);
	for (unsigned l = 0; l < nd->me->n_links; l++)
		carrier |= nd->carrier[l];
	if (nd->state != MB_ISOLATED)
		return;
	if (carrier)
		finding(s, ND_CRITICAL, "check the way to the ping nodes",
		    "no ping node answers here and the peer is silent (R9)");
	else
		finding(s, ND_CRITICAL, "check the cables of this node",
		    "this node has lost all its links (R9)");
}

/* Routers that could not take their addresses. */
static void
look_at_routers(const struct nd *nd, struct nd_status *s)
{
	struct vr_status r;

	for (uint16_t i = 0; i < nd->conf->n_routers; i++)
		if (nd_router_status(nd, i, &r) && !r.bound &&
		    r.state == VR_INIT && !svc_standby(nd->svc))
			finding(s, ND_DEGRADED, "hactl addresses",
			    "router %s takes no part: %s", r.name, r.reason);
}

static void
look(const struct nd *nd, struct nd_status *s)
{
	s->health = ND_OK;
	look_at_isolation(nd, s);
	look_at_verdict(nd, s);
	look_at_services(nd, s);
	for (uint16_t i = 0; i < s->n_vols; i++)
		if (s->vols[i].conn == MIR_CONN_SPLIT)
			look_at_volume(nd, s, i);
	for (unsigned i = 0; i < nd->n_peers; i++)
		look_at_peer(nd, s, i);
	look_at_routers(nd, s);
	if (nd->state == MB_DOUBT)
		finding(s, ND_DEGRADED, "wait a second",
		    "this daemon did not run for a while and is finding out "
		    "what happened");
	for (uint16_t i = 0; i < s->n_vols; i++)
		look_at_volume(nd, s, i);
	look_at_arbiters(nd, s);
}

/* The node whose death matters: the one that runs services. */
static uint8_t
active_node(const struct nd *nd, const struct nd_status *s)
{
	uint8_t on = 0;

	for (uint16_t i = 0; i < s->svc.n_services; i++) {
		if (s->svc.services[i].on == nd->self)
			return nd->self;
		if (s->svc.services[i].on != 0)
			on = s->svc.services[i].on;
	}
	return on != 0 ? on : nd->self;
}

/*
 * The volume that the service would miss if the victim died: with the peer's
 * copy it runs anywhere, without any copy nowhere.
 */
static const char *
only_copy(const struct nd *nd, const struct nd_status *s,
    const struct conf_service *cs, uint8_t victim)
{
	for (unsigned i = 0; i < cs->n_steps; i++) {
		const struct mir_status *v;
		enum mir_disk heir;

		if (cs->steps[i].type != CONF_STEP_VOLUME)
			continue;
		v = &s->vols[cs->steps[i].ref];
		heir = victim == nd->self ? v->peer_disk : v->disk;
		if (heir == MIR_DISK_NONE)
			return nd->conf->volumes[cs->steps[i].ref].name;
	}
	return NULL;
}

/* What of its data would be lost with the node, in words. */
static void
data_clause(const struct nd *nd, const struct nd_status *s,
    const struct conf_service *cs, char *text, size_t size)
{
	snprintf(text, size, "%s", cs->data ? ", no data lost" : "");
	for (unsigned i = 0; i < cs->n_steps; i++) {
		const struct mir_status *v;

		if (cs->steps[i].type != CONF_STEP_VOLUME)
			continue;
		v = &s->vols[cs->steps[i].ref];
		if (v->conn == MIR_CONN_INSYNC || v->conn == MIR_CONN_FINISH)
			continue;
		/* One of them has no disk: all is on the other one's. */
		if (v->conn == MIR_CONN_NOCOPY)
			continue;
		snprintf(text, size,
		    ", up to %llu MiB of %s are not on the other node yet",
		    (unsigned long long)((v->dirty_bytes + (1 << 20) - 1) >>
					 20),
		    nd->conf->volumes[cs->steps[i].ref].name);
	}
}

/* One service of the node that dies; the length of what it would print. */
static size_t
forecast_service(const struct nd *nd, const struct nd_status *s, uint16_t i,
    uint8_t victim, uint32_t dead_ms, bool more, char *out, size_t size)
{
	const struct conf_service *cs = &nd->conf->services[i];
	uint8_t heir = victim == nd->self ? nd->peers[0].id : nd->self;
	const char *sep = more ? "; " : "", *vol;
	char why[96] = "", data[96];
	uint32_t ms = 0;
	uint8_t to = svc_forecast(nd->svc, i, victim, &ms, why, sizeof(why));

	ASSERT(victim != heir);
	if ((vol = only_copy(nd, s, cs, victim)) != NULL)
		return (size_t)snprintf(out, size,
		    "%snobody takes %s: %s has the only copy of %s", sep,
		    cs->name, node_name(nd, victim), vol);
	if (to == 0)
		return (size_t)snprintf(
		    out, size, "%snobody takes %s: %s", sep, cs->name, why);
	data_clause(nd, s, cs, data, sizeof(data));
	ms += dead_ms;
	vol = only_copy(nd, s, cs, heir);
	return (size_t)snprintf(out, size,
	    "%s%s takes %s in about %u.%u s%s%s%s%s%s%s", sep,
	    node_name(nd, to), cs->name, ms / 1000, ms / 100 % 10, data,
	    vol != NULL ? "; if " : "", vol != NULL ? node_name(nd, heir) : "",
	    vol != NULL ? " dies now: " : "", vol != NULL ? cs->name : "",
	    vol != NULL ? " stops, it has the only copy" : "");
}

static void
forecast(const struct nd *nd, monotime_t now, struct nd_status *s)
{
	uint8_t victim = active_node(nd, s);
	const char *victim_name = node_name(nd, victim);
	char *out = s->forecast;
	struct mb_forecast f;
	size_t size = sizeof(s->forecast), used;
	uint16_t named = 0;

	if (nd->n_peers == 0) {
		snprintf(out, size,
		    "if %s dies now: nobody takes over, there is no peer",
		    victim_name);
		return;
	}
	mb_forecast(
	    nd->member, now, victim == nd->self ? nd->peers[0].id : victim, &f);
	used = (size_t)snprintf(out, size, "if %s dies now: ", victim_name);
	if (f.fate == MB_FATE_OPERATOR) {
		snprintf(out + used, size - used,
		    "nothing moves until an operator decides (%s): %s", f.rule,
		    f.text);
		return;
	}
	if (f.fate == MB_FATE_NOBODY) {
		snprintf(
		    out + used, size - used, "nobody takes over: %s", f.text);
		return;
	}
	for (uint16_t i = 0; i < s->svc.n_services && used < size; i++)
		if (s->svc.services[i].on == victim)
			used += forecast_service(nd, s, i, victim, f.ms,
			    named++ > 0, out + used, size - used);
	if (named == 0)
		snprintf(out + used, size - used,
		    "no service moves, none runs there");
}

void
nd_status(const struct nd *nd, monotime_t now, struct nd_status *s)
{
	memset(s, 0, sizeof(*s));
	s->self = nd->self;
	s->epoch = nd->epoch;
	s->incarnation = nd->incarnation;
	mb_status(nd->member, &s->member);
	arb_status(nd->arb, &s->arb);
	s->watchdog_armed = nd->watchdog_armed;
	svc_status(nd->svc, &s->svc);
	vip_status(nd->vip, &s->vip);
	s->vip.n = nd->conf->n_addresses;
	nd_vr_addresses(nd, &s->vip);
	nd_share_addresses(nd, &s->vip);
	s->n_vols = nd->conf->n_volumes;
	for (uint16_t i = 0; i < s->n_vols; i++)
		mir_status(nd->vols[i].mir, &s->vols[i]);
	s->n_peers = nd->n_peers;
	s->n_links = nd->me->n_links;
	for (unsigned i = 0; i < nd->n_peers; i++) {
		const struct nd_peer *p = &nd->peers[i];
		struct nd_peer_status *ps = &s->peers[i];

		ps->id = p->id;
		ps->ctl = p->ctl_up;
		ps->bulk = p->bulk_up;
		ps->hello = p->hello;
		memcpy(ps->version, p->version, sizeof(ps->version));
		ps->digest = p->digest;
		ps->heard = p->heard;
		ps->watchdog_armed = p->watchdog_armed;
		for (unsigned l = 0; l < s->n_links; l++)
			lnk_status(&p->links[l], &s->links[i][l]);
	}
	s->refused_stale = nd->refused_stale;
	s->refused_malformed = nd->refused_malformed;
	look(nd, s);
	forecast(nd, now, s);
}
