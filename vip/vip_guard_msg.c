/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The messages that the guard's tables are made of.  See vip_guard_msg.h.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include <linux/netfilter.h>
#include <linux/netfilter/nfnetlink.h>

#include <libnftnl/chain.h>
#include <libnftnl/common.h>
#include <libnftnl/expr.h>
#include <libnftnl/table.h>

#include "vip_guard_msg.h"

enum {
	MSG_ROOM = 32 * 1024, /* of one message, at most */
};

int
vip_batch_init(struct vip_batch *b, enum vip_guard_class class)
{
	memset(b, 0, sizeof(*b));
	b->names = &vip_guard_names[class];
	b->buf = malloc(VIP_BATCH_SIZE);
	b->seq = 1;
	return b->buf != NULL ? 0 : -1;
}

void
vip_batch_release(struct vip_batch *b)
{
	free(b->buf);
	b->buf = NULL;
}

static struct nlmsghdr *
msg_put(struct vip_batch *b, uint16_t type, uint16_t flags, const char *what)
{
	ASSERT(b->len + MSG_ROOM <= VIP_BATCH_SIZE && b->n < VIP_BATCH_MSGS);
	b->what[b->n] = what;
	return nftnl_nlmsg_build_hdr(
	    b->buf + b->len, type, NFPROTO_NETDEV, flags, b->seq + b->n++);
}

static void
msg_end(struct vip_batch *b, const struct nlmsghdr *nlh)
{
	ASSERT(nlh->nlmsg_len <= MSG_ROOM);
	b->len += MNL_ALIGN(nlh->nlmsg_len);
}

void
vg_put_again(struct vip_batch *b, const void *msg, size_t len, const char *what)
{
	struct nlmsghdr *nlh = (struct nlmsghdr *)(b->buf + b->len);

	ASSERT(b->len + len <= VIP_BATCH_SIZE && b->n < VIP_BATCH_MSGS);
	memcpy(nlh, msg, len);
	nlh->nlmsg_seq = b->seq + b->n;
	b->what[b->n++] = what;
	b->len += len;
}

/* Memory for a message's model ran out: there is no sane way on. */
void *
vg_need(void *p)
{
	ASSERT(p != NULL);
	return p;
}

void
vip_batch_begin(struct vip_batch *b)
{
	char *fresh;

	/* The tables of many addresses need much of it; what follows, little.
	 */
	if (b->len > VIP_BATCH_KEEP &&
	    (fresh = malloc(VIP_BATCH_SIZE)) != NULL) {
		free(b->buf);
		b->buf = fresh;
	}
	/* What came before is answered; the numbers need not be unique. */
	b->len = 0;
	b->n = 0;
	b->what[0] = "batch";
	b->len +=
	    MNL_ALIGN(nftnl_batch_begin(b->buf, b->seq + b->n++)->nlmsg_len);
}

void
vg_put_table(struct vip_batch *b, uint16_t type, const char *name,
    uint32_t flags, const char *what)
{
	struct nftnl_table *t = vg_need(nftnl_table_alloc());
	struct nlmsghdr *nlh;

	nftnl_table_set_u32(t, NFTNL_TABLE_FAMILY, NFPROTO_NETDEV);
	nftnl_table_set_str(t, NFTNL_TABLE_NAME, name);
	if (type == NFT_MSG_NEWTABLE)
		nftnl_table_set_u32(t, NFTNL_TABLE_FLAGS, flags);
	nlh =
	    msg_put(b, type, type == NFT_MSG_NEWTABLE ? NLM_F_CREATE : 0, what);
	nftnl_table_nlmsg_build_payload(nlh, t);
	msg_end(b, nlh);
	nftnl_table_free(t);
}

/* Away with an old one, if any, without a failure if there is none. */
void
vg_put_table_anew(
    struct vip_batch *b, const char *name, uint32_t flags, const char *what)
{
	vg_put_table(b, NFT_MSG_NEWTABLE, name, flags, what);
	vg_put_table(b, NFT_MSG_DELTABLE, name, 0, what);
	vg_put_table(b, NFT_MSG_NEWTABLE, name, flags, what);
}

