/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A node as far as a witness is concerned: the client of had alone.
 *
 *	witness_client -i NODE -k KEYFILE -w ADDRESS -p FINGERPRINT
 *	    [-P PORT] [-g CLUSTER] [-D DEAD_MS] [-l LOCAL] [-W] [EPOCH...]
 *
 * Asks for one epoch after the other and prints "granted EPOCH", "denied EPOCH
 * HOLDER HOLDER_EPOCH" or "unreachable EPOCH".  -W: first waits for the witness
 * to be up, up to ten seconds.  Without epochs: stays, and prints "MS up" and
 * "MS down", milliseconds since boot.  Notes go to standard output as "note".
 *
 * -L ASK_NODE,ASK_CLUSTER: lies about itself in an ask for epoch 1, and prints
 * what came of it.
 */
#include <err.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <openssl/evp.h>

#include "keyfile.h"
#include "log.h"
#include "loop.h"
#include "witness_int.h"
#include "witness_link.h"
#include "witness_wire.h"

struct tool {
	struct loop *loop;
	struct wl_conf conf;
	struct wl *wl;
	char **epochs; /* the rest */
	bool wait_up, stay;
	const char *lie;
	struct wcn *conn;
	struct seal_id *id;
};

static void
ask_next(struct tool *t)
{
	if (*t->epochs == NULL) {
		loop_exit(t->loop, 0);
		return;
	}
	wl_ask(t->wl, strtoull(*t->epochs++, NULL, 10));
}

static void
on_answer(void *ctx, uint64_t epoch, enum wl_vote vote, uint8_t holder,
    uint64_t holder_epoch)
{
	if (vote == WL_GRANTED)
		printf("granted %" PRIu64 "\n", epoch);
	else if (vote == WL_DENIED)
		printf("denied %" PRIu64 " %u %" PRIu64 "\n", epoch, holder,
		    holder_epoch);
	else
		printf("unreachable %" PRIu64 "\n", epoch);
	fflush(stdout);
	ask_next(ctx);
}

static void
on_up(void *ctx, bool up)
{
	struct tool *t = ctx;

	if (t->stay) {
		printf("%" PRId64 " %s\n", loop_now().us / 1000,
		    up ? "up" : "down");
		fflush(stdout);
	} else if (up && t->wait_up) {
		t->wait_up = false;
		ask_next(t);
	}
}

static void
on_note(void *ctx, enum had_level level, const char *object, const char *text)
{
	(void)ctx;
	printf("note %d %s: %s\n", level, object, text);
	fflush(stdout);
}

static const struct wl_cb link_cb = {
    .answer = on_answer,
    .up = on_up,
    .note = on_note,
};

/* Below: one that lies. */

static void
lie_up(void *ctx, uint64_t incarnation)
{
	struct tool *t = ctx;
	struct ww_msg m = {.type = WW_ASK};
	uint8_t bytes[WW_MAX];

	(void)incarnation;
	m.u.ask.node = (uint8_t)atoi(t->lie);
	snprintf(m.u.ask.cluster, sizeof(m.u.ask.cluster), "%s",
	    strchr(t->lie, ',') + 1);
	m.u.ask.incarnation = t->conf.incarnation;
	m.u.ask.epoch = 1;
	(void)wcn_send(t->conn, bytes, ww_encode(&m, bytes));
}

static void
lie_msg(void *ctx, const uint8_t *bytes, size_t len)
{
	struct ww_msg m;
	const char *why;

	(void)ctx;
	if (ww_decode(&m, bytes, len, &why) == -1)
		printf("bad: %s\n", why);
	else if (m.type == WW_REFUSE)
		printf("refused: %s\n", m.u.text);
	else
		printf("message of type %d\n", m.type);
	fflush(stdout);
}

static void
lie_down(void *ctx, enum wcn_end end, const char *why)
{
	struct tool *t = ctx;

	printf("down %d: %s\n", end, why);
	loop_exit(t->loop, 0);
}

static const struct wcn_cb lie_cb = {
    .up = lie_up,
    .msg = lie_msg,
    .down = lie_down,
};

