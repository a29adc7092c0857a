/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Driver: virtual hardware addresses, each a macvlan interface above the one
 * that a virtual router speaks on.
 *
 * Such an interface exists and is up on all machines of the group.  That it is
 * silent and deaf where the router is not active is the guard's job
 * (vip_guard.h, has_mac), and so is that the interface below never answers
 * for its addresses: no setting of any interface but had's own is changed.
 */
#ifndef VR_MAC_H
#define VR_MAC_H

#include <systemd/sd-event.h>

#include "had.h"

enum { VRM_MAX = HAD_ROUTERS_MAX };

/* had's interfaces have an alias that begins with this. */
#define VRM_ALIAS "had: "

/*
 * A name for the interface of a router: "had51-4.12".  number: one for each
 * interface below, and always the same (0..999999).
 */
void vrm_name(char name[16], uint8_t vrid, uint8_t family, uint32_t number);

struct vrm_cb {
	/*
	 * Somebody removed the interface; it is back (ok), or that failed
	 * (text) and is tried again when the interface below is there.
	 * Addresses on it are gone.  Called from the loop.
	 */
	void (*lost)(void *ctx, const char *name, bool ok, const char *text);
};

struct vrm;
/*
 * Removes what a dead daemon left.  NULL and errno, with err filled in.
 */
struct vrm *vrm_new(
    sd_event *, const struct vrm_cb *, void *ctx, char *err, size_t err_size);
/* Removes all of them. */
void vrm_free(struct vrm *);

/*
 * Makes the interface: mode private, up, with no IPv6 address of its own and
 * deaf to router advertisements; family is that of the addresses it is for.
 * One that is there already as wanted is success.  0, or -1, errno and
 * vrm_error: ENODEV if parent does not exist.
 */
int vrm_add(struct vrm *, const char *parent, const char *name,
    const uint8_t mac[6], uint8_t family);
/* 0, also if it was not there; or -1, errno and vrm_error. */
int vrm_del(struct vrm *, const char *name);

/* Text of the last failure, "had51-4.12: create: Device or resource busy". */
const char *vrm_error(const struct vrm *);

#endif
