/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The messages of services, little-endian.  All begin with:
 *	 0	type, flags, count (2)
 *	 4	serial (4), seen (4), hash (4)
 * TABLE: count entries of SVC_MSG_ENTRY bytes:
 *	 0	service (2), state, can; hash (4), gen (4)
 *	12	start_ms (4), stop_ms (4), flags (1), ran_on, zero (2)
 *	24	ran_gen (4), stamp (4), took_s (2), peer_took_s (2)
 * and hash is the stamp of the flag FROZEN.
 * CLAIM, PULL, GRANT, DENY: count is the service.  DENY and OP_DONE end in a
 * text.  ASK_OP: count is the operation, seen the service and hash that of
 * its name, or ~0 and 0; OP_DONE: count is the exit code.
 */
#include <string.h>

#include "svc_int.h"

enum {
	FLAG_ASK = 1,
	FLAG_STANDBY = 2,
	FLAG_DRY_RUN = 4,
	FLAG_FORCE = 8,
	FLAG_FROZEN = 16,
	FLAGS_KNOWN = 31,
	ENTRY_FIRM = 1,
	ENTRY_ORDERED = 2,
	ENTRY_FROZEN = 4,
	ENTRY_STOPPED = 8,
	ENTRY_KNOWN = 15,
};

static void
put_int(uint8_t *p, uint32_t v, int bytes)
{
	for (int i = 0; i < bytes; i++)
		p[i] = (uint8_t)(v >> (8 * i));
}

static uint32_t
get_int(const uint8_t *p, int bytes)
{
	uint32_t v = 0;

	for (int i = 0; i < bytes; i++)
		v |= (uint32_t)p[i] << (8 * i);
	return v;
}

static void
entry_encode(const struct svc_entry *e, uint8_t *p)
{
	put_int(p, e->service, 2);
	p[2] = (uint8_t)e->state;
	p[3] = e->can;
	put_int(p + 4, e->hash, 4);
	put_int(p + 8, e->gen, 4);
	put_int(p + 12, e->start_ms, 4);
	put_int(p + 16, e->stop_ms, 4);
	p[20] = (uint8_t)((e->firm ? ENTRY_FIRM : 0) |
			  (e->ordered ? ENTRY_ORDERED : 0) |
			  (e->frozen ? ENTRY_FROZEN : 0) |
			  (e->stopped ? ENTRY_STOPPED : 0));
	p[21] = e->ran_on;
	put_int(p + 24, e->ran_gen, 4);
	put_int(p + 28, e->stamp, 4);
	put_int(p + SVC_MSG_ENTRY_AGES, e->took_s, 2);
	put_int(p + SVC_MSG_ENTRY_AGES + 2, e->peer_took_s, 2);
}

static const char *
entry_decode(struct svc_entry *e, const uint8_t *p)
{
	e->service = (uint16_t)get_int(p, 2);
	e->state = p[2];
	e->can = p[3];
	e->hash = get_int(p + 4, 4);
	e->gen = get_int(p + 8, 4);
	e->start_ms = get_int(p + 12, 4);
	e->stop_ms = get_int(p + 16, 4);
	e->firm = p[20] & ENTRY_FIRM;
	e->ordered = (p[20] & ENTRY_ORDERED) != 0;
	e->frozen = (p[20] & ENTRY_FROZEN) != 0;
	e->stopped = (p[20] & ENTRY_STOPPED) != 0;
	e->ran_on = p[21];
	e->ran_gen = get_int(p + 24, 4);
	e->stamp = get_int(p + 28, 4);
	e->took_s = (uint16_t)get_int(p + SVC_MSG_ENTRY_AGES, 2);
	e->peer_took_s = (uint16_t)get_int(p + SVC_MSG_ENTRY_AGES + 2, 2);
	if (e->service >= HAD_SERVICES_MAX)
		return "service out of range";
	if (p[2] >= SVC_STATE_N)
		return "unknown state of a service";
	if (e->can > 2)
		return "unknown ability";
	if ((p[20] & ~ENTRY_KNOWN) != 0 || get_int(p + 22, 2) != 0)
		return "unknown flags of a service";
	if (e->ran_on > HAD_NODES_MAX)
		return "unknown node of a service";
	return NULL;
}

