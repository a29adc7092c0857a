/* SPDX-License-Identifier: BSD-2-Clause */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/ioctl.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <unistd.h>

#include <blkid/blkid.h>
#include <linux/fs.h>

#include "dirtymap.h"
#include "mvolume.h"

enum { BATCH = 256 * MMETA_PAGE };

/* The file or device that holds the data, and the one for the metadata. */
struct area {
	int data, meta; /* owned; equal if internal */
	const char *data_path, *meta_path; /* borrowed */
	uint64_t data_bytes, meta_bytes;
	bool internal, meta_is_file;
	char *why; /* borrowed */
	size_t why_size;
};

static int fail(const struct area *, const char *fmt, ...) PRINTF_LIKE(2, 3);
static int
fail(const struct area *a, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(a->why, a->why_size, fmt, ap);
	va_end(ap);
	return -1;
}

/* Opens one; returns the descriptor, or -1 and why. */
static int
open_one(const struct area *a, const char *path, bool write, uint64_t *bytes,
    bool *is_file)
{
	int fd, flags = (write ? O_RDWR : O_RDONLY) | O_CLOEXEC | O_NONBLOCK;
	struct stat st;

	if (stat(path, &st) == -1)
		return fail(a, "%s: %s", path, strerror(errno));
	*is_file = S_ISREG(st.st_mode);
	if (!*is_file && !S_ISBLK(st.st_mode))
		return fail(a, "%s is neither a block device nor a file", path);
	/* Mounted, or part of LVM or RAID: never, whatever force says. */
	if (write && !*is_file)
		flags |= O_EXCL;
	if ((fd = open(path, flags)) == -1)
		return fail(a, "%s: %s", path,
		    errno == EBUSY ? "in use: mounted, or part of LVM, RAID "
				     "or a running had"
				   : strerror(errno));
	if (write && flock(fd, LOCK_EX | LOCK_NB) == -1) {
		fail(a, "%s: in use by a running had", path);
		close(fd);
		return -1;
	}
	*bytes = (uint64_t)st.st_size;
	if (!*is_file && ioctl(fd, BLKGETSIZE64, bytes) == -1) {
		fail(a, "%s: size: %s", path, strerror(errno));
		close(fd);
		return -1;
	}
	return fd;
}

static void
close_area(struct area *a)
{
	if (!a->internal && a->meta != -1)
		close(a->meta);
	if (a->data != -1)
		close(a->data);
}

static int
open_area(struct area *a, const char *device, const char *meta, bool write)
{
	bool is_file;

	a->internal = meta[0] == '\0';
	a->data_path = device;
	a->meta_path = a->internal ? device : meta;
	a->meta = -1;
	a->data = open_one(a, device, write, &a->data_bytes, &is_file);
	if (a->data == -1)
		return -1;
	if (a->internal) {
		a->meta = a->data;
		return 0;
	}
	a->meta = open_one(a, meta, write, &a->meta_bytes, &a->meta_is_file);
	if (a->meta == -1) {
		close_area(a);
		return -1;
	}
	return 0;
}

static int
read_at(const struct area *a, void *buf, size_t len, uint64_t off)
{
	ssize_t n = pread(a->meta, buf, len, (off_t)off);

	if (n == -1)
		return fail(a, "%s: read: %s", a->meta_path, strerror(errno));
	/* What is not there reads as zeroes, which no decoder takes. */
	memset((uint8_t *)buf + n, 0, len - (size_t)n);
	return 0;
}

static int
write_at(const struct area *a, const void *buf, size_t len, uint64_t off)
{
	const uint8_t *p = buf;
	ssize_t n;

	while (len > 0) {
		n = pwrite(a->meta, p, len, (off_t)off);
		if (n <= 0)
			return fail(a, "%s: write: %s", a->meta_path,
			    strerror(n == 0 ? EIO : errno));
		p += n;
		off += (uint64_t)n;
		len -= (size_t)n;
	}
	return 0;
}

static int
sync_area(const struct area *a)
{
	if (fsync(a->meta) == -1)
		return fail(a, "%s: sync: %s", a->meta_path, strerror(errno));
	return 0;
}

/*
 * Reads both superblocks by one layout.  1: one at least is good; 0: none;
 * -1 and why: they cannot be read.
 */
static int
read_superblocks(const struct area *a, struct mvolume_info *v)
{
	uint8_t page[2][MMETA_PAGE];
	struct mmeta_sb sb;
	const char *why;

	for (unsigned i = 0; i < 2; i++) {
		if (read_at(a, page[i], sizeof(page[i]),
			v->layout.meta_off + v->layout.sb_off[i]) == -1)
			return -1;
		v->good[i] = mmeta_sb_decode(&sb, page[i], &v->bad_why[i]) == 0;
		if (v->good[i])
			v->bad_why[i] = NULL;
	}
	return mmeta_sb_pick(&v->sb, page[0], page[1], &v->which, &why) == 0;
}