/* A set, or a map if data is given; type and length of each. */
void
vg_put_map(struct vip_batch *b, const char *table, const char *name,
    const uint32_t key[2], const uint32_t data[2], uint32_t flags)
{
	struct nftnl_set *s = vg_need(nftnl_set_alloc());
	struct nlmsghdr *nlh;

	nftnl_set_set_str(s, NFTNL_SET_TABLE, table);
	nftnl_set_set_str(s, NFTNL_SET_NAME, name);
	nftnl_set_set_u32(s, NFTNL_SET_FAMILY, NFPROTO_NETDEV);
	nftnl_set_set_u32(s, NFTNL_SET_KEY_TYPE, key[0]);
	nftnl_set_set_u32(s, NFTNL_SET_KEY_LEN, key[1]);
	nftnl_set_set_u32(s, NFTNL_SET_ID, b->n);
	if (data != NULL) {
		flags |= NFT_SET_MAP;
		nftnl_set_set_u32(s, NFTNL_SET_DATA_TYPE, data[0]);
		nftnl_set_set_u32(s, NFTNL_SET_DATA_LEN, data[1]);
	}
	nftnl_set_set_u32(s, NFTNL_SET_FLAGS, flags);
	nlh = msg_put(b, NFT_MSG_NEWSET, NLM_F_CREATE, "set");
	nftnl_set_nlmsg_build_payload(nlh, s);
	msg_end(b, nlh);
	nftnl_set_free(s);
}

void
vg_put_set(struct vip_batch *b, const char *table, const char *name,
    uint32_t type, uint32_t len, uint32_t flags)
{
	vg_put_map(b, table, name, (uint32_t[2]){type, len}, NULL, flags);
}

void
vg_put_model(struct vip_batch *b, struct nftnl_set *s, uint16_t type)
{
	struct nlmsghdr *nlh;

	nlh = msg_put(b, type, type == NFT_MSG_NEWSETELEM ? NLM_F_CREATE : 0,
	    "set element");
	nftnl_set_elems_nlmsg_build_payload(nlh, s);
	msg_end(b, nlh);
	nftnl_set_free(s);
}

struct nftnl_set *
vg_set_model(const char *table, const char *name)
{
	struct nftnl_set *s = vg_need(nftnl_set_alloc());

	nftnl_set_set_str(s, NFTNL_SET_TABLE, table);
	nftnl_set_set_str(s, NFTNL_SET_NAME, name);
	return s;
}

/* An element; data_len 0: of a set. */
void
vg_model_add(struct nftnl_set *s, const void *key, uint32_t len,
    const void *data, uint32_t data_len)
{
	struct nftnl_set_elem *e = vg_need(nftnl_set_elem_alloc());

	nftnl_set_elem_set(e, NFTNL_SET_ELEM_KEY, key, len);
	if (data_len > 0)
		nftnl_set_elem_set(e, NFTNL_SET_ELEM_DATA, data, data_len);
	nftnl_set_elem_add(s, e);
}

void
vg_put_flush(struct vip_batch *b, const char *table, const char *name)
{
	vg_put_model(b, vg_set_model(table, name), NFT_MSG_DELSETELEM);
}

/* A base chain on the interfaces devs; devs NULL: one to jump to. */
void
vg_put_chain(struct vip_batch *b, const char *table, const char *name,
    uint32_t hook, int32_t prio, const char *const *devs)
{
	struct nftnl_chain *c = vg_need(nftnl_chain_alloc());
	struct nlmsghdr *nlh;

	nftnl_chain_set_str(c, NFTNL_CHAIN_TABLE, table);
	nftnl_chain_set_str(c, NFTNL_CHAIN_NAME, name);
	if (devs != NULL) {
		nftnl_chain_set_str(c, NFTNL_CHAIN_TYPE, "filter");
		nftnl_chain_set_u32(c, NFTNL_CHAIN_HOOKNUM, hook);
		nftnl_chain_set_s32(c, NFTNL_CHAIN_PRIO, prio);
		nftnl_chain_set_u32(c, NFTNL_CHAIN_POLICY, NF_ACCEPT);
		/* libnftnl copies the names; its prototype lacks a const. */
		nftnl_chain_set_data(
		    c, NFTNL_CHAIN_DEVICES, (const void *)devs, 0);
	}
	nlh = msg_put(b, NFT_MSG_NEWCHAIN, NLM_F_CREATE,
	    devs == NULL               ? "chain"
	    : hook == NF_NETDEV_EGRESS ? "egress chain"
				       : "ingress chain");
	nftnl_chain_nlmsg_build_payload(nlh, c);
	msg_end(b, nlh);
	nftnl_chain_free(c);
}

