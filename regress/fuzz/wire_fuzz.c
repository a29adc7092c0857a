/* SPDX-License-Identifier: BSD-2-Clause */
#include "wire.h"

int LLVMFuzzerTestOneInput(const uint8_t *, size_t);

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	struct wire_hdr hdr;
	struct wire_hb hb;
	struct wire_hello hello;
	uint8_t buf[WIRE_HELLO_LEN];
	const char *why;

	if (wire_get_hdr(&hdr, data, len, &why) == 0)
		wire_put_hdr(buf, &hdr);
	if (wire_get_hb(&hb, data, len, &why) == 0)
		wire_put_hb(buf, &hb);
	if (wire_get_hello(&hello, data, len, &why) == 0)
		wire_put_hello(buf, &hello);
	return 0;
}
