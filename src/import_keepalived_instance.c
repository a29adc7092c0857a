/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * vrrp_instance of keepalived.conf(5), as it is written; what it comes to is
 * decided when the whole file is read.
 */
#include <bsd/string.h>
#include <string.h>

#include "import_int.h"

#define WHY_GARP "had announces addresses by a schedule of its own"
#define WHY_NOTIFY \
	"had runs nothing on a change of state; 'hactl events " \
	"-f' tells it, and a service runs commands where its address is"
#define WHY_ROUTES \
	"had moves addresses, no routes and rules: a route over a " \
	"floating address can stand on both machines all the time"
#define WHY_MAC \
	"had's virtual MAC is that of the protocol, on an interface " \
	"that had names, and adverts go out of it"
#define WHY_RULES_OF "had answers by the rules of the protocol"
#define WHY_FORGED \
	"had always drops adverts that are malformed or come " \
	"from a router that is not its peer"

static void
on_state(struct import *im, const struct imp_stmt *s)
{
	im->instance->master = s->n > 1 && strcmp(s->word[1], "MASTER") == 0;
	if (!im->instance->master &&
	    (s->n < 2 || strcmp(s->word[1], "BACKUP") != 0))
		imp_tell(im, s->line, s->word[0],
		    "left out: expected MASTER or BACKUP");
	im->instance->state_line = s->line;
}

static void
on_interface(struct import *im, const struct imp_stmt *s)
{
	(void)imp_ifname(im, s, im->instance->ifname);
}

static void
on_vrid(struct import *im, const struct imp_stmt *s)
{
	uint32_t v;

	if (imp_uint(im, s, 1, 255, &v))
		im->instance->vrid = (uint8_t)v;
}

static void
on_priority(struct import *im, const struct imp_stmt *s)
{
	uint32_t v;

	if (imp_uint(im, s, 1, 255, &v))
		im->instance->priority = (uint8_t)v;
}

static void
on_version(struct import *im, const struct imp_stmt *s)
{
	uint32_t v;

	if (!imp_uint(im, s, 2, 3, &v))
		return;
	im->instance->version = (uint8_t)v;
	im->instance->version_line = s->line;
}

static void
on_advert_int(struct import *im, const struct imp_stmt *s)
{
	if (imp_seconds(im, s, 255ull * 1000000, &im->instance->interval_us))
		im->instance->interval_line = s->line;
}

static void
on_nopreempt(struct import *im, const struct imp_stmt *s)
{
	im->instance->nopreempt = true;
	im->instance->nopreempt_line = s->line;
}

static void
on_preempt_delay(struct import *im, const struct imp_stmt *s)
{
	if (imp_seconds(im, s, 1000ull * 1000000, &im->instance->preempt_us))
		im->instance->preempt_line = s->line;
}

static void
on_vmac(struct import *im, const struct imp_stmt *s)
{
	im->instance->vmac = true;
	if (s->n > 1)
		imp_tell(im, s->line, s->word[0],
		    "the name and the MAC address behind it are left "
		    "out: " WHY_MAC);
}

static void
on_accept(struct import *im, const struct imp_stmt *s)
{
	(void)s;
	im->instance->accept = true;
}

static void
on_no_accept(struct import *im, const struct imp_stmt *s)
{
	(void)s;
	im->instance->no_accept = true;
}

static void
on_strict(struct import *im, const struct imp_stmt *s)
{
	struct imp_instance *in = im->instance;

	if (!imp_bool(im, s, &in->strict))
		return;
	in->strict_set = true;
	if (in->strict)
		imp_tell(im, s->line, s->word[0],
		    "only its no_accept is converted ('accept never'); had "
		    "refuses by itself what the protocol forbids");
}

static void
on_source(struct import *im, const struct imp_stmt *s)
{
	struct imp_instance *in = im->instance;
	uint8_t bytes[16], family;

	family = imp_host(s->n > 1 ? s->word[1] : "", bytes);
	if (family == 0) {
		imp_tell(im, s->line, s->word[0],
		    "left out: got '%.80s', expected a numeric unicast "
		    "address",
		    s->n > 1 ? s->word[1] : "");
		return;
	}
	memcpy(in->source, bytes, sizeof(bytes));
	in->source_family = family;
	in->source_line = s->line;
}

static void
on_auth_type(struct import *im, const struct imp_stmt *s)
{
	const char *type = s->n > 1 ? s->word[1] : "";

	im->instance->auth_line = s->line;
	im->instance->auth_ah = strcmp(type, "AH") == 0;
	strlcpy(im->auth_type, type, sizeof(im->auth_type));
	if (im->instance->auth_ah)
		imp_tell(im, s->line, s->word[0],
		    "left out: had has no AH, nor has any other router but "
		    "keepalived; machines that must have it cannot be mixed "
		    "with had");
	else if (strcmp(type, "PASS") != 0)
		imp_tell(im, s->line, s->word[0],
		    "left out: got '%.80s', expected PASS", type);
}

