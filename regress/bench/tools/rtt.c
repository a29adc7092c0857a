/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Round trips: of libhalock, beside those of a bare SEQPACKET socket whose
 * messages have the size of a lock request and its answer.
 *
 *	rtt [-c CPU] [-e CPU] [-n COUNT] [-r ROUNDS] lock SPACE NAME...
 *		for each of ROUNDS: COUNT bare round trips, then COUNT times
 *		lock and unlock of each NAME in turn.  JSON: median
 *		microseconds of each round, bare_us[], lock_us[], unlock_us[]
 *	rtt [-c CPU] -t SECONDS [-i MS] pace SPACE NAME...
 *		lock and unlock each MS until the time is over.  JSON: n,
 *		p50_us, p99_us, max_us of one call, max_at_ms (since 1970),
 *		failed
 *
 * -c: this program's processor; -e: that of the end that answers bare ones.
 */
#include <sys/socket.h>

#include <err.h>
#include <inttypes.h>
#include <sched.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "halock.h"
#include "lock_proto.h"

enum { COUNT_MAX = 200000, ROUNDS_MAX = 64 };

struct opts {
	int cpu, echo_cpu; /* -1: any */
	unsigned count, rounds, seconds, pace_ms;
};

static uint32_t samples[COUNT_MAX], others[COUNT_MAX];

static int64_t
now_ns(clockid_t clock)
{
	struct timespec ts;

	clock_gettime(clock, &ts);
	return (int64_t)ts.tv_sec * 1000000000 + ts.tv_nsec;
}

static void
pin(int cpu)
{
	cpu_set_t set;

	if (cpu < 0)
		return;
	CPU_ZERO(&set);
	CPU_SET((size_t)cpu, &set);
	if (sched_setaffinity(0, sizeof(set), &set) == -1)
		err(1, "processor %d", cpu);
}

static int
by_size(const void *a, const void *b)
{
	uint32_t x, y;

	memcpy(&x, a, sizeof(x));
	memcpy(&y, b, sizeof(y));
	return x < y ? -1 : x > y;
}

/* Of nanoseconds, in microseconds; sorts. */
static double
percentile_us(uint32_t *v, unsigned n, unsigned percent)
{
	qsort(v, n, sizeof(*v), by_size);
	return n == 0 ? 0 : v[(uint64_t)(n - 1) * percent / 100] / 1000.0;
}

/* The end that answers; it blocks in recv, as cheap as can be. */
static void
echo(int fd, int cpu)
{
	char in[LKP_REQ_MSG_MAX];
	static const char out[LKP_HDR_LEN + LKP_ANS_LEN];

	pin(cpu);
	while (recv(fd, in, sizeof(in), 0) > 0)
		if (send(fd, out, sizeof(out), MSG_NOSIGNAL) == -1)
			break;
	_exit(0);
}

static int
echo_start(int cpu, pid_t *pid)
{
	int fd[2];

	if (socketpair(AF_UNIX, SOCK_SEQPACKET, 0, fd) == -1)
		err(1, "socketpair");
	*pid = fork();
	if (*pid == -1)
		err(1, "fork");
	if (*pid == 0) {
		close(fd[0]);
		echo(fd[1], cpu);
	}
	close(fd[1]);
	return fd[0];
}

static double
bare_round(int fd, unsigned count)
{
	static const char out[LKP_HDR_LEN + LKP_REQ_LEN];
	char in[LKP_ANS_MSG_MAX];
	int64_t start;

	for (unsigned i = 0; i < count; i++) {
		start = now_ns(CLOCK_MONOTONIC);
		if (send(fd, out, sizeof(out), MSG_NOSIGNAL) == -1 ||
		    recv(fd, in, sizeof(in), 0) <= 0)
			err(1, "bare round trip");
		samples[i] = (uint32_t)(now_ns(CLOCK_MONOTONIC) - start);
	}
	return percentile_us(samples, count, 50);
}

static bool
lock_once(
    struct halock *h, const char *name, uint32_t *lock_ns, uint32_t *unlock_ns)
{
	struct halock_grant g;
	int64_t t0, t1;

	t0 = now_ns(CLOCK_MONOTONIC);
	if (halock_lock(h, name, HALOCK_EX, 0, 10000, &g) == -1)
		return false;
	t1 = now_ns(CLOCK_MONOTONIC);
	*lock_ns = (uint32_t)(t1 - t0);
	if (halock_unlock(h, g.lock, 0, NULL) == -1)
		return false;
	*unlock_ns = (uint32_t)(now_ns(CLOCK_MONOTONIC) - t1);
	return true;
}