/*
 * The place of the superblocks depends on the number of slots, which they
 * tell.  1: found; 0: there are none; -1 and why.
 */
static int
find_superblocks(const struct area *a, struct mvolume_info *v)
{
	const char *why;
	int r;

	memset(v, 0, sizeof(*v));
	v->internal = a->internal;
	v->device_bytes = a->data_bytes;
	for (unsigned slots = 1; slots <= MMETA_SLOTS; slots++) {
		if (mmeta_plan(&v->layout, a->data_bytes, a->internal, slots,
			&why) == -1)
			return fail(a, "%s: %s", a->data_path, why);
		if ((r = read_superblocks(a, v)) == -1)
			return -1;
		if (r == 1 && v->sb.slots == slots)
			return 1;
	}
	return 0;
}

/* Creating. */

/*
 * What libblkid sees on the device.  0: nothing; 1: type is set; -1 and why.
 */
static int
probe(const struct area *a, int fd, const char *path, char *type, size_t size)
{
	blkid_probe p = blkid_new_probe();
	const char *value = NULL;
	int r;

	if (p == NULL || blkid_probe_set_device(p, fd, 0, 0) == -1) {
		blkid_free_probe(p);
		return fail(a, "%s: cannot be probed", path);
	}
	blkid_probe_enable_superblocks(p, 1);
	blkid_probe_set_superblocks_flags(
	    p, BLKID_SUBLKS_TYPE | BLKID_SUBLKS_USAGE | BLKID_SUBLKS_MAGIC);
	blkid_probe_enable_partitions(p, 1);
	r = blkid_do_safeprobe(p);
	if (r == 0) {
		if (blkid_probe_lookup_value(p, "TYPE", &value, NULL) == -1 &&
		    blkid_probe_lookup_value(p, "PTTYPE", &value, NULL) == -1)
			value = "unknown";
		snprintf(type, size, "%s", value);
		r = 1;
	} else if (r == 1)
		r = 0;
	else if (r == -2) {
		snprintf(type, size, "several things at once");
		r = 1;
	} else
		r = fail(a, "%s: probing failed: %s", path, strerror(errno));
	blkid_free_probe(p);
	return r;
}

static int
refuse_signature(const struct area *a, const struct mvolume_new *n)
{
	char type[64];
	int r = probe(a, a->data, a->data_path, type, sizeof(type));

	if (r == -1)
		return -1;
	if (r == 1 && !n->keep)
		return fail(a,
		    "%s holds data (%s): --keep makes them the "
		    "volume's, --force destroys them",
		    a->data_path, type);
	/* Its end would be overwritten. */
	if (r == 1 && a->internal)
		return fail(a,
		    "%s holds data (%s) and internal metadata would "
		    "overwrite its last part: use metadata on "
		    "another device, or shrink it, then --force",
		    a->data_path, type);
	if (a->internal)
		return 0;
	r = probe(a, a->meta, a->meta_path, type, sizeof(type));
	if (r == 1)
		return fail(a, "%s holds data (%s): --force destroys them",
		    a->meta_path, type);
	return r;
}

static int
refuse_metadata(const struct area *a)
{
	struct mvolume_info v;
	int r = find_superblocks(a, &v);

	if (r == 1)
		return fail(a,
		    "%s is had's already: volume %s, node %u: "
		    "--force makes its copy a new one",
		    a->meta_path, v.sb.name, v.sb.node);
	return r;
}

static int
random_bytes(const struct area *a, void *buf, size_t len)
{
	if (getrandom(buf, len, 0) != (ssize_t)len)
		return fail(a, "no random numbers: %s", strerror(errno));
	return 0;
}

/* All pages but the superblocks, many at a time. */
static int
write_maps(const struct area *a, const struct mmeta_sb *sb,
    const struct mmeta_layout *l)
{
	uint8_t *buf = malloc(BATCH);
	uint64_t off = l->sb_off[0] + MMETA_PAGE, end = l->sb_off[1];
	size_t n;
	int r = 0;

	if (buf == NULL)
		return fail(a, "out of memory");
	while (off < end && r == 0) {
		n = end - off < BATCH ? end - off : BATCH;
		for (size_t i = 0; i < n; i += MMETA_PAGE)
			mmeta_format_page(sb, l, off + i, buf + i);
		r = write_at(a, buf, n, l->meta_off + off);
		off += n;
	}
	free(buf);
	return r;
}