void
vg_x_payload_to(struct nftnl_rule *r, uint32_t reg, uint32_t base,
    uint32_t offset, uint32_t len)
{
	struct nftnl_expr *e = vg_need(nftnl_expr_alloc("payload"));

	nftnl_expr_set_u32(e, NFTNL_EXPR_PAYLOAD_BASE, base);
	nftnl_expr_set_u32(e, NFTNL_EXPR_PAYLOAD_OFFSET, offset);
	nftnl_expr_set_u32(e, NFTNL_EXPR_PAYLOAD_LEN, len);
	nftnl_expr_set_u32(e, NFTNL_EXPR_PAYLOAD_DREG, reg);
	nftnl_rule_add_expr(r, e);
}

void
vg_x_payload(struct nftnl_rule *r, uint32_t base, uint32_t offset, uint32_t len)
{
	vg_x_payload_to(r, NFT_REG_1, base, offset, len);
}

/* Writes into the packet. */
void
vg_x_write(struct nftnl_rule *r, uint32_t reg, uint32_t base, uint32_t offset,
    uint32_t len)
{
	struct nftnl_expr *e = vg_need(nftnl_expr_alloc("payload"));

	nftnl_expr_set_u32(e, NFTNL_EXPR_PAYLOAD_BASE, base);
	nftnl_expr_set_u32(e, NFTNL_EXPR_PAYLOAD_OFFSET, offset);
	nftnl_expr_set_u32(e, NFTNL_EXPR_PAYLOAD_LEN, len);
	nftnl_expr_set_u32(e, NFTNL_EXPR_PAYLOAD_SREG, reg);
	nftnl_rule_add_expr(r, e);
}

void
vg_x_write_sum(struct nftnl_rule *r, uint32_t reg, uint32_t base,
    uint32_t offset, uint32_t len, uint32_t sum)
{
	struct nftnl_expr *e = vg_need(nftnl_expr_alloc("payload"));

	nftnl_expr_set_u32(e, NFTNL_EXPR_PAYLOAD_BASE, base);
	nftnl_expr_set_u32(e, NFTNL_EXPR_PAYLOAD_OFFSET, offset);
	nftnl_expr_set_u32(e, NFTNL_EXPR_PAYLOAD_LEN, len);
	nftnl_expr_set_u32(e, NFTNL_EXPR_PAYLOAD_SREG, reg);
	nftnl_expr_set_u32(
	    e, NFTNL_EXPR_PAYLOAD_CSUM_TYPE, NFT_PAYLOAD_CSUM_INET);
	nftnl_expr_set_u32(e, NFTNL_EXPR_PAYLOAD_CSUM_OFFSET, sum);
	nftnl_rule_add_expr(r, e);
}

void
vg_x_hash(struct nftnl_rule *r, uint32_t len, uint32_t modulus, uint32_t seed)
{
	struct nftnl_expr *e = vg_need(nftnl_expr_alloc("hash"));

	ASSERT(seed != 0); /* the kernel would choose one */
	nftnl_expr_set_u32(e, NFTNL_EXPR_HASH_SREG, NFT_REG_1);
	nftnl_expr_set_u32(e, NFTNL_EXPR_HASH_DREG, NFT_REG_1);
	nftnl_expr_set_u32(e, NFTNL_EXPR_HASH_LEN, len);
	nftnl_expr_set_u32(e, NFTNL_EXPR_HASH_MODULUS, modulus);
	nftnl_expr_set_u32(e, NFTNL_EXPR_HASH_SEED, seed);
	nftnl_expr_set_u32(e, NFTNL_EXPR_HASH_TYPE, NFT_HASH_JENKINS);
	nftnl_rule_add_expr(r, e);
}

void
vg_x_meta(struct nftnl_rule *r, uint32_t key, bool set)
{
	struct nftnl_expr *e = vg_need(nftnl_expr_alloc("meta"));

	nftnl_expr_set_u32(e, NFTNL_EXPR_META_KEY, key);
	nftnl_expr_set_u32(
	    e, set ? NFTNL_EXPR_META_SREG : NFTNL_EXPR_META_DREG, NFT_REG_1);
	nftnl_rule_add_expr(r, e);
}

