/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * hactl doctor: what the kernel can, and what is set in it.
 */
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/timex.h>
#include <sys/utsname.h>
#include <sys/wait.h>
#include <unistd.h>

#include "hactl_doctor.h"

extern char **environ;

static void
check_sctp(struct doctor *d)
{
	bool needed =
	    d->c == NULL || d->c->n_nodes > 1 || d->c->witness.addr[0] != '\0';
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, IPPROTO_SCTP);

	if (fd >= 0) {
		close(fd);
		doctor_say(d, DOCTOR_OK, "sctp", "", "", "the kernel has it");
	} else if (!needed)
		doctor_say(d, DOCTOR_OK, "sctp", "", "",
		    "%s; one node without a witness needs none",
		    strerror(errno));
	else
		doctor_say(d, DOCTOR_FAIL, "sctp", "",
		    "modprobe sctp; if there is no such module, install the "
		    "package linux-modules-extra or kernel-modules-extra, and "
		    "remove 'blacklist sctp' from /etc/modprobe.d",
		    "no SCTP: %s; the nodes could not talk", strerror(errno));
}

/* Built in, loaded, or on the disk for modprobe(8). */
static bool
module_there(const char *name)
{
	static const char *const lists[] = {"modules.dep", "modules.builtin"};
	char path[512], line[1024], want[64];
	struct utsname u;
	bool found = false;

	snprintf(path, sizeof(path), "/sys/module/%s", name);
	if (access(path, F_OK) == 0)
		return true;
	if (uname(&u) < 0)
		return false;
	snprintf(want, sizeof(want), "/%s.ko", name);
	for (unsigned i = 0; i < NITEMS(lists) && !found; i++) {
		FILE *f;

		snprintf(path, sizeof(path), "/lib/modules/%.200s/%s",
		    u.release, lists[i]);
		f = fopen(path, "re");
		while (f != NULL && fgets(line, sizeof(line), f) != NULL) {
			line[strcspn(line, ":\n")] = '\0';
			found |= strstr(line, want) != NULL;
		}
		if (f != NULL)
			fclose(f);
	}
	return found;
}

static void
check_nbd(struct doctor *d)
{
	bool needed = d->c == NULL || d->c->n_volumes > 0;

	if (access("/sys/block/nbd0", F_OK) == 0 || module_there("nbd"))
		doctor_say(d, DOCTOR_OK, "nbd", "", "", "the kernel has it");
	else if (!needed)
		doctor_say(d, DOCTOR_OK, "nbd", "", "",
		    "not there; without volumes none is needed");
	else
		doctor_say(d, d->c == NULL ? DOCTOR_WARN : DOCTOR_FAIL, "nbd",
		    "",
		    "install the package linux-modules-extra or "
		    "kernel-modules-extra, or boot a kernel with "
		    "CONFIG_BLK_DEV_NBD",
		    "no module: volumes could not be block devices");
}

static char *
read_all(int fd)
{
	size_t size = 65536, used = 0;
	char *text = malloc(size), *more;
	ssize_t n;

	if (text == NULL)
		abort();
	while ((n = read(fd, text + used, size - used - 1)) > 0) {
		used += (size_t)n;
		if (size - used >= 4096)
			continue;
		more = realloc(text, size *= 2);
		if (more == NULL)
			abort();
		text = more;
	}
	text[used] = '\0';
	return text;
}

/* A pipe that has the text: it is small, a pipe holds it. */
static int
pipe_of(const char *text)
{
	int p[2];

	if (pipe2(p, O_CLOEXEC) < 0)
		return -1;
	if (write(p[1], text, strlen(text)) < 0)
		perror("hactl: pipe");
	close(p[1]);
	return p[0];
}

char *
doctor_nft_run(
    const char *const argv[], const char *input, char *why, size_t size)
{
	posix_spawn_file_actions_t files;
	char *args[8], *text;
	int out[2], in = pipe_of(input), status = 0, rc;
	pid_t pid;

	for (unsigned i = 0; i < NITEMS(args); i++) {
		args[i] = argv[i] == NULL ? NULL : strdup(argv[i]);
		if (argv[i] == NULL)
			break;
	}
	if (in < 0 || pipe2(out, O_CLOEXEC) < 0)
		abort();
	posix_spawn_file_actions_init(&files);
	posix_spawn_file_actions_adddup2(&files, in, 0);
	posix_spawn_file_actions_adddup2(&files, out[1], 1);
	posix_spawn_file_actions_adddup2(&files, out[1], 2);
	rc = posix_spawnp(&pid, args[0], &files, NULL, args, environ);
	posix_spawn_file_actions_destroy(&files);
	close(in);
	close(out[1]);
	text = read_all(out[0]);
	close(out[0]);
	if (rc == 0 && waitpid(pid, &status, 0) < 0)
		status = -1;
	for (unsigned i = 0; args[i] != NULL; i++)
		free(args[i]);
	if (rc == 0 && status == 0)
		return text;
	text[strcspn(text, "\n")] = '\0';
	if (why != NULL)
		snprintf(why, size, "%s", rc != 0 ? strerror(rc) : text);
	free(text);
	return NULL;
}

