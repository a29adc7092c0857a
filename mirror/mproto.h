/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Messages between the two copies of a volume.  Pure codec.
 *
 * A session is a pair of numbers, one chosen by each side with its HELLO.
 * Each message names both; what belongs to another session is dropped, so
 * that nothing of an old connection or of an abandoned handshake counts.
 *
 * Header, MP_HDR_LEN bytes, little-endian:
 *	0 type  1 flags  2 zero  4 mine  8 yours  12 length of the range
 *	16 id  24 offset  32 argument
 * followed by the data of the type.
 */
#ifndef MPROTO_H
#define MPROTO_H

#include "had.h"
#include "mmeta.h"

#define MP_VERSION 1

/*
 * type		sent by	id, range, argument, data
 * HELLO	both	data: struct mir_ident
 * VERDICT	both	arg: mp_verdict_code
 * BITS		target	data: runs of chunks; arg: 1 = the last
 * BITS_ACK	source
 * BEGIN	source	arg: sync generation, id: bytes to do; data: mp_begin
 * READY	target	resync may begin; durable
 * WRITE	primary	id, range, data
 * TRIM, ZERO	primary	id, range
 * FLUSH	primary	id
 * READ		primary	id, range
 * WARM		primary	range: writes will follow, intents may begin
 * PIECE	source	id, range, data: resync; arg: bytes left
 * PIECE_ZERO	source	id, range: resync, all zeroes; arg: bytes left
 * ACK		other	id, arg: 0 or an errno
 * DATA		other	id, range, data: answer to READ
 * FIN		source	arg: current; data: history.  Resync is finished
 * FIN_ACK	target	durable
 * ALONE	copy	arg: current.  The receiver is primary without a disk
 *and that its copy is behind has been made durable
 * ROLE		both	arg: 1 = primary
 * REFUSE	both	data: text.  Nothing more of this session counts
 * INVALIDATE	both	id: give up your copy, take mine
 * INVALIDATED	both	id, arg: 1 = yes; data: text
 */
#define MP_LIST(X) \
	X(HELLO, "hello") \
	X(VERDICT, "verdict") \
	X(BITS, "bits") \
	X(BITS_ACK, "bits-ack") \
	X(BEGIN, "begin") \
	X(READY, "ready") \
	X(WRITE, "write") \
	X(TRIM, "trim") \
	X(ZERO, "zero") \
	X(FLUSH, "flush") \
	X(READ, "read") \
	X(WARM, "warm") \
	X(PIECE, "piece") \
	X(PIECE_ZERO, "piece-zero") \
	X(ACK, "ack") \
	X(DATA, "data") \
	X(FIN, "finished") \
	X(FIN_ACK, "finished-ack") \
	X(ALONE, "alone") \
	X(ROLE, "role") \
	X(REFUSE, "refuse") \
	X(INVALIDATE, "invalidate") \
	X(INVALIDATED, "invalidated")

#define X(sym, name) MP_##sym,
enum mp_type { MP_NONE, MP_LIST(X) MP_N };
#undef X
const char *mp_name(enum mp_type);

enum {
	MP_HDR_LEN = 40,
	MP_IDENT_LEN = 160,
	MP_BEGIN_LEN = 24,
	MP_RUN_LEN = 8,
	MP_RUNS_MAX = 4096, /* per message */
	MP_TEXT_MAX = 160,
	MP_F_FUA = 1,
};

struct mp_msg {
	enum mp_type type;
	bool fua;
	uint32_t mine, yours; /* session, as the sender sees it */
	uint32_t len;
	uint64_t id, off, arg;
	const uint8_t *data; /* borrowed */
	size_t data_len;
};

void mp_put(uint8_t hdr[MP_HDR_LEN], const struct mp_msg *);
/*
 * Checks everything that can be checked without knowing the volume: type,
 * flags, length of the data, alignment and size of the range.  0, or -1 and
 * why.
 */
int mp_get(struct mp_msg *, const uint8_t *bytes, size_t len, const char **why);

/* Flags of an ident beyond MMETA_F_*. */
enum {
	MIR_I_PRIMARY = 1 << 16, /* at this moment */
	MIR_I_NODISK = 1 << 17, /* has no copy: failed, detached, missing */
	MIR_I_FAILING = 1 << 18, /* can be read; writing is not possible */
	MIR_I_ALL = MMETA_F_ALL | MIR_I_PRIMARY | MIR_I_NODISK | MIR_I_FAILING,
};

/* What one copy says of itself; the input of mir_decide. */
struct mir_ident {
	uint8_t node;
	uint16_t slots; /* operations of the peer it takes at once */
	uint32_t flags;
	uint64_t cluster;
	uint8_t volume_id[16]; /* zeroes: blank */
	uint64_t size_bytes; /* of the volume */
	uint64_t room_bytes; /* that the device could hold */
	uint64_t dirty_bytes; /* towards the other */
	/* Without a disk: the generation that the primary last relied on. */
	uint64_t current;
	uint64_t bitmap; /* towards the other */
	uint64_t history[MMETA_HISTORY];
};
void mp_put_ident(uint8_t buf[MP_IDENT_LEN], const struct mir_ident *);
int mp_get_ident(struct mir_ident *, const uint8_t *, size_t, const char **why);

struct mp_begin {
	uint8_t volume_id[16];
	uint64_t size_bytes;
};
void mp_put_begin(uint8_t buf[MP_BEGIN_LEN], const struct mp_begin *);
void mp_get_begin(struct mp_begin *, const uint8_t buf[MP_BEGIN_LEN]);

/* Runs of chunks (64 KiB) in BITS. */
struct mp_run {
	uint32_t chunk, n;
};
void mp_put_run(uint8_t buf[MP_RUN_LEN], const struct mp_run *);
void mp_get_run(struct mp_run *, const uint8_t buf[MP_RUN_LEN]);

#endif