void
vg_x_cmp_op(struct nftnl_rule *r, uint32_t op, const void *data, uint32_t len)
{
	struct nftnl_expr *e = vg_need(nftnl_expr_alloc("cmp"));

	nftnl_expr_set_u32(e, NFTNL_EXPR_CMP_SREG, NFT_REG_1);
	nftnl_expr_set_u32(e, NFTNL_EXPR_CMP_OP, op);
	nftnl_expr_set(e, NFTNL_EXPR_CMP_DATA, data, len);
	nftnl_rule_add_expr(r, e);
}

void
vg_x_cmp(struct nftnl_rule *r, const void *data, uint32_t len)
{
	vg_x_cmp_op(r, NFT_CMP_EQ, data, len);
}

void
vg_x_bits(struct nftnl_rule *r, uint32_t mask, uint32_t xor)
{
	struct nftnl_expr *e = vg_need(nftnl_expr_alloc("bitwise"));

	nftnl_expr_set_u32(e, NFTNL_EXPR_BITWISE_SREG, NFT_REG_1);
	nftnl_expr_set_u32(e, NFTNL_EXPR_BITWISE_DREG, NFT_REG_1);
	nftnl_expr_set_u32(e, NFTNL_EXPR_BITWISE_LEN, sizeof(mask));
	nftnl_expr_set(e, NFTNL_EXPR_BITWISE_MASK, &mask, sizeof(mask));
	nftnl_expr_set(e, NFTNL_EXPR_BITWISE_XOR, &xor, sizeof(xor));
	nftnl_rule_add_expr(r, e);
}

void
vg_x_lookup(struct nftnl_rule *r, const char *set, bool not_in)
{
	struct nftnl_expr *e = vg_need(nftnl_expr_alloc("lookup"));

	nftnl_expr_set_u32(e, NFTNL_EXPR_LOOKUP_SREG, NFT_REG_1);
	nftnl_expr_set_str(e, NFTNL_EXPR_LOOKUP_SET, set);
	if (not_in)
		nftnl_expr_set_u32(
		    e, NFTNL_EXPR_LOOKUP_FLAGS, NFT_LOOKUP_F_INV);
	nftnl_rule_add_expr(r, e);
}

/* What the map says about register 1, to register to. */
void
vg_x_map(struct nftnl_rule *r, const char *map, uint32_t to)
{
	struct nftnl_expr *e = vg_need(nftnl_expr_alloc("lookup"));

	nftnl_expr_set_u32(e, NFTNL_EXPR_LOOKUP_SREG, NFT_REG_1);
	nftnl_expr_set_str(e, NFTNL_EXPR_LOOKUP_SET, map);
	nftnl_expr_set_u32(e, NFTNL_EXPR_LOOKUP_DREG, to);
	nftnl_rule_add_expr(r, e);
}

void
vg_x_const(struct nftnl_rule *r, uint32_t value)
{
	struct nftnl_expr *e = vg_need(nftnl_expr_alloc("immediate"));

	nftnl_expr_set_u32(e, NFTNL_EXPR_IMM_DREG, NFT_REG_1);
	nftnl_expr_set(e, NFTNL_EXPR_IMM_DATA, &value, sizeof(value));
	nftnl_rule_add_expr(r, e);
}

void
vg_x_verdict(struct nftnl_rule *r, int verdict, const char *chain)
{
	struct nftnl_expr *e = vg_need(nftnl_expr_alloc("immediate"));

	nftnl_expr_set_u32(e, NFTNL_EXPR_IMM_DREG, NFT_REG_VERDICT);
	nftnl_expr_set_u32(e, NFTNL_EXPR_IMM_VERDICT, (uint32_t)verdict);
	if (chain != NULL)
		nftnl_expr_set_str(e, NFTNL_EXPR_IMM_CHAIN, chain);
	nftnl_rule_add_expr(r, e);
}

/* mark = (mark & mask) ^ xor */
void
vg_x_mark(struct nftnl_rule *r, uint32_t mask, uint32_t xor)
{
	vg_x_meta(r, NFT_META_MARK, false);
	vg_x_bits(r, mask, xor);
	vg_x_meta(r, NFT_META_MARK, true);
}

struct nftnl_rule *
vg_rule_new(const char *table, const char *chain)
{
	struct nftnl_rule *r = vg_need(nftnl_rule_alloc());

	nftnl_rule_set_u32(r, NFTNL_RULE_FAMILY, NFPROTO_NETDEV);
	nftnl_rule_set_str(r, NFTNL_RULE_TABLE, table);
	nftnl_rule_set_str(r, NFTNL_RULE_CHAIN, chain);
	return r;
}

