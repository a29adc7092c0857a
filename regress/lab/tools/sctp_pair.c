/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The transport driver alone, between two lab nodes.  Prints one line for each
 * event, "MS event ...", MS since boot (which both nodes share in one guest),
 * and one line of JSON for each SIGUSR1 and at its end.
 *
 *	-i ID -k KEYFILE	this node
 *	-p ID:FINGERPRINT	the peer
 *	-l INDEX,LOCAL,REMOTE[,IFNAME]	a link; up to four times
 *	-b PORT			default 7770
 *	-H MS -D MS		heartbeat and dead, default 50 and 500
 *	-c MS			a ctl message every MS, on membership's stream
 *	-B BYTES		bulk messages of that size, without end
 *	-n COUNT		at most that many bulk messages
 *	-w BYTES		window of bulk
 *	-r COUNT		change of keys after so many records
 *	-g CLUSTER		default lab
 *
 * SIGUSR1: print and reset the figures.  SIGUSR2: the loop sleeps 1.5 s.
 * SIGTERM: drain and leave.  SIGINT: leave at once.
 */
#include <err.h>
#include <errno.h>
#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/signalfd.h>
#include <time.h>
#include <unistd.h>

#include <openssl/evp.h>

#include "keyfile.h"
#include "log.h"
#include "loop.h"
#include "sctp.h"

enum { HB_SAMPLES = 4096, N_STREAMS = 4 };

struct figures {
	uint64_t ctl_rx, ctl_gaps, ctl_max_us, ctl_late;
	uint64_t bulk_rx, bulk_bytes, bulk_gaps, corrupt;
	uint64_t writable, alive;
	uint32_t hb_us[HAD_LINKS_MAX][HB_SAMPLES];
	uint32_t bulk_us[HB_SAMPLES];
	unsigned n_hb[HAD_LINKS_MAX];
	int64_t hb_heard_us[HAD_LINKS_MAX], hb_gap_us[HAD_LINKS_MAX];
	int64_t since_us;
};

/* What every message begins with. */
struct head {
	uint64_t seq;
	int64_t sent_us;
	uint32_t len, sum;
};

struct pair {
	struct loop *loop;
	struct tp *tp;
	struct tp_conf conf;
	struct loop_timer *beat, *talk, *quit;
	uint32_t talk_ms;
	size_t bulk_size;
	uint64_t bulk_left, bulk_sent, ctl_sent, hb_sent;
	uint64_t bulk_next, ctl_next; /* expected */
	struct figures f;
	bool leaving;
	bool held; /* bulk: until it is writable again */
};

static struct pair P;
static uint8_t bulk[TP_PAYLOAD_MAX];

static int64_t
now_us(void)
{
	return loop_now().us;
}

static void say(const char *fmt, ...) PRINTF_LIKE(1, 2);

static void
say(const char *fmt, ...)
{
	va_list ap;

	printf("%" PRId64 " ", now_us() / 1000);
	va_start(ap, fmt);
	vprintf(fmt, ap);
	va_end(ap);
	putchar('\n');
	fflush(stdout);
}

static uint32_t
sum_of(const uint8_t *p, size_t len)
{
	uint64_t word, sum = len;
	size_t i;

	for (i = 0; i + 8 <= len; i += 8) {
		memcpy(&word, p + i, 8);
		sum = (sum << 5 | sum >> 59) ^ word;
	}
	for (; i < len; i++)
		sum = sum * 31 + p[i];
	return (uint32_t)(sum ^ sum >> 32);
}

/* As much as the transport takes. */
static void
send_bulk(void)
{
	struct head h = {.len = (uint32_t)P.bulk_size};

	while (P.bulk_left > 0 && !P.leaving && !P.held) {
		h.seq = P.bulk_sent;
		h.sent_us = now_us();
		memset(bulk, (int)(h.seq & 0xff), 64 + sizeof(h));
		h.sum = sum_of(bulk + sizeof(h), P.bulk_size - sizeof(h));
		memcpy(bulk, &h, sizeof(h));
		if (tp_send(P.tp, P.conf.peers[0].id, TP_BULK, 0, 1, bulk,
			P.bulk_size) == -1) {
			P.held = errno == EAGAIN;
			break;
		}
		P.bulk_sent++;
		P.bulk_left--;
	}
}

