/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * had-witness: grants leases to the nodes of clusters, on a third machine.
 * Options, configuration, privileges, loop; the rest is in witness_serve.c.
 */
#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <pwd.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sysexits.h>
#include <unistd.h>

#include <openssl/evp.h>
#include <systemd/sd-daemon.h>

#include "keyfile.h"
#include "log.h"
#include "witness_serve.h"
#include "witness_store.h"

struct options {
	const char *conf, *dir, *user;
	char key[HAD_PATH_MAX];
	bool check, keygen, show;
	int verbose;
};

static _Noreturn void
usage(int status)
{
	fprintf(status == 0 ? stdout : stderr,
	    "usage: had-witness [-gnsvV] [-d dir] [-f file] [-k key] "
	    "[-u user]\n"
	    "\t-d dir\trecords, default /var/lib/had-witness\n"
	    "\t-f file\tconfiguration, default " SYSCONFDIR
	    "/had/witness.conf\n"
	    "\t-g\tmake the key if there is none, print its fingerprint, "
	    "exit\n"
	    "\t-k key\tprivate key, default key.pem in dir\n"
	    "\t-n\tcheck the configuration and the records, exit\n"
	    "\t-s\tshow who has which lease, exit\n"
	    "\t-u user\tbecome this user first\n"
	    "\t-v\tlog more\n"
	    "\t-V\tprint the version\n");
	exit(status);
}

static void
options(int argc, char **argv, struct options *o)
{
	const char *key = NULL;
	int c;

	while ((c = getopt(argc, argv, "d:f:ghk:nsu:vV")) != -1) {
		switch (c) {
		case 'd':
			o->dir = optarg;
			break;
		case 'f':
			o->conf = optarg;
			break;
		case 'g':
			o->keygen = true;
			break;
		case 'h':
			usage(0);
		case 'k':
			key = optarg;
			break;
		case 'n':
			o->check = true;
			break;
		case 's':
			o->show = true;
			break;
		case 'u':
			o->user = optarg;
			break;
		case 'v':
			o->verbose++;
			break;
		case 'V':
			printf("had-witness %s\n", HAD_VERSION);
			exit(0);
		default:
			usage(EX_USAGE);
		}
	}
	if (optind != argc)
		usage(EX_USAGE);
	if (key != NULL)
		snprintf(o->key, sizeof(o->key), "%s", key);
	else
		snprintf(o->key, sizeof(o->key), "%s/key.pem", o->dir);
}

static void
on_mistake(void *ctx, int line, const char *text)
{
	const char *path = ctx;

	fprintf(stderr, "%s:%d: %s\n", path, line, text);
}

/* Returns 0, or an exit status; what is wrong is on standard error. */
static int
load(struct wc *conf, const char *path)
{
	union {
		const char *in;
		void *ctx;
	} u = {.in = path};
	char *text = malloc(WC_SIZE_MAX + 1);
	size_t len = 0;
	ssize_t n = -1;
	int fd, status = EX_CONFIG;

	if (text == NULL)
		fatal("configuration");
	fd = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY);
	while (fd != -1 && len <= WC_SIZE_MAX &&
	       (n = read(fd, text + len, WC_SIZE_MAX + 1 - len)) > 0)
		len += (size_t)n;
	if (n == -1)
		fprintf(stderr, "%s: %s\n", path, strerror(errno));
	else if (len > WC_SIZE_MAX)
		fprintf(stderr, "%s: more than %d bytes\n", path, WC_SIZE_MAX);
	else if (wc_parse(conf, text, len, on_mistake, u.ctx) == 0)
		status = 0;
	if (fd != -1)
		close(fd);
	free(text);
	return status;
}

static int
keygen(const char *path)
{
	char why[400], text[KEYFILE_TEXT];
	uint8_t pin[32];
	EVP_PKEY *key;

	if (keyfile_generate(path, pin, why, sizeof(why)) == -1) {
		if (errno != EEXIST) {
			fprintf(stderr, "%s\n", why);
			return EX_CANTCREAT;
		}
		key = keyfile_load(path, why, sizeof(why));
		if (key == NULL || keyfile_fingerprint(key, pin) == -1) {
			fprintf(stderr, "%s\n", why);
			return EX_NOINPUT;
		}
		EVP_PKEY_free(key);
	}
	keyfile_text(pin, text);
	printf("%s\n", text);
	return 0;
}

