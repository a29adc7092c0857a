/* SPDX-License-Identifier: BSD-2-Clause */
#include "msgq.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

int
msgq_init(struct msgq *q, size_t size)
{
	memset(q, 0, sizeof(*q));
	q->buf = malloc(size);
	if (q->buf == NULL) {
		errno = ENOMEM;
		return -1;
	}
	q->size = size;
	return 0;
}

void
msgq_fini(struct msgq *q)
{
	free(q->buf);
	memset(q, 0, sizeof(*q));
}

void
msgq_clear(struct msgq *q)
{
	q->head = 0;
	q->used = 0;
}

/* Appends bytes that are known to fit. */
static void
msgq_put(struct msgq *q, const void *bytes, size_t len)
{
	size_t at = (q->head + q->used) % q->size;
	size_t first = q->size - at < len ? q->size - at : len;

	ASSERT(q->used + len <= q->size);
	if (len == 0)
		return;
	memcpy(q->buf + at, bytes, first);
	memcpy(q->buf, (const uint8_t *)bytes + first, len - first);
	q->used += len;
}

bool
msgq_push(struct msgq *q, uint16_t stream, bool sealed, const struct iovec *iov,
    int n)
{
	struct msgq_head head = {.stream = stream, .sealed = sealed};
	size_t len = 0;
	int i;

	for (i = 0; i < n; i++)
		len += iov[i].iov_len;
	ASSERT(len <= UINT32_MAX);
	head.len = (uint32_t)len;
	if (sizeof(head) + len > q->size - q->used)
		return false;
	/* Stays at the beginning if it can, where memory is warm. */
	if (q->used == 0)
		q->head = 0;
	msgq_put(q, &head, sizeof(head));
	for (i = 0; i < n; i++)
		msgq_put(q, iov[i].iov_base, iov[i].iov_len);
	return true;
}

bool
msgq_front(const struct msgq *q, struct msgq_head *head, struct iovec iov[2])
{
	uint8_t *bytes = (uint8_t *)head;
	size_t i, at, first;

	if (q->used == 0)
		return false;
	ASSERT(q->used >= sizeof(*head));
	for (i = 0; i < sizeof(*head); i++)
		bytes[i] = q->buf[(q->head + i) % q->size];
	ASSERT(q->used >= sizeof(*head) + head->len);
	at = (q->head + sizeof(*head)) % q->size;
	first = q->size - at < head->len ? q->size - at : head->len;
	iov[0].iov_base = q->buf + at;
	iov[0].iov_len = first;
	iov[1].iov_base = q->buf;
	iov[1].iov_len = head->len - first;
	return true;
}

void
msgq_pop(struct msgq *q)
{
	struct msgq_head head;
	struct iovec iov[2];
	size_t len;

	if (!msgq_front(q, &head, iov))
		return;
	len = sizeof(head) + head.len;
	q->head = (q->head + len) % q->size;
	q->used -= len;
}
