/* SPDX-License-Identifier: BSD-2-Clause */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "nbd_proto.h"

/* A writer that never runs over; the callers' buffers are sized to fit. */
struct out {
	uint8_t *p;
	size_t size, len;
};

static void
put(struct out *o, const void *bytes, size_t len)
{
	ASSERT(o->size - o->len >= len);
	if (len == 0)
		return;
	memcpy(o->p + o->len, bytes, len);
	o->len += len;
}

static void
put_be(struct out *o, uint64_t v, unsigned bytes)
{
	uint8_t b[8];

	ASSERT(bytes <= sizeof(b));
	for (unsigned i = 0; i < bytes; i++)
		b[i] = (uint8_t)(v >> (8 * (bytes - 1 - i)));
	put(o, b, bytes);
}

static uint64_t
get_be(const uint8_t *p, unsigned bytes)
{
	uint64_t v = 0;

	for (unsigned i = 0; i < bytes; i++)
		v = v << 8 | p[i];
	return v;
}

/* Handshake. */

size_t
nbdp_put_greeting(uint8_t *buf, size_t size)
{
	struct out o = {buf, size, 0};

	put_be(&o, NBDP_INIT_MAGIC, 8);
	put_be(&o, NBDP_OPT_MAGIC, 8);
	put_be(&o, NBDP_FIXED_NEWSTYLE | NBDP_NO_ZEROES, 2);
	ASSERT(o.len == NBDP_GREETING_LEN);
	return o.len;
}

int
nbdp_get_client_flags(
    uint32_t *flags, const uint8_t *p, size_t len, const char **why)
{
	if (len != NBDP_CLIENT_FLAGS_LEN) {
		*why = "client flags are not 4 bytes";
		return -1;
	}
	*flags = (uint32_t)get_be(p, 4);
	if (*flags & ~(NBDP_FIXED_NEWSTYLE | NBDP_NO_ZEROES)) {
		*why = "unknown client flags";
		return -1;
	}
	return 0;
}

int
nbdp_get_opt_hdr(
    struct nbdp_opt_hdr *h, const uint8_t *p, size_t len, const char **why)
{
	if (len != NBDP_OPT_HDR_LEN) {
		*why = "an option's header is not 16 bytes";
		return -1;
	}
	if (get_be(p, 8) != NBDP_OPT_MAGIC) {
		*why = "bad magic of an option";
		return -1;
	}
	h->opt = (uint32_t)get_be(p + 8, 4);
	h->len = (uint32_t)get_be(p + 12, 4);
	return 0;
}

int
nbdp_get_go(struct nbdp_go *g, const uint8_t *p, size_t len, const char **why)
{
	size_t n;

	memset(g, 0, sizeof(*g));
	if (len < 6) {
		*why = "option data too short";
		return -1;
	}
	g->name_len = (uint32_t)get_be(p, 4);
	if (g->name_len > NBDP_NAME_MAX) {
		*why = "export name longer than 4096 bytes";
		return -1;
	}
	if (g->name_len > len - 6) {
		*why = "export name runs over the option data";
		return -1;
	}
	g->name = (const char *)p + 4;
	p += 4 + g->name_len;
	n = (size_t)get_be(p, 2);
	if (len != 6 + g->name_len + 2 * n) {
		*why = "number of information requests does not fit the length";
		return -1;
	}
	for (size_t i = 0; i < n; i++) {
		switch (get_be(p + 2 + 2 * i, 2)) {
		case NBDP_INFO_NAME:
			g->want_name = true;
			break;
		case NBDP_INFO_DESCRIPTION:
			g->want_description = true;
			break;
		case NBDP_INFO_BLOCK_SIZE:
			g->want_block_size = true;
			break;
		default: /* the specification: ignore unknown ones */
			break;
		}
	}
	return 0;
}

size_t
nbdp_put_opt_reply(uint8_t *buf, size_t size, uint32_t opt, uint32_t type,
    const void *data, uint32_t len)
{
	struct out o = {buf, size, 0};

	put_be(&o, NBDP_OPT_REPLY_MAGIC, 8);
	put_be(&o, opt, 4);
	put_be(&o, type, 4);
	put_be(&o, len, 4);
	put(&o, data, len);
	return o.len;
}

size_t
nbdp_put_opt_error(
    uint8_t *buf, size_t size, uint32_t opt, uint32_t type, const char *text)
{
	ASSERT(type & NBDP_REP_ERR(0));
	return nbdp_put_opt_reply(
	    buf, size, opt, type, text, (uint32_t)strlen(text));
}

size_t
nbdp_put_list_entry(uint8_t *buf, size_t size, const struct nbdp_export *e)
{
	uint8_t data[4 + NBDP_NAME_MAX];
	struct out o = {data, sizeof(data), 0};

	put_be(&o, strlen(e->name), 4);
	put(&o, e->name, strlen(e->name));
	return nbdp_put_opt_reply(
	    buf, size, NBDP_OPT_LIST, NBDP_REP_SERVER, data, (uint32_t)o.len);
}

