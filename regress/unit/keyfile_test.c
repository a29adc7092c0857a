/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Key files: made once, never overwritten, refused when others may read them.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <sys/stat.h>

#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <openssl/evp.h>
#include <openssl/pem.h>

#include "keyfile.h"

static char dir[64], path[96], why[256];

static int
setup(void **state)
{
	(void)state;
	snprintf(dir, sizeof(dir), "/tmp/keyfile_test.XXXXXX");
	if (mkdtemp(dir) == NULL)
		return -1;
	snprintf(path, sizeof(path), "%s/key.pem", dir);
	why[0] = '\0';
	return 0;
}

static int
files(bool remove_them)
{
	struct dirent *e;
	char name[400];
	DIR *d = opendir(dir);
	int n = 0;

	while ((e = readdir(d)) != NULL) {
		if (e->d_name[0] == '.')
			continue;
		n++;
		snprintf(name, sizeof(name), "%s/%s", dir, e->d_name);
		if (remove_them && unlink(name) == -1)
			rmdir(name);
	}
	closedir(d);
	return n;
}

static int
teardown(void **state)
{
	(void)state;
	files(true);
	return rmdir(dir);
}

/* Writes a PEM file with this key, mode 0600. */
static void
put_key(EVP_PKEY *key, const EVP_CIPHER *cipher)
{
	FILE *f = fopen(path, "w");

	assert_non_null(f);
	assert_int_equal(PEM_write_PrivateKey(f, key, cipher, NULL, 0, NULL,
			     cipher != NULL ? (char[]){"secret"} : NULL),
	    1);
	fclose(f);
	assert_int_equal(chmod(path, 0600), 0);
}

static void
refused(int error, const char *part)
{
	assert_null(keyfile_load(path, why, sizeof(why)));
	assert_int_equal(errno, error);
	assert_non_null(strstr(why, part));
	assert_non_null(strstr(why, path));
}

static void
made_private_and_loaded_with_the_same_fingerprint(void **state)
{
	uint8_t made[32], loaded[32];
	char text[KEYFILE_TEXT];
	struct stat st;
	EVP_PKEY *key;

	(void)state;
	umask(0);
	assert_int_equal(keyfile_generate(path, made, why, sizeof(why)), 0);
	assert_int_equal(stat(path, &st), 0);
	assert_int_equal(st.st_mode & 07777, 0600);
	assert_int_equal(files(false), 1);
	key = keyfile_load(path, why, sizeof(why));
	assert_non_null(key);
	assert_int_equal(keyfile_fingerprint(key, loaded), 0);
	assert_memory_equal(made, loaded, 32);
	EVP_PKEY_free(key);
	keyfile_text(made, text);
	assert_int_equal(strlen(text), 71);
	assert_int_equal(strspn(text + 7, "0123456789abcdef"), 64);
	assert_memory_equal(text, "sha256:", 7);
}

static void
two_keys_differ(void **state)
{
	uint8_t a[32], b[32];

	(void)state;
	assert_int_equal(keyfile_generate(path, a, why, sizeof(why)), 0);
	assert_int_equal(unlink(path), 0);
	assert_int_equal(keyfile_generate(path, b, why, sizeof(why)), 0);
	assert_memory_not_equal(a, b, 32);
}

static void
fingerprint_is_that_of_openssl(void **state)
{
	/* openssl pkey -pubout -outform DER | sha256sum, secret 00..1f. */
	static const char expected[] =
	    "sha256:"
	    "a050837d85070582ccf7394b0988847cc312cb88259b894899f6f239cf1791a5";
	uint8_t raw[32], fp[32];
	char text[KEYFILE_TEXT];
	EVP_PKEY *key;
	int i;

	(void)state;
	for (i = 0; i < 32; i++)
		raw[i] = (uint8_t)i;
	key = EVP_PKEY_new_raw_private_key(EVP_PKEY_ED25519, NULL, raw, 32);
	assert_non_null(key);
	assert_int_equal(keyfile_fingerprint(key, fp), 0);
	keyfile_text(fp, text);
	assert_string_equal(text, expected);
	EVP_PKEY_free(key);
}

