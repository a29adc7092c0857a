/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What every message between two nodes begins with, the heartbeat, and the
 * greeting.  Integers are little-endian.  Payloads of the cores have codecs
 * of their own.
 */
#ifndef WIRE_H
#define WIRE_H

#include "had.h"

/* Raised when a message changes in a way that an older node cannot read. */
#define WIRE_VERSION 1

/* Who gets the payload. */
enum wire_core {
	WIRE_HEARTBEAT = 1,
	WIRE_HELLO,
	WIRE_MEMBER,
	WIRE_SVC,
	WIRE_MIRROR,
	WIRE_LOCK,
	WIRE_OPEN, /* begins a session, see node_session.c */
	WIRE_STALE, /* answer to an older epoch: the current one (R8) */
	WIRE_EVENTS, /* timelines, see evlog.h; of any epoch */
	WIRE_ROUTERS, /* virtual routers, see vr_wire.h; of any epoch */
	WIRE_SHARE, /* shared addresses, see share_wire.h; of any epoch */
	WIRE_CORE_END
};

/*
 * Envelope, WIRE_HDR_LEN bytes:
 *	0 version  1 core  2 sender's node id  3 instance (volume id, or 0)
 *	4 session, 0 outside of one  8 incarnation  16 epoch
 */
enum { WIRE_HDR_LEN = 24 };
struct wire_hdr {
	uint8_t core, sender, instance;
	uint32_t session;
	uint64_t incarnation, epoch;
};
void wire_put_hdr(uint8_t buf[WIRE_HDR_LEN], const struct wire_hdr *);
/* 0, or -1 and why.  The payload is what follows WIRE_HDR_LEN. */
int wire_get_hdr(
    struct wire_hdr *, const uint8_t *buf, size_t len, const char **why);

/* Flags of a heartbeat. */
enum {
	WIRE_HB_VOUCHED = 1, /* the sender stands behind what it holds */
	WIRE_HB_ISOLATED = 2, /* it is the one that is cut off (R9) */
	WIRE_HB_HOLDS = 4, /* it holds data, and holds it well (R4) */
	WIRE_HB_ARMED = 8, /* its watchdog runs (R7) */
	WIRE_HB_PINGS = 16, /* a ping node answers it (R9) */
	WIRE_HB_HEARS = 32, /* it has heard the receiver, on whatever link */
	WIRE_HB_DECIDING = 64, /* it acts alone once that is durable (R8) */
};

/*
 * Heartbeat.  sent_us is the sender's clock; echo_us is the sent_us last heard
 * from the receiver of this message on this link, and echo_age_us how long ago
 * that was, so that the receiver gets a round trip without clocks in step.
 * heard_us is the latest sent_us that was heard from it on any link; of that
 * only WIRE_HEARD_BITS are told, the receiver knows the others.
 */
enum { WIRE_HB_LEN = 48, WIRE_HEARD_BITS = 48 };
struct wire_hb {
	uint64_t seq;
	int64_t sent_us, echo_us;
	uint32_t echo_age_us;
	uint32_t lease_ms;
	uint8_t link, flags;
	uint64_t heard_us; /* 0 = none */
	uint64_t digest; /* of the configuration */
};
void wire_put_hb(uint8_t buf[WIRE_HB_LEN], const struct wire_hb *);
int wire_get_hb(
    struct wire_hb *, const uint8_t *buf, size_t len, const char **why);

/* Greeting, sent when the control association comes up. */
enum { WIRE_HELLO_LEN = 80 };
struct wire_hello {
	char version[32]; /* had's version */
	char cluster[HAD_NAME_MAX];
	uint64_t digest;
};
void wire_put_hello(uint8_t buf[WIRE_HELLO_LEN], const struct wire_hello *);
int wire_get_hello(
    struct wire_hello *, const uint8_t *buf, size_t len, const char **why);

/* Little-endian integers, byte by byte. */
static inline void
put_u16(uint8_t *p, uint16_t v)
{
	p[0] = (uint8_t)v;
	p[1] = (uint8_t)(v >> 8);
}

static inline void
put_u32(uint8_t *p, uint32_t v)
{
	put_u16(p, (uint16_t)v);
	put_u16(p + 2, (uint16_t)(v >> 16));
}

static inline void
put_u64(uint8_t *p, uint64_t v)
{
	put_u32(p, (uint32_t)v);
	put_u32(p + 4, (uint32_t)(v >> 32));
}

static inline uint16_t
get_u16(const uint8_t *p)
{
	return (uint16_t)(p[0] | p[1] << 8);
}

static inline uint32_t
get_u32(const uint8_t *p)
{
	return get_u16(p) | (uint32_t)get_u16(p + 2) << 16;
}

static inline uint64_t
get_u64(const uint8_t *p)
{
	return get_u32(p) | (uint64_t)get_u32(p + 4) << 32;
}

#endif