static int
write_area(const struct area *a, const struct mmeta_sb *sb,
    const struct mmeta_layout *l)
{
	static const uint8_t zeroes[MMETA_PAGE];
	uint8_t page[MMETA_PAGE];

	/* Old superblocks first: half a creation must not look whole. */
	for (unsigned i = 0; i < 2; i++)
		if (write_at(a, zeroes, sizeof(zeroes),
			l->meta_off + l->sb_off[i]) == -1)
			return -1;
	if (sync_area(a) == -1 || write_maps(a, sb, l) == -1 ||
	    sync_area(a) == -1)
		return -1;
	for (unsigned i = 0; i < 2; i++) {
		mmeta_format_page(sb, l, l->sb_off[i], page);
		if (write_at(a, page, sizeof(page),
			l->meta_off + l->sb_off[i]) == -1)
			return -1;
	}
	return sync_area(a);
}

static int
make_room(struct area *a, const struct mmeta_layout *l)
{
	if (a->internal || a->meta_bytes >= l->meta_bytes)
		return 0;
	if (!a->meta_is_file)
		return fail(a, "%s is too small: %" PRIu64 " bytes are needed",
		    a->meta_path, l->meta_bytes);
	if (posix_fallocate(a->meta, 0, (off_t)l->meta_bytes) != 0)
		return fail(a, "%s: no room for %" PRIu64 " bytes",
		    a->meta_path, l->meta_bytes);
	a->meta_bytes = l->meta_bytes;
	return 0;
}

static int
create(struct area *a, const struct mvolume_new *n)
{
	struct mmeta_new fresh = {.cluster = mmeta_cluster(n->cluster),
	    .name = n->volume,
	    .node = n->node,
	    .keep = n->keep};
	struct mmeta_layout l;
	struct mmeta_sb sb;
	const char *why;

	if (mmeta_plan(&l, a->data_bytes, a->internal, n->n_peers, &why) == -1)
		return fail(a, "%s: %s", a->data_path, why);
	if (!n->force &&
	    (refuse_metadata(a) == -1 || refuse_signature(a, n) == -1))
		return -1;
	if (make_room(a, &l) == -1)
		return -1;
	memcpy(fresh.peers, n->peers, sizeof(fresh.peers));
	if (random_bytes(a, &fresh.tag, sizeof(fresh.tag)) == -1 ||
	    random_bytes(a, &fresh.current, sizeof(fresh.current)) == -1 ||
	    random_bytes(a, fresh.volume_id, sizeof(fresh.volume_id)) == -1)
		return -1;
	fresh.tag |= 1; /* zero has a meaning of its own */
	fresh.current |= 1;
	fresh.volume_id[0] |= 1;
	mmeta_format(&sb, &l, &fresh);
	return write_area(a, &sb, &l);
}

int
mvolume_create(const struct mvolume_new *n, char *why, size_t why_size)
{
	struct area a = {.why = why, .why_size = why_size};
	int r;

	ASSERT(n->n_peers >= 1 && n->n_peers <= MMETA_SLOTS);
	if (open_area(&a, n->device, n->meta, true) == -1)
		return -1;
	r = create(&a, n);
	close_area(&a);
	return r;
}

/* Showing. */

/* Counts the bits of one map; slot is 0 for the intent map. */
static int
count_map(const struct area *a, struct mvolume_info *v, enum mmeta_map map,
    unsigned slot, uint64_t *bytes)
{
	const struct mmeta_layout *l = &v->layout;
	bool intent = map == MMETA_INTENT;
	uint64_t unit = intent ? MMETA_CHUNK : MMETA_BLOCK;
	uint64_t off = intent ? l->intent_off : l->bitmap_off[slot];
	uint64_t pages = intent ? l->intent_pages : l->bitmap_pages;
	uint8_t page[MMETA_PAGE];
	struct dirtymap dm;
	int r = 0;

	if (dm_init(&dm, (v->sb.data_bytes + unit - 1) / unit) == -1)
		return fail(a, "out of memory");
	for (uint64_t i = 0; i < pages && r == 0; i++) {
		r = read_at(
		    a, page, sizeof(page), l->meta_off + off + i * MMETA_PAGE);
		if (r == 0)
			v->bad_sectors += mmeta_page_decode(
			    page, v->sb.tag, map, slot, (uint32_t)i, &dm);
	}
	*bytes = dm.count * unit;
	if (*bytes > v->sb.data_bytes)
		*bytes = v->sb.data_bytes;
	dm_fini(&dm);
	return r;
}

