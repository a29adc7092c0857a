/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Linux' watchdog interface (Documentation/watchdog/watchdog-api.rst).  To
 * open the device is to arm it; a 'V' written before close disarms it ("magic
 * close"), unless the driver was told "nowayout".
 */
#include <bsd/string.h>
#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include <linux/watchdog.h>

#include "log.h"
#include "watchdog.h"

struct wd {
	const struct wd_ops *ops; /* borrowed */
	int fd; /* owned */
	char path[HAD_PATH_MAX];
	struct wd_info info;
};

static int
kernel_stat(const char *path, struct stat *st)
{
	return stat(path, st);
}

static int
kernel_attribute(const char *path, char *buf, size_t size)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	ssize_t n;

	if (fd == -1)
		return -1;
	n = read(fd, buf, size - 1);
	close(fd);
	if (n < 0)
		return -1;
	buf[n] = '\0';
	buf[strcspn(buf, "\n")] = '\0';
	return 0;
}

static int
kernel_open(const char *path)
{
	return open(path, O_WRONLY | O_CLOEXEC);
}

static int
kernel_control(int fd, unsigned long request, void *arg)
{
	return ioctl(fd, request, arg);
}

static int
kernel_write(int fd, const void *bytes, size_t len)
{
	return (int)write(fd, bytes, len);
}

static const struct wd_ops kernel = {kernel_stat, kernel_attribute, kernel_open,
    kernel_control, kernel_write, close};

static int fail(char *why, size_t size, const char *fmt, ...) PRINTF_LIKE(3, 4);
static int
fail(char *why, size_t size, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(why, size, fmt, ap);
	va_end(ap);
	return -1;
}

/* Before it is opened: could it be stopped again? */
static int
check_wayout(const struct wd *w, char *why, size_t size)
{
	char path[80], value[16];
	struct stat st;

	if (w->ops->stat(w->path, &st) == -1)
		return fail(why, size, "%s: %s", w->path, strerror(errno));
	if (!S_ISCHR(st.st_mode))
		return fail(why, size, "%s: not a device", w->path);
	/*
	 * /dev/watchdog is a misc device, another name of watchdog0, and has
	 * no attributes of its own.
	 */
	snprintf(path, sizeof(path), "/sys/dev/char/%u:%u/nowayout",
	    major(st.st_rdev), minor(st.st_rdev));
	if (w->ops->attribute(path, value, sizeof(value)) == -1 &&
	    w->ops->attribute("/sys/class/watchdog/watchdog0/nowayout", value,
		sizeof(value)) == -1)
		return 0;
	if (strcmp(value, "0") == 0)
		return 0;
	return fail(why, size,
	    "%s: its driver has nowayout set: the machine would be reset after "
	    "every stop of this daemon",
	    w->path);
}

static int
set_up(struct wd *w, uint32_t timeout_s, char *why, size_t size)
{
	struct watchdog_info info = {0};
	int timeout = (int)timeout_s, now = 0, boot = 0;

	if (w->ops->control(w->fd, WDIOC_GETSUPPORT, &info) == -1)
		return fail(why, size, "%s: not a watchdog: %s", w->path,
		    strerror(errno));
	memcpy(w->info.identity, info.identity, sizeof(info.identity));
	if ((info.options & WDIOF_MAGICCLOSE) == 0)
		return fail(why, size,
		    "%s (%s): it stops when this daemon dies", w->path,
		    w->info.identity);
	if ((info.options & WDIOF_SETTIMEOUT) == 0)
		return fail(why, size, "%s (%s): its timeout cannot be set",
		    w->path, w->info.identity);
	if (w->ops->control(w->fd, WDIOC_SETTIMEOUT, &timeout) == -1)
		return fail(why, size, "%s (%s): timeout of %u s: %s", w->path,
		    w->info.identity, timeout_s, strerror(errno));
	if (w->ops->control(w->fd, WDIOC_GETTIMEOUT, &now) == -1)
		now = timeout;
	if (timeout != (int)timeout_s || now != (int)timeout_s)
		return fail(why, size,
		    "%s (%s): asked for a timeout of %u s, it took %d s",
		    w->path, w->info.identity, timeout_s,
		    timeout != (int)timeout_s ? timeout : now);
	w->info.timeout_s = timeout_s;
	if (w->ops->control(w->fd, WDIOC_GETBOOTSTATUS, &boot) == 0)
		w->info.caused_reset = (boot & WDIOF_CARDRESET) != 0;
	return 0;
}

struct wd *
wd_open(const char *path, uint32_t timeout_s, const struct wd_ops *ops,
    char *why, size_t why_size)
{
	struct wd *w = calloc(1, sizeof(*w));

	ASSERT(timeout_s > 0 && timeout_s <= INT32_MAX);
	if (w == NULL) {
		fail(why, why_size, "%s: %s", path, strerror(errno));
		return NULL;
	}
	w->ops = ops != NULL ? ops : &kernel;
	strlcpy(w->path, path, sizeof(w->path));
	if (check_wayout(w, why, why_size) == -1) {
		free(w);
		return NULL;
	}
	w->fd = w->ops->open(path);
	if (w->fd == -1) {
		fail(why, why_size, "%s: %s", path,
		    errno == EBUSY ? "another program has it"
				   : strerror(errno));
		free(w);
		return NULL;
	}
	if (set_up(w, timeout_s, why, why_size) == 0) {
		if (wd_feed(w) == 0)
			return w;
		fail(why, why_size, "%s (%s): cannot be fed: %s", path,
		    w->info.identity, strerror(errno));
	}
	if (wd_close(w) == -1)
		log_warn("watchdog %s: cannot be disarmed, the machine will be "
			 "reset",
		    path);
	return NULL;
}

void
wd_info(const struct wd *w, struct wd_info *info)
{
	*info = w->info;
}

int
wd_feed(struct wd *w)
{
	int unused = 0;

	return w->ops->control(w->fd, WDIOC_KEEPALIVE, &unused);
}

int
wd_close(struct wd *w)
{
	int error = 0;

	errno = EIO;
	if (w->ops->write(w->fd, "V", 1) != 1)
		error = errno;
	if (w->ops->close(w->fd) == -1 && error == 0)
		error = errno;
	free(w);
	if (error == 0)
		return 0;
	errno = error;
	return -1;
}
