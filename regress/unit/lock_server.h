/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A lock server for tests: the core of one node behind a real socket, in a
 * process of its own that can be killed.  Lockspaces "default" (everybody)
 * and "closed" (nobody).
 */
#ifndef LOCK_SERVER_H
#define LOCK_SERVER_H

#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>
#include <cmocka.h>

#include "lock.h"
#include "lock_sock.h"
#include "loop.h"

enum { SERVER_CLIENTS = 32, SERVER_GRACE_MS = 600 };

struct server {
	char dir[64], path[80];
	pid_t pid;
	int control; /* a byte: 'L' lost, 'S' stopped, 'R' running, answered */
};

/* In the server's process. */
struct serving {
	struct lk *lk;
	struct lks *lks;
	struct loop_timer *timer;
	struct loop *loop;
	uint64_t epoch;
};

static inline void
sv_step(struct serving *s, struct lk_event *ev)
{
	ev->now = loop_now();
	lk_step(s->lk, ev);
}

static inline uint16_t
sv_spaces(void *ctx, uid_t uid, const gid_t *gids, size_t n)
{
	(void)ctx;
	(void)uid;
	/* The primary group comes first. */
	return n >= 1 && gids[0] == 4242 ? 3 : 1;
}

static inline void
sv_open(void *ctx, uint32_t client, uid_t uid, gid_t gid, pid_t pid,
    uint16_t spaces)
{
	struct lk_event ev = {.type = LK_EV_CLIENT_OPEN};

	ev.u.open.client = client;
	ev.u.open.uid = uid;
	ev.u.open.gid = gid;
	ev.u.open.pid = (uint32_t)pid;
	ev.u.open.spaces = spaces;
	sv_step(ctx, &ev);
}

static inline void
sv_msg(void *ctx, uint32_t client, const uint8_t *bytes, size_t len)
{
	struct lk_event ev = {.type = LK_EV_CLIENT_MSG};

	ev.u.cmsg.client = client;
	ev.u.cmsg.bytes = bytes;
	ev.u.cmsg.len = len;
	sv_step(ctx, &ev);
}

static inline void
sv_eof(void *ctx, uint32_t client)
{
	struct lk_event ev = {.type = LK_EV_CLIENT_EOF};

	ev.u.eof.client = client;
	sv_step(ctx, &ev);
}

static inline void
sv_send(void *ctx, uint8_t peer, const uint8_t *bytes, size_t len)
{
	(void)ctx;
	(void)peer;
	(void)bytes;
	(void)len;
}

static inline void
sv_client(void *ctx, uint32_t client, const uint8_t *bytes, size_t len)
{
	lks_send(((struct serving *)ctx)->lks, client, bytes, len);
}

static inline void
sv_close(void *ctx, uint32_t client, const char *why)
{
	lks_close(((struct serving *)ctx)->lks, client, why);
}

static inline void
sv_timer(void *ctx, monotime_t at)
{
	loop_timer_at(((struct serving *)ctx)->timer, at);
}

static inline void
sv_note(void *ctx, enum had_level level, const char *rule, const char *object,
    const char *text)
{
	(void)ctx;
	(void)level;
	(void)rule;
	(void)object;
	(void)text;
}

static inline void
sv_tick(void *ctx, monotime_t now)
{
	struct lk_event ev = {.type = LK_EV_TIMER};

	(void)now;
	sv_step(ctx, &ev);
}

static inline int
sv_control(sd_event_source *source, int fd, uint32_t revents, void *ctx)
{
	struct serving *s = ctx;
	struct lk_event ev = {.type = LK_EV_VIEW};
	char c;

	(void)source;
	(void)revents;
	if (read(fd, &c, 1) != 1)
		_exit(0);
	ev.u.view.state = c == 'L'   ? LK_VIEW_LOST
			  : c == 'S' ? LK_VIEW_STOPPED
				     : LK_VIEW_RUNNING;
	ev.u.view.members = 1;
	ev.u.view.epoch = ++s->epoch;
	ev.u.view.grace_ms = SERVER_GRACE_MS;
	sv_step(s, &ev);
	if (write(fd, &c, 1) != 1)
		_exit(1);
	return 0;
}

static inline _Noreturn void
sv_main(const char *path, int control)
{
	static const struct lk_ops ops = {
	    sv_send, sv_client, sv_close, sv_timer, sv_note};
	static const struct lks_cb cb = {sv_spaces, sv_open, sv_msg, sv_eof};
	struct lks_conf conf = {.path = path,
	    .clients_max = SERVER_CLIENTS,
	    .uid_clients_max = 3,
	    .queue_bytes = 64 * 1024};
	struct lk_conf lc = {.self = 1,
	    .nodes = 1,
	    .n_spaces = 2,
	    .clients_max = SERVER_CLIENTS};
	struct serving s = {.loop = loop_new()};
	struct lk_event ev = {.type = LK_EV_START};

	prctl(PR_SET_PDEATHSIG, SIGKILL);
	strcpy(lc.spaces[0].name, "default");
	lc.spaces[0].locks_max = 100000;
	strcpy(lc.spaces[1].name, "closed");
	lc.spaces[1].locks_max = 1;
	s.timer = loop_timer_new(loop_event(s.loop), sv_tick, &s);
	s.lk = lk_new(&lc, &ops, &s);
	if (s.lk == NULL ||
	    lks_new(&s.lks, loop_event(s.loop), &conf, &cb, &s) == -1)
		_exit(3);
	ev.u.start.seed = 4711;
	sv_step(&s, &ev);
	if (sd_event_add_io(
		loop_event(s.loop), NULL, control, EPOLLIN, sv_control, &s) < 0)
		_exit(4);
	loop_run(s.loop);
	_exit(0);
}

/* Tells it and waits until it is done. */
static inline void
server_tell(struct server *s, char what)
{
	char c;

	assert_int_equal(write(s->control, &what, 1), 1);
	assert_int_equal(read(s->control, &c, 1), 1);
	assert_int_equal(c, what);
}

static inline void
server_run(struct server *s)
{
	int sv[2];

	assert_int_equal(
	    socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, sv), 0);
	s->pid = fork();
	assert_int_not_equal(s->pid, -1);
	if (s->pid == 0) {
		close(sv[0]);
		sv_main(s->path, sv[1]);
	}
	close(sv[1]);
	s->control = sv[0];
	server_tell(s, 'R');
}

static inline void
server_start(struct server *s)
{
	memset(s, 0, sizeof(*s));
	strcpy(s->dir, "/tmp/had-lock-XXXXXX");
	assert_non_null(mkdtemp(s->dir));
	assert_int_equal(chmod(s->dir, 0755), 0);
	snprintf(s->path, sizeof(s->path), "%s/lock.sock", s->dir);
	server_run(s);
}

static inline void
server_kill(struct server *s)
{
	kill(s->pid, SIGKILL);
	waitpid(s->pid, NULL, 0);
	close(s->control);
	s->pid = 0;
}

static inline void
server_end(struct server *s)
{
	char cmd[128];

	if (s->pid > 0)
		server_kill(s);
	snprintf(cmd, sizeof(cmd), "rm -rf '%s'", s->dir);
	assert_int_equal(system(cmd), 0);
}

#endif
