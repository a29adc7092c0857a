/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What each action means, for a mount and for a command.
 *
 *		START	STOP		KILL		CLEAN
 *	mount	mount	umount		its users	umount; its users,
 *							umount; umount -l
 *	command	start	stop, or TERM	what start	stop; what start
 *			what start left	left		left
 *
 * A file per step in steps_dir says what may have been left; without it there
 * is nothing to clean, so a mount that somebody else made is left alone.
 */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "log.h"
#include "svc_run_int.h"

enum { CLEAN_ROUNDS = 8 };

/* The daemon is protected from the OOM killer, its services are not. */
#define SHELL_PRELUDE "echo 0 2>/dev/null >/proc/self/oom_score_adj; "

struct svc_run *
svc_run_new(sd_event *event, const struct svc_run_conf *conf, svc_run_done done,
    void *ctx)
{
	struct svc_run *r;

	if (strlen(conf->steps_dir) >= sizeof(r->dir)) {
		errno = ENAMETOOLONG;
		return NULL;
	}
	if (mkdir(conf->steps_dir, 0700) == -1 && errno != EEXIST)
		return NULL;
	if ((r = calloc(1, sizeof(*r))) == NULL)
		return NULL;
	if ((r->worker = worker_new(event)) == NULL) {
		free(r);
		return NULL;
	}
	r->event = event;
	snprintf(r->dir, sizeof(r->dir), "%s", conf->steps_dir);
	r->done = done;
	r->ctx = ctx;
	TAILQ_INIT(&r->jobs);
	return r;
}

void
svc_run_free(struct svc_run *r)
{
	struct job *j, *tmp;

	if (r == NULL)
		return;
	r->closing = true;
	worker_free(r->worker);
	TAILQ_FOREACH_SAFE (j, &r->jobs, next, tmp) {
		job_kill(j, SIGKILL);
		job_free(j);
	}
	free(r);
}

/* The record of a step. */

static void
record_path(const struct job *j, char path[HAD_PATH_MAX + 64])
{
	snprintf(path, HAD_PATH_MAX + 64, "%s/%s.%u", j->run->dir, j->s->name,
	    j->step);
}

static int
record_write(struct job *j)
{
	char path[HAD_PATH_MAX + 64], tmp[HAD_PATH_MAX + 72];
	FILE *f;
	bool ok;

	record_path(j, path);
	snprintf(tmp, sizeof(tmp), "%s.new", path);
	if ((f = fopen(tmp, "we")) == NULL)
		goto failed;
	ok = fprintf(f, "%d %llu %s\n", j->id.session,
		 (unsigned long long)j->id.start, j->id.id) > 0;
	ok &= fclose(f) == 0;
	if (ok && rename(tmp, path) == 0)
		return 0;
failed:
	snprintf(
	    j->text, sizeof(j->text), "%.60s: %.50s", path, strerror(errno));
	return -1;
}

/* Returns whether there is a record, however odd it is. */
static bool
record_read(struct job *j)
{
	char path[HAD_PATH_MAX + 64];
	unsigned long long start;
	FILE *f;

	memset(&j->id, 0, sizeof(j->id));
	record_path(j, path);
	if ((f = fopen(path, "re")) == NULL)
		return false;
	if (fscanf(f, "%d %llu %63s", &j->id.session, &start, j->id.id) == 3) {
		j->id.start = start;
	} else {
		log_warnx("service %s: %s: not a record", j->s->name, path);
		memset(&j->id, 0, sizeof(j->id));
	}
	fclose(f);
	return true;
}

static void
record_remove(const struct job *j)
{
	char path[HAD_PATH_MAX + 64];

	record_path(j, path);
	if (unlink(path) == -1 && errno != ENOENT)
		log_warn("service %s: %s", j->s->name, path);
}

/* Answers from the loop, not from within the call. */
static void
answer_later(struct job *j, bool ok, const char *text)
{
	j->phase = PH_NOTHING;
	j->ok = ok;
	if (text != NULL)
		snprintf(j->text, sizeof(j->text), "%s", text);
	loop_timer_at(j->timer, loop_now());
}