static void
on_up(void *ctx, uint8_t peer, enum tp_kind kind, uint8_t link, uint64_t inc)
{
	(void)ctx;
	say("up %u %s %u %" PRIu64, peer, tp_kind_text(kind), link, inc);
	if (kind == TP_BULK) {
		P.bulk_sent = P.bulk_next = 0;
		P.held = false;
	}
	if (kind == TP_CTL)
		P.ctl_sent = P.ctl_next = 0;
}

static void
on_lost(void *ctx, uint8_t peer, enum tp_kind kind, uint8_t link,
    enum tp_reason reason)
{
	static const char *const names[] = {
#define X(name, text) [name] = #name,
	    TP_REASONS(X)
#undef X
	};

	(void)ctx;
	say("lost %u %s %u %s", peer, tp_kind_text(kind), link, names[reason]);
}

static void
on_refused(void *ctx, uint8_t peer, uint8_t link)
{
	(void)ctx;
	say("refused %u %u", peer, link);
}

static void
on_alive(void *ctx, uint8_t peer, uint8_t link)
{
	(void)ctx;
	(void)peer;
	(void)link;
	P.f.alive++;
}

static void
on_path(void *ctx, uint8_t peer, enum tp_kind kind, uint8_t link,
    enum tp_path_state state, uint32_t srtt_us)
{
	static const char *const names[] = {
	    "unknown", "active", "suspect", "down"};

	(void)ctx;
	say("path %u %s %u %s %u", peer, tp_kind_text(kind), link, names[state],
	    srtt_us);
}

static void
count(uint64_t seq, uint64_t *next, uint64_t *gaps)
{
	if (seq != *next)
		++*gaps;
	*next = seq + 1;
}

static void
on_hb(uint8_t link, int64_t late_us)
{
	struct figures *f = &P.f;
	int64_t now = now_us(), gap = now - f->hb_heard_us[link];

	if (f->hb_heard_us[link] != 0 && gap > f->hb_gap_us[link])
		f->hb_gap_us[link] = gap;
	f->hb_heard_us[link] = now;
	f->hb_us[link][f->n_hb[link]++ % HB_SAMPLES] = (uint32_t)late_us;
}

static void
on_msg(void *ctx, uint8_t peer, enum tp_kind kind, uint8_t link,
    uint16_t stream, const uint8_t *data, size_t len)
{
	struct head h;
	int64_t late;

	(void)ctx;
	(void)peer;
	if (len < sizeof(h)) {
		P.f.corrupt++;
		return;
	}
	memcpy(&h, data, sizeof(h));
	if (h.len != len ||
	    stream != (kind == TP_CTL || kind == TP_HB ? 0 : 1) ||
	    h.sum != sum_of(data + sizeof(h), len - sizeof(h)))
		P.f.corrupt++;
	late = now_us() - h.sent_us;
	if (kind == TP_HB) {
		on_hb(link, late);
	} else if (kind == TP_BULK) {
		P.f.bulk_us[P.f.bulk_rx++ % HB_SAMPLES] = (uint32_t)late;
		P.f.bulk_bytes += len;
		count(h.seq, &P.bulk_next, &P.f.bulk_gaps);
	} else {
		P.f.ctl_rx++;
		if ((uint64_t)late > P.f.ctl_max_us)
			P.f.ctl_max_us = (uint64_t)late;
		P.f.ctl_late += late > 100000;
		count(h.seq, &P.ctl_next, &P.f.ctl_gaps);
	}
}

static void
on_writable(void *ctx, uint8_t peer, enum tp_kind kind)
{
	(void)ctx;
	(void)peer;
	(void)kind;
	P.f.writable++;
	P.held = false;
	send_bulk();
}

static void
on_stranger(void *ctx, const char *addr, const char *why, uint32_t n)
{
	(void)ctx;
	say("stranger %u %s: %s", n, addr, why);
}

