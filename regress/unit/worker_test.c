/* SPDX-License-Identifier: BSD-2-Clause */
/* The worker: jobs run in order off the loop, and answers come back on it. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <errno.h>
#include <pthread.h>

#include "had.h"
#include "worker.h"

struct seq {
	sd_event *event;
	pthread_t loop_thread;
	int ran, answered, last;
};

struct job {
	struct seq *seq;
	int number, result;
	bool off_loop, answered;
};

static int
job_run(void *arg)
{
	struct job *j = arg;

	j->off_loop = !pthread_equal(pthread_self(), j->seq->loop_thread);
	/* Only this thread touches it, and in order. */
	if (j->seq->ran++ != j->number)
		return -EPROTO;
	return j->result;
}

static void
job_done(void *arg, int result)
{
	struct job *j = arg;

	assert_true(pthread_equal(pthread_self(), j->seq->loop_thread));
	assert_int_equal(result, j->result);
	assert_int_equal(j->seq->answered++, j->number);
	j->answered = true;
	if (j->number == j->seq->last)
		sd_event_exit(j->seq->event, 0);
}

static void
jobs_run_in_order_off_the_loop(void **state)
{
	struct seq seq = {.loop_thread = pthread_self(), .last = 99};
	struct job jobs[100] = {0};
	struct worker *w;

	(void)state;
	assert_int_equal(sd_event_new(&seq.event), 0);
	w = worker_new(seq.event);
	assert_non_null(w);
	for (int i = 0; i < 100; i++) {
		jobs[i] = (struct job){.seq = &seq, .number = i};
		jobs[i].result = i % 7 == 0 ? -EIO : 0;
		assert_int_equal(
		    worker_submit(w, job_run, job_done, &jobs[i]), 0);
	}
	assert_true(sd_event_loop(seq.event) >= 0);
	for (int i = 0; i < 100; i++)
		assert_true(jobs[i].off_loop && jobs[i].answered);
	worker_free(w);
	sd_event_unref(seq.event);
}

static void
free_answers_every_job(void **state)
{
	struct seq seq = {.loop_thread = pthread_self(), .last = -1};
	struct job jobs[20] = {0};
	struct worker *w;

	(void)state;
	assert_int_equal(sd_event_new(&seq.event), 0);
	w = worker_new(seq.event);
	assert_non_null(w);
	for (int i = 0; i < 20; i++) {
		jobs[i] = (struct job){.seq = &seq, .number = i};
		assert_int_equal(
		    worker_submit(w, job_run, job_done, &jobs[i]), 0);
	}
	/* The loop never ran. */
	worker_free(w);
	assert_int_equal(seq.ran, 20);
	assert_int_equal(seq.answered, 20);
	sd_event_unref(seq.event);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(jobs_run_in_order_off_the_loop),
	    cmocka_unit_test(free_answers_every_job),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
