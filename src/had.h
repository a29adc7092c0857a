/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Layer 0: what every file of had may use.  Assertions, time, limits, ids.
 */
#ifndef HAD_H
#define HAD_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Assertions stay on in production; never on bytes from outside. */
#define ASSERT(x) ((x) ? (void)0 : had_assert_fail(__FILE__, __LINE__, #x))
_Noreturn void had_assert_fail(const char *file, int line, const char *expr);

#define NITEMS(a) (sizeof(a) / sizeof((a)[0]))
#define MUST_CHECK __attribute__((warn_unused_result))
#define PRINTF_LIKE(f, a) __attribute__((format(printf, f, a)))

/*
 * Time since boot in microseconds, suspend included (CLOCK_BOOTTIME).  A
 * struct, so that it cannot be mixed up with a duration or a wall clock.
 */
typedef struct {
	int64_t us;
} monotime_t;

#define MT_NEVER ((monotime_t){INT64_MAX})

static inline monotime_t
mt_add_ms(monotime_t t, int64_t ms)
{
	return (monotime_t){t.us + ms * 1000};
}

static inline monotime_t
mt_add_us(monotime_t t, int64_t us)
{
	return (monotime_t){t.us + us};
}

/* Microseconds from b to a; negative if a is earlier. */
static inline int64_t
mt_sub_us(monotime_t a, monotime_t b)
{
	return a.us - b.us;
}

static inline bool
mt_before(monotime_t a, monotime_t b)
{
	return a.us < b.us;
}

static inline monotime_t
mt_min(monotime_t a, monotime_t b)
{
	return a.us < b.us ? a : b;
}

/* Limits.  Memory is sized from them or from the configuration. */
enum {
	HAD_NODES_MAX = 16, /* node ids are 1..16; set bit id - 1 */
	HAD_LINKS_MAX = 4,
	HAD_VOLUMES_MAX = 16,
	HAD_ADDRESSES_MAX = 256,
	HAD_ROUTERS_MAX = 512, /* VRRP and CARP */
	HAD_SERVICES_MAX = 32,
	HAD_STEPS_MAX = 32,
	HAD_LOCKSPACES_MAX = 16,
	HAD_FENCES_MAX = 4, /* levels per node */
	HAD_FENCE_PARAMS_MAX = 16,
	HAD_LOCK_DISKS_MAX = 4,
	HAD_VOTERS_MAX = 1 + HAD_LOCK_DISKS_MAX, /* the witness is voter 0 */
	HAD_PINGS_MAX = 4,
	HAD_ROUTER_ADDRESSES_MAX = 32, /* of one virtual router */
	HAD_ROUTER_PEERS_MAX = 8, /* unicast */
	HAD_ROUTER_IFS_MAX = 64, /* interfaces of virtual routers */
	HAD_TRACKS_MAX = 128,
	HAD_HMAC_KEYS_MAX = 512, /* of all virtual routers */
	HAD_PASSWORD_MAX = 24, /* CARP: 20 bytes; VRRPv2: 8 */
	HAD_VALUE_MAX = 256,
	HAD_NAME_MAX = 32, /* bytes, the terminating NUL included */
	HAD_PATH_MAX = 256,
	HAD_MSG_MAX = 128 * 1024, /* one message on the wire, sealed */
	HAD_IO_MAX = 64 * 1024, /* one volume request piece; see mirror.h */
};

typedef uint16_t nodeset_t;
#define NODESET(id) ((nodeset_t)(1u << ((id)-1)))
#define NODESET_HAS(s, id) (((s) >> ((id)-1)) & 1u)

/* Severities, as in syslog(3); names for a core's notes. */
enum had_level { HAD_ERR = 3, HAD_WARN = 4, HAD_INFO = 6, HAD_DEBUG = 7 };

#endif