static void
on_note(void *ctx, enum had_level level, const char *object, const char *text)
{
	(void)ctx;
	say("note %d %s: %s", level, object, text);
}

static const struct tp_cb callbacks = {
    .up = on_up,
    .lost = on_lost,
    .refused = on_refused,
    .kernel_alive = on_alive,
    .path = on_path,
    .msg = on_msg,
    .writable = on_writable,
    .stranger = on_stranger,
    .note = on_note,
};

static void
beat(void *ctx, monotime_t now)
{
	uint8_t bytes[64] = {0};
	struct head h = {.len = sizeof(bytes)};
	unsigned i;

	(void)ctx;
	h.seq = P.hb_sent++;
	h.sum = sum_of(bytes + sizeof(h), sizeof(bytes) - sizeof(h));
	for (i = 0; i < P.conf.n_links; i++) {
		h.sent_us = now_us();
		memcpy(bytes, &h, sizeof(h));
		(void)tp_send(P.tp, P.conf.peers[0].id, TP_HB,
		    P.conf.links[i].index, 0, bytes, sizeof(bytes));
	}
	send_bulk();
	loop_timer_at(P.beat, mt_add_ms(now, P.conf.heartbeat_ms));
}

static void
talk(void *ctx, monotime_t now)
{
	uint8_t bytes[100] = {0};
	struct head h = {.len = sizeof(bytes)};

	(void)ctx;
	h.seq = P.ctl_sent;
	h.sent_us = now_us();
	h.sum = sum_of(bytes + sizeof(h), sizeof(bytes) - sizeof(h));
	memcpy(bytes, &h, sizeof(h));
	if (tp_send(P.tp, P.conf.peers[0].id, TP_CTL, 0, 0, bytes,
		sizeof(bytes)) == 0)
		P.ctl_sent++;
	loop_timer_at(P.talk, mt_add_ms(now, P.talk_ms));
}

static int
by_size(const void *a, const void *b)
{
	uint32_t x, y;

	memcpy(&x, a, sizeof(x));
	memcpy(&y, b, sizeof(y));
	return x < y ? -1 : x > y;
}

/* Sends too long a message; the errno by name. */
static const char *
too_long(void)
{
	static uint8_t longer[TP_PAYLOAD_MAX + 1];

	if (tp_send(P.tp, P.conf.peers[0].id, TP_CTL, 0, 1, longer,
		sizeof(longer)) == 0)
		return "taken";
	return errno == EMSGSIZE   ? "EMSGSIZE"
	       : errno == ENOTCONN ? "ENOTCONN"
				   : "other";
}

