/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The identity of a node.  The file is written under another name and linked
 * into place, so that nobody ever finds half a key, and so that an existing
 * one is never replaced.
 */
#include "keyfile.h"

#include <sys/stat.h>

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/sha.h>
#include <openssl/x509.h>

int
keyfile_fingerprint(EVP_PKEY *key, uint8_t fingerprint[32])
{
	unsigned char *der = NULL;
	int len;

	len = i2d_PUBKEY(key, &der);
	if (len <= 0) {
		errno = EINVAL;
		return -1;
	}
	SHA256(der, (size_t)len, fingerprint);
	OPENSSL_free(der);
	return 0;
}

void
keyfile_text(const uint8_t fingerprint[32], char text[KEYFILE_TEXT])
{
	int i;

	memcpy(text, "sha256:", 7);
	for (i = 0; i < 32; i++)
		snprintf(text + 7 + 2 * i, 3, "%02x", fingerprint[i]);
}

/* Makes path's directory entry durable. */
static int
keyfile_sync_dir(const char *path)
{
	char dir[HAD_PATH_MAX];
	const char *slash;
	int fd, rc, saved;

	slash = strrchr(path, '/');
	if (slash == NULL)
		snprintf(dir, sizeof(dir), ".");
	else
		snprintf(dir, sizeof(dir), "%.*s",
		    slash == path ? 1 : (int)(slash - path), path);
	fd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (fd == -1)
		return -1;
	rc = fsync(fd);
	saved = errno;
	close(fd);
	errno = saved;
	return rc;
}

static int
keyfile_write(int fd, EVP_PKEY *key)
{
	FILE *f;
	int dupfd, rc = -1;

	dupfd = fcntl(fd, F_DUPFD_CLOEXEC, 0);
	if (dupfd == -1)
		return -1;
	f = fdopen(dupfd, "w");
	if (f == NULL) {
		close(dupfd);
		return -1;
	}
	if (PEM_write_PrivateKey(f, key, NULL, NULL, 0, NULL, NULL) == 1)
		rc = 0;
	else
		errno = EIO;
	if (fclose(f) != 0)
		rc = -1;
	if (rc == 0 && fsync(fd) == -1)
		rc = -1;
	return rc;
}

int
keyfile_generate(
    const char *path, uint8_t fingerprint[32], char *why, size_t why_size)
{
	char temp[HAD_PATH_MAX + 16];
	EVP_PKEY *key;
	int fd, rc = -1, saved;

	if (strlen(path) >= HAD_PATH_MAX) {
		snprintf(why, why_size, "%.40s...: path too long", path);
		errno = ENAMETOOLONG;
		return -1;
	}
	if (access(path, F_OK) == 0) {
		snprintf(why, why_size,
		    "%s exists; remove it first if the node is to have "
		    "another identity",
		    path);
		errno = EEXIST;
		return -1;
	}
	key = EVP_PKEY_Q_keygen(NULL, NULL, "ED25519");
	if (key == NULL || keyfile_fingerprint(key, fingerprint) == -1) {
		snprintf(why, why_size, "cannot make an Ed25519 key");
		EVP_PKEY_free(key);
		errno = EIO;
		return -1;
	}
	snprintf(temp, sizeof(temp), "%s.XXXXXX", path);
	fd = mkostemp(temp, O_CLOEXEC); /* mode 0600 */
	if (fd == -1) {
		saved = errno;
		snprintf(why, why_size, "%s: %s", temp, strerror(saved));
		EVP_PKEY_free(key);
		errno = saved;
		return -1;
	}
	/* link(2) refuses an existing name; rename(2) would replace it. */
	if (keyfile_write(fd, key) == 0 && link(temp, path) == 0 &&
	    keyfile_sync_dir(path) == 0)
		rc = 0;
	saved = errno;
	unlink(temp);
	close(fd);
	EVP_PKEY_free(key);
	if (rc == -1)
		snprintf(why, why_size, "%s: %s", path, strerror(saved));
	errno = saved;
	return rc;
}

/* An open file that only its owner may read; -1 and why. */
static int
keyfile_open(const char *path, char *why, size_t why_size)
{
	struct stat st;
	int fd, saved;

	fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
	if (fd == -1 || fstat(fd, &st) == -1) {
		saved = errno;
		snprintf(why, why_size, "%s: %s%s", path, strerror(saved),
		    saved == ENOENT ? "; make one with hactl keygen" : "");
		if (fd != -1)
			close(fd);
		errno = saved;
		return -1;
	}
	if (!S_ISREG(st.st_mode)) {
		snprintf(why, why_size, "%s: not a regular file", path);
		close(fd);
		errno = EINVAL;
		return -1;
	}
	if ((st.st_mode & 077) != 0) {
		snprintf(why, why_size,
		    "%s: mode %04o lets others at the private key; "
		    "chmod 600 it",
		    path, (unsigned)st.st_mode & 07777);
		close(fd);
		errno = EPERM;
		return -1;
	}
	return fd;
}

/* Never asks for a passphrase: the daemon has no terminal. */
static int
keyfile_no_password(char *buf, int size, int rwflag, void *u)
{
	(void)rwflag;
	(void)u;
	if (size > 0)
		buf[0] = '\0';
	return -1;
}

EVP_PKEY *
keyfile_load(const char *path, char *why, size_t why_size)
{
	EVP_PKEY *key;
	FILE *f;
	int fd;

	fd = keyfile_open(path, why, why_size);
	if (fd == -1)
		return NULL;
	f = fdopen(fd, "r");
	if (f == NULL) {
		close(fd);
		return NULL;
	}
	key = PEM_read_PrivateKey(f, NULL, keyfile_no_password, NULL);
	fclose(f);
	if (key == NULL) {
		snprintf(why, why_size,
		    "%s: no private key in PEM without a passphrase", path);
		errno = EINVAL;
		return NULL;
	}
	if (!EVP_PKEY_is_a(key, "ED25519")) {
		snprintf(why, why_size,
		    "%s: a key of type %s, expected "
		    "Ed25519",
		    path, EVP_PKEY_get0_type_name(key));
		EVP_PKEY_free(key);
		errno = EINVAL;
		return NULL;
	}
	return key;
}