static int
dump(const struct area *a, struct mvolume_info *v)
{
	int r = find_superblocks(a, v);

	if (r == -1)
		return -1;
	if (r == 0)
		return fail(a,
		    "%s: no metadata of had: create it with "
		    "'hactl volume create'",
		    a->meta_path);
	if (v->sb.data_bytes > v->layout.data_bytes)
		return fail(a, "%s: smaller than its volume", a->data_path);
	if (count_map(a, v, MMETA_INTENT, 0, &v->intent_bytes) == -1)
		return -1;
	for (unsigned i = 0; i < v->sb.slots; i++) {
		if (count_map(a, v, MMETA_BITMAP, i, &v->dirty_bytes[i]) == -1)
			return -1;
		if (v->sb.slot[i].flags & MMETA_S_FULL)
			v->dirty_bytes[i] = v->sb.data_bytes;
	}
	return 0;
}

int
mvolume_dump(const char *device, const char *meta, struct mvolume_info *v,
    char *why, size_t why_size)
{
	struct area a = {.why = why, .why_size = why_size};
	int r;

	if (open_area(&a, device, meta, false) == -1)
		return -1;
	r = dump(&a, v);
	close_area(&a);
	return r;
}

struct text {
	char *buf;
	size_t size, len;
};

static void line(struct text *, const char *fmt, ...) PRINTF_LIKE(2, 3);
static void
line(struct text *t, const char *fmt, ...)
{
	size_t left = t->len < t->size ? t->size - t->len : 0;
	va_list ap;

	va_start(ap, fmt);
	t->len +=
	    (size_t)vsnprintf(left > 0 ? t->buf + t->len : NULL, left, fmt, ap);
	va_end(ap);
}

static void
flags_line(struct text *t, uint32_t flags)
{
	static const struct {
		uint32_t flag;
		char name[24];
	} names[] = {
	    {MMETA_F_CONSISTENT, "consistent"},
	    {MMETA_F_UPTODATE, "up-to-date"},
	    {MMETA_F_PRIMARY, "primary"},
	    {MMETA_F_CRASHED_PRIMARY, "crashed-primary"},
	    {MMETA_F_CRASHED, "crashed"},
	    {MMETA_F_DISCARD, "discard"},
	};

	line(t, "flags       ");
	for (size_t i = 0; i < NITEMS(names); i++)
		if (flags & names[i].flag)
			line(t, " %s", names[i].name);
	line(t, flags == 0 ? " none\n" : "\n");
}

static void
slot_lines(struct text *t, const struct mvolume_info *v, unsigned i)
{
	const struct mmeta_slot *s = &v->sb.slot[i];

	line(t, "peer         node %u, generation %016" PRIx64 "%s%s\n",
	    s->peer, s->bitmap, s->flags & MMETA_S_FULL ? ", full" : "",
	    s->flags & ~MMETA_S_FULL ? ", even" : "");
	line(t, "             %" PRIu64 " bytes to be resynced\n",
	    v->dirty_bytes[i]);
}

size_t
mvolume_text(const struct mvolume_info *v, char *buf, size_t size)
{
	struct text t = {buf, size, 0};
	const struct mmeta_sb *sb = &v->sb;

	line(&t, "volume       %s\n", sb->name);
	line(&t, "id           ");
	for (size_t i = 0; i < sizeof(sb->volume_id); i++)
		line(&t, "%02x", sb->volume_id[i]);
	line(&t, "%s\n", mmeta_blank(sb) ? " (blank: never had data)" : "");
	line(&t, "node         %u\n", sb->node);
	line(&t, "size         %" PRIu64 " bytes\n", sb->data_bytes);
	line(&t, "metadata     %s, %" PRIu64 " bytes at %" PRIu64 "\n",
	    v->internal ? "internal" : "external", v->layout.meta_bytes,
	    v->layout.meta_off);
	for (unsigned i = 0; i < 2; i++)
		line(&t, "superblock   %c: %s%s\n", 'A' + (int)i,
		    v->good[i] ? "good" : v->bad_why[i],
		    v->which == (int)i ? ", counts" : "");
	line(&t, "update       %" PRIu64 "\n", sb->gen);
	line(&t, "epoch        %" PRIu64 "\n", sb->epoch);
	flags_line(&t, sb->flags);
	line(&t, "current      %016" PRIx64 "\n", sb->current);
	for (unsigned i = 0; i < MMETA_HISTORY && sb->history[i] != 0; i++)
		line(&t, "history      %016" PRIx64 "\n", sb->history[i]);
	for (unsigned i = 0; i < sb->slots; i++)
		slot_lines(&t, v, i);
	line(&t, "intents      %" PRIu64 " bytes\n", v->intent_bytes);
	if (v->bad_sectors > 0)
		line(&t, "bad sectors  %u of the maps, taken as all dirty\n",
		    v->bad_sectors);
	return t.len;
}
