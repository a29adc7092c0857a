/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The drivers of arbitration by hand, for lab scripts.
 * usage: arbiters watchdog DEVICE SECONDS	arms it; feeds it until SIGUSR1
 *						(no more), disarms on SIGTERM
 *	  arbiters sysrq			resets this machine
 *	  arbiters fence AGENT TIMEOUT_MS ACTION NODE [NAME=VALUE...]
 *	  arbiters lockdisk-create PATH CLUSTER
 *	  arbiters lockdisk PATH CLUSTER NODE EPOCH	granted, denied ...
 */
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <time.h>
#include <unistd.h>

#include <bsd/string.h>

#include "fence.h"
#include "lockdisk.h"
#include "log.h"
#include "loop.h"
#include "selffence.h"
#include "watchdog.h"

static volatile sig_atomic_t starve, stop;

static void
on_signal(int sig)
{
	if (sig == SIGUSR1)
		starve = 1;
	else
		stop = 1;
}

static int
watchdog(const char *device, const char *seconds)
{
	const struct timespec nap = {.tv_nsec = 200 * 1000 * 1000};
	struct wd_info info;
	char why[256];
	struct wd *w;

	signal(SIGUSR1, on_signal);
	signal(SIGTERM, on_signal);
	w = wd_open(device, (uint32_t)atoi(seconds), NULL, why, sizeof(why));
	if (w == NULL) {
		printf("refused: %s\n", why);
		return 1;
	}
	wd_info(w, &info);
	printf("armed: %s, %u s\n", info.identity, info.timeout_s);
	fflush(stdout);
	while (!stop) {
		if (!starve && wd_feed(w) == -1)
			printf("feed: %s\n", strerror(errno));
		nanosleep(&nap, NULL);
	}
	if (wd_close(w) == -1) {
		printf("not disarmed: %s\n", strerror(errno));
		return 1;
	}
	printf("disarmed\n");
	return 0;
}

static int
sysrq(void)
{
	const struct selffence_conf c = {.how = CONF_SELF_FENCE_SYSRQ};
	char why[256];

	if (selffence_check(&c, why, sizeof(why)) == -1) {
		printf("%s\n", why);
		return 1;
	}
	if (selffence_now(&c, "asked for") == -1)
		printf("%s\n", strerror(errno));
	return 1;
}

static void
on_answer(void *ctx, uint64_t epoch, enum ld_vote vote, uint8_t holder,
    uint64_t holder_epoch, const char *text)
{
	static const char *const names[] = {"granted", "denied", "unreachable"};

	if (vote == LD_DENIED)
		printf("%s %llu holder %u epoch %llu\n", names[vote],
		    (unsigned long long)epoch, holder,
		    (unsigned long long)holder_epoch);
	else
		printf("%s %llu%s%s\n", names[vote], (unsigned long long)epoch,
		    text[0] != '\0' ? " " : "", text);
	loop_exit(ctx, 0);
}

static void
on_up(void *ctx, bool up, const char *text)
{
	(void)ctx;
	if (!up)
		fprintf(stderr, "%s\n", text);
}

static int
lockdisk(char **argv)
{
	const struct ld_cb cb = {on_answer, on_up};
	struct loop *loop = loop_new();
	struct ld_conf c = {.path = argv[0],
	    .cluster = argv[1],
	    .self = (uint8_t)atoi(argv[2]),
	    .deadline_ms = 10000,
	    .probe_ms = 1000};
	struct lockdisk *d;

	if (getrandom(&c.incarnation, sizeof(c.incarnation), 0) == -1)
		fatal("getrandom");
	c.incarnation |= 1;
	if ((d = ld_new(loop_event(loop), &c, &cb, loop)) == NULL)
		fatal("lock disk");
	ld_ask(d, strtoull(argv[3], NULL, 10));
	(void)loop_run(loop);
	ld_free(d);
	loop_free(loop);
	return 0;
}

static void
on_fenced(void *ctx, uint32_t token, enum fa_result result, const char *text)
{
	static const char *const names[] = {
	    "ok", "on", "off", "failed", "timeout"};

	(void)token;
	printf("%s: %s\n", names[result], text);
	loop_exit(ctx, 0);
}

static int
fence(int argc, char **argv)
{
	struct loop *loop = loop_new();
	struct fence *f = fence_new(loop_event(loop), on_fenced, loop);
	struct conf_fence conf = {.timeout_ms = (uint32_t)atoi(argv[1])};
	unsigned action = 0;

	if (f == NULL)
		fatal("fence");
	strlcpy(conf.agent, argv[0], sizeof(conf.agent));
	while (action < FA_ACTION_N &&
	       strcmp(fa_action_name(action), argv[2]) != 0)
		action++;
	if (action == FA_ACTION_N)
		fatalx("no such action: %s", argv[2]);
	for (int i = 4; i < argc && conf.n_params < HAD_FENCE_PARAMS_MAX; i++) {
		struct conf_fence_param *p = &conf.params[conf.n_params++];
		size_t len = strcspn(argv[i], "=");

		if (argv[i][len] == '\0' || len >= sizeof(p->name))
			fatalx("not NAME=VALUE: %s", argv[i]);
		memcpy(p->name, argv[i], len);
		strlcpy(p->value, argv[i] + len + 1, sizeof(p->value));
	}
	fence_run(f, &conf, argv[3], action, 1);
	(void)loop_run(loop);
	fence_free(f);
	loop_free(loop);
	return 0;
}

int
main(int argc, char **argv)
{
	char why[256];

	log_init("arbiters", 0, false);
	if (argc == 4 && strcmp(argv[1], "watchdog") == 0)
		return watchdog(argv[2], argv[3]);
	if (argc == 2 && strcmp(argv[1], "sysrq") == 0)
		return sysrq();
	if (argc >= 6 && strcmp(argv[1], "fence") == 0)
		return fence(argc - 2, argv + 2);
	if (argc == 4 && strcmp(argv[1], "lockdisk-create") == 0) {
		if (lockdisk_create(
			argv[2], argv[3], false, why, sizeof(why)) == 0)
			return 0;
		printf("%s\n", why);
		return 1;
	}
	if (argc == 6 && strcmp(argv[1], "lockdisk") == 0)
		return lockdisk(argv + 2);
	fprintf(stderr, "usage: arbiters watchdog|sysrq|fence|"
			"lockdisk-create|lockdisk ARG...\n");
	return 64;
}
