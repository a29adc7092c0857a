/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What of the transport can be told without an SCTP kernel: its queue, its
 * refusals, and what it says where there is no SCTP.  socket(2) is ours here.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include <openssl/evp.h>

#include "loop.h"
#include "msgq.h"
#include "sctp.h"

static int socket_errno;
static unsigned sockets;

int
socket(int domain, int type, int protocol)
{
	(void)domain;
	(void)type;
	sockets++;
	assert_int_equal(protocol, 132);
	errno = socket_errno;
	return -1;
}

static void
fill(uint8_t *p, size_t len, unsigned seed)
{
	size_t i;

	for (i = 0; i < len; i++)
		p[i] = (uint8_t)(seed * 7 + i);
}

static bool
push(struct msgq *q, unsigned seed, size_t len)
{
	uint8_t bytes[300];
	struct iovec iov[3];

	fill(bytes, len, seed);
	iov[0] = (struct iovec){bytes, len / 3};
	iov[1] = (struct iovec){bytes + len / 3, 0};
	iov[2] = (struct iovec){bytes + len / 3, len - len / 3};
	return msgq_push(q, (uint16_t)seed, (seed & 1) != 0, iov, 3);
}

static void
expect(struct msgq *q, unsigned seed, size_t len)
{
	uint8_t wanted[300], got[300];
	struct msgq_head head;
	struct iovec iov[2];

	assert_true(msgq_front(q, &head, iov));
	assert_int_equal(head.len, len);
	assert_int_equal(head.stream, (uint16_t)seed);
	assert_int_equal(head.sealed, seed & 1);
	assert_int_equal(iov[0].iov_len + iov[1].iov_len, len);
	memcpy(got, iov[0].iov_base, iov[0].iov_len);
	memcpy(got + iov[0].iov_len, iov[1].iov_base, iov[1].iov_len);
	fill(wanted, len, seed);
	assert_memory_equal(got, wanted, len);
	msgq_pop(q);
}

static void
queue_keeps_order_across_its_end(void **state)
{
	unsigned in = 0, out = 0, rnd = 1, refusals = 0;
	struct msgq_head head;
	struct iovec iov[2];
	struct msgq q;

	(void)state;
	assert_int_equal(msgq_init(&q, 1000), 0);
	assert_false(msgq_front(&q, &head, iov));
	while (out < 3000) {
		rnd = rnd * 1103515245 + 12345;
		if ((rnd >> 16) % 3 != 0) {
			if (push(&q, in, in * 37 % 290))
				in++;
			else
				refusals++;
		} else if (out < in) {
			expect(&q, out, out * 37 % 290);
			out++;
		}
	}
	assert_true(refusals > 100);
	msgq_clear(&q);
	assert_int_equal(q.used, 0);
	assert_false(msgq_front(&q, &head, iov));
	msgq_pop(&q);
	msgq_fini(&q);
}

static void
queue_refuses_what_does_not_fit_and_stays_whole(void **state)
{
	struct msgq q;

	(void)state;
	assert_int_equal(msgq_init(&q, 100), 0);
	assert_true(push(&q, 1, 40));
	assert_false(push(&q, 2, 45)); /* one byte less would do */
	assert_true(push(&q, 3, 44));
	assert_int_equal(q.used, 100);
	assert_false(push(&q, 4, 0));
	expect(&q, 1, 40);
	expect(&q, 3, 44);
	msgq_fini(&q);
}

static void
nothing(void *ctx, enum had_level level, const char *object, const char *text)
{
	(void)ctx;
	(void)level;
	(void)object;
	(void)text;
}

/* Tries to begin with this conf; the errno, and the text in why. */
static int
begin(struct tp_conf *conf, const char *type, char *why, size_t why_size)
{
	const struct tp_cb cb = {.note = nothing};
	struct loop *loop = loop_new();
	struct tp *tp;

	conf->key = EVP_PKEY_Q_keygen(NULL, NULL, type);
	assert_non_null(conf->key);
	why[0] = '\0';
	tp = tp_new(loop_event(loop), conf, &cb, NULL, why, why_size);
	assert_null(tp);
	EVP_PKEY_free(conf->key);
	loop_free(loop);
	return errno;
}

