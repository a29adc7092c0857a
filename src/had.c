/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * had: the daemon.  Options, configuration, privileges, loop; what happens
 * then is wired in drive.c and decided in the cores.
 */
#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <malloc.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sysexits.h>
#include <unistd.h>

#include "conf.h"
#include "drive.h"
#include "import.h"
#include "log.h"

#ifndef PR_SET_IO_FLUSHER
#define PR_SET_IO_FLUSHER 57
#endif

static _Noreturn void
usage(int status)
{
	fprintf(status == 0 ? stdout : stderr,
	    "usage: had [-dnvV] [-f file] [-k key] [-N node] [-r rundir] "
	    "[-s statedir]\n"
	    "       had --import keepalived file\n"
	    "\t-d\tstay in the foreground and log to standard error\n"
	    "\t-f file\tconfiguration, default " SYSCONFDIR "/had/had.conf\n"
	    "\t-k key\tprivate key, default " SYSCONFDIR "/had/key.pem\n"
	    "\t-n\tcheck the configuration, print the timers and exit\n"
	    "\t-N node\tbe this node, instead of finding out by address\n"
	    "\t-r dir\tsockets, default /run/had\n"
	    "\t-s dir\tdurable state, default /var/lib/had\n"
	    "\t-v\tlog more\n"
	    "\t-V\tprint the version\n"
	    "\t--import keepalived file\n"
	    "\t\tprint its configuration as one of had\n");
	exit(status);
}

/*
 * The converted file to standard output, what could not be converted to
 * standard error.
 */
static _Noreturn void
import_file(const char *program, const char *path)
{
	enum { BYTES_MAX = 1 << 20, TOLD_MAX = 1 << 20 };
	char *bytes = calloc(1, BYTES_MAX), *text = calloc(1, TOLD_MAX);
	struct conf_errors told = {.text = text, .size = TOLD_MAX};
	struct import *im = import_new();
	struct conf *c = calloc(1, sizeof(*c));
	FILE *f;
	size_t n;

	if (strcmp(program, "keepalived") != 0)
		usage(EX_USAGE);
	if (bytes == NULL || text == NULL || im == NULL || c == NULL)
		fatal("import");
	f = fopen(path, "re");
	n = f == NULL ? 0 : fread(bytes, 1, BYTES_MAX, f);
	if (f == NULL || ferror(f) != 0)
		fatal("%s", path);
	if (n == BYTES_MAX)
		fatalx("%s: larger than 1 MiB", path);
	fclose(f);
	if (import_keepalived(im, c, path, bytes, n, &told) < 0) {
		fprintf(stderr, "%s%s: not converted\n", text, path);
		exit(EX_DATAERR);
	}
	fputs(text, stderr);
	n = conf_print(c, text, TOLD_MAX);
	if (n >= TOLD_MAX || fputs(text, stdout) < 0 || fflush(stdout) != 0)
		fatal("standard output");
	exit(0);
}

static void
options(
    int argc, char **argv, struct drive_options *o, bool *check, bool *debug)
{
	static const struct option words[] = {
	    {"import", required_argument, NULL, 'I'},
	    {NULL, 0, NULL, 0},
	};
	int c;

	while ((c = getopt_long(argc, argv, "df:hk:nN:r:s:vV", words, NULL)) !=
	       -1) {
		switch (c) {
		case 'I':
			if (optind + 1 != argc)
				usage(EX_USAGE);
			import_file(optarg, argv[optind]);
		case 'd':
			*debug = true;
			break;
		case 'f':
			o->conf_path = optarg;
			break;
		case 'h':
			usage(0);
		case 'k':
			o->key_path = optarg;
			break;
		case 'n':
			*check = true;
			break;
		case 'N':
			o->node = optarg;
			break;
		case 'r':
			o->run_dir = optarg;
			break;
		case 's':
			o->state_dir = optarg;
			break;
		case 'v':
			o->verbose++;
			break;
		case 'V':
			printf("had %s\n", HAD_VERSION);
			exit(0);
		default:
			usage(EX_USAGE);
		}
	}
	if (optind != argc)
		usage(EX_USAGE);
}

