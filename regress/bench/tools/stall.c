/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * When a processor of this machine stood still: a task above all others that
 * wakes each millisecond says so, with the wall clock, if it came later than
 * asked by more than so many milliseconds.
 * usage: stall CPU MS
 */
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

static double
now(clockid_t clock)
{
	struct timespec ts;

	clock_gettime(clock, &ts);
	return (double)ts.tv_sec + (double)ts.tv_nsec / 1e9;
}

int
main(int argc, char **argv)
{
	const struct timespec ms = {0, 1000000};
	struct sched_param sp = {.sched_priority = 50};
	double last, t, limit;
	cpu_set_t set;

	if (argc != 3) {
		fprintf(stderr, "usage: stall CPU MS\n");
		return 2;
	}
	CPU_ZERO(&set);
	CPU_SET((unsigned)atoi(argv[1]), &set);
	limit = atof(argv[2]) / 1e3;
	if (sched_setaffinity(0, sizeof(set), &set) < 0 ||
	    sched_setscheduler(0, SCHED_FIFO, &sp) < 0) {
		perror("stall");
		return 1;
	}
	setvbuf(stdout, NULL, _IOLBF, 0);
	for (last = now(CLOCK_BOOTTIME);; last = t) {
		clock_nanosleep(CLOCK_MONOTONIC, 0, &ms, NULL);
		t = now(CLOCK_BOOTTIME);
		if (t - last > limit)
			printf("%.3f %.3f %.1f\n", t, now(CLOCK_REALTIME),
			    (t - last) * 1e3);
	}
}