/* The records as they are on disk; a running witness is not disturbed. */
static int
show(const struct wc *conf, const char *dir, bool quiet)
{
	struct wf_record r;
	char why[640];
	int status = 0;

	for (unsigned i = 0; i < conf->n_clusters; i++) {
		const char *name = conf->clusters[i].name;

		if (wst_read(dir, name, &r, why, sizeof(why)) == -1) {
			fprintf(stderr, "%s\n", why);
			status = EX_DATAERR;
		} else if (!quiet && r.epoch == 0) {
			printf("%s: none\n", name);
		} else if (!quiet) {
			printf("%s: node %u has epoch %llu\n", name, r.holder,
			    (unsigned long long)r.epoch);
		}
	}
	return status;
}

static void
become(const char *user)
{
	struct passwd *pw;

	errno = 0;
	pw = getpwnam(user);
	if (pw == NULL)
		fatalx("witness: there is no user '%s'", user);
	if (initgroups(user, pw->pw_gid) == -1 || setgid(pw->pw_gid) == -1 ||
	    setuid(pw->pw_uid) == -1)
		fatal("witness: cannot become user %s", user);
}

static int
on_signal(sd_event_source *source, const struct signalfd_siginfo *si, void *ctx)
{
	(void)source;
	(void)si;
	loop_exit(ctx, 0);
	return 0;
}

static struct loop *
make_loop(void)
{
	static const int signals[] = {SIGTERM, SIGINT};
	struct rlimit files = {.rlim_cur = 2048, .rlim_max = 2048};
	struct loop *loop;
	sigset_t set;

	/* One descriptor for each node of each cluster. */
	if (getrlimit(RLIMIT_NOFILE, &files) == 0 && files.rlim_cur < 2048) {
		files.rlim_cur = files.rlim_max < 2048 ? files.rlim_max : 2048;
		if (setrlimit(RLIMIT_NOFILE, &files) == -1)
			log_warn("witness: RLIMIT_NOFILE");
	}
	sigemptyset(&set);
	for (unsigned i = 0; i < NITEMS(signals); i++)
		sigaddset(&set, signals[i]);
	if (sigprocmask(SIG_BLOCK, &set, NULL) == -1)
		fatal("witness: sigprocmask");
	loop = loop_new();
	for (unsigned i = 0; i < NITEMS(signals); i++)
		if (sd_event_add_signal(loop_event(loop), NULL, signals[i],
			on_signal, loop) < 0)
			fatalx("witness: cannot wait for signals");
	if (sd_event_set_watchdog(loop_event(loop), true) < 0)
		fatalx("witness: cannot serve the service manager's watchdog");
	return loop;
}

static int
run(const struct wc *conf, const struct options *o)
{
	struct loop *loop = make_loop();
	struct serve *serve;
	EVP_PKEY *key;
	char why[400];
	int code = EX_UNAVAILABLE;

	key = keyfile_load(o->key, why, sizeof(why));
	if (key == NULL)
		fatalx("witness: %s", why);
	serve = serve_new(loop, conf, key, o->dir);
	EVP_PKEY_free(key);
	if (serve != NULL) {
		sd_notifyf(
		    0, "READY=1\nSTATUS=serving %u clusters", conf->n_clusters);
		code = loop_run(loop);
		sd_notify(0, "STOPPING=1");
	}
	serve_free(serve);
	loop_free(loop);
	return code;
}

int
main(int argc, char **argv)
{
	struct options o = {
	    .conf = SYSCONFDIR "/had/witness.conf",
	    .dir = "/var/lib/had-witness",
	};
	struct wc *conf;
	int code;

	options(argc, argv, &o);
	log_init("had-witness", o.verbose, getenv("JOURNAL_STREAM") != NULL);
	if (o.user != NULL)
		become(o.user);
	if (o.keygen)
		return keygen(o.key);
	conf = calloc(1, sizeof(*conf));
	if (conf == NULL)
		fatal("configuration");
	code = load(conf, o.conf);
	if (code == 0 && (o.check || o.show)) {
		code = show(conf, o.dir, !o.show);
		if (code == 0 && o.check)
			printf("configuration ok\n");
	} else if (code == 0) {
		if (geteuid() == 0)
			log_warnx("witness: runs as root, which it need not: "
				  "see -u");
		code = run(conf, &o);
	}
	free(conf);
	return code;
}
