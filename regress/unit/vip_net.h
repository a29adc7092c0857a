/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A small world for tests of the address drivers: network namespaces alpha,
 * bravo and client around a bridge, all inside a namespace of the test's own;
 * holders (processes with the address core and its drivers, as in the daemon)
 * that the test commands, freezes and kills; and a client that looks.
 */
#ifndef VIP_NET_H
#define VIP_NET_H

#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <net/if.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <bsd/string.h>
#include <linux/if_ether.h>
#include <linux/if_packet.h>

#include "loop.h"
#include "vip.h"
#include "vip_addr.h"
#include "vip_announce.h"
#include "vip_guard.h"
#include "vip_packet.h"

enum { WEB4 = 0, WEB6 = 1 };
/* VIP_NET_SCALE slows the world down, for machines that are slow. */
static int scale = 1;
#define BEAT_MS (20 * scale)
#define LEASE_MS (100 * scale)
enum { ALPHA, BRAVO, CLIENT, N_SPACES };

#define VIP4 "10.9.0.80"
#define VIP6 "fd09::80"

static const struct vip_addr_conf net_addrs[] = {
    {"web4", 4, {10, 9, 0, 80}, 24, "eth0"},
    {"web6", 6, {0xfd, 0x09, [15] = 0x80}, 64, "eth0"},
};

/* What a holder tells the test, in shared memory. */
struct holder_page {
	volatile bool up;
	volatile int lapsed_calls;
	char err[200];
	struct vip_status status;
	struct vip_guard_stats guard;
	uint64_t done_ok, done_failed;
};

struct holder {
	pid_t pid; /* 0: none */
	int cmd; /* its standard input */
	struct holder_page *page;
};

struct space {
	pid_t pid; /* keeps the namespace */
	int fd;
	uint8_t mac[6];
	struct holder h;
};

static struct space spaces[N_SPACES];
static int hub_fd = -1;
/* The next holder connects to the client's port 7, before and after all else.
 */
static bool holder_connects;
static int holder_proto; /* of those connections; 0: TCP */

/*
 * In a child: what cmocka does about a crash would make it run the tests that
 * are left.
 */
static inline void
child_init(void)
{
	static const int sigs[] = {SIGSEGV, SIGBUS, SIGILL, SIGFPE, SIGABRT};
	size_t i;

	for (i = 0; i < NITEMS(sigs); i++)
		signal(sigs[i], SIG_DFL);
	prctl(PR_SET_PDEATHSIG, SIGKILL);
}

static inline int64_t
now_us(void)
{
	return loop_now().us;
}

static inline void
sleep_ms(int ms)
{
	usleep((useconds_t)ms * 1000);
}

/* Milliseconds of this world. */
static inline int64_t
us(int ms)
{
	return (int64_t)ms * 1000 * scale;
}

static inline void
enter(int fd)
{
	assert_int_equal(setns(fd, CLONE_NEWNET), 0);
}

/* A command in a namespace; -1: in the hub.  Its exit status. */
static inline int PRINTF_LIKE(2, 3) run_in(int where, const char *fmt, ...)
{
	char cmd[512];
	va_list ap;
	int r;

	va_start(ap, fmt);
	vsnprintf(cmd, sizeof(cmd), fmt, ap);
	va_end(ap);
	if (where >= 0)
		enter(spaces[where].fd);
	r = system(cmd);
	enter(hub_fd);
	return WIFEXITED(r) ? WEXITSTATUS(r) : -1;
}

/* True once the condition is; false after ms. */
#define WAIT_FOR(ms, cond) \
	({ \
		int64_t end_ = now_us() + (int64_t)(ms)*1000 * scale; \
		while (!(cond) && now_us() < end_) \
			usleep(500); \
		(cond); \
	})

/* The daemon in small: the address core and its drivers. */

struct mini {
	struct holder_page *page;
	struct vip *vip;
	struct vip_addr *addr;
	struct vip_guard *guard;
	struct vip_announce *announce;
	struct loop *loop;
	struct loop_timer *timer, *beat;
	struct vip_event queue[64];
	unsigned head, tail;
};

