/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Exports a file or block device over NBD with had's server and disk driver,
 * without the mirror between them: for interoperability tests.  With -k also
 * as /dev/nbdN through the kernel.  Ends by SIGTERM, in order.
 */
#include <err.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <bsd/string.h>

#include "log.h"
#include "loop.h"
#include "mdisk.h"
#include "nbd.h"
#include "nbd_kernel.h"

struct op {
	struct server *server;
	uint64_t cookie;
	bool flush; /* a flush has to follow */
	bool used;
};

struct server {
	struct loop *loop;
	struct mdisk *disk;
	struct nbd *nbd;
	struct nbdk *kernel;
	struct op *ops; /* by piece index */
	unsigned n_ops;
	uint64_t fail_at; /* -e: the byte that cannot be read or written */
	bool detaching;
};

static void
on_request(void *ctx, uint64_t cookie, enum nbd_cmd cmd, bool fua, uint64_t off,
    uint32_t len, void *buf)
{
	static const enum mdisk_op ops[] = {
	    [NBD_READ] = MDISK_READ,
	    [NBD_WRITE] = MDISK_WRITE,
	    [NBD_FLUSH] = MDISK_FLUSH,
	    [NBD_TRIM] = MDISK_TRIM,
	    [NBD_ZERO] = MDISK_ZERO,
	};
	struct server *s = ctx;
	enum mdisk_op op = ops[cmd];
	struct op *o;
	uint64_t i = (uint32_t)cookie;

	ASSERT(i < s->n_ops && !s->ops[i].used);
	if (cmd != NBD_FLUSH && s->fail_at - off < len) {
		nbd_complete(s->nbd, cookie, 5);
		return;
	}
	o = &s->ops[i];
	o->used = true;
	o->cookie = cookie;
	o->flush = fua && cmd != NBD_WRITE;
	if (cmd == NBD_WRITE && fua)
		op = MDISK_WRITE_FUA;
	mdisk_io(s->disk, i, op, off, len, buf);
}

static void
on_disk(void *ctx, uint64_t id, int error)
{
	struct server *s = ctx;
	struct op *o = &s->ops[id];

	if (error == 0 && o->flush) {
		o->flush = false;
		mdisk_io(s->disk, id, MDISK_FLUSH, 0, 0, NULL);
		return;
	}
	o->used = false;
	nbd_complete(s->nbd, o->cookie, -error);
}

static void
on_disk_closed(void *ctx)
{
	struct server *s = ctx;

	loop_exit(s->loop, 0);
}

static void
on_stopped(void *ctx)
{
	struct server *s = ctx;

	nbd_free(s->nbd);
	s->nbd = NULL;
	mdisk_close(s->disk, on_disk_closed, s);
}

static void
on_closed(void *ctx, unsigned tag)
{
	struct server *s = ctx;

	if (!s->detaching)
		nbdk_lost(s->kernel, tag);
}

static int
on_serve(void *ctx, int fd, unsigned tag)
{
	struct server *s = ctx;

	return nbd_adopt(s->nbd, fd, tag);
}

static void
on_attached(void *ctx, int index, const char *why)
{
	struct server *s = ctx;

	if (index < 0) {
		warnx("attach: %s", why);
		loop_exit(s->loop, 1);
		return;
	}
	printf("attached %d\n", index);
	fflush(stdout);
}

static void
on_detached(void *ctx, int error, const char *why)
{
	struct server *s = ctx;

	if (error != 0)
		warnx("detach: %s", why);
	nbd_stop(s->nbd, true);
}

static int
on_signal(sd_event_source *src, const struct signalfd_siginfo *si, void *arg)
{
	struct server *s = arg;

	(void)src;
	(void)si;
	if (s->detaching)
		return 0;
	s->detaching = true;
	if (s->kernel != NULL && nbdk_index(s->kernel) >= 0)
		nbdk_detach(s->kernel);
	else
		nbd_stop(s->nbd, true);
	return 0;
}

static void
on_cleaned(void *ctx, int n)
{
	struct server *s = ctx;

	printf("cleaned %d\n", n);
	loop_exit(s->loop, n < 0);
}

static void
usage(void)
{
	fprintf(stderr,
	    "usage: nbd_file [-kv] [-b blocksize] [-c connections] "
	    "[-e offset] [-i identifier]\n\t[-l link] [-m clients] "
	    "[-n buffers] [-t timeout] [-T dead-timeout] socket file\n"
	    "       nbd_file -C prefix\n");
	exit(2);
}

struct options {
	struct nbd_conf nbd;
	struct nbdk_conf kernel;
	const char *clean;
	uint64_t fail_at;
	uint32_t block;
	bool attach;
	int verbose;
};

