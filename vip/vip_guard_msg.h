/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Messages of nftables, one after the other into a batch: tables, sets, chains
 * and rules of family netdev, and the expressions that rules are made of.
 */
#ifndef VIP_GUARD_MSG_H
#define VIP_GUARD_MSG_H

#include <linux/netfilter/nf_tables.h>

#include <libnftnl/rule.h>
#include <libnftnl/set.h>

#include "vip_guard_int.h"

/* nft's data types, for its listings. */
enum {
	NFT_TYPE_IP4 = 7,
	NFT_TYPE_IP6 = 8,
	NFT_TYPE_ETHER = 9,
	NFT_TYPE_MARK = 19,
	NFT_TYPE_IFINDEX = 20,
	NFT_TYPE_ETHER_IP4 = NFT_TYPE_ETHER << 6 | NFT_TYPE_IP4,
	NFT_TYPE_IP6_ETHER = NFT_TYPE_IP6 << 6 | NFT_TYPE_ETHER,
};

/* Memory for a message's model ran out: there is no sane way on. */
void *vg_need(void *p);
void vg_put_table(struct vip_batch *b, uint16_t type, const char *name,
    uint32_t flags, const char *what);
/* Away with an old one, if any, without a failure if there is none. */
void vg_put_table_anew(
    struct vip_batch *b, const char *name, uint32_t flags, const char *what);
/* A set, or a map if data is given; type and length of each. */
void vg_put_map(struct vip_batch *b, const char *table, const char *name,
    const uint32_t key[2], const uint32_t data[2], uint32_t flags);
void vg_put_set(struct vip_batch *b, const char *table, const char *name,
    uint32_t type, uint32_t len, uint32_t flags);
void vg_put_model(struct vip_batch *b, struct nftnl_set *s, uint16_t type);
/* A whole message once more, of len aligned bytes, with a new number. */
void vg_put_again(
    struct vip_batch *b, const void *msg, size_t len, const char *what);
struct nftnl_set *vg_set_model(const char *table, const char *name);
/* An element; data_len 0: of a set. */
void vg_model_add(struct nftnl_set *s, const void *key, uint32_t len,
    const void *data, uint32_t data_len);
void vg_put_flush(struct vip_batch *b, const char *table, const char *name);
/* A base chain on the interfaces devs; devs NULL: one to jump to. */
void vg_put_chain(struct vip_batch *b, const char *table, const char *name,
    uint32_t hook, int32_t prio, const char *const *devs);
void vg_x_payload_to(struct nftnl_rule *r, uint32_t reg, uint32_t base,
    uint32_t offset, uint32_t len);
void vg_x_payload(
    struct nftnl_rule *r, uint32_t base, uint32_t offset, uint32_t len);
/* Writes into the packet. */
void vg_x_write(struct nftnl_rule *r, uint32_t reg, uint32_t base,
    uint32_t offset, uint32_t len);
/* And puts the Internet checksum right that is at sum of the same header. */
void vg_x_write_sum(struct nftnl_rule *r, uint32_t reg, uint32_t base,
    uint32_t offset, uint32_t len, uint32_t sum);
/* A hash of so many bytes in register 1: 0 to modulus - 1. */
void vg_x_hash(
    struct nftnl_rule *r, uint32_t len, uint32_t modulus, uint32_t seed);
void vg_x_meta(struct nftnl_rule *r, uint32_t key, bool set);
void vg_x_cmp_op(
    struct nftnl_rule *r, uint32_t op, const void *data, uint32_t len);
void vg_x_cmp(struct nftnl_rule *r, const void *data, uint32_t len);
void vg_x_bits(struct nftnl_rule *r, uint32_t mask, uint32_t xor);
void vg_x_lookup(struct nftnl_rule *r, const char *set, bool not_in);
/* What the map says about register 1, to register to. */
void vg_x_map(struct nftnl_rule *r, const char *map, uint32_t to);
void vg_x_const(struct nftnl_rule *r, uint32_t value);
void vg_x_verdict(struct nftnl_rule *r, int verdict, const char *chain);
/* mark = (mark & mask) ^ xor */
void vg_x_mark(struct nftnl_rule *r, uint32_t mask, uint32_t xor);
struct nftnl_rule *vg_rule_new(const char *table, const char *chain);
void vg_put_rule(struct vip_batch *b, struct nftnl_rule *r);

#endif