size_t
svc_msg_encode(const struct svc_msg *m, uint8_t bytes[SVC_MSG_MAX])
{
	size_t len = SVC_MSG_HEAD, text = strnlen(m->text, sizeof(m->text));
	uint32_t count = m->service, seen = m->seen, hash = m->hash;

	ASSERT(m->n <= HAD_SERVICES_MAX && text < sizeof(m->text));
	memset(bytes, 0, SVC_MSG_MAX);
	if (m->type == SVC_MSG_TABLE) {
		count = m->n;
		hash = m->stamp;
	} else if (m->type == SVC_MSG_ASK_OP) {
		count = (uint32_t)m->op;
		seen = m->all ? UINT32_MAX : m->service;
		hash = m->all ? 0 : m->hash;
	}
	if (m->type == SVC_MSG_OP_DONE)
		count = (uint32_t)m->code;
	bytes[0] = (uint8_t)m->type;
	bytes[1] = (uint8_t)((m->ask ? FLAG_ASK : 0) |
			     (m->standby ? FLAG_STANDBY : 0) |
			     (m->dry_run ? FLAG_DRY_RUN : 0) |
			     (m->force ? FLAG_FORCE : 0) |
			     (m->frozen ? FLAG_FROZEN : 0));
	put_int(bytes + 2, count, 2);
	put_int(bytes + 4, m->serial, 4);
	put_int(bytes + 8, seen, 4);
	put_int(bytes + 12, hash, 4);
	if (m->type == SVC_MSG_TABLE) {
		for (unsigned i = 0; i < m->n; i++, len += SVC_MSG_ENTRY)
			entry_encode(&m->entries[i], bytes + len);
	} else if (m->type == SVC_MSG_DENY || m->type == SVC_MSG_OP_DONE) {
		memcpy(bytes + len, m->text, text);
		len += text;
	}
	return len;
}

static const char *
decode_body(struct svc_msg *m, const uint8_t *p, size_t len)
{
	const char *why;

	switch (m->type) {
	case SVC_MSG_TABLE:
		m->n = m->service;
		m->stamp = m->hash;
		if (m->n > HAD_SERVICES_MAX ||
		    len != (size_t)m->n * SVC_MSG_ENTRY)
			return "wrong length of a table";
		for (unsigned i = 0; i < m->n; i++, p += SVC_MSG_ENTRY)
			if ((why = entry_decode(&m->entries[i], p)) != NULL)
				return why;
		return NULL;
	case SVC_MSG_CLAIM:
	case SVC_MSG_PULL:
	case SVC_MSG_GRANT:
		return len == 0 ? NULL : "trailing bytes";
	case SVC_MSG_ASK_OP:
		m->op = m->service;
		m->all = m->seen == UINT32_MAX;
		if (m->op != SVC_OP_STANDBY && m->op != SVC_OP_ONLINE &&
		    m->op != SVC_OP_TAKEOVER)
			return "unknown operation";
		if (m->all ? m->hash != 0 || m->op == SVC_OP_TAKEOVER
			   : m->seen >= HAD_SERVICES_MAX ||
				 m->op != SVC_OP_TAKEOVER)
			return "operation on an unknown service";
		m->service = m->all ? 0 : (uint16_t)m->seen;
		return len == 0 ? NULL : "trailing bytes";
	case SVC_MSG_DENY:
	case SVC_MSG_OP_DONE:
		m->code = m->service;
		if (len >= sizeof(m->text) || memchr(p, '\0', len) != NULL)
			return "bad text";
		memcpy(m->text, p, len);
		return NULL;
	}
	return "unknown type";
}

int
svc_msg_decode(
    struct svc_msg *m, const uint8_t *bytes, size_t len, const char **why)
{
	memset(m, 0, sizeof(*m));
	*why = NULL;
	if (len < SVC_MSG_HEAD) {
		*why = "too short";
		return -1;
	}
	m->type = bytes[0];
	m->ask = (bytes[1] & FLAG_ASK) != 0;
	m->standby = (bytes[1] & FLAG_STANDBY) != 0;
	m->dry_run = (bytes[1] & FLAG_DRY_RUN) != 0;
	m->force = (bytes[1] & FLAG_FORCE) != 0;
	m->frozen = (bytes[1] & FLAG_FROZEN) != 0;
	m->service = (uint16_t)get_int(bytes + 2, 2);
	m->serial = get_int(bytes + 4, 4);
	m->seen = get_int(bytes + 8, 4);
	m->hash = get_int(bytes + 12, 4);
	if ((bytes[1] & ~FLAGS_KNOWN) != 0)
		*why = "unknown flags";
	else
		*why = decode_body(m, bytes + SVC_MSG_HEAD, len - SVC_MSG_HEAD);
	return *why == NULL ? 0 : -1;
}
