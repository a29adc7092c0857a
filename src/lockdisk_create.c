/* SPDX-License-Identifier: BSD-2-Clause */
/* Makes a lock disk of a device or file that holds nothing. */
#include <bsd/string.h>
#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <unistd.h>

#include <blkid/blkid.h>
#include <linux/fs.h>

#include "lockdisk.h"
#include "lockdisk_slot.h"

struct target {
	const char *path; /* borrowed */
	int fd; /* owned */
	bool made; /* by this call */
	uint64_t bytes;
	bool is_file;
	char *why; /* borrowed */
	size_t why_size;
};

static int fail(const struct target *, const char *fmt, ...) PRINTF_LIKE(2, 3);
static int
fail(const struct target *t, const char *fmt, ...)
{
	int n = snprintf(t->why, t->why_size, "%s: ", t->path);
	va_list ap;

	va_start(ap, fmt);
	if (n > 0 && (size_t)n < t->why_size)
		vsnprintf(t->why + n, t->why_size - (size_t)n, fmt, ap);
	va_end(ap);
	return -1;
}

static int
target_open(struct target *t)
{
	struct stat st;
	int flags = O_RDWR | O_CLOEXEC | O_NONBLOCK;

	t->fd = -1;
	if (stat(t->path, &st) == -1) {
		if (errno != ENOENT)
			return fail(t, "%s", strerror(errno));
		/* A misspelt device is not to become a file. */
		if (strncmp(t->path, "/dev/", 5) == 0)
			return fail(t, "there is no such device");
		t->fd = open(t->path, flags | O_CREAT | O_EXCL, 0600);
		t->made = t->fd != -1;
	} else if (S_ISREG(st.st_mode)) {
		t->fd = open(t->path, flags);
	} else if (S_ISBLK(st.st_mode)) {
		/* Exclusive: not one that is mounted or part of something. */
		t->fd = open(t->path, flags | O_EXCL);
	} else {
		return fail(t, "neither a file nor a block device");
	}
	if (t->fd == -1 || fstat(t->fd, &st) == -1)
		return fail(t, "%s", strerror(errno));
	t->is_file = S_ISREG(st.st_mode);
	t->bytes = (uint64_t)st.st_size;
	if (!t->is_file && ioctl(t->fd, BLKGETSIZE64, &t->bytes) == -1)
		return fail(t, "%s", strerror(errno));
	if (!t->is_file && t->bytes < LD_BYTES)
		return fail(t, "too small: %llu bytes, %d are needed",
		    (unsigned long long)t->bytes, LD_BYTES);
	return 0;
}

static int
refuse_signature(const struct target *t)
{
	blkid_probe p = blkid_new_probe();
	const char *value = NULL;
	int r = -1;

	if (p != NULL && blkid_probe_set_device(p, t->fd, 0, 0) == 0) {
		blkid_probe_enable_superblocks(p, 1);
		blkid_probe_set_superblocks_flags(p, BLKID_SUBLKS_TYPE |
							 BLKID_SUBLKS_USAGE |
							 BLKID_SUBLKS_MAGIC);
		blkid_probe_enable_partitions(p, 1);
		r = blkid_do_safeprobe(p);
	}
	if (r == 0 && blkid_probe_lookup_value(p, "TYPE", &value, NULL) == -1 &&
	    blkid_probe_lookup_value(p, "PTTYPE", &value, NULL) == -1)
		value = "something";
	if (r == -2)
		value = "several things";
	if (value != NULL)
		fail(t, "it holds %s: --force destroys it", value);
	else if (r == -1)
		fail(t, "it cannot be probed");
	blkid_free_probe(p);
	return r == 1 ? 0 : -1;
}

/* Anything at all in the part that would be overwritten. */
static int
refuse_content(const struct target *t)
{
	uint8_t block[LD_BLOCK];
	struct ld_header h;
	const char *why;
	ssize_t n;

	for (off_t at = 0; at < LD_BYTES; at += n) {
		n = pread(t->fd, block, sizeof(block), at);
		if (n == -1)
			return fail(t, "read: %s", strerror(errno));
		if (n == 0)
			break;
		if ((at == 0 || at == (off_t)ld_offset(0, 1)) &&
		    ld_header_decode(&h, block, (size_t)n, &why) == 0)
			return fail(t,
			    "it is the lock disk of cluster %s: --force "
			    "forgets who has its lease",
			    h.cluster);
		for (ssize_t i = 0; i < n; i++)
			if (block[i] != 0)
				return fail(
				    t, "it holds data: --force destroys them");
	}
	return 0;
}

static int
write_block(
    const struct target *t, uint8_t node, unsigned copy, const uint8_t *block)
{
	if (pwrite(t->fd, block, LD_BLOCK, (off_t)ld_offset(node, copy)) ==
	    LD_BLOCK)
		return 0;
	return fail(t, "write: %s", strerror(errno));
}

/* The headers are gone first and come last: half of it is nothing. */
static int
write_all(const struct target *t, const struct ld_header *h)
{
	uint8_t block[LD_BLOCK] = {0};

	for (unsigned c = 0; c < 2; c++)
		if (write_block(t, 0, c, block) == -1)
			return -1;
	if (fsync(t->fd) == -1)
		return fail(t, "%s", strerror(errno));
	for (uint8_t id = 1; id <= HAD_NODES_MAX; id++) {
		const struct ld_slot s = {.node = id};

		ld_slot_encode(h, &s, block);
		for (unsigned c = 0; c < 2; c++)
			if (write_block(t, id, c, block) == -1)
				return -1;
	}
	if (fsync(t->fd) == -1)
		return fail(t, "%s", strerror(errno));
	ld_header_encode(h, block);
	for (unsigned c = 0; c < 2; c++)
		if (write_block(t, 0, c, block) == -1)
			return -1;
	if (fsync(t->fd) == -1)
		return fail(t, "%s", strerror(errno));
	return 0;
}

int
lockdisk_create(const char *path, const char *cluster, bool force, char *why,
    size_t why_size)
{
	struct target t = {.path = path, .why = why, .why_size = why_size};
	struct ld_header h = {0};
	int r = -1;

	if (cluster[0] == '\0' || strlen(cluster) >= sizeof(h.cluster)) {
		t.fd = -1;
		r = fail(&t, "a cluster's name has 1 to %zu bytes",
		    sizeof(h.cluster) - 1);
		return r;
	}
	strlcpy(h.cluster, cluster, sizeof(h.cluster));
	if (getrandom(&h.disk_id, sizeof(h.disk_id), 0) != sizeof(h.disk_id))
		return fail(&t, "getrandom: %s", strerror(errno));
	h.disk_id |= 1;
	if (target_open(&t) == 0 &&
	    (force || t.made || t.bytes == 0 ||
		(refuse_content(&t) == 0 && refuse_signature(&t) == 0)))
		r = write_all(&t, &h);
	if (t.fd != -1 && close(t.fd) == -1 && r == 0)
		r = fail(&t, "%s", strerror(errno));
	if (r == -1 && t.made)
		(void)unlink(path);
	return r;
}