static int
check_only(const struct conf *conf)
{
	char text[4096];
	size_t need = conf_print_timers(conf, text, sizeof(text));

	if (need >= sizeof(text))
		return EX_SOFTWARE;
	fputs(text, stdout);
	printf("configuration ok\n");
	return 0;
}

static void
make_dir(const char *path, mode_t mode)
{
	if (mkdir(path, mode) < 0 && errno != EEXIST)
		fatal("%s", path);
}

/* What is relative means something else once the daemon has left for "/". */
static void
absolute(const char **path)
{
	char cwd[HAD_PATH_MAX];
	char *whole; /* for as long as the process lives */

	if (**path == '/')
		return;
	if (getcwd(cwd, sizeof(cwd)) == NULL ||
	    asprintf(&whole, "%s/%s", cwd, *path) < 0)
		fatal("%s", *path);
	*path = whole;
}

/*
 * The daemon serves a block device to its own machine: it must not wait for
 * memory that only its own writes can free.
 */
static void
harden(void)
{
	struct sched_param sp = {.sched_priority = 1};
	struct rlimit files = {.rlim_cur = 4096, .rlim_max = 4096};
	char score[] = "-1000";
	int fd;

	/* The guard's socket has a high number: it is closed first. */
	if (setrlimit(RLIMIT_NOFILE, &files) < 0)
		log_warn("daemon: RLIMIT_NOFILE");
	if (sched_setscheduler(0, SCHED_RR | SCHED_RESET_ON_FORK, &sp) < 0)
		log_warn("daemon: SCHED_RR");

	if (mlockall(MCL_CURRENT | MCL_FUTURE | MCL_ONFAULT) < 0)
		log_warn("daemon: mlockall");
	if (prctl(PR_SET_IO_FLUSHER, 1, 0, 0, 0) < 0)
		log_warn("daemon: PR_SET_IO_FLUSHER");
	fd = open("/proc/self/oom_score_adj", O_WRONLY | O_CLOEXEC);
	if (fd < 0 || write(fd, score, strlen(score)) < 0)
		log_warn("daemon: oom_score_adj");
	if (fd >= 0)
		close(fd);
}

int
main(int argc, char **argv)
{
	struct drive_options o = {
	    .conf_path = SYSCONFDIR "/had/had.conf",
	    .key_path = SYSCONFDIR "/had/key.pem",
	    .run_dir = "/run/had",
	    .state_dir = "/var/lib/had",
	};
	bool check = false, debug = false;
	struct conf *conf;
	struct drive *drive;
	int code;

	/*
	 * What is needed for a moment goes back: else glibc keeps blocks as
	 * large as the first ones that it gave back.
	 */
	mallopt(M_MMAP_THRESHOLD, 64 * 1024);
	mallopt(M_TRIM_THRESHOLD, 64 * 1024);
	options(argc, argv, &o, &check, &debug);
	log_init("had", o.verbose, !debug && getenv("JOURNAL_STREAM") != NULL);
	conf = calloc(1, sizeof(*conf));
	if (conf == NULL)
		fatal("configuration");
	if (drive_load(conf, o.conf_path) < 0)
		return EX_CONFIG;
	if (check)
		return check_only(conf);
	if (geteuid() != 0)
		fatalx("daemon: must be root");
	make_dir(o.run_dir, 0755);
	make_dir(o.state_dir, 0700);
	absolute(&o.conf_path);
	absolute(&o.key_path);
	absolute(&o.run_dir);
	absolute(&o.state_dir);
	if (!debug && getenv("NOTIFY_SOCKET") == NULL && daemon(0, 0) < 0)
		fatal("daemon");
	harden();
	if (drive_vr_passwords(conf) < 0)
		return EX_CONFIG;
	drive = drive_new(conf, &o);
	if (drive == NULL)
		return EX_UNAVAILABLE;
	code = drive_run(drive);
	drive_free(drive);
	return code;
}
