/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * How much the transport does in one turn of the loop: the owner may hand it
 * a whole window of volume data in one step, and heartbeats must not wait for
 * that.  Sending, receiving and the clock are ours here, the keys are real.
 */
#include <errno.h>
#include <sys/epoll.h>

#include "assoc_int.h"
#include "seal_ends.h"

enum {
	CTL_FD = 1000,
	BULK_FD,
	ASSOC = 7,
	WINDOW = 256 << 10,
	SEALED_MAX = HAD_IO_MAX + SEAL_OVERHEAD,
};

static struct {
	struct tp *tp;
	struct pair *pairs[2]; /* ctl, bulk: both ends' keys */
	sd_event *event;
	unsigned sent[2]; /* messages given to the kernel */
	size_t bytes[2];
	bool refuse; /* no room in the kernel */
	size_t rx_len; /* of each message to come */
	unsigned rx_left;
	unsigned got;
	int64_t now_us, step_us; /* a look at the clock takes so long */
} w;

int
clock_gettime(clockid_t id, struct timespec *ts)
{
	(void)id;
	w.now_us += w.step_us;
	ts->tv_sec = w.now_us / 1000000 + 1000;
	ts->tv_nsec = w.now_us % 1000000 * 1000;
	return 0;
}

ssize_t
sendmsg(int fd, const struct msghdr *m, int flags)
{
	unsigned i = fd == BULK_FD;

	assert_true(fd == CTL_FD || fd == BULK_FD);
	assert_true((flags & MSG_NOSIGNAL) != 0);
	if (w.refuse) {
		errno = EAGAIN;
		return -1;
	}
	w.sent[i]++;
	w.bytes[i] += m->msg_iov[0].iov_len;
	return (ssize_t)m->msg_iov[0].iov_len;
}

/* The peer's next message on bulk. */
ssize_t
recvmsg(int fd, struct msghdr *m, int flags)
{
	static uint8_t plain[HAD_IO_MAX];
	struct sctp_rcvinfo info = {.rcv_sid = 1, .rcv_assoc_id = ASSOC};
	struct iovec iov = {plain, w.rx_len};
	struct cmsghdr *c;
	size_t len;

	(void)flags;
	assert_int_equal(fd, BULK_FD);
	if (w.rx_left == 0) {
		errno = EAGAIN;
		return -1;
	}
	w.rx_left--;
	len = seal_data(w.pairs[1]->end[BRAVO].seal, 1, &iov, 1,
	    m->msg_iov[0].iov_base, m->msg_iov[0].iov_len);
	assert_true(len > 0);
	c = CMSG_FIRSTHDR(m);
	c->cmsg_level = IPPROTO_SCTP;
	c->cmsg_type = SCTP_RCVINFO;
	c->cmsg_len = CMSG_LEN(sizeof(info));
	memcpy(CMSG_DATA(c), &info, sizeof(info));
	m->msg_controllen = CMSG_SPACE(sizeof(info));
	m->msg_flags = MSG_EOR;
	return (ssize_t)len;
}

static void
got(void *ctx, uint8_t peer, enum tp_kind kind, uint8_t link, uint16_t stream,
    const uint8_t *data, size_t len)
{
	(void)ctx;
	(void)link;
	(void)data;
	assert_int_equal(peer, 2);
	assert_int_equal(kind, TP_BULK);
	assert_int_equal(stream, 0);
	assert_int_equal(len, w.rx_len);
	w.got++;
}

/* An association that is up on endpoint i. */
static void
up(struct tp *tp, unsigned i)
{
	struct tp_slot *slot = &tp->peers[0].slots[i];
	struct tp_assoc *a = &slot->claims[0];

	w.pairs[i] = paired(false, 1 << 20);
	tp->eps[i] = (struct tp_ep){
	    .tp = tp,
	    .kind = i == 0 ? TP_CTL : TP_BULK,
	    .fd = i == 0 ? CTL_FD : BULK_FD,
	};
	slot->peer = &tp->peers[0];
	slot->ep = &tp->eps[i];
	slot->out_size = HAD_MSG_MAX;
	slot->out = malloc(slot->out_size);
	assert_non_null(slot->out);
	assert_int_equal(msgq_init(&slot->urgent, 2 * HAD_MSG_MAX), 0);
	assert_int_equal(msgq_init(&slot->normal, 4 << 20), 0);
	*a = (struct tp_assoc){
	    .state = TP_PROVEN,
	    .slot = slot,
	    .id = ASSOC,
	    .told = true,
	    .seal = w.pairs[i]->end[ALPHA].seal,
	    .key_epoch = seal_epoch(w.pairs[i]->end[ALPHA].seal),
	};
	slot->up = a;
}

static int
begin(void **state)
{
	static const struct tp_cb cb = {.msg = got};
	struct tp *tp = calloc(1, sizeof(*tp));

	(void)state;
	memset(&w, 0, sizeof(w));
	assert_non_null(tp);
	w.tp = tp;
	assert_true(sd_event_new(&w.event) >= 0);
	tp->event = w.event;
	tp->conf.window_bytes = WINDOW;
	tp->conf.n_peers = 1;
	tp->n_eps = 2;
	tp->cb = &cb;
	tp->timer = loop_timer_new(w.event, tp_tick, tp);
	tp->rx = malloc(TP_RX_MAX);
	tp->peers = calloc(1, sizeof(*tp->peers));
	assert_true(tp->rx != NULL && tp->peers != NULL);
	tp->peers[0].tp = tp;
	tp->peers[0].conf.id = 2;
	up(tp, 0);
	up(tp, 1);
	assert_int_equal(tp_pump_new(tp), 0);
	return 0;
}