static inline void
mini_push(struct mini *m, struct vip_event ev)
{
	ASSERT(m->tail - m->head < NITEMS(m->queue));
	ev.now = loop_now();
	m->queue[m->tail++ % NITEMS(m->queue)] = ev;
}

static inline void
mini_work(struct mini *m)
{
	while (m->head != m->tail) {
		struct vip_event ev = m->queue[m->head++ % NITEMS(m->queue)];

		ev.now = loop_now();
		vip_step(m->vip, &ev);
	}
	vip_status(m->vip, &m->page->status);
	vip_guard_stats(m->guard, &m->page->guard);
}

static inline void
op_add(void *ctx, uint16_t id)
{
	int r = vip_addr_add(((struct mini *)ctx)->addr, id);

	mini_push(
	    ctx, (struct vip_event){.type = VIP_EV_ADDED,
		     .u.result = {id, r == 0, false, r == 0 ? "" : "errno"}});
}

static inline void
op_del(void *ctx, uint16_t id)
{
	int r = vip_addr_del(((struct mini *)ctx)->addr, id);

	mini_push(
	    ctx, (struct vip_event){.type = VIP_EV_REMOVED,
		     .u.result = {id, r >= 0, r > 0, r >= 0 ? "" : "errno"}});
}

static inline void
op_lease(void *ctx, uint64_t seq, const struct vip_set *open, monotime_t until)
{
	struct mini *m = ctx;
	int r = vip_guard_lease(m->guard, open, until);

	mini_push(m, (struct vip_event){.type = VIP_EV_LEASED,
			 .u.leased = {seq, r == 0, vip_guard_error(m->guard)}});
}

static inline void
op_announce(void *ctx, uint16_t id)
{
	vip_announce_send(((struct mini *)ctx)->announce, id);
}

static inline void
op_timer(void *ctx, monotime_t at)
{
	loop_timer_at(((struct mini *)ctx)->timer, at);
}

static inline void
op_lapsed(void *ctx)
{
	((struct mini *)ctx)->page->lapsed_calls++;
}

static inline void
op_done(void *ctx, uint64_t token, bool ok, const char *text)
{
	struct mini *m = ctx;

	(void)token, (void)text;
	if (ok)
		m->page->done_ok++;
	else
		m->page->done_failed++;
}

static inline void
op_note(void *ctx, enum had_level level, const char *rule, const char *object,
    const char *text)
{
	(void)ctx, (void)level, (void)rule;
	if (getenv("VIP_NET_TRACE") != NULL)
		fprintf(stderr, "%d %lld %s: %s\n", getpid(),
		    (long long)now_us() / 1000, object, text);
}

static inline void
on_beat(void *ctx, monotime_t now)
{
	struct mini *m = ctx;

	loop_timer_at(m->beat, mt_add_ms(now, BEAT_MS));
	mini_push(m, (struct vip_event){.type = VIP_EV_BEAT});
	mini_work(m);
}

static inline void
on_vip_timer(void *ctx, monotime_t now)
{
	(void)now;
	mini_push(ctx, (struct vip_event){.type = VIP_EV_TIMER});
	mini_work(ctx);
}

static inline void
cb_stripped(void *ctx, uint16_t id)
{
	mini_push(ctx,
	    (struct vip_event){.type = VIP_EV_STRIPPED, .u.stripped = {id}});
	mini_work(ctx);
}

static inline void
cb_carrier(void *ctx, const char *ifname, bool up)
{
	mini_push(ctx, (struct vip_event){
			   .type = VIP_EV_CARRIER, .u.carrier = {ifname, up}});
	mini_work(ctx);
}

static inline void
cb_flushed(void *ctx, bool ok, const char *text)
{
	mini_push(ctx, (struct vip_event){
			   .type = VIP_EV_FLUSHED, .u.flushed = {ok, text}});
	mini_work(ctx);
}

static inline void
cb_conflict(void *ctx, uint16_t id, const uint8_t mac[6])
{
	struct vip_event ev = {.type = VIP_EV_CONFLICT, .u.conflict = {id}};

	memcpy(ev.u.conflict.mac, mac, 6);
	mini_push(ctx, ev);
	mini_work(ctx);
}