void
vg_put_rule(struct vip_batch *b, struct nftnl_rule *r)
{
	struct nlmsghdr *nlh;

	nlh = msg_put(b, NFT_MSG_NEWRULE, NLM_F_CREATE | NLM_F_APPEND, "rule");
	nftnl_rule_nlmsg_build_payload(nlh, r);
	msg_end(b, nlh);
	nftnl_rule_free(r);
}

/* The text for an answer that names a message by its number. */
static const char *
batch_what(const struct vip_batch *b, uint32_t seq)
{
	uint32_t i = seq - b->seq;

	return i < b->n ? b->what[i] : "batch";
}

/*
 * The kernel works while the message is sent, so all answers are there when
 * that returns: errors, and one success, of the last message that asked.
 */
static int
batch_answers(struct vip_batch *b, struct mnl_socket *nl, const char **what)
{
	char buf[16384];
	bool done = false;
	ssize_t len;
	int err = 0;

	while ((len = mnl_socket_recvfrom(nl, buf, sizeof(buf))) > 0) {
		const struct nlmsghdr *nlh = (const struct nlmsghdr *)buf;
		int left = (int)len;

		for (; mnl_nlmsg_ok(nlh, left);
		     nlh = mnl_nlmsg_next(nlh, &left)) {
			const struct nlmsgerr *e = mnl_nlmsg_get_payload(nlh);

			if (nlh->nlmsg_type != NLMSG_ERROR)
				continue;
			if (e->error == 0)
				done = true;
			else if (err == 0) {
				err = -e->error;
				*what = batch_what(b, nlh->nlmsg_seq);
			}
		}
	}
	if (err == 0 && !done) {
		*what = "batch";
		err = EPROTO;
	}
	errno = err;
	return err == 0 ? 0 : -1;
}

int
vip_batch_send(struct vip_batch *b, struct mnl_socket *nl, const char **what)
{
	struct nlmsghdr *nlh = (struct nlmsghdr *)b->buf, *last = nlh;
	int left = (int)b->len;

	ASSERT(b->n > 1 && b->n < VIP_BATCH_MSGS);
	for (; mnl_nlmsg_ok(nlh, left); nlh = mnl_nlmsg_next(nlh, &left))
		last = nlh;
	last->nlmsg_flags |= NLM_F_ACK;
	b->what[b->n] = "batch";
	b->len += MNL_ALIGN(
	    nftnl_batch_end(b->buf + b->len, b->seq + b->n++)->nlmsg_len);
	*what = "netlink socket";
	if (mnl_socket_sendto(nl, b->buf, b->len) < 0)
		return -1;
	return batch_answers(b, nl, what);
}

static int
elem_left(struct nftnl_set_elem *e, void *data)
{
	uint64_t *ms = data;

	if (nftnl_set_elem_is_set(e, NFTNL_SET_ELEM_EXPIRATION))
		*ms = nftnl_set_elem_get_u64(e, NFTNL_SET_ELEM_EXPIRATION);
	return 0;
}

static int
on_elems(const struct nlmsghdr *nlh, void *data)
{
	struct nftnl_set *s = vg_need(nftnl_set_alloc());

	if (nftnl_set_elems_nlmsg_parse(nlh, s) == 0)
		nftnl_set_elem_foreach(s, elem_left, data);
	nftnl_set_free(s);
	return MNL_CB_OK;
}

int
vip_lease_left(struct vip_batch *b, struct mnl_socket *nl, uint64_t *ms)
{
	struct nftnl_set *s = vg_set_model(b->names->lease, "lease");
	struct nlmsghdr *nlh;
	char buf[16384];
	ssize_t len;
	int r = MNL_CB_OK;

	*ms = 0;
	b->len = b->n = 0;
	nlh = msg_put(b, NFT_MSG_GETSETELEM, NLM_F_DUMP, "set element");
	nftnl_set_elems_nlmsg_build_payload(nlh, s);
	nftnl_set_free(s);
	if (mnl_socket_sendto(nl, nlh, nlh->nlmsg_len) < 0)
		return -1;
	while (r > MNL_CB_STOP) {
		len = mnl_socket_recvfrom(nl, buf, sizeof(buf));
		if (len < 0)
			return -1;
		r = mnl_cb_run(buf, (size_t)len, b->seq,
		    mnl_socket_get_portid(nl), on_elems, ms);
	}
	return r < 0 ? -1 : 0;
}
