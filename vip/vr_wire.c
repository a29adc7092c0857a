/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Messages about virtual routers.  See vr_wire.h.
 */
#include <string.h>

#include "vr_wire.h"

void
vr_wire_put(uint8_t buf[VR_WIRE_LEN], const struct vr_wire *w)
{
	size_t len = strnlen(w->ifname, sizeof(w->ifname));

	ASSERT(len > 0 && len < sizeof(w->ifname));
	memset(buf, 0, VR_WIRE_LEN);
	memcpy(buf, w->ifname, len);
	buf[32] = (uint8_t)w->proto;
	buf[33] = w->family;
	buf[34] = w->vrid;
	buf[35] = (uint8_t)((w->peer.holds ? VR_WIRE_HOLDS : 0) |
			    (w->peer.able ? VR_WIRE_ABLE : 0) |
			    (w->peer.wants ? VR_WIRE_WANTS : 0) |
			    (w->peer.third ? VR_WIRE_THIRD : 0) |
			    (w->lan_ok ? VR_WIRE_LAN_OK : 0) |
			    (w->hears ? VR_WIRE_HEARS : 0) |
			    (w->asks ? VR_WIRE_ASKS : 0) |
			    (w->left ? VR_WIRE_LEFT : 0));
	buf[36] = w->peer.priority;
	buf[38] = (uint8_t)w->peer.rank;
	buf[39] = (uint8_t)(w->peer.rank >> 8);
	memcpy(buf + 40, w->peer.addr, sizeof(w->peer.addr));
}

int
vr_wire_get(struct vr_wire *w, const uint8_t *buf, const char **why)
{
	uint8_t flags = buf[35];

	static const uint8_t zero[VR_WIRE_IF_LEN];
	size_t len = strnlen((const char *)buf, sizeof(w->ifname));

	memset(w, 0, sizeof(*w));
	if (len == 0 || len == sizeof(w->ifname) ||
	    memcmp(buf + len, zero, VR_WIRE_IF_LEN - len) != 0) {
		*why = "router without an interface, or with one too long";
		return -1;
	}
	memcpy(w->ifname, buf, len);
	if (buf[32] > VR_CARP || (buf[33] != 4 && buf[33] != 6) ||
	    buf[34] == 0) {
		*why = "router of an unknown protocol";
		return -1;
	}
	if (buf[37] != 0) {
		*why = "router with unknown flags";
		return -1;
	}
	w->proto = (enum vr_proto)buf[32];
	w->family = buf[33];
	w->vrid = buf[34];
	w->peer.holds = (flags & VR_WIRE_HOLDS) != 0;
	w->peer.able = (flags & VR_WIRE_ABLE) != 0;
	w->peer.wants = (flags & VR_WIRE_WANTS) != 0;
	w->peer.third = (flags & VR_WIRE_THIRD) != 0;
	w->lan_ok = (flags & VR_WIRE_LAN_OK) != 0;
	w->hears = (flags & VR_WIRE_HEARS) != 0;
	w->asks = (flags & VR_WIRE_ASKS) != 0;
	w->left = (flags & VR_WIRE_LEFT) != 0;
	w->peer.priority = buf[36];
	w->peer.rank = (uint16_t)(buf[38] | buf[39] << 8);
	memcpy(w->peer.addr, buf + 40, sizeof(w->peer.addr));
	return 0;
}
