/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What a node and had-witness say to each other, within sealed records.  Pure:
 * bytes in, struct out.  Every message has a fixed length; what decodes
 * encodes to the same bytes.
 */
#ifndef WITNESS_WIRE_H
#define WITNESS_WIRE_H

#include "had.h"

enum {
	WW_NODE_ID = 255, /* the witness's in the greeting; no node has it */
	WW_TEXT = 120, /* bytes of a text, the NUL included */
	WW_MAX = 8 + WW_TEXT,
};

enum ww_type {
	WW_ASK = 1, /* node: the lease of an epoch */
	WW_ANSWER, /* witness */
	WW_PING, /* node */
	WW_PONG, /* witness, with the ping's stamp */
	WW_REFUSE, /* witness: no service, and why; it hangs up then */
};

enum ww_vote {
	WW_GRANTED = 1,
	WW_DENIED,
	WW_FAILED, /* it could not be made durable: nobody has it */
};

struct ww_msg {
	enum ww_type type;
	union {
		struct {
			char cluster[HAD_NAME_MAX];
			uint8_t node;
			uint64_t incarnation;
			uint64_t epoch; /* > 0 */
		} ask;
		struct {
			uint64_t epoch; /* the one that was asked for */
			enum ww_vote vote;
			/* Of the lease that counts; DENIED names it. */
			uint8_t holder; /* 0 only if FAILED */
			uint64_t holder_epoch;
			uint64_t holder_incarnation;
		} answer;
		uint64_t stamp; /* PING, PONG: the node's own */
		char text[WW_TEXT]; /* REFUSE: printable ASCII */
	} u;
};

/* Returns the length, at most WW_MAX. */
size_t ww_encode(const struct ww_msg *, uint8_t bytes[WW_MAX]);

/* Returns 0, or -1 and *why. */
int ww_decode(struct ww_msg *, const uint8_t *, size_t, const char **why);

#endif