static void
parse(struct options *o, int argc, char **argv)
{
	int c;

	while ((c = getopt(argc, argv, "b:C:c:e:i:kl:m:n:t:T:v")) != -1) {
		switch (c) {
		case 'b':
			o->block = (uint32_t)atoi(optarg);
			break;
		case 'C':
			o->clean = optarg;
			break;
		case 'c':
			o->kernel.connections = (unsigned)atoi(optarg);
			break;
		case 'e':
			o->fail_at = strtoull(optarg, NULL, 0);
			break;
		case 'i':
			strlcpy(o->kernel.identifier, optarg,
			    sizeof(o->kernel.identifier));
			break;
		case 'k':
			o->attach = true;
			break;
		case 'l':
			strlcpy(o->kernel.link, optarg, sizeof(o->kernel.link));
			break;
		case 'm':
			o->nbd.clients_max = (unsigned)atoi(optarg);
			break;
		case 'n':
			o->nbd.buffers = (unsigned)atoi(optarg);
			break;
		case 't':
			o->kernel.timeout_s = (unsigned)atoi(optarg);
			break;
		case 'T':
			o->kernel.dead_timeout_s = (unsigned)atoi(optarg);
			break;
		case 'v':
			o->verbose++;
			break;
		default:
			usage();
		}
	}
}

static void
new_kernel(struct server *s, struct nbdk **k)
{
	static const struct nbdk_cb cb = {
	    .serve = on_serve,
	    .attached = on_attached,
	    .detached = on_detached,
	};
	char why[256];

	*k = nbdk_new(loop_event(s->loop), &cb, s, why, sizeof(why));
	if (*k == NULL)
		errx(1, "%s", why);
}

static void
serve(struct server *s, struct options *o, char **argv)
{
	static const struct nbd_cb cb = {
	    .request = on_request,
	    .closed = on_closed,
	    .stopped = on_stopped,
	};
	struct mdisk_info info;
	char why[256];

	strlcpy(o->nbd.path, argv[0], sizeof(o->nbd.path));
	s->n_ops = nbd_pieces_max(&o->nbd);
	s->ops = calloc(s->n_ops, sizeof(*s->ops));
	s->disk = mdisk_open(loop_event(s->loop), argv[1], s->n_ops, false,
	    on_disk, s, why, sizeof(why));
	if (s->disk == NULL || s->ops == NULL)
		errx(1, "%s", why);
	mdisk_info(s->disk, &info);
	o->nbd.size = info.size;
	o->nbd.block_min = o->block > info.sector ? o->block : info.sector;
	o->nbd.trim = info.trim;
	s->fail_at = o->fail_at;
	s->nbd = nbd_new(loop_event(s->loop), &o->nbd, &cb, s);
	if (s->nbd == NULL)
		err(1, "%s", argv[0]);
	printf("serving %llu bytes, sector %u%s%s\n",
	    (unsigned long long)info.size, info.sector,
	    info.direct ? ", direct" : "", info.trim ? ", trim" : "");
	fflush(stdout);
	if (!o->attach)
		return;
	o->kernel.size = info.size;
	o->kernel.block_size = o->nbd.block_min;
	o->kernel.flags = nbd_flags(s->nbd);
	new_kernel(s, &s->kernel);
	nbdk_attach(s->kernel, &o->kernel);
}

int
main(int argc, char **argv)
{
	static struct options o = {
	    .nbd = {.name = "disk", .clients_max = 8, .buffers = 256},
	    .kernel = {.identifier = "had:test:disk:1",
		.connections = 2,
		.timeout_s = 5,
		.dead_timeout_s = 30,
		.max_sectors_kb = 512,
		.index = -1},
	    .fail_at = UINT64_MAX,
	};
	struct server s = {0};
	sigset_t set;
	int code;

	parse(&o, argc, argv);
	argc -= optind;
	argv += optind;
	if (argc != (o.clean != NULL ? 0 : 2))
		usage();
	log_init("nbd_file", o.verbose, false);
	/* Before the threads: they must not take the signals. */
	sigemptyset(&set);
	sigaddset(&set, SIGTERM);
	sigaddset(&set, SIGINT);
	sigprocmask(SIG_BLOCK, &set, NULL);
	s.loop = loop_new();
	if (o.clean != NULL) {
		new_kernel(&s, &s.kernel);
		nbdk_clean(s.kernel, o.clean, on_cleaned, &s);
	} else
		serve(&s, &o, argv);
	sd_event_add_signal(loop_event(s.loop), NULL, SIGTERM, on_signal, &s);
	sd_event_add_signal(loop_event(s.loop), NULL, SIGINT, on_signal, &s);
	code = loop_run(s.loop);
	if (s.kernel != NULL)
		nbdk_free(s.kernel);
	free(s.ops);
	loop_free(s.loop);
	return code;
}
