/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Arbiters to a file, and in words: who decides, and what may be lost.
 */
#include <stdio.h>
#include <string.h>

#include "conf_int.h"

static enum conf_kw
self_fence_kw(enum conf_self_fence how)
{
	switch (how) {
	case CONF_SELF_FENCE_SYSRQ:
		return CONF_KW_SYSRQ;
	case CONF_SELF_FENCE_WATCHDOG:
		return CONF_KW_WATCHDOG;
	case CONF_SELF_FENCE_OFF:
		break;
	}
	return CONF_KW_OFF;
}

/* What the block of the cluster has of them. */
void
conf_put_arbiters(struct conf_out *o, const struct conf *c)
{
	uint8_t i;

	if (c->witness.addr[0] != '\0') {
		conf_put(o, "\twitness %s ", c->witness.addr);
		conf_put_key(o, c->witness.key);
		conf_put(o, " port %u\n", c->witness.port);
	}
	for (i = 0; i < c->n_lock_disks; i++) {
		conf_put(o, "\tlock disk ");
		conf_put_string(o, c->lock_disks[i]);
		conf_put(o, "\n");
	}
	if (c->watchdog[0] != '\0') {
		conf_put(o, "\twatchdog ");
		conf_put_string(o, c->watchdog);
		conf_put(o, " timeout ");
		conf_put_duration(o, c->watchdog_timeout_ms);
		conf_put(o, "\n");
	}
	for (i = 0; i < c->n_pings; i++)
		conf_put(o, "\tping %s\n", c->pings[i]);
	conf_put(
	    o, "\tself fence %s\n", conf_kw_word(self_fence_kw(c->self_fence)));
}

void
conf_put_domain(struct conf_out *o, const struct conf_link *l)
{
	if (l->domain[0] != '\0')
		conf_put(o, " domain %s", l->domain);
}

void
conf_put_fences(struct conf_out *o, const struct conf_node *n)
{
	const struct conf_fence_param *p;
	const struct conf_fence *f;

	for (f = n->fences; f < n->fences + n->n_fences; f++) {
		conf_put(o, "\tfence ");
		conf_put_string(o, f->agent);
		conf_put(o, " timeout ");
		conf_put_duration(o, f->timeout_ms);
		conf_put(o, " {\n");
		for (p = f->params; p < f->params + f->n_params; p++) {
			conf_put(
			    o, "\t\t%s%s ", p->name, p->file ? " file" : "");
			conf_put_string(o, p->value);
			conf_put(o, "\n");
		}
		conf_put(o, "\t}\n");
	}
}

size_t
conf_print_arbiters(const struct conf *c, char *buf, size_t size)
{
	struct conf_out o = {.buf = buf, .size = size};
	const struct conf_node *n;
	uint8_t i, j;

	if (size > 0)
		buf[0] = '\0';
	conf_put(&o, "cluster %s {\n\theartbeat %ums\n\tdead %ums\n",
	    c->cluster, c->t.heartbeat_ms, c->t.dead_ms);
	if (c->silent != CONF_SILENT_UNSET)
		conf_put(&o, "\tsilent peer %s\n",
		    c->silent == CONF_SILENT_WAIT ? "wait" : "takeover");
	conf_put_arbiters(&o, c);
	conf_put(&o, "}\n");
	for (i = 0; i < c->n_nodes; i++) {
		n = &c->nodes[i];
		conf_put(&o, "node %s {\n", n->name);
		for (j = 0; j < n->n_links; j++) {
			conf_put(&o, "\tlink %s", n->links[j].name);
			conf_put_domain(&o, &n->links[j]);
			conf_put(&o, "\n");
		}
		conf_put_fences(&o, n);
		conf_put(&o, "}\n");
	}
	return o.len;
}

/* A majority of them grants; an even number needs as many as one more. */
static void
put_majority(struct conf_out *o, uint8_t n)
{
	unsigned need = n / 2u + 1, spare = n - need;

	ASSERT(n >= 1 && n <= HAD_VOTERS_MAX);
	if (n == 1)
		conf_put(o,
		    "  1 voter: it is needed; two more make one dispensable\n");
	else if (n == 2)
		conf_put(o, "  2 voters: both are needed; a third makes one "
			    "dispensable\n");
	else
		conf_put(o,
		    "  %u voters: %u are needed, any %u dispensable%s\n", n,
		    need, spare,
		    n % 2 == 0 ? "; one more voter makes one more dispensable"
			       : "");
}

static void
put_fence_levels(struct conf_out *o, const struct conf_node *n)
{
	const struct conf_fence *f;

	conf_put(o, "  fence     %s is switched off by", n->name);
	for (f = n->fences; f < n->fences + n->n_fences; f++) {
		conf_put(o, "%s %s (timeout ", f > n->fences ? ", then" : "",
		    f->agent);
		conf_put_duration(o, f->timeout_ms);
		conf_put(o, ")");
	}
	conf_put(o, "\n");
}

/* Nothing for a file without arbiters: silent peer says what happens. */
void
conf_put_votes(struct conf_out *o, const struct conf *c)
{
	uint8_t i, n;

	n = conf_n_voters(c);
	if (!conf_arbitrated(c))
		return;
	conf_put(o, "arbiters of cluster %s\n", c->cluster);
	if (c->witness.addr[0] != '\0')
		conf_put(o, "  witness   %s port %u\n", c->witness.addr,
		    c->witness.port);
	for (i = 0; i < c->n_lock_disks; i++)
		conf_put(o, "  lock disk %s\n", c->lock_disks[i]);
	if (n > 0)
		put_majority(o, n);
	for (i = 0; i < c->n_nodes; i++)
		if (c->nodes[i].n_fences > 0)
			put_fence_levels(o, &c->nodes[i]);
	if (c->nodes[0].n_fences > 0)
		conf_put(o,
		    "  fence race: the node with the data%s fires at once, the "
		    "other after 2 * the measured time, 5s at least\n",
		    n > 0 ? ", and any with a lease," : "");
}