static void
lie(struct tool *t)
{
	struct seal_who who = {
	    .cluster = t->conf.cluster,
	    .self = t->conf.self,
	    .peer = WW_NODE_ID,
	    .incarnation = t->conf.incarnation,
	};
	char why[200];
	int fd;

	memcpy(who.pin, t->conf.pin, sizeof(who.pin));
	t->id = seal_id_new(t->conf.key);
	fd = wcn_connect(
	    t->conf.addr, t->conf.port, t->conf.local, why, sizeof(why));
	if (t->id == NULL || fd == -1)
		errx(1, "%s", why);
	t->conn = wcn_new(
	    loop_event(t->loop), fd, true, t->id, &who, 5000, &lie_cb, t);
}

static void
pin_of(const char *text, uint8_t pin[32])
{
	unsigned byte;

	if (strncmp(text, "sha256:", 7) != 0 || strlen(text) != 7 + 64)
		errx(2, "-p sha256:HEX");
	for (int i = 0; i < 32; i++) {
		if (sscanf(text + 7 + 2 * i, "%2x", &byte) != 1)
			errx(2, "-p sha256:HEX");
		pin[i] = (uint8_t)byte;
	}
}

static void
give_up(void *ctx, monotime_t now)
{
	struct tool *t = ctx;

	(void)now;
	puts("never up");
	loop_exit(t->loop, 1);
}

static const char *
parse(struct tool *t, int argc, char **argv)
{
	const char *key = NULL;
	int c;

	while ((c = getopt(argc, argv, "D:g:i:k:l:L:p:P:w:W")) != -1)
		switch (c) {
		case 'D':
			t->conf.dead_ms = (uint32_t)atoi(optarg);
			break;
		case 'g':
			snprintf(t->conf.cluster, HAD_NAME_MAX, "%s", optarg);
			break;
		case 'i':
			t->conf.self = (uint8_t)atoi(optarg);
			break;
		case 'k':
			key = optarg;
			break;
		case 'l':
			snprintf(
			    t->conf.local, sizeof(t->conf.local), "%s", optarg);
			break;
		case 'L':
			t->lie = optarg;
			break;
		case 'p':
			pin_of(optarg, t->conf.pin);
			break;
		case 'P':
			t->conf.port = (uint16_t)atoi(optarg);
			break;
		case 'w':
			snprintf(
			    t->conf.addr, sizeof(t->conf.addr), "%s", optarg);
			break;
		case 'W':
			t->wait_up = true;
			break;
		default:
			errx(2, "see the head of witness_client.c");
		}
	if (key == NULL || t->conf.self == 0 || t->conf.addr[0] == '\0')
		errx(2, "see the head of witness_client.c");
	t->epochs = argv + optind;
	t->stay = *t->epochs == NULL && t->lie == NULL;
	return key;
}

int
main(int argc, char **argv)
{
	struct tool t = {
	    .conf = {.port = 7770, .cluster = "lab", .dead_ms = 1000},
	};
	struct loop_timer *limit;
	const char *key;
	char why[400];
	int code;

	key = parse(&t, argc, argv);
	log_init("witness_client", 0, false);
	t.conf.incarnation = (uint64_t)loop_now().us;
	t.conf.key = keyfile_load(key, why, sizeof(why));
	if (t.conf.key == NULL)
		errx(1, "%s", why);
	t.loop = loop_new();
	limit = loop_timer_new(loop_event(t.loop), give_up, &t);
	if (!t.stay)
		loop_timer_at(limit, mt_add_ms(loop_now(), 10000));
	if (t.lie != NULL) {
		lie(&t);
	} else {
		t.wl = wl_new(loop_event(t.loop), &t.conf, &link_cb, &t, why,
		    sizeof(why));
		if (t.wl == NULL)
			errx(1, "%s", why);
		if (!t.wait_up && !t.stay)
			ask_next(&t);
	}
	code = loop_run(t.loop);
	wcn_free(t.conn);
	seal_id_free(t.id);
	wl_free(t.wl);
	EVP_PKEY_free(t.conf.key);
	loop_timer_free(limit);
	loop_free(t.loop);
	return code;
}
