/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * One thread, two queues under one lock, and an eventfd that wakes the loop
 * when the second queue is no longer empty.
 */
#include <bsd/sys/queue.h>
#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "had.h"
#include "worker.h"

struct entry {
	STAILQ_ENTRY(entry) next;
	worker_run run;
	worker_done done;
	void *job; /* the submitter's until done has run */
	int result;
};
STAILQ_HEAD(queue, entry);

struct worker {
	pthread_t thread;
	pthread_mutex_t lock;
	pthread_cond_t wake;
	struct queue todo, finished; /* entries owned; under lock */
	bool quit; /* under lock */
	int fd; /* eventfd, owned */
	sd_event_source *source; /* owned */
};

static void *
worker_main(void *arg)
{
	struct worker *w = arg;
	struct entry *e;
	uint64_t one = 1;

	pthread_mutex_lock(&w->lock);
	for (;;) {
		while ((e = STAILQ_FIRST(&w->todo)) == NULL && !w->quit)
			pthread_cond_wait(&w->wake, &w->lock);
		if (e == NULL)
			break;
		STAILQ_REMOVE_HEAD(&w->todo, next);
		pthread_mutex_unlock(&w->lock);
		e->result = e->run(e->job);
		pthread_mutex_lock(&w->lock);
		STAILQ_INSERT_TAIL(&w->finished, e, next);
		/* It can only fail if the counter is full: awake anyway. */
		if (write(w->fd, &one, sizeof(one)) == -1)
			ASSERT(errno == EAGAIN);
	}
	pthread_mutex_unlock(&w->lock);
	return NULL;
}

/* Runs what has finished, on the loop, outside the lock. */
static void
worker_reap(struct worker *w)
{
	struct entry *e;

	for (;;) {
		pthread_mutex_lock(&w->lock);
		e = STAILQ_FIRST(&w->finished);
		if (e != NULL)
			STAILQ_REMOVE_HEAD(&w->finished, next);
		pthread_mutex_unlock(&w->lock);
		if (e == NULL)
			return;
		e->done(e->job, e->result);
		free(e);
	}
}

static int
worker_ready(sd_event_source *source, int fd, uint32_t revents, void *arg)
{
	uint64_t n;

	(void)source;
	(void)revents;
	if (read(fd, &n, sizeof(n)) == -1 && errno != EAGAIN)
		return -errno;
	worker_reap(arg);
	return 0;
}

/* The thread takes no signals: they are the loop's. */
static int
worker_start(struct worker *w)
{
	sigset_t all, old;
	int r;

	sigfillset(&all);
	if ((r = pthread_sigmask(SIG_SETMASK, &all, &old)) != 0)
		return -r;
	r = pthread_create(&w->thread, NULL, worker_main, w);
	pthread_sigmask(SIG_SETMASK, &old, NULL);
	return -r;
}

struct worker *
worker_new(sd_event *event)
{
	struct worker *w = calloc(1, sizeof(*w));
	int r;

	if (w == NULL)
		return NULL;
	STAILQ_INIT(&w->todo);
	STAILQ_INIT(&w->finished);
	pthread_mutex_init(&w->lock, NULL);
	pthread_cond_init(&w->wake, NULL);
	w->fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	r = w->fd == -1 ? -errno : 0;
	if (r >= 0)
		r = sd_event_add_io(
		    event, &w->source, w->fd, EPOLLIN, worker_ready, w);
	if (r >= 0)
		r = worker_start(w);
	if (r >= 0)
		return w;
	sd_event_source_disable_unref(w->source);
	if (w->fd != -1)
		close(w->fd);
	pthread_cond_destroy(&w->wake);
	pthread_mutex_destroy(&w->lock);
	free(w);
	errno = -r;
	return NULL;
}

void
worker_free(struct worker *w)
{
	if (w == NULL)
		return;
	pthread_mutex_lock(&w->lock);
	w->quit = true;
	pthread_cond_signal(&w->wake);
	pthread_mutex_unlock(&w->lock);
	pthread_join(w->thread, NULL);
	/* Every job is answered, those finished a moment ago too. */
	worker_reap(w);
	ASSERT(STAILQ_EMPTY(&w->todo) && STAILQ_EMPTY(&w->finished));
	sd_event_source_disable_unref(w->source);
	close(w->fd);
	pthread_cond_destroy(&w->wake);
	pthread_mutex_destroy(&w->lock);
	free(w);
}

int
worker_submit(struct worker *w, worker_run run, worker_done done, void *job)
{
	struct entry *e = malloc(sizeof(*e));

	ASSERT(run != NULL && done != NULL);
	if (e == NULL)
		return -1;
	*e = (struct entry){.run = run, .done = done, .job = job};
	pthread_mutex_lock(&w->lock);
	ASSERT(!w->quit);
	STAILQ_INSERT_TAIL(&w->todo, e, next);
	pthread_cond_signal(&w->wake);
	pthread_mutex_unlock(&w->lock);
	return 0;
}