static void
on_auth_pass(struct import *im, const struct imp_stmt *s)
{
	struct imp_instance *in = im->instance;
	char text[IMP_TEXT_MAX];

	if (!imp_text(im, s, text, sizeof(text)))
		return;
	if (strlen(text) > 8)
		imp_tell(im, s->line, s->word[0],
		    "only its first 8 bytes are converted, as keepalived "
		    "sends no more");
	text[8] = '\0';
	strlcpy(in->password, text, sizeof(in->password));
	in->auth_line = s->line;
}

static void
on_authentication(struct import *im, const struct imp_stmt *s)
{
	static const struct imp_row rows[] = {
	    {"auth_type", on_auth_type, false, NULL},
	    {"auth_pass", on_auth_pass, false, NULL},
	};
	struct imp_instance *in = im->instance;

	im->auth_type[0] = '\0';
	imp_read(im, s, rows, NITEMS(rows));
	if (strcmp(im->auth_type, "PASS") == 0)
		return;
	if (im->auth_type[0] == '\0')
		imp_tell(im, s->line, s->word[0],
		    "left out: it has no auth_type, and so keepalived "
		    "authenticates nothing");
	in->password[0] = '\0';
}

static void
on_addresses(struct import *im, const struct imp_stmt *s)
{
	im->excluded = strcmp(s->word[0], "virtual_ipaddress_excluded") == 0;
	imp_list(im, s, imp_address);
}

static void
on_peers(struct import *im, const struct imp_stmt *s)
{
	imp_list(im, s, imp_peer);
}

/* A thing to track; the words behind its name are "weight N [reverse]". */
static void
add_use(struct import *im, const struct imp_stmt *s, enum conf_track_type type)
{
	struct imp_use *u = &im->uses[im->n_uses];

	if (im->n_uses == IMP_USES_MAX) {
		imp_tell(im, s->line, s->word[0],
		    "left out: more than %d tracked things", IMP_USES_MAX);
		return;
	}
	memset(u, 0, sizeof(*u));
	u->type = type;
	u->line = s->line;
	u->of_group = im->group != NULL;
	u->owner = u->of_group ? (uint16_t)(im->group - im->groups)
			       : (uint16_t)(im->instance - im->instances);
	strlcpy(u->name, s->word[0], sizeof(u->name));
	if (s->n > 1) {
		if (strcmp(s->word[1], "weight") != 0) {
			imp_tell(im, s->line, s->word[0],
			    "left out: got '%.80s' behind it, expected "
			    "weight; each stands on a line of its own",
			    s->word[1]);
			return;
		}
		if (!imp_weight(im, s, 2, &u->weight, &u->reverse))
			return;
		u->weight_set = true;
	}
	im->n_uses++;
}

static void
use_interface(struct import *im, const struct imp_stmt *s)
{
	add_use(im, s, CONF_TRACK_INTERFACE);
}

static void
use_script(struct import *im, const struct imp_stmt *s)
{
	add_use(im, s, CONF_TRACK_CHECK);
}

static void
use_file(struct import *im, const struct imp_stmt *s)
{
	add_use(im, s, CONF_TRACK_FILE);
}

static void
use_process(struct import *im, const struct imp_stmt *s)
{
	add_use(im, s, CONF_TRACK_PROCESS);
}

void
imp_track_interface(struct import *im, const struct imp_stmt *s)
{
	imp_list(im, s, use_interface);
}

void
imp_track_script(struct import *im, const struct imp_stmt *s)
{
	imp_list(im, s, use_script);
}

void
imp_track_file(struct import *im, const struct imp_stmt *s)
{
	imp_list(im, s, use_file);
}

void
imp_track_process(struct import *im, const struct imp_stmt *s)
{
	imp_list(im, s, use_process);
}

/* What it says of adverts, beyond what has a function. */
static void
on_down_timer(struct import *im, const struct imp_stmt *s)
{
	uint32_t n;

	if (imp_uint(im, s, 1, 100, &n) && n != 3)
		imp_tell(im, s->line, s->word[0],
		    "left out: had waits for three adverts, as the protocol "
		    "says; a shorter 'interval' takes over sooner");
}