size_t
nbdp_put_info(uint8_t *buf, size_t size, uint32_t opt, const struct nbdp_go *g,
    const struct nbdp_export *e)
{
	static const char description[] = "had mirrored volume";
	uint8_t data[NBDP_NAME_MAX + 2];
	struct out o = {data, sizeof(data), 0};
	size_t len = 0;

	put_be(&o, NBDP_INFO_EXPORT, 2);
	put_be(&o, e->size, 8);
	put_be(&o, e->flags, 2);
	len += nbdp_put_opt_reply(
	    buf + len, size - len, opt, NBDP_REP_INFO, data, (uint32_t)o.len);
	if (g->want_name) {
		o.len = 0;
		put_be(&o, NBDP_INFO_NAME, 2);
		put(&o, e->name, strlen(e->name));
		len += nbdp_put_opt_reply(buf + len, size - len, opt,
		    NBDP_REP_INFO, data, (uint32_t)o.len);
	}
	if (g->want_description) {
		o.len = 0;
		put_be(&o, NBDP_INFO_DESCRIPTION, 2);
		put(&o, description, sizeof(description) - 1);
		len += nbdp_put_opt_reply(buf + len, size - len, opt,
		    NBDP_REP_INFO, data, (uint32_t)o.len);
	}
	/* Also unasked: the specification lets us, and it avoids EINVAL. */
	o.len = 0;
	put_be(&o, NBDP_INFO_BLOCK_SIZE, 2);
	put_be(&o, e->block_min, 4);
	put_be(&o, e->block_pref, 4);
	put_be(&o, e->block_max, 4);
	len += nbdp_put_opt_reply(
	    buf + len, size - len, opt, NBDP_REP_INFO, data, (uint32_t)o.len);
	len += nbdp_put_opt_reply(
	    buf + len, size - len, opt, NBDP_REP_ACK, NULL, 0);
	return len;
}

size_t
nbdp_put_export_reply(
    uint8_t *buf, size_t size, const struct nbdp_export *e, bool no_zeroes)
{
	struct out o = {buf, size, 0};
	static const uint8_t zeroes[124];

	put_be(&o, e->size, 8);
	put_be(&o, e->flags, 2);
	if (!no_zeroes)
		put(&o, zeroes, sizeof(zeroes));
	return o.len;
}

/* Transmission. */

int
nbdp_get_request(
    struct nbdp_request *r, const uint8_t *p, size_t len, const char **why)
{
	if (len != NBDP_REQUEST_LEN) {
		*why = "a request is not 28 bytes";
		return -1;
	}
	if (get_be(p, 4) != NBDP_REQUEST_MAGIC) {
		*why = "bad magic of a request";
		return -1;
	}
	r->flags = (uint16_t)get_be(p + 4, 2);
	r->cmd = (uint16_t)get_be(p + 6, 2);
	r->handle = get_be(p + 8, 8);
	r->off = get_be(p + 16, 8);
	r->len = (uint32_t)get_be(p + 24, 4);
	return 0;
}

/* What each command takes; the order is that of enum nbdp_cmd. */
static const struct {
	char name[16]; /* no pointer: the table stays read-only */
	uint16_t flags; /* command flags it may carry besides FUA */
	uint16_t needs; /* transmission flag that must have been offered */
	bool modifies; /* refused on a read-only export */
	bool payload; /* length bounded by NBDP_PAYLOAD_MAX */
	uint8_t beyond; /* error for a range beyond the end */
	bool known;
} commands[] = {
    [NBDP_READ] = {"read", NBDP_CMD_DF, 0, false, true, NBDP_EINVAL, true},
    [NBDP_WRITE] = {"write", 0, 0, true, true, NBDP_ENOSPC, true},
    [NBDP_DISC] = {"disconnect", 0, 0, false, false, 0, true},
    [NBDP_FLUSH] = {"flush", 0, NBDP_SEND_FLUSH, false, false, 0, true},
    [NBDP_TRIM] = {"trim", 0, NBDP_SEND_TRIM, true, false, NBDP_EINVAL, true},
    [NBDP_CACHE] = {"cache", 0, 0, false, false, 0, false},
    [NBDP_WRITE_ZEROES] = {"write zeroes", NBDP_CMD_NO_HOLE,
	NBDP_SEND_WRITE_ZEROES, true, false, NBDP_ENOSPC, true},
    [NBDP_BLOCK_STATUS] = {"block status", 0, 0, false, false, 0, false},
};

const char *
nbdp_cmd_name(uint16_t cmd)
{
	return cmd < NITEMS(commands) ? commands[cmd].name : "unknown";
}

static enum nbdp_error
check_range(
    const struct nbdp_request *r, const struct nbdp_export *e, const char **why)
{
	if (r->len == 0) {
		*why = "length 0";
		return NBDP_EINVAL;
	}
	if (commands[r->cmd].payload && r->len > NBDP_PAYLOAD_MAX) {
		*why = "longer than 32 MiB";
		return NBDP_EINVAL;
	}
	if (r->off > e->size || r->len > e->size - r->off) {
		*why = "beyond the end of the volume";
		return commands[r->cmd].beyond;
	}
	if (r->off % e->block_min != 0 || r->len % e->block_min != 0) {
		*why = "not aligned to the minimum block size";
		return NBDP_EINVAL;
	}
	return NBDP_OK;
}

