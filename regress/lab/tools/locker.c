/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * One lock of one client, by lines: what it is told comes from standard
 * input, what happens to it goes to standard output, for lab scripts.
 *
 *	locker SPACE NAME
 *	lock MODE [noqueue]	convert MODE [VALUE]	unlock [VALUE]	cancel
 *
 * Prints "queued", "granted MODE [VALUE]", "failed ERRNO", "unlocked",
 * "blocking MODE", "lost", "one-lost", "stopped", "recovering", "running".
 */
#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "halock.h"

static uint64_t lock_id;
static enum halock_op last;

static void
show_done(const struct halock_event *e)
{
	if (e->status != 0) {
		printf("failed %s\n", strerrorname_np(e->status));
	} else if (last == HALOCK_OP_UNLOCK) {
		printf("unlocked\n");
	} else {
		lock_id = e->lock;
		printf("granted %s %.*s\n", halock_mode_name(e->mode),
		    e->value_read && e->value_valid ? HALOCK_VALUE_LEN : 0,
		    (const char *)e->value);
	}
}

static void
show(const struct halock_event *e)
{
	switch (e->type) {
	case HALOCK_QUEUED:
		lock_id = e->lock;
		printf("queued\n");
		break;
	case HALOCK_DONE:
		show_done(e);
		break;
	case HALOCK_BLOCKING:
		printf("blocking %s\n", halock_mode_name(e->mode));
		break;
	case HALOCK_LOST:
		printf("lost\n");
		break;
	case HALOCK_LOCK_LOST:
		printf("one-lost\n");
		break;
	case HALOCK_STOPPED:
		printf("stopped\n");
		break;
	case HALOCK_RECOVERING:
		printf("recovering\n");
		break;
	case HALOCK_RUNNING:
		printf("running\n");
		break;
	case HALOCK_ROW:
		break;
	}
}

static int
submit(struct halock *h, const char *name, char *line)
{
	char word[16] = "", mode[8] = "", more[HALOCK_VALUE_LEN] = "";
	char value[HALOCK_VALUE_LEN] = "";
	struct halock_req r = {.cookie = 1, .lock = lock_id};

	sscanf(line, "%15s %7s %31s", word, mode, more);
	r.flags = HALOCK_VALBLK | HALOCK_BAST;
	if (strcmp(word, "lock") == 0) {
		r.op = HALOCK_OP_LOCK;
		r.name = name;
		r.name_len = strlen(name);
		r.lock = 0;
		if (strcmp(more, "noqueue") == 0)
			r.flags |= HALOCK_NOQUEUE;
	} else if (strcmp(word, "convert") == 0) {
		r.op = HALOCK_OP_CONVERT;
		snprintf(value, sizeof(value), "%s", more);
	} else if (strcmp(word, "unlock") == 0) {
		r.op = HALOCK_OP_UNLOCK;
		r.flags = HALOCK_VALBLK;
		snprintf(value, sizeof(value), "%s", mode);
	} else if (strcmp(word, "cancel") == 0) {
		r.op = HALOCK_OP_CANCEL;
		r.flags = 0;
	} else {
		fprintf(stderr, "locker: no such command: %s", line);
		return -1;
	}
	if (r.op == HALOCK_OP_LOCK || r.op == HALOCK_OP_CONVERT)
		r.mode = (enum halock_mode)halock_mode_parse(mode);
	if (value[0] != '\0')
		r.value = value;
	if (r.op != HALOCK_OP_CANCEL)
		last = r.op;
	return halock_submit(h, &r, 1) == -1 ? -1 : 0;
}

int
main(int argc, char **argv)
{
	struct halock *h = argc == 3 ? halock_open(NULL, argv[1]) : NULL;
	struct halock_event e;
	char line[128];
	int r;

	if (h == NULL) {
		perror("locker SPACE NAME");
		return 1;
	}
	setlinebuf(stdout);
	setvbuf(stdin, NULL, _IONBF, 0);
	printf("open\n");
	for (;;) {
		struct pollfd p[] = {{.fd = STDIN_FILENO, .events = POLLIN},
		    {.fd = halock_fd(h), .events = POLLIN}};

		while ((r = halock_next(h, &e)) == 1)
			show(&e);
		if (r == -1 || poll(p, 2, -1) < 0) {
			printf("gone\n");
			return 1;
		}
		if (p[0].revents == 0)
			continue;
		if (fgets(line, sizeof(line), stdin) == NULL)
			break;
		if (submit(h, argv[2], line) == -1)
			printf("refused %s\n", strerrorname_np(errno));
	}
	halock_close(h);
	return 0;
}