static void
print_list(const char *name, const double *v, unsigned n, const char *end)
{
	printf("\"%s\":[", name);
	for (unsigned i = 0; i < n; i++)
		printf("%s%.1f", i > 0 ? "," : "", v[i]);
	printf("]%s", end);
}

static void
lock_rounds(
    const struct opts *o, struct halock *h, char *names[], unsigned n_names)
{
	double bare[ROUNDS_MAX], lock[ROUNDS_MAX], unlock[ROUNDS_MAX];
	pid_t pid;
	int fd = echo_start(o->echo_cpu, &pid);

	for (unsigned r = 0; r < o->rounds; r++) {
		bare[r] = bare_round(fd, o->count);
		for (unsigned i = 0; i < o->count; i++)
			if (!lock_once(
				h, names[i % n_names], &samples[i], &others[i]))
				err(1, "%s", names[i % n_names]);
		lock[r] = percentile_us(samples, o->count, 50);
		unlock[r] = percentile_us(others, o->count, 50);
	}
	close(fd);
	waitpid(pid, NULL, 0);
	printf("{");
	print_list("bare_us", bare, o->rounds, ",");
	print_list("lock_us", lock, o->rounds, ",");
	print_list("unlock_us", unlock, o->rounds, "}\n");
}

static void
nap_ms(unsigned ms)
{
	struct timespec ts = {ms / 1000, (long)(ms % 1000) * 1000000};

	nanosleep(&ts, NULL);
}

static void
paced(const struct opts *o, struct halock *h, char *names[], unsigned n_names)
{
	int64_t end = now_ns(CLOCK_MONOTONIC) + o->seconds * 1000000000LL;
	int64_t at_ms = 0;
	uint32_t pair[2], max = 0;
	unsigned n = 0, failed = 0, turn = 0;

	while (now_ns(CLOCK_MONOTONIC) < end && n + 2 <= COUNT_MAX) {
		if (!lock_once(h, names[turn++ % n_names], &pair[0], &pair[1]))
			failed++;
		else
			for (unsigned i = 0; i < 2; i++) {
				samples[n++] = pair[i];
				if (pair[i] <= max)
					continue;
				max = pair[i];
				at_ms = now_ns(CLOCK_REALTIME) / 1000000;
			}
		nap_ms(o->pace_ms);
	}
	printf("{\"n\":%u,\"p50_us\":%.0f,\"p99_us\":%.0f,\"max_us\":%.0f,"
	       "\"max_at_ms\":%" PRId64 ",\"failed\":%u}\n",
	    n, percentile_us(samples, n, 50), percentile_us(samples, n, 99),
	    max / 1000.0, at_ms, failed);
}

static unsigned
number(const char *text, unsigned min, unsigned max)
{
	char *end;
	unsigned long v = strtoul(text, &end, 10);

	if (*end != '\0' || v < min || v > max)
		errx(2, "got '%s', expected %u to %u", text, min, max);
	return (unsigned)v;
}

int
main(int argc, char *argv[])
{
	struct opts o = {.cpu = -1,
	    .echo_cpu = -1,
	    .count = 1000,
	    .rounds = 5,
	    .seconds = 5,
	    .pace_ms = 5};
	struct halock *h;
	int c;

	while ((c = getopt(argc, argv, "c:e:i:n:r:t:")) != -1)
		switch (c) {
		case 'c':
			o.cpu = (int)number(optarg, 0, 1023);
			break;
		case 'e':
			o.echo_cpu = (int)number(optarg, 0, 1023);
			break;
		case 'i':
			o.pace_ms = number(optarg, 0, 10000);
			break;
		case 'n':
			o.count = number(optarg, 1, COUNT_MAX);
			break;
		case 'r':
			o.rounds = number(optarg, 1, ROUNDS_MAX);
			break;
		case 't':
			o.seconds = number(optarg, 1, 3600);
			break;
		default:
			errx(2, "see the head of rtt.c");
		}
	argc -= optind;
	argv += optind;
	if (argc < 3)
		errx(2, "see the head of rtt.c");
	pin(o.cpu);
	h = halock_open(NULL, argv[1]);
	if (h == NULL)
		err(1, "lockspace %s", argv[1]);
	if (strcmp(argv[0], "lock") == 0)
		lock_rounds(&o, h, argv + 2, (unsigned)argc - 2);
	else if (strcmp(argv[0], "pace") == 0)
		paced(&o, h, argv + 2, (unsigned)argc - 2);
	else
		errx(2, "got '%s', expected lock or pace", argv[0]);
	halock_close(h);
	return 0;
}