enum nbdp_error
nbdp_check_request(const struct nbdp_request *r, const struct nbdp_export *e,
    bool structured, const char **why)
{
	uint16_t flags = r->flags;

	ASSERT(e->block_min > 0);
	if (r->cmd >= NITEMS(commands) || !commands[r->cmd].known) {
		*why = "unknown command";
		return NBDP_EINVAL;
	}
	if (e->flags & NBDP_SEND_FUA) /* then it is valid for every command */
		flags &= (uint16_t)~NBDP_CMD_FUA;
	if (flags & ~commands[r->cmd].flags) {
		*why = "flag that the command does not take";
		return NBDP_EINVAL;
	}
	if (flags & NBDP_CMD_DF && !structured) {
		*why = "flag DF without structured replies";
		return NBDP_EINVAL;
	}
	if (commands[r->cmd].needs & ~e->flags) {
		*why = "command that was not offered";
		return NBDP_EINVAL;
	}
	if (commands[r->cmd].modifies && e->flags & NBDP_READ_ONLY) {
		*why = "the export is read-only";
		return NBDP_EPERM;
	}
	if (r->cmd == NBDP_DISC)
		return NBDP_OK;
	if (r->cmd == NBDP_FLUSH) {
		if (r->off != 0 || r->len != 0) {
			*why = "flush with a range";
			return NBDP_EINVAL;
		}
		return NBDP_OK;
	}
	return check_range(r, e, why);
}

uint32_t
nbdp_payload(const struct nbdp_request *r)
{
	return r->cmd == NBDP_WRITE ? r->len : 0;
}

enum nbdp_error
nbdp_error_of(int error)
{
	ASSERT(error >= 0);
	switch (error) {
	case 0:
		return NBDP_OK;
	case EPERM:
	case EROFS:
		return NBDP_EPERM;
	case ENOMEM:
		return NBDP_ENOMEM;
	case EINVAL:
		return NBDP_EINVAL;
	case ENOSPC:
	case EDQUOT:
	case EFBIG:
		return NBDP_ENOSPC;
	case EOVERFLOW:
		return NBDP_EOVERFLOW;
	case EOPNOTSUPP:
		return NBDP_ENOTSUP;
	case ESHUTDOWN:
		return NBDP_ESHUTDOWN;
	default:
		return NBDP_EIO;
	}
}

size_t
nbdp_put_simple(
    uint8_t *buf, size_t size, uint64_t handle, enum nbdp_error error)
{
	struct out o = {buf, size, 0};

	put_be(&o, NBDP_SIMPLE_MAGIC, 4);
	put_be(&o, error, 4);
	put_be(&o, handle, 8);
	ASSERT(o.len == NBDP_SIMPLE_LEN);
	return o.len;
}

static void
put_chunk(
    struct out *o, uint16_t flags, uint16_t type, uint64_t handle, uint32_t len)
{
	put_be(o, NBDP_STRUCTURED_MAGIC, 4);
	put_be(o, flags, 2);
	put_be(o, type, 2);
	put_be(o, handle, 8);
	put_be(o, len, 4);
	ASSERT(o->len == NBDP_CHUNK_LEN);
}

size_t
nbdp_put_data_chunk(uint8_t *buf, size_t size, uint64_t handle, uint16_t flags,
    uint64_t off, uint32_t len)
{
	struct out o = {buf, size, 0};

	ASSERT(len > 0);
	put_chunk(&o, flags, NBDP_CHUNK_DATA, handle, len + 8);
	put_be(&o, off, 8);
	ASSERT(o.len == NBDP_DATA_CHUNK_LEN);
	return o.len;
}

size_t
nbdp_put_error_chunk(uint8_t *buf, size_t size, uint64_t handle, uint16_t flags,
    enum nbdp_error error, const char *text)
{
	struct out o = {buf, size, 0};
	size_t n = strlen(text);

	if (n > NBDP_HDR_MAX - NBDP_CHUNK_LEN - 6)
		n = NBDP_HDR_MAX - NBDP_CHUNK_LEN - 6;
	ASSERT(error != NBDP_OK);
	put_chunk(&o, flags, NBDP_CHUNK_ERROR, handle, (uint32_t)n + 6);
	put_be(&o, error, 4);
	put_be(&o, n, 2);
	put(&o, text, n);
	return o.len;
}

size_t
nbdp_put_error_offset_chunk(uint8_t *buf, size_t size, uint64_t handle,
    uint16_t flags, enum nbdp_error error, uint64_t off)
{
	struct out o = {buf, size, 0};

	ASSERT(error != NBDP_OK);
	put_chunk(&o, flags, NBDP_CHUNK_ERROR_OFFSET, handle, 14);
	put_be(&o, error, 4);
	put_be(&o, 0, 2);
	put_be(&o, off, 8);
	return o.len;
}
