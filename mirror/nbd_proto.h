/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Codec of the NBD protocol (doc/proto.md of the NetworkBlockDevice project),
 * the server's side.  Pure: bytes in, structs out.  All integers are
 * big-endian on the wire.  Nothing here trusts the other side: whatever it
 * sends ends in an error number and a text.
 */
#ifndef NBD_PROTO_H
#define NBD_PROTO_H

#include "had.h"

/* Magic numbers. */
#define NBDP_INIT_MAGIC 0x4e42444d41474943ULL /* "NBDMAGIC" */
#define NBDP_OPT_MAGIC 0x49484156454f5054ULL /* "IHAVEOPT" */
#define NBDP_OPT_REPLY_MAGIC 0x0003e889045565a9ULL
#define NBDP_REQUEST_MAGIC 0x25609513u
#define NBDP_SIMPLE_MAGIC 0x67446698u
#define NBDP_STRUCTURED_MAGIC 0x668e33efu

/* Handshake flags of server and client. */
#define NBDP_FIXED_NEWSTYLE (1u << 0)
#define NBDP_NO_ZEROES (1u << 1)

/* Transmission flags. */
enum {
	NBDP_HAS_FLAGS = 1 << 0,
	NBDP_READ_ONLY = 1 << 1,
	NBDP_SEND_FLUSH = 1 << 2,
	NBDP_SEND_FUA = 1 << 3,
	NBDP_ROTATIONAL = 1 << 4,
	NBDP_SEND_TRIM = 1 << 5,
	NBDP_SEND_WRITE_ZEROES = 1 << 6,
	NBDP_SEND_DF = 1 << 7,
	NBDP_CAN_MULTI_CONN = 1 << 8,
};

enum nbdp_opt {
	NBDP_OPT_EXPORT_NAME = 1,
	NBDP_OPT_ABORT = 2,
	NBDP_OPT_LIST = 3,
	NBDP_OPT_STARTTLS = 5,
	NBDP_OPT_INFO = 6,
	NBDP_OPT_GO = 7,
	NBDP_OPT_STRUCTURED_REPLY = 8,
	NBDP_OPT_LIST_META_CONTEXT = 9,
	NBDP_OPT_SET_META_CONTEXT = 10,
};

/* Replies to options. */
#define NBDP_REP_ACK 1u
#define NBDP_REP_SERVER 2u
#define NBDP_REP_INFO 3u
#define NBDP_REP_ERR(n) (0x80000000u | (n))
#define NBDP_REP_ERR_UNSUP NBDP_REP_ERR(1)
#define NBDP_REP_ERR_POLICY NBDP_REP_ERR(2)
#define NBDP_REP_ERR_INVALID NBDP_REP_ERR(3)
#define NBDP_REP_ERR_UNKNOWN NBDP_REP_ERR(6)
#define NBDP_REP_ERR_SHUTDOWN NBDP_REP_ERR(7)
#define NBDP_REP_ERR_TOO_BIG NBDP_REP_ERR(9)

/* Information types of OPT_INFO and OPT_GO. */
enum {
	NBDP_INFO_EXPORT = 0,
	NBDP_INFO_NAME = 1,
	NBDP_INFO_DESCRIPTION = 2,
	NBDP_INFO_BLOCK_SIZE = 3
};

enum nbdp_cmd {
	NBDP_READ = 0,
	NBDP_WRITE = 1,
	NBDP_DISC = 2,
	NBDP_FLUSH = 3,
	NBDP_TRIM = 4,
	NBDP_CACHE = 5,
	NBDP_WRITE_ZEROES = 6,
	NBDP_BLOCK_STATUS = 7,
};

/* Command flags. */
enum {
	NBDP_CMD_FUA = 1 << 0,
	NBDP_CMD_NO_HOLE = 1 << 1,
	NBDP_CMD_DF = 1 << 2,
	NBDP_CMD_REQ_ONE = 1 << 3,
	NBDP_CMD_FAST_ZERO = 1 << 4
};

/* Error numbers on the wire; they are Linux's for the values in use. */
enum nbdp_error {
	NBDP_OK = 0,
	NBDP_EPERM = 1,
	NBDP_EIO = 5,
	NBDP_ENOMEM = 12,
	NBDP_EINVAL = 22,
	NBDP_ENOSPC = 28,
	NBDP_EOVERFLOW = 75,
	NBDP_ENOTSUP = 95,
	NBDP_ESHUTDOWN = 108,
};