static void
report(void)
{
	struct tp_assoc_stats s, hb;
	struct tp_path_info path;
	struct figures *f = &P.f;
	struct tp_stats all;
	int64_t now = now_us();
	unsigned i, n, l;

	tp_stats(P.tp, &all);
	(void)tp_assoc_stats(P.tp, P.conf.peers[0].id, TP_BULK, 0, &s);
	printf("{\"ms\":%" PRId64 ",\"ctl_rx\":%" PRIu64
	       ",\"ctl_gaps\":%" PRIu64 ",\"ctl_max_us\":%" PRIu64
	       ",\"ctl_late\":%" PRIu64 ",\"bulk_rx\":%" PRIu64
	       ",\"bulk_bytes\":%" PRIu64 ",\"bulk_gaps\":%" PRIu64
	       ",\"corrupt\":%" PRIu64 ",\"writable\":%" PRIu64
	       ",\"alive\":%" PRIu64 ",\"bulk_sent\":%" PRIu64
	       ",\"parts\":%" PRIu64 ",\"rekeys\":%u,\"bad\":%" PRIu64
	       ",\"strangers\":%" PRIu64 ",\"oversize\":\"%s\"",
	    (now - f->since_us) / 1000, f->ctl_rx, f->ctl_gaps, f->ctl_max_us,
	    f->ctl_late, f->bulk_rx, f->bulk_bytes, f->bulk_gaps, f->corrupt,
	    f->writable, f->alive, P.bulk_sent, s.rx_parts, s.rekeys, s.rx_bad,
	    all.strangers, too_long());
	n = f->bulk_rx < HB_SAMPLES ? (unsigned)f->bulk_rx : HB_SAMPLES;
	qsort(f->bulk_us, n, sizeof(f->bulk_us[0]), by_size);
	printf(",\"bulk_p50_us\":%u", n > 0 ? f->bulk_us[n / 2] : 0);
	printf(",\"links\":[");
	for (l = 0; l < P.conf.n_links; l++) {
		i = P.conf.links[l].index;
		n = f->n_hb[i] < HB_SAMPLES ? f->n_hb[i] : HB_SAMPLES;
		qsort(f->hb_us[i], n, sizeof(f->hb_us[i][0]), by_size);
		(void)tp_assoc_stats(
		    P.tp, P.conf.peers[0].id, TP_HB, (uint8_t)i, &hb);
		(void)tp_path_info(
		    P.tp, P.conf.peers[0].id, TP_CTL, (uint8_t)i, &path);
		printf("%s{\"hb\":%u,\"p50_us\":%u,\"p99_us\":%u,\"gap_us\":"
		       "%" PRId64 ",\"bad\":%" PRIu64
		       ",\"rekeys\":%u,\"ctl_path\":%d"
		       ",\"primary\":%s}",
		    l > 0 ? "," : "", f->n_hb[i],
		    n > 0 ? f->hb_us[i][n / 2] : 0,
		    n > 0 ? f->hb_us[i][n * 99 / 100] : 0, f->hb_gap_us[i],
		    hb.rx_bad, hb.rekeys, (int)path.state,
		    path.primary ? "true" : "false");
	}
	printf("]}\n");
	fflush(stdout);
	memset(f, 0, sizeof(*f));
	f->since_us = now;
}

static void
leave(void *ctx, monotime_t now)
{
	(void)ctx;
	if (!tp_idle(P.tp) && P.leaving) {
		loop_timer_at(P.quit, mt_add_ms(now, 10));
		return;
	}
	loop_exit(P.loop, 0);
}

static int
on_signal(sd_event_source *source, const struct signalfd_siginfo *si, void *ctx)
{
	struct timespec nap = {1, 500 * 1000 * 1000};

	(void)source;
	(void)ctx;
	switch (si->ssi_signo) {
	case SIGUSR1:
		report();
		break;
	case SIGUSR2:
		nanosleep(&nap, NULL);
		break;
	case SIGTERM:
		P.leaving = true;
		tp_drain(P.tp);
		leave(NULL, loop_now());
		break;
	default:
		loop_exit(P.loop, 0);
	}
	return 0;
}

static void
parse_link(char *text)
{
	struct tp_link *own = &P.conf.links[P.conf.n_links++];
	struct tp_peer_conf *peer = &P.conf.peers[0];
	struct tp_link *their = &peer->links[peer->n_links++];
	char *part[4] = {NULL};
	unsigned i;

	for (i = 0; i < 4; i++)
		part[i] = strsep(&text, ",");
	if (part[2] == NULL || P.conf.n_links > HAD_LINKS_MAX)
		errx(2, "-l INDEX,LOCAL,REMOTE[,IFNAME]");
	own->index = their->index = (uint8_t)atoi(part[0]);
	snprintf(own->addr, sizeof(own->addr), "%s", part[1]);
	snprintf(their->addr, sizeof(their->addr), "%s", part[2]);
	if (part[3] != NULL)
		snprintf(own->ifname, sizeof(own->ifname), "%s", part[3]);
}

static void
parse_peer(const char *text)
{
	struct tp_peer_conf *peer = &P.conf.peers[0];
	const char *hex = strstr(text, "sha256:");
	unsigned byte, i;

	P.conf.n_peers = 1;
	peer->id = (uint8_t)atoi(text);
	if (hex == NULL || strlen(hex) != 7 + 64)
		errx(2, "-p ID:sha256:HEX");
	for (i = 0; i < 32; i++) {
		if (sscanf(hex + 7 + 2 * i, "%2x", &byte) != 1)
			errx(2, "-p ID:sha256:HEX");
		peer->pin[i] = (uint8_t)byte;
	}
}