static void
an_existing_file_is_never_overwritten(void **state)
{
	uint8_t fp[32], before[32], after[32];
	EVP_PKEY *key;

	(void)state;
	assert_int_equal(keyfile_generate(path, before, why, sizeof(why)), 0);
	assert_int_equal(keyfile_generate(path, fp, why, sizeof(why)), -1);
	assert_int_equal(errno, EEXIST);
	assert_non_null(strstr(why, "exists"));
	key = keyfile_load(path, why, sizeof(why));
	assert_int_equal(keyfile_fingerprint(key, after), 0);
	assert_memory_equal(before, after, 32);
	assert_int_equal(files(false), 1);
	EVP_PKEY_free(key);
}

static void
a_missing_directory_is_named(void **state)
{
	uint8_t fp[32];

	(void)state;
	snprintf(path, sizeof(path), "%s/none/key.pem", dir);
	assert_int_equal(keyfile_generate(path, fp, why, sizeof(why)), -1);
	assert_int_equal(errno, ENOENT);
	assert_non_null(strstr(why, path));
	assert_int_equal(files(false), 0);
}

static void
too_long_a_path_is_refused(void **state)
{
	char longer[HAD_PATH_MAX + 1];
	uint8_t fp[32];

	(void)state;
	memset(longer, 'x', sizeof(longer) - 1);
	longer[sizeof(longer) - 1] = '\0';
	assert_int_equal(keyfile_generate(longer, fp, why, sizeof(why)), -1);
	assert_int_equal(errno, ENAMETOOLONG);
}

static void
a_missing_key_says_how_to_make_one(void **state)
{
	(void)state;
	refused(ENOENT, "hactl keygen");
}

static void
a_key_that_others_may_read_is_refused(void **state)
{
	uint8_t fp[32];

	(void)state;
	assert_int_equal(keyfile_generate(path, fp, why, sizeof(why)), 0);
	assert_int_equal(chmod(path, 0640), 0);
	refused(EPERM, "chmod 600");
	assert_int_equal(chmod(path, 0604), 0);
	refused(EPERM, "mode 0604");
}

static void
a_directory_is_refused(void **state)
{
	(void)state;
	assert_int_equal(mkdir(path, 0700), 0);
	refused(EINVAL, "not a regular file");
}

static void
another_type_of_key_is_refused(void **state)
{
	EVP_PKEY *key = EVP_PKEY_Q_keygen(NULL, NULL, "X25519");

	(void)state;
	put_key(key, NULL);
	refused(EINVAL, "type X25519, expected Ed25519");
	EVP_PKEY_free(key);
}

static void
an_encrypted_key_is_refused_without_asking(void **state)
{
	EVP_PKEY *key = EVP_PKEY_Q_keygen(NULL, NULL, "ED25519");

	(void)state;
	put_key(key, EVP_aes_128_cbc());
	refused(EINVAL, "passphrase");
	EVP_PKEY_free(key);
}

static void
rubbish_is_refused(void **state)
{
	FILE *f = fopen(path, "w");

	(void)state;
	fprintf(f, "-----BEGIN PRIVATE KEY-----\nAAAA\n");
	fclose(f);
	assert_int_equal(chmod(path, 0600), 0);
	refused(EINVAL, "no private key");
}

int
main(void)
{
#define T(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
	const struct CMUnitTest tests[] = {
	    T(made_private_and_loaded_with_the_same_fingerprint),
	    T(two_keys_differ),
	    T(fingerprint_is_that_of_openssl),
	    T(an_existing_file_is_never_overwritten),
	    T(a_missing_directory_is_named),
	    T(too_long_a_path_is_refused),
	    T(a_missing_key_says_how_to_make_one),
	    T(a_key_that_others_may_read_is_refused),
	    T(a_directory_is_refused),
	    T(another_type_of_key_is_refused),
	    T(an_encrypted_key_is_refused_without_asking),
	    T(rubbish_is_refused),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
