/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Numeric addresses, IPv4 and IPv6.
 */
#include <arpa/inet.h>
#include <string.h>

#include "conf_int.h"

uint8_t
conf_addr_parse(const char *text, uint8_t bytes[16])
{
	memset(bytes, 0, 16);
	if (inet_pton(AF_INET, text, bytes) == 1)
		return 4;
	if (inet_pton(AF_INET6, text, bytes) == 1)
		return 6;
	memset(bytes, 0, 16);
	return 0;
}

/* An address that one interface of one machine can have. */
bool
conf_addr_unicast(uint8_t family, const uint8_t bytes[16])
{
	static const uint8_t zero[16];

	if (memcmp(bytes, zero, 16) == 0)
		return false;
	if (family == 4)
		return bytes[0] != 0 && bytes[0] < 224;
	return bytes[0] != 0xff;
}

bool
conf_addr_link_local(uint8_t family, const uint8_t bytes[16])
{
	return family == 6 && bytes[0] == 0xfe && (bytes[1] & 0xc0) == 0x80;
}

/* IPv4: all host bits 0 (the network) or 1 (its broadcast address). */
bool
conf_addr_is_network(uint8_t family, const uint8_t bytes[16], uint8_t prefix)
{
	uint32_t addr, host;

	ASSERT(family == 4 || family == 6);
	if (family != 4 || prefix == 0 || prefix > 30)
		return false;
	addr = (uint32_t)bytes[0] << 24 | (uint32_t)bytes[1] << 16 |
	       (uint32_t)bytes[2] << 8 | bytes[3];
	host = UINT32_MAX >> prefix;
	return (addr & host) == 0 || (addr & host) == host;
}