/* Chunks of structured replies. */
#define NBDP_CHUNK_DONE 1u
enum {
	NBDP_CHUNK_DATA = 1,
	NBDP_CHUNK_ERROR = 0x8001,
	NBDP_CHUNK_ERROR_OFFSET = 0x8002
};

enum {
	NBDP_GREETING_LEN = 18,
	NBDP_CLIENT_FLAGS_LEN = 4,
	NBDP_OPT_HDR_LEN = 16,
	NBDP_OPT_REPLY_LEN = 20,
	NBDP_EXPORT_REPLY_LEN = 10 + 124,
	NBDP_REQUEST_LEN = 28,
	NBDP_SIMPLE_LEN = 16,
	NBDP_CHUNK_LEN = 20,
	NBDP_DATA_CHUNK_LEN = 28, /* header of a data chunk with its offset */
	NBDP_HDR_MAX = 128, /* any reply of the transmission phase */
	NBDP_NAME_MAX = 4096, /* of an export, by the specification */
	NBDP_OPT_DATA_MAX = 8192, /* longer option data is refused */
	NBDP_PAYLOAD_MAX = 32 << 20, /* of a read or a write */
};

/* What an export offers. */
struct nbdp_export {
	const char *name; /* borrowed */
	uint64_t size;
	uint16_t flags; /* transmission flags */
	uint32_t block_min, block_pref, block_max;
};

/* An option's header. */
struct nbdp_opt_hdr {
	uint32_t opt;
	uint32_t len;
};

/* The data of OPT_INFO and OPT_GO. */
struct nbdp_go {
	const char *name; /* borrowed from the bytes; not terminated */
	uint32_t name_len;
	bool want_name, want_description, want_block_size;
};

struct nbdp_request {
	uint16_t flags;
	uint16_t cmd;
	uint64_t handle; /* opaque to the server */
	uint64_t off;
	uint32_t len;
};

/* Server's greeting; returns its length. */
size_t nbdp_put_greeting(uint8_t *buf, size_t size);
/* -1: a flag that the server does not know; the connection must end. */
int nbdp_get_client_flags(
    uint32_t *flags, const uint8_t *, size_t, const char **why);
int nbdp_get_opt_hdr(
    struct nbdp_opt_hdr *, const uint8_t *, size_t, const char **why);
int nbdp_get_go(struct nbdp_go *, const uint8_t *, size_t, const char **why);

/* Replies to options; each returns its length. */
size_t nbdp_put_opt_reply(uint8_t *buf, size_t size, uint32_t opt,
    uint32_t type, const void *data, uint32_t len);
size_t nbdp_put_opt_error(
    uint8_t *buf, size_t size, uint32_t opt, uint32_t type, const char *text);
size_t nbdp_put_list_entry(
    uint8_t *buf, size_t size, const struct nbdp_export *);
/* All NBDP_REP_INFO of one OPT_INFO or OPT_GO, and the final ACK. */
size_t nbdp_put_info(uint8_t *buf, size_t size, uint32_t opt,
    const struct nbdp_go *, const struct nbdp_export *);
size_t nbdp_put_export_reply(
    uint8_t *buf, size_t size, const struct nbdp_export *, bool no_zeroes);

/* -1: not a request, the stream is out of step and has to end. */
int nbdp_get_request(
    struct nbdp_request *, const uint8_t *, size_t, const char **why);

/*
 * Whether r may be served by e: NBDP_OK, or an error number with a text.
 * structured: negotiated.  The payload of a refused write still follows and
 * has to be skipped.
 */
enum nbdp_error nbdp_check_request(const struct nbdp_request *r,
    const struct nbdp_export *e, bool structured, const char **why);
/* Bytes of payload that follow the request. */
uint32_t nbdp_payload(const struct nbdp_request *);
const char *nbdp_cmd_name(uint16_t cmd);

/* An errno of this system as the nearest one that NBD knows. */
enum nbdp_error nbdp_error_of(int error);

/* Replies; each returns its length, at most NBDP_HDR_MAX. */
size_t nbdp_put_simple(
    uint8_t *buf, size_t size, uint64_t handle, enum nbdp_error);
/* Header and offset of a data chunk; len bytes of data have to follow. */
size_t nbdp_put_data_chunk(uint8_t *buf, size_t size, uint64_t handle,
    uint16_t flags, uint64_t off, uint32_t len);
size_t nbdp_put_error_chunk(uint8_t *buf, size_t size, uint64_t handle,
    uint16_t flags, enum nbdp_error, const char *text);
size_t nbdp_put_error_offset_chunk(uint8_t *buf, size_t size, uint64_t handle,
    uint16_t flags, enum nbdp_error, uint64_t off);

#endif
