/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * keepalived.conf(5): what stands at its top, and global_defs.  Each keyword
 * of keepalived 2.2 has a row: a function, or the reason why it is left out.
 */
#include <bsd/string.h>
#include <string.h>

#include "import_int.h"

#define WHY_IPVS "load balancing (IPVS) is not had's business; ipvsadm sets it"
#define WHY_PROCESS \
	"had is one process, which locks its memory and runs in " \
	"real time by itself"
#define WHY_GARP "had announces addresses by a schedule of its own"
#define WHY_MAIL "had sends no mail; 'hactl events -f' tells each change"
#define WHY_NOTIFY \
	"had runs nothing on a change of state; 'hactl events " \
	"-f' tells it, and a service runs commands where its address is"
#define WHY_STATIC \
	"what does not move is the machine's own: configure it " \
	"where its network is configured"
#define WHY_RULES "had has a guard of its own in table netdev had_guard"
#define WHY_BUS "'hactl --json' and the metrics of had tell the same"
#define WHY_USER \
	"had runs checks as root; 'runuser -u USER -- COMMAND' in " \
	"the check itself changes that"
#define WHY_FORGED \
	"had always drops adverts that are malformed or do not " \
	"come from the next hop"

static void
global_version(struct import *im, const struct imp_stmt *s)
{
	uint32_t v;

	if (!imp_uint(im, s, 2, 3, &v))
		return;
	im->version = (uint8_t)v;
	im->version_line = s->line;
}

static void
global_strict(struct import *im, const struct imp_stmt *s)
{
	if (imp_bool(im, s, &im->strict) && im->strict)
		imp_tell(im, s->line, s->word[0],
		    "only its no_accept is converted ('accept never'); had "
		    "refuses by itself what the protocol forbids");
}

static void
global_interface(struct import *im, const struct imp_stmt *s)
{
	(void)imp_ifname(im, s, im->ifname);
}

static void
global_startup(struct import *im, const struct imp_stmt *s)
{
	(void)imp_seconds(im, s, 3600ull * 1000000, &im->start_us);
}

/* The node needs a name, and this one tells which machine it is. */
static void
global_router_id(struct import *im, const struct imp_stmt *s)
{
	char *name = im->c->nodes[0].name;

	if (s->n < 2)
		return;
	imp_name(name, s->word[1], HAD_NAME_MAX - 1);
	if (strcmp(name, s->word[1]) != 0)
		imp_tell(im, s->line, s->word[0],
		    "the node is called %s: had's names have at most 31 "
		    "letters, digits and '_.-'",
		    name);
}

/* In global_defs. */
static const struct imp_row globals[] = {
    {"vrrp_version", global_version, false, NULL},
    {"vrrp_strict", global_strict, false, NULL},
    {"default_interface", global_interface, false, NULL},
    {"vrrp_startup_delay", global_startup, false, NULL},
    {"router_id", global_router_id, false, NULL},
    {"vrrp_garp_*", NULL, false, WHY_GARP},
    {"vrrp_gna_*", NULL, false, WHY_GARP},
    {"vrrp_min_garp", NULL, false, WHY_GARP},
    {"notification_email*", NULL, false, WHY_MAIL},
    {"smtp_*", NULL, false, WHY_MAIL},
    {"no_email_faults", NULL, false, WHY_MAIL},
    {"lvs_*", NULL, false, WHY_IPVS},
    {"checker_*", NULL, false, WHY_IPVS},
    {"script_user", NULL, false, WHY_USER},
    {"enable_script_security", NULL, false,
	"had does not look at who may write a check: see to it that "
	"only root can"},
    {"startup_script*", NULL, false,
	"a unit of systemd before had.service does it"},
    {"shutdown_script*", NULL, false,
	"a unit of systemd before had.service does it"},
    {"vrrp_mcast_group*", NULL, false,
	"had sends to the group of the protocol, or to 'unicast'"},
    {"vrrp_down_timer_adverts", NULL, false,
	"had waits for three adverts, as the protocol says; a shorter "
	"'interval' takes over sooner"},
    {"vrrp_lower_prio_no_advert", NULL, false,
	"had answers by the rules of the protocol"},
    {"vrrp_higher_prio_send_advert", NULL, false,
	"had answers by the rules of the protocol"},
    {"vrrp_check_unicast_src", NULL, false, WHY_FORGED},
    {"vrrp_skip_check_adv_addr", NULL, false, WHY_FORGED},
    {"vrrp_iptables", NULL, false, WHY_RULES},
    {"vrrp_ipsets", NULL, false, WHY_RULES},
    {"nftables*", NULL, false, WHY_RULES},
    {"disable_local_igmp", NULL, false, WHY_RULES},
    {"notify_fifo*", NULL, false, WHY_NOTIFY},
    {"vrrp_notify_*", NULL, false, WHY_NOTIFY},
    {"enable_snmp_*", NULL, false, WHY_BUS},
    {"enable_traps", NULL, false, WHY_BUS},
    {"snmp_socket", NULL, false, WHY_BUS},
    {"enable_dbus", NULL, false, WHY_BUS},
    {"dbus_*", NULL, false, WHY_BUS},
    {"bfd_*", NULL, false, WHY_PROCESS},
    {"process_name*", NULL, false, WHY_PROCESS},
    {"vrrp_process_name", NULL, false, WHY_PROCESS},
    {"max_auto_priority", NULL, false, WHY_PROCESS},
    {"min_auto_priority_delay", NULL, false, WHY_PROCESS},
    {"vrrp_priority", NULL, false, WHY_PROCESS},
    {"vrrp_no_swap", NULL, false, WHY_PROCESS},
    {"vrrp_cpu_affinity", NULL, false, WHY_PROCESS},
    {"vrrp_rt_priority", NULL, false, WHY_PROCESS},
    {"vrrp_rlimit_rt*", NULL, false, WHY_PROCESS},
    {"vrrp_rx_bufs_*", NULL, false, WHY_PROCESS},
    {"vrrp_netlink_*", NULL, false, WHY_PROCESS},
    {"tmp_config_directory", NULL, false, WHY_PROCESS},
    {"config_save_dir", NULL, false, WHY_PROCESS},
    {"use_symlink_paths", NULL, false, WHY_PROCESS},
    {"reload_*", NULL, false, WHY_PROCESS},
    {"umask", NULL, false, WHY_PROCESS},
    {"random_seed", NULL, false, WHY_PROCESS},
    {"instance", NULL, false, WHY_PROCESS},
    {"net_namespace*", NULL, false, "'ip netns exec NAME had ...' does it"},
    {"dynamic_interfaces", NULL, false,
	"had always waits for an interface that is not there"},
    {"allow_if_changes", NULL, false,
	"had always follows an interface by its name"},
    {"include*", NULL, false,
	"the file is not read: convert it, too, or put it here"},
};