static int
end(void **state)
{
	struct tp_slot *slot;
	unsigned i;

	(void)state;
	for (i = 0; i < 2; i++) {
		slot = &w.tp->peers[0].slots[i];
		msgq_fini(&slot->urgent);
		msgq_fini(&slot->normal);
		free(slot->out);
		free_pair(w.pairs[i]);
	}
	loop_timer_free(w.tp->timer);
	sd_event_source_disable_unref(w.tp->pump);
	free(w.tp->peers);
	free(w.tp->rx);
	free(w.tp);
	sd_event_unref(w.event);
	return 0;
}

static void
hand_over(unsigned n, size_t len)
{
	static const uint8_t bytes[HAD_IO_MAX];

	while (n-- > 0)
		assert_int_equal(
		    tp_send(w.tp, 2, TP_BULK, 0, 0, bytes, len), 0);
}

/* One turn; what it sent. */
static size_t
turn(void)
{
	size_t before = w.bytes[1];

	assert_true(sd_event_run(w.event, 0) > 0);
	return w.bytes[1] - before;
}

static bool
idle(void)
{
	return sd_event_run(w.event, 0) == 0;
}

static void
a_window_of_data_leaves_one_message_a_turn(void **state)
{
	(void)state;
	hand_over(16, HAD_IO_MAX);
	assert_int_equal(w.sent[1], 0); /* not in the owner's step */
	for (unsigned i = 1; i <= WINDOW / HAD_IO_MAX; i++) {
		assert_int_equal(turn(), SEALED_MAX);
		assert_int_equal(w.sent[1], i);
	}
	/* The kernel has a window of it, the rest waits for credit. */
	(void)turn();
	assert_true(idle());
	assert_int_equal(w.sent[1], WINDOW / HAD_IO_MAX);
	assert_int_equal(tp_credit(w.tp, 2), 0);
	assert_true(tp_queued(w.tp, 2, TP_BULK) >= 12 * HAD_IO_MAX);
}

static void
small_ones_go_together_but_not_all(void **state)
{
	(void)state;
	hand_over(60, 4096);
	for (unsigned left = 60; left > 0;) {
		unsigned n = left < 16 ? left : 16; /* 64 KiB */

		assert_int_equal(turn(), n * (4096 + SEAL_OVERHEAD));
		left -= n;
	}
	assert_true(idle());
}

/* A millisecond is over with each look: sealing is one turn, sending one. */
static void
slow_ciphers_get_turns_of_their_own(void **state)
{
	(void)state;
	hand_over(2, HAD_IO_MAX);
	w.step_us = 1000;
	assert_int_equal(turn(), 0);
	assert_false(w.tp->peers[0].slots[1].blocked);
	assert_int_equal(turn(), SEALED_MAX);
	assert_int_equal(turn(), 0);
	assert_int_equal(turn(), SEALED_MAX);
	assert_true(idle());
	assert_int_equal(w.sent[1], 2);
}

static void
control_does_not_wait_for_bulk(void **state)
{
	(void)state;
	hand_over(16, HAD_IO_MAX);
	(void)turn();
	assert_int_equal(tp_send(w.tp, 2, TP_CTL, 0, 0, "locks", 5), 0);
	assert_int_equal(w.sent[0], 1);
	assert_int_equal(w.sent[1], 1);
}

static void
a_full_kernel_is_waited_for_without_turns(void **state)
{
	struct tp_ep *ep = &w.tp->eps[1];

	(void)state;
	w.refuse = true;
	hand_over(2, HAD_IO_MAX);
	assert_int_equal(turn(), 0);
	assert_true(idle());
	assert_true(w.tp->peers[0].slots[1].blocked);
	hand_over(1, HAD_IO_MAX);
	assert_true(idle());
	w.refuse = false;
	assert_int_equal(tp_io(NULL, ep->fd, EPOLLOUT, ep), 0);
	for (unsigned i = 1; i <= 3; i++)
		assert_int_equal(turn(), SEALED_MAX);
	assert_int_equal(w.sent[1], 3);
}

/* What came is opened a message at a time, too, and credit is given. */
static void
a_turn_takes_one_large_message_in(void **state)
{
	struct tp_ep *ep = &w.tp->eps[1];

	(void)state;
	w.rx_len = HAD_IO_MAX;
	w.rx_left = 8;
	for (unsigned i = 1; i <= 8; i++) {
		assert_int_equal(tp_io(NULL, ep->fd, EPOLLIN, ep), 0);
		assert_int_equal(w.got, i);
		assert_true(turn() <= SEAL_CONTROL_MAX);
	}
	assert_int_equal(w.sent[1], 8);
	assert_true(idle());
}

static void
and_a_bounded_number_of_small_ones(void **state)
{
	struct tp_ep *ep = &w.tp->eps[1];

	(void)state;
	w.rx_len = 4096;
	w.rx_left = 100;
	assert_int_equal(tp_io(NULL, ep->fd, EPOLLIN, ep), 0);
	assert_in_range(w.got, 1, HAD_IO_MAX / 4096);
	w.step_us = 1000;
	w.got = 0;
	assert_int_equal(tp_io(NULL, ep->fd, EPOLLIN, ep), 0);
	assert_int_equal(w.got, 1);
}

int
main(void)
{
#define T(f) cmocka_unit_test_setup_teardown(f, begin, end)
	const struct CMUnitTest tests[] = {
	    T(a_window_of_data_leaves_one_message_a_turn),
	    T(small_ones_go_together_but_not_all),
	    T(slow_ciphers_get_turns_of_their_own),
	    T(control_does_not_wait_for_bulk),
	    T(a_full_kernel_is_waited_for_without_turns),
	    T(a_turn_takes_one_large_message_in),
	    T(and_a_bounded_number_of_small_ones),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