static struct tp_conf
usual(void)
{
	return (struct tp_conf){
	    .self = 1,
	    .cluster = "shop",
	    .port = 7770,
	    .heartbeat_ms = 100,
	    .dead_ms = 500,
	    .links = {{.addr = "10.77.0.1"}},
	    .n_links = 1,
	    .peers = {{.id = 2,
		.links = {{.addr = "10.77.0.2"}},
		.n_links = 1}},
	    .n_peers = 1,
	};
}

static void
a_kernel_without_sctp_gets_one_clear_error(void **state)
{
	struct tp_conf conf = usual();
	char why[512];

	(void)state;
	socket_errno = EPROTONOSUPPORT;
	(void)begin(&conf, "ED25519", why, sizeof(why));
	assert_non_null(strstr(why, "has no SCTP"));
	assert_non_null(strstr(why, "modprobe sctp"));
	assert_non_null(strstr(why, "linux-image-amd64"));
	assert_non_null(strstr(why, "/etc/modprobe.d"));
	assert_null(strchr(why, '\n'));
	assert_int_equal(tp_probe(why, sizeof(why)), -1);
	assert_int_equal(errno, EPROTONOSUPPORT);
	assert_non_null(strstr(why, "has no SCTP"));
	/* It is an errno, too. */
	assert_int_equal(
	    begin(&conf, "ED25519", why, sizeof(why)), EPROTONOSUPPORT);
}

static void
another_failure_is_not_called_a_missing_module(void **state)
{
	struct tp_conf conf = usual();
	char why[512];

	(void)state;
	socket_errno = EMFILE;
	assert_int_equal(begin(&conf, "ED25519", why, sizeof(why)), EMFILE);
	assert_string_equal(why, "SCTP socket: Too many open files");
}

static void
an_address_that_is_none_is_named(void **state)
{
	struct tp_conf conf = usual();
	char why[512];

	(void)state;
	sockets = 0;
	strcpy(conf.links[0].addr, "alpha.example");
	assert_int_equal(begin(&conf, "ED25519", why, sizeof(why)), EINVAL);
	assert_string_equal(why, "alpha.example: not a numeric address");
	conf = usual();
	strcpy(conf.peers[0].links[0].addr, "10.77.0.256");
	assert_int_equal(begin(&conf, "ED25519", why, sizeof(why)), EINVAL);
	assert_string_equal(why, "10.77.0.256: not a numeric address");
	assert_int_equal(sockets, 0);
}

static void
another_type_of_key_is_refused(void **state)
{
	struct tp_conf conf = usual();
	char why[512];

	(void)state;
	sockets = 0;
	(void)begin(&conf, "X25519", why, sizeof(why));
	assert_string_equal(why, "the key is not an Ed25519 key");
	assert_int_equal(sockets, 0);
}

static void
every_reason_and_kind_has_a_text(void **state)
{
	int i;

	(void)state;
	for (i = TP_ABORTED; i <= TP_LOCAL; i++)
		assert_true(strlen(tp_reason_text((enum tp_reason)i)) > 4);
	for (i = 0; i < TP_KINDS; i++)
		assert_true(strlen(tp_kind_text((enum tp_kind)i)) > 1);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(queue_keeps_order_across_its_end),
	    cmocka_unit_test(queue_refuses_what_does_not_fit_and_stays_whole),
	    cmocka_unit_test(a_kernel_without_sctp_gets_one_clear_error),
	    cmocka_unit_test(another_failure_is_not_called_a_missing_module),
	    cmocka_unit_test(an_address_that_is_none_is_named),
	    cmocka_unit_test(another_type_of_key_is_refused),
	    cmocka_unit_test(every_reason_and_kind_has_a_text),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