/* Commands: T id, R id, V 0|1, X: clean stop. */
static inline int
on_cmd(sd_event_source *src, int fd, uint32_t revents, void *ctx)
{
	struct mini *m = ctx;
	struct vip_event ev = {.type = VIP_EV_VOUCH};
	uint8_t c[2];

	(void)src, (void)revents;
	if (read(fd, c, 2) != 2 || c[0] == 'X') {
		loop_exit(m->loop, 0);
		return 0;
	}
	if (c[0] == 'V')
		ev.u.vouch.on = c[1] != 0;
	else {
		ev.type = c[0] == 'T' ? VIP_EV_TAKE : VIP_EV_RELEASE;
		ev.u.order.id = c[1];
		ev.u.order.token = 7;
	}
	mini_push(m, ev);
	mini_work(m);
	return 0;
}

static inline bool
mini_open(struct mini *m)
{
	static const struct vip_ops ops = {op_add, op_del, op_lease,
	    op_announce, op_timer, op_lapsed, op_done, op_note};
	static const struct vip_addr_cb acb = {cb_stripped, cb_carrier};
	static const struct vip_guard_cb gcb = {cb_flushed};
	static const struct vip_announce_cb ncb = {cb_conflict};
	struct vip_conf vc = {net_addrs, NITEMS(net_addrs), LEASE_MS};
	struct vip_guard_conf gc = {net_addrs, NITEMS(net_addrs), NULL, 0};
	sd_event *e;

	m->loop = loop_new();
	e = loop_event(m->loop);
	m->vip = vip_new(&vc, &ops, m);
	m->timer = loop_timer_new(e, on_vip_timer, m);
	m->beat = loop_timer_new(e, on_beat, m);
	m->guard =
	    vip_guard_new(e, &gc, &gcb, m, m->page->err, sizeof(m->page->err));
	if (m->guard == NULL)
		return false;
	m->addr = vip_addr_new(e, net_addrs, NITEMS(net_addrs), NULL, 0, &acb,
	    m, m->page->err, sizeof(m->page->err));
	m->announce = vip_announce_new(e, net_addrs, NITEMS(net_addrs), &ncb, m,
	    m->page->err, sizeof(m->page->err));
	return m->addr != NULL && m->announce != NULL;
}

static inline void
connect_client(void)
{
	struct sockaddr_in to = {.sin_family = AF_INET,
	    .sin_port = htons(7),
	    .sin_addr = {htonl(0x0a090064)}};
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, holder_proto);

	if (connect(fd, (struct sockaddr *)&to, sizeof(to)) != 0)
		_exit(3);
}

static inline int
mini_main(struct holder_page *page, int cmd)
{
	struct mini m = {.page = page};

	if (holder_connects)
		connect_client();
	if (!mini_open(&m))
		return 1;
	if (holder_connects) {
		connect_client();
		connect_client();
	}
	sd_event_add_io(loop_event(m.loop), NULL, cmd, EPOLLIN, on_cmd, &m);
	mini_push(&m, (struct vip_event){.type = VIP_EV_START});
	mini_work(&m);
	loop_timer_at(m.beat, loop_now());
	page->up = true;
	loop_run(m.loop);
	vip_announce_free(m.announce);
	vip_addr_free(m.addr);
	vip_guard_free(m.guard, true);
	vip_free(m.vip);
	return 0;
}