static void
finish(struct job *j, bool ok)
{
	enum svc_result result = SVC_RES_FAILED;
	struct svc_run *r = j->run;

	ASSERT(!j->answered && j->pid == 0 && !j->hunting);
	loop_timer_at(j->timer, MT_NEVER);
	if (j->cancelled)
		result = SVC_RES_TIMEOUT;
	else if (ok)
		result = SVC_RES_OK;
	if (result == SVC_RES_OK && j->st != NULL &&
	    (j->action == SVC_DO_STOP || j->action == SVC_DO_CLEAN))
		record_remove(j);
	j->answered = true;
	r->done(
	    r->ctx, j->s->id, j->step, j->action, j->token, result, j->text);
	/* A started command still writes to its pipe. */
	if (j->out == -1 || j->action != SVC_DO_START || result != SVC_RES_OK)
		job_free(j);
}

static void
child(struct job *j, enum phase phase, const char *const argv[])
{
	j->phase = phase;
	j->text[0] = '\0';
	if (job_spawn(j, argv) == -1)
		answer_later(j, false, NULL);
}

static void
shell(struct job *j, enum phase phase, const char *command)
{
	const char *const argv[] = {
	    "/bin/sh", "-c", SHELL_PRELUDE "eval \"$1\"", "sh", command, NULL};

	child(j, phase, argv);
}

static void
umount(struct job *j, enum phase phase, bool lazy)
{
	const char *const argv[] = {"/bin/sh", "-c",
	    SHELL_PRELUDE "exec umount $1 -- \"$2\"", "sh", lazy ? "-l" : "",
	    j->st->dir, NULL};

	child(j, phase, argv);
}

static void
mount_start(struct job *j)
{
	const char *const argv[] = {"/bin/sh", "-c",
	    SHELL_PRELUDE "mkdir -p -- \"$4\" && "
			  "exec mount -t \"$1\" -o \"$2\" -- \"$3\" \"$4\"",
	    "sh", j->st->fstype,
	    j->st->options[0] != '\0' ? j->st->options : "defaults", j->device,
	    j->st->dir, NULL};

	if (proc_is_mounted(j->st->dir)) {
		answer_later(j, false, "something is mounted there already");
		return;
	}
	if (record_write(j) == -1) {
		answer_later(j, false, NULL);
		return;
	}
	child(j, PH_CHILD, argv);
}

static void
mount_go(struct job *j)
{
	switch (j->action) {
	case SVC_DO_START:
		mount_start(j);
		break;
	case SVC_DO_STOP:
		/* A start that was refused left nothing of ours. */
		if (!proc_is_mounted(j->st->dir) || !record_read(j))
			answer_later(j, true, NULL);
		else
			umount(j, PH_CHILD, false);
		break;
	case SVC_DO_KILL:
		if (!proc_is_mounted(j->st->dir) || !record_read(j)) {
			answer_later(j, true, NULL);
			break;
		}
		j->phase = PH_HUNT;
		job_hunt(j, HUNT_USERS, SIGKILL, 0);
		break;
	case SVC_DO_CLEAN:
		if (!record_read(j) || !proc_is_mounted(j->st->dir)) {
			answer_later(j, true, NULL);
			break;
		}
		log_info(
		    "service %s: %s was left mounted", j->s->name, j->st->dir);
		umount(j, PH_CLEAN_UMOUNT, false);
		break;
	default:
		answer_later(j, true, NULL);
		break;
	}
}

static void
command_start(struct job *j)
{
	struct timespec ts;

	clock_gettime(CLOCK_REALTIME, &ts);
	memset(&j->id, 0, sizeof(j->id));
	snprintf(j->id.id, sizeof(j->id.id), "%d.%u.%lld.%09ld", getpid(),
	    j->token, (long long)ts.tv_sec, ts.tv_nsec);
	/* Before it runs: should this daemon die now, it is found by its id. */
	if (record_write(j) == -1) {
		answer_later(j, false, NULL);
		return;
	}
	shell(j, PH_CHILD, j->st->start);
	if (j->pid == 0)
		return;
	j->id.session = j->pid;
	j->id.start = proc_start(j->pid);
	if (record_write(j) == -1)
		log_warnx("service %s: %s", j->s->name, j->text);
	j->text[0] = '\0';
}

