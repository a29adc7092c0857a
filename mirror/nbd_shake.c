/* SPDX-License-Identifier: BSD-2-Clause */
/* NBD server: fixed newstyle handshake. */
#include <string.h>

#include "nbd_int.h"

/* Enters the handshake: the greeting goes out. */
int
nbd_shake_start(struct nbd_client *c)
{
	c->phase = NBD_PH_FLAGS;
	c->olen = nbdp_put_greeting(c->obuf, sizeof(c->obuf));
	return nbd_client_flush(c);
}

/* The export as this client sees it. */
static struct nbdp_export
export_of(const struct nbd_client *c)
{
	const struct nbd *n = c->nbd;
	struct nbdp_export e = {
	    .name = n->conf.name,
	    .size = n->conf.size,
	    .flags = nbd_flags(n),
	    .block_min = n->conf.block_min,
	    .block_pref = 4096,
	    .block_max = NBDP_PAYLOAD_MAX,
	};

	/* The specification allows the flag only with structured replies. */
	if (c->structured)
		e.flags |= NBDP_SEND_DF;
	return e;
}

static int
opt_error(struct nbd_client *c, uint32_t type, const char *text)
{
	/* To ask for what a server may lack is no offence. */
	if (type != NBDP_REP_ERR_UNSUP)
		nbd_complain(c, "option %u: %s", c->opt.opt, text);
	c->olen = nbdp_put_opt_error(
	    c->obuf, sizeof(c->obuf), c->opt.opt, type, text);
	return nbd_client_flush(c) == -1 ? -1 : 1;
}

static int
opt_ack(struct nbd_client *c)
{
	c->olen += nbdp_put_opt_reply(c->obuf + c->olen,
	    sizeof(c->obuf) - c->olen, c->opt.opt, NBDP_REP_ACK, NULL, 0);
	return nbd_client_flush(c) == -1 ? -1 : 1;
}

/* The empty name is the default export. */
static bool
is_ours(const struct nbd *n, const char *name, size_t len)
{
	return len == 0 || (len == strlen(n->conf.name) &&
			       memcmp(name, n->conf.name, len) == 0);
}

static int
opt_export_name(struct nbd_client *c, const uint8_t *data)
{
	struct nbdp_export e = export_of(c);

	/* This option has no error reply: the connection is the reply. */
	if (!is_ours(c->nbd, (const char *)data, c->opt.len)) {
		nbd_client_close(c, "asked for an export that is not here");
		return -1;
	}
	c->olen =
	    nbdp_put_export_reply(c->obuf, sizeof(c->obuf), &e, c->no_zeroes);
	c->phase = NBD_PH_REQUEST;
	return nbd_client_flush(c) == -1 ? -1 : 1;
}

static int
opt_go(struct nbd_client *c, const uint8_t *data)
{
	struct nbdp_export e = export_of(c);
	struct nbdp_go go;
	const char *why;

	if (nbdp_get_go(&go, data, c->opt.len, &why) == -1)
		return opt_error(c, NBDP_REP_ERR_INVALID, why);
	if (!is_ours(c->nbd, go.name, go.name_len))
		return opt_error(
		    c, NBDP_REP_ERR_UNKNOWN, "no export of that name");
	c->olen = nbdp_put_info(c->obuf, sizeof(c->obuf), c->opt.opt, &go, &e);
	if (c->opt.opt == NBDP_OPT_GO)
		c->phase = NBD_PH_REQUEST;
	return nbd_client_flush(c) == -1 ? -1 : 1;
}

static int
opt_list(struct nbd_client *c)
{
	struct nbdp_export e = export_of(c);

	c->olen = nbdp_put_list_entry(c->obuf, sizeof(c->obuf), &e);
	return opt_ack(c);
}

static int
option(struct nbd_client *c, const uint8_t *data)
{
	c->phase = NBD_PH_OPT;
	if (!c->fixed && c->opt.opt != NBDP_OPT_EXPORT_NAME) {
		nbd_client_close(c, "option without fixed newstyle");
		return -1;
	}
	switch (c->opt.opt) {
	case NBDP_OPT_EXPORT_NAME:
		return opt_export_name(c, data);
	case NBDP_OPT_INFO:
	case NBDP_OPT_GO:
		return opt_go(c, data);
	case NBDP_OPT_ABORT:
		c->phase = NBD_PH_END;
		return opt_ack(c);
	case NBDP_OPT_LIST:
		if (c->opt.len > 0)
			return opt_error(
			    c, NBDP_REP_ERR_INVALID, "the list takes no data");
		return opt_list(c);
	case NBDP_OPT_STRUCTURED_REPLY:
		if (c->opt.len > 0)
			return opt_error(c, NBDP_REP_ERR_INVALID,
			    "structured replies take no data");
		c->structured = true;
		return opt_ack(c);
	default:
		return opt_error(c, NBDP_REP_ERR_UNSUP, "unsupported option");
	}
}

static int
step_flags(struct nbd_client *c)
{
	uint32_t flags;
	const char *why;

	if (c->rlen - c->rat < NBDP_CLIENT_FLAGS_LEN)
		return 0;
	if (nbdp_get_client_flags(
		&flags, c->rbuf + c->rat, NBDP_CLIENT_FLAGS_LEN, &why) == -1) {
		nbd_client_close(c, why);
		return -1;
	}
	c->rat += NBDP_CLIENT_FLAGS_LEN;
	c->no_zeroes = flags & NBDP_NO_ZEROES;
	c->fixed = flags & NBDP_FIXED_NEWSTYLE;
	c->phase = NBD_PH_OPT;
	return 1;
}

static int
step_opt(struct nbd_client *c)
{
	const char *why;

	if (c->rlen - c->rat < NBDP_OPT_HDR_LEN)
		return 0;
	if (nbdp_get_opt_hdr(
		&c->opt, c->rbuf + c->rat, NBDP_OPT_HDR_LEN, &why) == -1) {
		nbd_client_close(c, why);
		return -1;
	}
	c->rat += NBDP_OPT_HDR_LEN;
	c->skip = c->opt.len;
	c->phase =
	    c->opt.len > NBDP_OPT_DATA_MAX ? NBD_PH_OPT_SKIP : NBD_PH_OPT_DATA;
	return 1;
}

static int
step_skip(struct nbd_client *c)
{
	size_t n = c->rlen - c->rat;

	if (n > c->skip)
		n = c->skip;
	c->rat += n;
	c->skip -= n;
	if (c->skip > 0)
		return 0;
	if (c->opt.opt == NBDP_OPT_EXPORT_NAME) {
		nbd_client_close(c, "export name too long");
		return -1;
	}
	c->phase = NBD_PH_OPT;
	return opt_error(c, NBDP_REP_ERR_TOO_BIG, "option data too long");
}

int
nbd_shake_step(struct nbd_client *c)
{
	const uint8_t *data;

	if (c->olen > 0) /* one reply at a time; goes on when it is sent */
		return 0;
	switch (c->phase) {
	case NBD_PH_FLAGS:
		return step_flags(c);
	case NBD_PH_OPT:
		return step_opt(c);
	case NBD_PH_OPT_SKIP:
		return step_skip(c);
	default:
		ASSERT(c->phase == NBD_PH_OPT_DATA);
		if (c->rlen - c->rat < c->opt.len)
			return 0;
		data = c->rbuf + c->rat;
		c->rat += c->opt.len;
		return option(c, data);
	}
}
