/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Numeric addresses, IPv4 (RFC 6943 3.1.1, strict) and IPv6 (RFC 4291 2.2).
 * Own code because inet_pton(3) is a call with errno.
 */
#include <string.h>

#include "conf_int.h"

/* Four decimal bytes without leading zeros; *end is behind them. */
static bool
parse_v4(const char *s, uint8_t out[4], const char **end)
{
	unsigned v;
	int i;

	for (i = 0; i < 4; i++) {
		if (i > 0 && *s++ != '.')
			return false;
		if (*s < '0' || *s > '9' ||
		    (*s == '0' && s[1] >= '0' && s[1] <= '9'))
			return false;
		for (v = 0; *s >= '0' && *s <= '9'; s++) {
			v = v * 10 + (unsigned)(*s - '0');
			if (v > 255)
				return false;
		}
		out[i] = (uint8_t)v;
	}
	*end = s;
	return true;
}

/* One group of one to four hexadecimal digits. */
static bool
parse_group(const char **s, unsigned *v)
{
	const char *p;
	int n;

	*v = 0;
	for (p = *s, n = 0; n < 5; p++, n++) {
		if (*p >= '0' && *p <= '9')
			*v = *v << 4 | (unsigned)(*p - '0');
		else if (*p >= 'a' && *p <= 'f')
			*v = *v << 4 | (unsigned)(*p - 'a' + 10);
		else if (*p >= 'A' && *p <= 'F')
			*v = *v << 4 | (unsigned)(*p - 'A' + 10);
		else
			break;
	}
	*s = p;
	return n >= 1 && n <= 4;
}

/* An IPv4 address may stand for the last two groups. */
static bool
take_v4_tail(const char **s, uint8_t *out, size_t *n)
{
	const char *end;

	if (*n > 12 || !parse_v4(*s, out + *n, &end) || *end != '\0')
		return false;
	*n += 4;
	*s = end;
	return true;
}

static bool
parse_v6(const char *s, uint8_t out[16])
{
	size_t n, gap;
	unsigned v;

	memset(out, 0, 16);
	n = 0;
	gap = SIZE_MAX;
	if (s[0] == ':' && s[1] == ':') {
		gap = 0;
		s += 2;
	}
	while (*s != '\0') {
		if (take_v4_tail(&s, out, &n))
			break;
		if (n == 16 || !parse_group(&s, &v))
			return false;
		out[n++] = (uint8_t)(v >> 8);
		out[n++] = (uint8_t)v;
		if (*s == '\0')
			break;
		if (*s++ != ':' || *s == '\0')
			return false;
		if (*s == ':') {
			if (gap != SIZE_MAX)
				return false;
			gap = n;
			s++;
		}
	}
	if (gap == SIZE_MAX)
		return n == 16;
	if (n == 16)
		return false;
	memmove(out + gap + (16 - n), out + gap, n - gap);
	memset(out + gap, 0, 16 - n);
	return true;
}

uint8_t
conf_addr_parse(const char *text, uint8_t bytes[16])
{
	const char *end;

	memset(bytes, 0, 16);
	if (parse_v4(text, bytes, &end) && *end == '\0')
		return 4;
	if (parse_v6(text, bytes))
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