static void
global_defs(struct import *im, const struct imp_stmt *s)
{
	imp_read(im, s, globals, NITEMS(globals));
}

/* At the top of the file. */
static const struct imp_row top[] = {
    {"global_defs", global_defs, true, NULL},
    {"vrrp_instance", imp_instance, true, NULL},
    {"vrrp_sync_group", imp_sync_group, true, NULL},
    {"vrrp_script", imp_script, true, NULL},
    {"vrrp_track_file", imp_file, true, NULL},
    {"track_file", imp_file, true, NULL},
    {"vrrp_track_process", imp_process, true, NULL},
    {"include*", NULL, false,
	"the file is not read: convert it, too, or put it here"},
    {"static_*", NULL, false, WHY_STATIC},
    {"track_group", NULL, false, WHY_STATIC},
    {"virtual_server*", NULL, false, WHY_IPVS},
    {"real_server", NULL, false, WHY_IPVS},
    {"SSL", NULL, false, WHY_IPVS},
    {"ssl_*", NULL, false, WHY_IPVS},
    {"bfd_instance", NULL, false,
	"had has no BFD; an 'interval' of 10ms finds a dead router as soon"},
    {"garp_group", NULL, false, WHY_GARP},
    {"linkbeat_*", NULL, false, "the kernel tells had of each carrier"},
    {"interface_up_down_delays", NULL, false,
	"had acts on a carrier at once; 'preempt after' and 'start after' "
	"keep a router from coming back too soon"},
    {"net_namespace*", NULL, false, "'ip netns exec NAME had ...' does it"},
    {"namespace_with_ipsets", NULL, false, WHY_RULES},
    {"instance", NULL, false, WHY_PROCESS},
    {"use_pid_dir", NULL, false, WHY_PROCESS},
    {"child_wait_time", NULL, false, WHY_PROCESS},
};

/* A cluster of one node: this machine. */
static void
set_defaults(struct conf *c)
{
	memset(c, 0, sizeof(*c));
	strlcpy(c->cluster, "imported", sizeof(c->cluster));
	c->t.heartbeat_ms = CONF_HEARTBEAT_MS;
	c->t.dead_ms = CONF_DEAD_MS;
	c->port = CONF_PORT;
	c->n_nodes = 1;
	c->nodes[0].id = 1;
	strlcpy(c->nodes[0].name, "router", sizeof(c->nodes[0].name));
}

int
import_keepalived(struct import *im, struct conf *c, const char *file,
    const char *bytes, size_t len, struct conf_errors *told)
{
	memset(im, 0, sizeof(*im));
	set_defaults(c);
	im->c = c;
	im->file = file;
	im->told = told;
	im->last = told->used;
	im->lex = (struct imp_lex){.bytes = bytes, .len = len, .line = 1};
	imp_read(im, NULL, top, NITEMS(top));
	if (im->broken)
		return -1;
	imp_groups(im);
	imp_routers(im);
	imp_tracks(im);
	if (c->n_routers == 0) {
		imp_tell(im, im->lex.line, "vrrp_instance",
		    "nothing to convert: there is none that had could run");
		return -1;
	}
	return conf_check(c, file, told);
}
