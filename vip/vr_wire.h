/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What two nodes tell one another of their virtual routers, over any path but
 * the router's LAN.  Pure: bytes in, structs out.
 *
 * A router is known by its interface, protocol, family and number, which both
 * nodes' files have in common; its name may be another for a while.
 *
 * A message is a list of entries of VR_WIRE_LEN bytes:
 *	0 interface, padded with zeros  32 protocol  33 family  34 vrid
 *	35 flags  36 priority  37 zero  38 rank (2 bytes)  40 address
 */
#ifndef VR_WIRE_H
#define VR_WIRE_H

#include "vr.h"

enum {
	VR_WIRE_LEN = 56,
	VR_WIRE_IF_LEN = 32, /* of the interface's field */
	VR_WIRE_HOLDS = 1,
	VR_WIRE_ABLE = 2,
	VR_WIRE_WANTS = 4,
	VR_WIRE_THIRD = 8,
	VR_WIRE_LAN_OK = 16, /* the sender can be reached on the LAN */
	VR_WIRE_HEARS = 32, /* it has heard the receiver there lately */
	VR_WIRE_ASKS = 64, /* its router has come: what has the receiver? */
	VR_WIRE_LEFT = 128, /* its router is there no more */
};

struct vr_wire {
	char ifname[16];
	enum vr_proto proto;
	uint8_t family, vrid;
	struct vr_peer peer;
	bool lan_ok, hears, asks, left;
};

void vr_wire_put(uint8_t buf[VR_WIRE_LEN], const struct vr_wire *);
/* Of exactly VR_WIRE_LEN bytes; 0, or -1 and why. */
int vr_wire_get(struct vr_wire *, const uint8_t *buf, const char **why);

#endif