/* Starts a holder; false if it could not set itself up (page->err). */
static inline bool
holder_start(int where)
{
	struct holder *h = &spaces[where].h;
	int p[2];

	h->page = mmap(NULL, sizeof(*h->page), PROT_READ | PROT_WRITE,
	    MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	assert_ptr_not_equal(h->page, MAP_FAILED);
	assert_int_equal(pipe2(p, O_CLOEXEC), 0);
	h->pid = fork();
	if (h->pid == 0) {
		child_init();
		close(p[1]);
		if (setns(spaces[where].fd, CLONE_NEWNET) != 0)
			_exit(2);
		_exit(mini_main(h->page, p[0]));
	}
	close(p[0]);
	h->cmd = p[1];
	if (WAIT_FOR(2000,
		h->page->up || waitpid(h->pid, NULL, WNOHANG) == h->pid) &&
	    h->page->up)
		return true;
	print_message("holder: %s\n", h->page->err);
	h->pid = 0;
	close(h->cmd);
	return false;
}

static inline void
holder_cmd(int where, char op, uint8_t arg)
{
	char c[2] = {op, (char)arg};

	assert_int_equal(write(spaces[where].h.cmd, c, 2), 2);
}

static inline void
holder_end(int where, int sig)
{
	struct holder *h = &spaces[where].h;

	if (h->pid == 0)
		return;
	if (sig != 0)
		kill(h->pid, sig);
	else
		holder_cmd(where, 'X', 0);
	waitpid(h->pid, NULL, 0);
	close(h->cmd);
	h->pid = 0;
}

static inline enum vip_state
holder_state(int where, uint16_t id)
{
	return *(volatile enum vip_state *)&spaces[where]
		    .h.page->status.addrs[id]
		    .state;
}

static inline void
take_both(int where)
{
	holder_cmd(where, 'V', 1);
	holder_cmd(where, 'T', WEB4);
	holder_cmd(where, 'T', WEB6);
	assert_true(
	    WAIT_FOR(2000, holder_state(where, WEB4) == VIP_ACTIVE &&
			       holder_state(where, WEB6) == VIP_ACTIVE));
}

#define WAIT_STATE(where, id, s) \
	assert_true(WAIT_FOR(2000, holder_state(where, id) == (s)))

/* The client's eyes. */

/* One ARP request for VIP4; true if somebody answered within ms. */
static inline int
arp_socket(void)
{
	struct sockaddr_ll ll = {
	    .sll_family = AF_PACKET, .sll_protocol = htons(ETH_P_ARP)};
	int fd;

	enter(spaces[CLIENT].fd);
	fd = socket(AF_PACKET, SOCK_RAW | SOCK_CLOEXEC, htons(ETH_P_ARP));
	ll.sll_ifindex = (int)if_nametoindex("eth0");
	assert_int_equal(bind(fd, (struct sockaddr *)&ll, sizeof(ll)), 0);
	enter(hub_fd);
	return fd;
}

static inline void
arp_ask(int fd, const uint8_t target[4])
{
	static const uint8_t self[4] = {10, 9, 0, 100};
	uint8_t f[VIP_ARP_LEN];

	vip_arp_encode(f, VIP_ARP_REQUEST, spaces[CLIENT].mac, self);
	memset(f + 32, 0, 6);
	memcpy(f + 38, target, 4);
	assert_int_equal(send(fd, f, sizeof(f), 0), sizeof(f));
}

/* Who says within ms that target is his?  Last byte of his MAC, 0: nobody. */
static inline int
arp_answer(int fd, const uint8_t target[4], int ms)
{
	int64_t end = now_us() + (int64_t)ms * 1000;
	uint8_t f[128];

	for (;;) {
		struct pollfd p = {fd, POLLIN, 0};
		int64_t left = (end - now_us() + 999) / 1000;

		if (left < 0 || poll(&p, 1, (int)left) <= 0)
			return 0;
		if (recv(fd, f, sizeof(f), 0) >= VIP_ARP_LEN && f[21] == 2 &&
		    memcmp(f + 28, target, 4) == 0 &&
		    memcmp(f, spaces[CLIENT].mac, 6) == 0)
			return f[27];
	}
}

static inline int
arp_who(const uint8_t target[4], int ms)
{
	int fd = arp_socket(), who;

	arp_ask(fd, target);
	who = arp_answer(fd, target, ms * scale);
	close(fd);
	return who;
}

/* A closed port answers with a reset if packets come and go. */
static inline bool
tcp_answers(const char *addr, int ms)
{
	struct sockaddr_in s4 = {.sin_family = AF_INET, .sin_port = htons(9)};
	struct sockaddr_in6 s6 = {
	    .sin6_family = AF_INET6, .sin6_port = htons(9)};
	bool v6 = strchr(addr, ':') != NULL;
	struct pollfd p = {.events = POLLOUT};
	int err = 0, fd;
	socklen_t len = sizeof(err);

	enter(spaces[CLIENT].fd);
	fd = socket(v6 ? AF_INET6 : AF_INET,
	    SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	enter(hub_fd);
	inet_pton(v6 ? AF_INET6 : AF_INET, addr,
	    v6 ? (void *)&s6.sin6_addr : (void *)&s4.sin_addr);
	if (connect(fd, v6 ? (struct sockaddr *)&s6 : (struct sockaddr *)&s4,
		v6 ? sizeof(s6) : sizeof(s4)) < 0 &&
	    errno == EINPROGRESS) {
		p.fd = fd;
		if (poll(&p, 1, ms * scale) == 1)
			getsockopt(fd, SOL_SOCKET, SO_ERROR, &err, &len);
	} else
		err = errno;
	close(fd);
	return err == ECONNREFUSED;
}

/*
 * Asks who has VIP4 every millisecond, in a process of its own, and keeps who
 * answered when.
 */
enum { ANSWERS_MAX = 20000 };
struct prober {
	pid_t pid;
	struct prober_page {
		volatile unsigned n;
		struct {
			int64_t us;
			int who;
		} a[ANSWERS_MAX];
	} * page;
};

static inline void
prober_main(struct prober_page *page, int fd)
{
	static const uint8_t vip[4] = {10, 9, 0, 80};
	int64_t next = now_us();
	int who;

	child_init();
	for (;;) {
		arp_ask(fd, vip);
		next += us(1);
		while ((who = arp_answer(fd, vip,
			    (int)((next - now_us() + 999) / 1000))) != 0 &&
		       page->n < ANSWERS_MAX) {
			page->a[page->n].us = now_us();
			page->a[page->n].who = who;
			page->n++;
		}
		if (now_us() > next)
			next = now_us();
	}
}

static inline void
prober_start(struct prober *p)
{
	int fd = arp_socket();

	p->page = mmap(NULL, sizeof(*p->page), PROT_READ | PROT_WRITE,
	    MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	assert_ptr_not_equal(p->page, MAP_FAILED);
	p->pid = fork();
	if (p->pid == 0)
		prober_main(p->page, fd);
	close(fd);
}

static inline void
prober_end(struct prober *p)
{
	kill(p->pid, SIGKILL);
	waitpid(p->pid, NULL, 0);
}

static inline void
prober_free(struct prober *p)
{
	munmap(p->page, sizeof(*p->page));
}

/* The last answer of who, the first one at or after from; 0: there is none. */
static inline int64_t
prober_last(const struct prober *p, int who)
{
	int64_t us = 0;
	unsigned i;

	for (i = 0; i < p->page->n; i++)
		if (p->page->a[i].who == who)
			us = p->page->a[i].us;
	return us;
}

static inline int64_t
prober_first(const struct prober *p, int who, int64_t from)
{
	unsigned i;

	for (i = 0; i < p->page->n; i++)
		if (p->page->a[i].who == who && p->page->a[i].us >= from)
			return p->page->a[i].us;
	return 0;
}

static inline unsigned
prober_count(const struct prober *p, int who, int64_t from)
{
	unsigned i, n = 0;

	for (i = 0; i < p->page->n; i++)
		n += p->page->a[i].who == who && p->page->a[i].us >= from;
	return n;
}

/* The client knows where the address is, and does not ask. */
static inline void
client_pin(int where)
{
	const uint8_t *m = spaces[where].mac;

	assert_int_equal(
	    run_in(CLIENT,
		"for a in " VIP4 " " VIP6 "; do ip neigh replace $a dev eth0 "
		"lladdr %02x:%02x:%02x:%02x:%02x:%02x nud permanent; done",
		m[0], m[1], m[2], m[3], m[4], m[5]),
	    0);
}

static inline void
client_unpin(void)
{
	run_in(CLIENT, "ip neigh del " VIP4 " dev eth0 2>/dev/null");
	run_in(CLIENT, "ip neigh del " VIP6 " dev eth0 2>/dev/null");
}

/* What the client's cache says, "" if nothing. */
static inline void
client_neigh(const char *addr, char *mac, size_t size)
{
	char cmd[128];
	FILE *f;

	mac[0] = '\0';
	enter(spaces[CLIENT].fd);
	snprintf(cmd, sizeof(cmd),
	    "ip neigh show %s dev eth0 | sed -n 's/.*lladdr \\([^ "
	    "]*\\).*/\\1/p'",
	    addr);
	f = popen(cmd, "r");
	enter(hub_fd);
	if (fgets(mac, (int)size, f) != NULL)
		mac[strcspn(mac, "\n")] = '\0';
	pclose(f);
}

/* Building and tearing down. */

static inline void
space_make(int i)
{
	struct space *s = &spaces[i];
	char path[64];
	int p[2];
	char c;

	memset(s, 0, sizeof(*s));
	assert_int_equal(pipe2(p, O_CLOEXEC), 0);
	s->pid = fork();
	if (s->pid == 0) {
		child_init();
		if (unshare(CLONE_NEWNET) != 0 || write(p[1], "", 1) != 1)
			_exit(1);
		for (;;)
			pause();
	}
	close(p[1]);
	assert_int_equal(read(p[0], &c, 1), 1);
	close(p[0]);
	snprintf(path, sizeof(path), "/proc/%d/ns/net", s->pid);
	s->fd = open(path, O_RDONLY | O_CLOEXEC);
	assert_true(s->fd >= 0);
	memcpy(s->mac, (uint8_t[6]){2, 0, 0, 0, 0, (uint8_t)(0xa + i)}, 6);
}

static inline void
space_cable(int i)
{
	int host = i == CLIENT ? 100 : 1 + i;

	assert_int_equal(run_in(-1,
			     "ip link add p%d type veth peer name eth0 address "
			     "02:00:00:00:00:%02x netns %d && "
			     "ip link set p%d master br0 up",
			     i, 0xa + i, spaces[i].pid, i),
	    0);
	assert_int_equal(
	    run_in(i,
		"ip addr add 10.9.0.%d/24 dev eth0 && ip addr add "
		"fd09::%d/64 dev eth0 nodad && ip link set eth0 up",
		host, host),
	    0);
}

static inline int
world_up(void **state)
{
	const char *slow = getenv("VIP_NET_SCALE");
	int i;

	(void)state;
	if (slow != NULL && atoi(slow) > 0)
		scale = atoi(slow);
	if (geteuid() != 0 || unshare(CLONE_NEWNET) != 0)
		return 0;
	hub_fd = open("/proc/thread-self/ns/net", O_RDONLY | O_CLOEXEC);
	assert_true(hub_fd >= 0);
	assert_int_equal(
	    run_in(-1, "ip link add br0 type bridge forward_delay 0 "
		       "mcast_snooping 0 && ip link set br0 up"),
	    0);
	for (i = 0; i < N_SPACES; i++) {
		space_make(i);
		run_in(i, "ip link set lo up");
		space_cable(i);
	}
	return 0;
}

static inline int
world_down(void **state)
{
	int i;

	(void)state;
	for (i = 0; hub_fd >= 0 && i < N_SPACES; i++) {
		holder_end(i, SIGKILL);
		kill(spaces[i].pid, SIGKILL);
		waitpid(spaces[i].pid, NULL, 0);
		close(spaces[i].fd);
	}
	return 0;
}

/* After each test: no holders, no tables, no addresses, no memories. */
static inline int
world_clean(void **state)
{
	int i;

	(void)state;
	for (i = 0; hub_fd >= 0 && i < CLIENT; i++) {
		holder_end(i, SIGKILL);
		run_in(i, "nft flush ruleset; ip addr del " VIP4
			  "/24 dev eth0 2>/dev/null; ip addr del " VIP6
			  "/64 dev eth0 2>/dev/null");
	}
	if (hub_fd >= 0)
		client_unpin();
	return 0;
}

/* These need root; the test says so where it cannot run. */
#define NEED_WORLD() \
	do { \
		if (hub_fd < 0) { \
			print_message("needs root and namespaces\n"); \
			skip(); \
		} \
	} while (0)

#endif