static const struct imp_row rows[] = {
    {"state", on_state, false, NULL},
    {"interface", on_interface, false, NULL},
    {"virtual_router_id", on_vrid, false, NULL},
    {"priority", on_priority, false, NULL},
    {"version", on_version, false, NULL},
    {"advert_int", on_advert_int, false, NULL},
    {"nopreempt", on_nopreempt, false, NULL},
    {"preempt", NULL, false, NULL}, /* the default */
    {"preempt_delay", on_preempt_delay, false, NULL},
    {"use_vmac", on_vmac, false, NULL},
    {"accept", on_accept, false, NULL},
    {"no_accept", on_no_accept, false, NULL},
    {"strict_mode", on_strict, false, NULL},
    {"unicast_src_ip", on_source, false, NULL},
    {"mcast_src_ip", on_source, false, NULL},
    {"unicast_peer", on_peers, true, NULL},
    {"authentication", on_authentication, true, NULL},
    {"auth_hmac", imp_hmac, true, NULL},
    {"virtual_ipaddress", on_addresses, true, NULL},
    {"virtual_ipaddress_excluded", on_addresses, true, NULL},
    {"track_interface", imp_track_interface, true, NULL},
    {"track_script", imp_track_script, true, NULL},
    {"track_file", imp_track_file, true, NULL},
    {"track_process", imp_track_process, true, NULL},
    {"down_timer_adverts", on_down_timer, false, NULL},
    {"native_ipv6", NULL, false, NULL}, /* the addresses tell */
    {"track_bfd", NULL, false,
	"had has no BFD; an 'interval' of 10ms finds a dead router as soon"},
    {"dont_track_primary", NULL, false,
	"a router of had takes no part while its interface has no carrier"},
    {"linkbeat_use_polling", NULL, false,
	"the kernel tells had of each carrier"},
    {"use_vmac_addr", NULL, false, WHY_MAC},
    {"vmac_xmit_base", NULL, false, WHY_MAC},
    {"use_ipvlan", NULL, false,
	"had has no ipvlan; 'virtual mac' makes a macvlan"},
    {"vrf", NULL, false,
	"name the interface, which can be a member of the VRF"},
    {"mcast_dst_ip", NULL, false,
	"had sends to the group of the protocol, or to 'unicast'"},
    {"track_src_ip", NULL, false,
	"had waits by itself for an address to send from"},
    {"check_unicast_src", NULL, false, WHY_FORGED},
    {"skip_check_adv_addr", NULL, false, WHY_FORGED},
    {"unicast_fault_no_peer", NULL, false,
	"a router without 'unicast' sends to the group"},
    {"unicast_ttl", NULL, false,
	"adverts have the hop limit 255, which the protocol asks for"},
    {"old_unicast_checksum", NULL, false,
	"had understands both forms of the checksum but not that of "
	"keepalived before 1.3.6: update the other machine"},
    {"garp_*", NULL, false, WHY_GARP},
    {"lower_prio_no_advert", NULL, false, WHY_RULES_OF},
    {"higher_prio_send_advert", NULL, false, WHY_RULES_OF},
    {"promote_secondaries", NULL, false,
	"had keeps floating addresses on the interface and guards them: none "
	"is removed with another"},
    {"virtual_routes", NULL, false, WHY_ROUTES},
    {"virtual_rules", NULL, false, WHY_ROUTES},
    {"notify*", NULL, false, WHY_NOTIFY},
    {"smtp_alert", NULL, false,
	"had sends no mail; 'hactl events -f' tells each change"},
    {"lvs_sync_daemon_interface", NULL, false,
	"load balancing (IPVS) is not had's business; ipvsadm sets it"},
    {"kernel_rx_buf_size", NULL, false,
	"had sizes the buffers of its sockets by itself"},
    {"debug", NULL, false, "'had -v' logs more"},
    {"include*", NULL, false,
	"the file is not read: convert it, too, or put it here"},
};

/* A master that is given no priority is the owner there. */
static void
set_priority(struct import *im, struct imp_instance *in)
{
	if (in->master && in->priority == 0)
		imp_tell(im, in->state_line, "state",
		    "becomes 'priority 255', as keepalived takes MASTER "
		    "without a priority; give each machine one");
	else if (in->master && in->priority != CONF_VRRP_OWNER)
		imp_tell(im, in->state_line, "state",
		    "left out: the priority alone decides who is master");
	if (in->priority == 0)
		in->priority = in->master ? CONF_VRRP_OWNER : CONF_PRIORITY;
}

void
imp_instance(struct import *im, const struct imp_stmt *s)
{
	struct imp_instance *in = &im->instances[im->n_instances];

	if (s->n < 2) {
		imp_tell(im, s->line, s->word[0], "left out: it has no name");
		imp_skip_block(im);
		return;
	}
	for (uint16_t i = 0; i < im->n_instances; i++)
		if (strcmp(im->instances[i].name, s->word[1]) == 0) {
			imp_tell(im, s->line, s->word[0],
			    "left out: a second %.80s, the first is on line "
			    "%d",
			    s->word[1], im->instances[i].line);
			imp_skip_block(im);
			return;
		}
	if (im->n_instances == IMP_INSTANCES_MAX) {
		imp_tell(im, s->line, s->word[0],
		    "left out: had has at most %d routers", IMP_INSTANCES_MAX);
		imp_skip_block(im);
		return;
	}
	im->n_instances++;
	im->instance = in;
	im->group = NULL;
	in->line = s->line;
	in->interval_us = CONF_INTERVAL_MS * 1000;
	in->group = UINT16_MAX;
	strlcpy(in->name, s->word[1], sizeof(in->name));
	imp_read(im, s, rows, NITEMS(rows));
	set_priority(im, in);
}
