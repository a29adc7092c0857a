/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Many seeds by several processes.  Each takes the next seed that nobody has
 * begun; what came of it lies in shared memory, in the order of the seeds, so
 * the sum does not depend on the number of workers.  One that dies costs its
 * seed, which counts as a violation, and another takes its place.
 */
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include "sim_run.h"

void *
shared(size_t len)
{
	void *p = mmap(NULL, len, PROT_READ | PROT_WRITE,
	    MAP_SHARED | MAP_ANONYMOUS, -1, 0);

	if (p == MAP_FAILED) {
		perror("sim: mmap");
		exit(2);
	}
	return p;
}

/* What a seed has to say comes in one piece. */
static void
one(uint64_t seed, uint64_t epoch, struct result *r)
{
	struct plan plan = {.all = true, .epoch = epoch};
	char *text = NULL;
	size_t len = 0;
	FILE *out = open_memstream(&text, &len);

	if (out == NULL)
		exit(2);
	r->begun = true;
	seed_run(seed, out, false, &plan, r);
	fclose(out);
	for (size_t at_ = 0; at_ < len;) {
		ssize_t n = write(STDOUT_FILENO, text + at_, len - at_);

		if (n <= 0)
			exit(2);
		at_ += (size_t)n;
	}
	free(text);
	r->done = true;
}

static pid_t
worker(uint64_t first, unsigned long n, uint64_t epoch, atomic_ulong *next,
    struct result *all)
{
	pid_t pid;

	fflush(NULL);
	pid = fork();
	if (pid == -1) {
		perror("sim: fork");
		exit(2);
	}
	if (pid > 0)
		return pid;
	for (;;) {
		unsigned long i = atomic_fetch_add(next, 1);

		if (i >= n)
			_exit(0);
		if (!all[i].done)
			one(first + i, epoch, &all[i]);
	}
}

void
seeds_run(uint64_t first, unsigned long n, unsigned workers, uint64_t epoch,
    struct result *all)
{
	atomic_ulong *next = shared(sizeof(*next));
	unsigned alive = 0;
	int status;

	for (; workers > 0 && alive < workers; alive++)
		worker(first, n, epoch, next, all);
	while (alive > 0 && wait(&status) > 0) {
		alive--;
		/* An assertion, or worse: its seed stays undone. */
		if (WIFEXITED(status) && WEXITSTATUS(status) == 0)
			continue;
		worker(first, n, epoch, next, all);
		alive++;
	}
	for (unsigned long i = 0; workers == 0 && i < n; i++)
		if (!all[i].done)
			one(first + i, epoch, &all[i]);
	for (unsigned long i = 0; i < n; i++) {
		if (all[i].done)
			continue;
		all[i].violations = 1;
		printf("# seed %llu killed its process\n# replay: "
		       "build/release/sim -s %llu -n 1 -v, commit %s\n",
		    (unsigned long long)(first + i),
		    (unsigned long long)(first + i), sim_commit());
	}
	munmap(next, sizeof(*next));
}
