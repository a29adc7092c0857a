/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Whatever a stranger or a broken peer can put on an association: before the
 * proof, in the middle of the exchange, and after it.  The first byte chooses
 * the state; then, again and again, stream and flags, length (two bytes),
 * bytes.
 */
#include <stdlib.h>
#include <string.h>

#include "seal.h"

int LLVMFuzzerTestOneInput(const uint8_t *, size_t);

static struct seal *
fuzz_end(bool client, bool unordered)
{
	struct seal_conf conf = {
	    .client = client,
	    .unordered = unordered,
	    .rekey_records = 4,
	};
	struct seal *s = seal_new(&conf);

	ASSERT(s != NULL);
	return s;
}

/* Everything that one has to say, to the other. */
static void
fuzz_exchange(struct seal *from, struct seal *to)
{
	uint8_t buf[SEAL_CONTROL_MAX];
	struct seal_in in;
	size_t len;

	while ((len = seal_control(from, buf)) > 0)
		if (to != NULL)
			(void)seal_open(to, 0, false, buf, len, &in);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const struct seal_session session = {.sid = {1}};
	struct seal *s, *peer;
	struct seal_in in;
	uint8_t *copy, state;
	size_t len;
	int i;

	if (size < 1)
		return 0;
	state = data[0];
	data++;
	size--;
	s = fuzz_end(true, (state & 4) != 0);
	peer = fuzz_end(false, (state & 4) != 0);
	if ((state & 3) != 0)
		seal_use(s, &session);
	if ((state & 3) == 2)
		seal_use(peer, &session);
	for (i = 0; i < 4; i++) {
		fuzz_exchange(peer, s);
		fuzz_exchange(s, peer);
	}
	ASSERT(seal_ready(s) == ((state & 3) == 2));
	while (size >= 3) {
		len = (size_t)data[1] | (size_t)data[2] << 8;
		if (len > size - 3)
			len = size - 3;
		copy = malloc(len + 1);
		ASSERT(copy != NULL);
		memcpy(copy, data + 3, len);
		switch (seal_open(
		    s, data[0] & 0x1f, (data[0] & 0x80) != 0, copy, len, &in)) {
		case SEAL_GOT_DATA:
		case SEAL_GOT_TLS:
			ASSERT(
			    in.data >= copy && in.data + in.len <= copy + len);
			break;
		case SEAL_DROP:
		case SEAL_BAD:
			ASSERT(in.why != NULL);
			break;
		default:
			break;
		}
		fuzz_exchange(s, NULL);
		free(copy);
		data += 3 + len;
		size -= 3 + len;
	}
	seal_free(s);
	seal_free(peer);
	return 0;
}