static const char *
parse(int argc, char **argv)
{
	const char *key = NULL;
	int c;

	while ((c = getopt(argc, argv, "i:k:p:l:b:H:D:c:B:n:w:r:g:")) != -1)
		switch (c) {
		case 'i':
			P.conf.self = (uint8_t)atoi(optarg);
			break;
		case 'k':
			key = optarg;
			break;
		case 'p':
			parse_peer(optarg);
			break;
		case 'l':
			parse_link(optarg);
			break;
		case 'b':
			P.conf.port = (uint16_t)atoi(optarg);
			break;
		case 'H':
			P.conf.heartbeat_ms = (uint32_t)atoi(optarg);
			break;
		case 'D':
			P.conf.dead_ms = (uint32_t)atoi(optarg);
			break;
		case 'c':
			P.talk_ms = (uint32_t)atoi(optarg);
			break;
		case 'B':
			P.bulk_size = (size_t)atol(optarg);
			break;
		case 'n':
			P.bulk_left = (uint64_t)atol(optarg);
			break;
		case 'w':
			P.conf.window_bytes = (uint32_t)atol(optarg);
			break;
		case 'r':
			P.conf.rekey_records = (uint64_t)atol(optarg);
			break;
		case 'g':
			snprintf(P.conf.cluster, sizeof(P.conf.cluster), "%s",
			    optarg);
			break;
		default:
			errx(2, "see the head of sctp_pair.c");
		}
	if (key == NULL || P.conf.self == 0 || P.conf.n_peers == 0 ||
	    P.bulk_size > sizeof(bulk) ||
	    (P.bulk_size != 0 && P.bulk_size < 128))
		errx(2, "see the head of sctp_pair.c");
	if (P.bulk_size == 0)
		P.bulk_left = 0;
	return key;
}

int
main(int argc, char **argv)
{
	static const int signals[] = {SIGUSR1, SIGUSR2, SIGTERM, SIGINT};
	const char *path;
	char why[512];
	sigset_t set;
	unsigned i;
	int code;

	P.conf = (struct tp_conf){
	    .cluster = "lab",
	    .port = 7770,
	    .heartbeat_ms = 50,
	    .dead_ms = 500,
	};
	P.bulk_left = UINT64_MAX;
	path = parse(argc, argv);
	log_init("sctp_pair", 0, false);
	P.conf.incarnation = (uint64_t)now_us();
	P.conf.key = keyfile_load(path, why, sizeof(why));
	if (P.conf.key == NULL)
		errx(1, "%s", why);
	sigemptyset(&set);
	for (i = 0; i < NITEMS(signals); i++)
		sigaddset(&set, signals[i]);
	sigprocmask(SIG_BLOCK, &set, NULL);
	P.loop = loop_new();
	for (i = 0; i < NITEMS(signals); i++)
		if (sd_event_add_signal(loop_event(P.loop), NULL, signals[i],
			on_signal, NULL) < 0)
			errx(1, "signals");
	P.tp = tp_new(
	    loop_event(P.loop), &P.conf, &callbacks, NULL, why, sizeof(why));
	if (P.tp == NULL)
		errx(1, "%s", why);
	EVP_PKEY_free(P.conf.key);
	P.f.since_us = now_us();
	P.beat = loop_timer_new(loop_event(P.loop), beat, NULL);
	P.talk = loop_timer_new(loop_event(P.loop), talk, NULL);
	P.quit = loop_timer_new(loop_event(P.loop), leave, NULL);
	loop_timer_at(P.beat, loop_now());
	if (P.talk_ms > 0)
		loop_timer_at(P.talk, loop_now());
	say("started");
	code = loop_run(P.loop);
	report();
	tp_free(P.tp);
	loop_timer_free(P.beat);
	loop_timer_free(P.talk);
	loop_timer_free(P.quit);
	loop_free(P.loop);
	return code;
}