/* Asks the kernel for a chain, without making it. */
static void
check_hook(struct doctor *d, const char *hook)
{
	static const char *const argv[] = {"nft", "-c", "-f", "-", NULL};
	enum doctor_level bad =
	    strcmp(hook, "egress") == 0 ? DOCTOR_WARN : DOCTOR_FAIL;
	char input[256], why[256] = "", *out;

	snprintf(input, sizeof(input),
	    "table netdev had_doctor {\n\tchain c {\n\t\ttype filter hook %s "
	    "device \"lo\" priority 0;\n\t}\n}\n",
	    hook);
	out = doctor_nft_run(argv, input, why, sizeof(why));
	if (out != NULL)
		doctor_say(
		    d, DOCTOR_OK, "nftables", hook, "", "the kernel has it");
	else if (geteuid() != 0)
		doctor_say(d, DOCTOR_WARN, "nftables", hook, "run it as root",
		    "could not ask: %s", why);
	else
		doctor_say(d, bad, "nftables", hook,
		    bad == DOCTOR_FAIL
			? "install the package nftables; the kernel needs "
			  "CONFIG_NF_TABLES_NETDEV and CONFIG_NETFILTER_INGRESS"
			: "boot Linux 5.16 or later with "
			  "CONFIG_NETFILTER_EGRESS",
		    "no %s hook of a device%s: %s", hook,
		    bad == DOCTOR_FAIL
			? ", by which the guard silences a dead daemon"
			: "; had then renews its lease by itself, not by "
			  "what it sends",
		    why);
	free(out);
}

/* A number under /proc/sys; -1: there is none. */
static long
sysctl_of(const char *fmt, const char *name)
{
	char path[256], text[32] = "";
	FILE *f;
	long v = -1;

	snprintf(path, sizeof(path), fmt, name);
	f = fopen(path, "re");
	if (f == NULL)
		return -1;
	if (fgets(text, sizeof(text), f) != NULL)
		v = strtol(text, NULL, 10);
	fclose(f);
	return v;
}

/* IPv6 is off on an interface that shall have an address of it. */
static unsigned
check_ipv6(struct doctor *d)
{
	unsigned bad = 0;

	for (uint16_t i = 0; i < d->c->n_addresses; i++) {
		const struct conf_address *a = &d->c->addresses[i];
		char fix[128];

		if (a->family != 6 ||
		    sysctl_of("/proc/sys/net/ipv6/conf/%s/disable_ipv6",
			a->ifname) != 1)
			continue;
		bad++;
		snprintf(fix, sizeof(fix),
		    "sysctl net.ipv6.conf.%s.disable_ipv6=0, and in "
		    "/etc/sysctl.d",
		    a->ifname);
		doctor_say(d, DOCTOR_FAIL, "sysctl", a->ifname, fix,
		    "IPv6 is off there, and address %s is one", a->name);
	}
	return bad;
}

/*
 * Strict reverse path filtering drops what comes in on a virtual MAC's own
 * interface, for the way back goes out of the one below it.
 */
static unsigned
check_rp_filter(struct doctor *d)
{
	unsigned bad = 0;

	for (uint16_t i = 0; i < d->c->n_routers; i++) {
		const struct conf_router *r = &d->c->routers[i];
		const char *path = "/proc/sys/net/ipv4/conf/%s/rp_filter";
		long all = sysctl_of(path, "all");
		long own = sysctl_of(path, r->ifname);
		char fix[160];

		/* The kernel goes by the larger one. */
		if (!r->virtual_mac || r->family != 4 ||
		    (all > own ? all : own) != 1)
			continue;
		bad++;
		snprintf(fix, sizeof(fix),
		    "sysctl net.ipv4.conf.%s.rp_filter=2, and in "
		    "/etc/sysctl.d",
		    r->ifname);
		doctor_say(d, DOCTOR_WARN, "sysctl", r->ifname, fix,
		    "strict reverse path filtering (rp_filter 1) may drop "
		    "what comes to the virtual MAC of router %s",
		    r->name);
	}
	return bad;
}

/* Loose real-time limits keep the daemon on time; 0 shuts it out. */
static unsigned
check_realtime(struct doctor *d)
{
	if (sysctl_of("/proc/sys/kernel/%s", "sched_rt_runtime_us") != 0)
		return 0;
	doctor_say(d, DOCTOR_WARN, "sysctl", "kernel.sched_rt_runtime_us",
	    "sysctl kernel.sched_rt_runtime_us=950000",
	    "no real time for anybody: under load had may miss heartbeats");
	return 1;
}

static void
check_clock(struct doctor *d)
{
	struct timex t = {0};
	int state = adjtimex(&t);

	if (state >= 0 && state != TIME_ERROR && (t.status & STA_UNSYNC) == 0)
		doctor_say(d, DOCTOR_OK, "clock", "", "", "it is synchronised");
	else
		doctor_say(d, DOCTOR_WARN, "clock", "",
		    "timedatectl set-ntp true, or install chrony",
		    "it is not synchronised; had decides nothing by it, but "
		    "logs of the two nodes will not match");
}

void
doctor_kernel(struct doctor *d)
{
	unsigned bad;

	check_sctp(d);
	check_nbd(d);
	check_hook(d, "ingress");
	check_hook(d, "egress");
	bad = check_realtime(d);
	if (d->c != NULL)
		bad += check_ipv6(d) + check_rp_filter(d);
	if (bad == 0)
		doctor_say(
		    d, DOCTOR_OK, "sysctl", "", "", "none stands in the way");
	check_clock(d);
}