static void
command_go(struct job *j)
{
	bool left;

	switch (j->action) {
	case SVC_DO_START:
		command_start(j);
		return;
	case SVC_DO_STATUS:
		if (j->st->status[0] == '\0')
			answer_later(j, true, NULL);
		else
			shell(j, PH_CHILD, j->st->status);
		return;
	default:
		break;
	}
	left = record_read(j);
	if (j->action == SVC_DO_STOP && j->st->stop[0] != '\0') {
		shell(j, PH_CHILD, j->st->stop);
	} else if (!left) {
		answer_later(j, true, NULL);
	} else if (j->action == SVC_DO_CLEAN && j->st->stop[0] != '\0') {
		log_info("service %s: %s was left by an earlier daemon",
		    j->s->name, j->st->name);
		shell(j, PH_CLEAN_STOP, j->st->stop);
	} else if (j->action == SVC_DO_STOP) {
		j->phase = PH_HUNT;
		/* Half of its time to end by itself. */
		job_hunt(j, HUNT_RUN, SIGTERM, j->st->timeout_ms / 2);
	} else {
		j->phase = PH_HUNT;
		job_hunt(j, HUNT_RUN, SIGKILL, 0);
	}
}

static bool
unmounted(struct job *j, enum phase again)
{
	if (!proc_is_mounted(j->st->dir))
		return true;
	/* Stacked mounts come off one by one. */
	if (++j->rounds < CLEAN_ROUNDS)
		umount(j, again, false);
	else
		return true;
	return false;
}

/* The phase under way is over. */
void
job_next(struct job *j, bool ok)
{
	if (j->cancelled) {
		finish(j, false);
		return;
	}
	switch (j->phase) {
	case PH_CHILD:
	case PH_HUNT:
	case PH_NOTHING:
		finish(j, ok);
		break;
	case PH_CLEAN_UMOUNT:
	case PH_CLEAN_AGAIN:
		if (ok) {
			if (unmounted(j, j->phase))
				finish(j, !proc_is_mounted(j->st->dir));
		} else if (j->phase == PH_CLEAN_UMOUNT) {
			j->phase = PH_CLEAN_USERS;
			job_hunt(j, HUNT_USERS, SIGKILL, 0);
		} else {
			umount(j, PH_CLEAN_LAZY, true);
		}
		break;
	case PH_CLEAN_USERS:
		/* Even if some do not die: umount has the last word. */
		umount(j, PH_CLEAN_AGAIN, false);
		break;
	case PH_CLEAN_LAZY:
		finish(j, !proc_is_mounted(j->st->dir));
		break;
	case PH_CLEAN_STOP:
		/* What its own stop left, or could not stop. */
		j->phase = PH_HUNT;
		job_hunt(j, HUNT_RUN, SIGKILL, 0);
		break;
	}
}

void
svc_run_go(struct svc_run *r, const struct conf_service *s, uint8_t step,
    enum svc_action action, uint32_t token, const char *device)
{
	struct job *j = calloc(1, sizeof(*j));

	ASSERT(step == SVC_STEP_CHECK || step < s->n_steps);
	if (j == NULL)
		fatal("service %s: calloc", s->name);
	j->run = r;
	j->s = s;
	snprintf(j->name, sizeof(j->name), "%s", s->name);
	j->step = step;
	j->action = action;
	j->token = token;
	j->pidfd = j->out = -1;
	j->timer = loop_timer_new(r->event, job_timer, j);
	TAILQ_INSERT_TAIL(&r->jobs, j, next);
	if (device != NULL)
		snprintf(j->device, sizeof(j->device), "%s", device);
	snprintf(j->id.id, sizeof(j->id.id), "-");
	if (step == SVC_STEP_CHECK) {
		ASSERT(action == SVC_DO_STATUS);
		shell(j, PH_CHILD, s->check);
		return;
	}
	j->st = &s->steps[step];
	ASSERT(
	    j->st->type == CONF_STEP_MOUNT || j->st->type == CONF_STEP_COMMAND);
	if (j->st->type == CONF_STEP_MOUNT)
		mount_go(j);
	else
		command_go(j);
}
