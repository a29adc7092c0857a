/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The configuration language.  regress/conf/good/X.conf with X.out: what it
 * prints and its timers; regress/conf/bad/X.conf with X.out: its messages.
 * CONF_UPDATE=1 in the environment writes the X.out anew, to be read before
 * they are committed.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <glob.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "conf_int.h"

#define CONF_DIR "regress/conf/"
#define MANUAL "man/had.conf.5"

struct text {
	char *bytes; /* owned; a NUL follows */
	size_t len;
};

static struct text
read_file(const char *path)
{
	struct text t;
	long size;
	FILE *f;

	f = fopen(path, "r");
	if (f == NULL)
		fail_msg(
		    "%s cannot be read: run from the top of the tree", path);
	assert_int_equal(fseek(f, 0, SEEK_END), 0);
	size = ftell(f);
	assert_true(size >= 0);
	rewind(f);
	t.len = (size_t)size;
	t.bytes = calloc(1, t.len + 1);
	assert_non_null(t.bytes);
	assert_int_equal(fread(t.bytes, 1, t.len, f), t.len);
	fclose(f);
	return t;
}

static void
golden(const char *conf_path, const char *got)
{
	char path[512];
	struct text want;
	FILE *f;

	snprintf(path, sizeof(path), "%.*s.out",
	    (int)(strlen(conf_path) - strlen(".conf")), conf_path);
	if (getenv("CONF_UPDATE") != NULL &&
	    strcmp(getenv("CONF_UPDATE"), "1") == 0) {
		f = fopen(path, "w");
		assert_non_null(f);
		fputs(got, f);
		assert_int_equal(fclose(f), 0);
	}
	want = read_file(path);
	if (strcmp(want.bytes, got) != 0)
		fail_msg("%s differs.\nexpected:\n%s\ngot:\n%s", path,
		    want.bytes, got);
	free(want.bytes);
}

/* A parsed text: the struct, its messages, their number. */
struct parsed {
	struct conf *c; /* owned */
	char text[8192];
	struct conf_errors errors;
	int rc;
};

static struct parsed *
parse(const char *name, const char *bytes, size_t len)
{
	struct parsed *p;

	p = calloc(1, sizeof(*p));
	assert_non_null(p);
	p->c = malloc(sizeof(*p->c));
	assert_non_null(p->c);
	memset(p->c, 0xa5, sizeof(*p->c));
	p->errors.text = p->text;
	p->errors.size = sizeof(p->text);
	p->rc = conf_parse(p->c, name, bytes, len, &p->errors);
	assert_int_equal(p->rc, p->errors.count == 0 ? 0 : -1);
	assert_true(p->errors.used < p->errors.size);
	return p;
}

static void
release(struct parsed *p)
{
	free(p->c);
	free(p);
}

static char *
print(const struct conf *c)
{
	size_t need;
	char *buf;

	need = conf_print(c, NULL, 0);
	buf = calloc(1, need + 1);
	assert_non_null(buf);
	assert_int_equal(conf_print(c, buf, need + 1), need);
	assert_int_equal(strlen(buf), need);
	return buf;
}

/* What a file's layout alone decides. */
static void
forget_layout(struct conf *c)
{
	size_t i, j;

	c->digest = 0;
	c->line = c->col = 0;
	c->silent_at = c->watchdog_at = c->self_fence_at = (struct conf_pos){0};
	c->witness.line = c->witness.col = 0;
	memset(c->lock_disk_at, 0, sizeof(c->lock_disk_at));
	memset(c->ping_at, 0, sizeof(c->ping_at));
	for (i = 0; i < c->n_nodes; i++) {
		c->nodes[i].line = c->nodes[i].col = 0;
		for (j = 0; j < c->nodes[i].n_fences; j++) {
			c->nodes[i].fences[j].line = 0;
			c->nodes[i].fences[j].col = 0;
		}
		for (j = 0; j < c->nodes[i].n_links; j++) {
			c->nodes[i].links[j].line = 0;
			c->nodes[i].links[j].col = 0;
		}
	}
	for (i = 0; i < c->n_volumes; i++)
		c->volumes[i].line = c->volumes[i].col = 0;
	for (i = 0; i < c->n_addresses; i++)
		c->addresses[i].line = c->addresses[i].col = 0;
	for (i = 0; i < c->n_lockspaces; i++)
		c->lockspaces[i].line = c->lockspaces[i].col = 0;
	for (i = 0; i < c->n_routers; i++)
		c->routers[i].line = c->routers[i].col = 0;
	for (i = 0; i < c->n_tracks; i++)
		c->tracks[i].line = c->tracks[i].col = 0;
	for (i = 0; i < c->n_hmac_keys; i++)
		c->hmac_keys[i].line = c->hmac_keys[i].col = 0;
	for (i = 0; i < c->n_services; i++) {
		c->services[i].line = c->services[i].col = 0;
		for (j = 0; j < c->services[i].n_steps; j++) {
			c->services[i].steps[j].line = 0;
			c->services[i].steps[j].col = 0;
		}
	}
}

/* print, parse, print: the same struct and the same text. */
static void
check_identity(struct conf *c)
{
	struct parsed *again;
	char *one, *two;

	one = print(c);
	again = parse("printed", one, strlen(one));
	if (again->rc != 0)
		fail_msg(
		    "printed text does not parse:\n%s\n%s", again->text, one);
	two = print(again->c);
	assert_string_equal(one, two);
	forget_layout(c);
	forget_layout(again->c);
	assert_memory_equal(c, again->c, sizeof(*c));
	free(one);
	free(two);
	release(again);
}

static const char *
base(const char *path)
{
	return strrchr(path, '/') + 1;
}

/* Calls f for each file of a pattern; there have to be some. */
static void
for_each(const char *pattern, size_t at_least, void (*f)(const char *path))
{
	glob_t g;
	size_t i;

	if (glob(pattern, 0, NULL, &g) != 0)
		fail_msg("no file %s: run from the top of the tree", pattern);
	assert_true(g.gl_pathc >= at_least);
	for (i = 0; i < g.gl_pathc; i++)
		f(g.gl_pathv[i]);
	globfree(&g);
}

static void
one_good(const char *path)
{
	char timers[4096], *printed, *out;
	struct parsed *p;
	struct text t;
	size_t n;

	t = read_file(path);
	p = parse(base(path), t.bytes, t.len);
	if (p->rc != 0)
		fail_msg("%s", p->text);
	printed = print(p->c);
	n = conf_print_timers(p->c, timers, sizeof(timers));
	assert_true(n < sizeof(timers));
	assert_int_equal(n, conf_print_timers(p->c, NULL, 0));
	assert_null(strstr(timers, "DOES NOT HOLD"));
	out = calloc(1, strlen(printed) + n + 1);
	assert_non_null(out);
	strcat(strcat(out, printed), timers);
	golden(path, out);
	check_identity(p->c);
	free(out);
	free(printed);
	free(t.bytes);
	release(p);
}

static void
good_files_print_as_recorded(void **state)
{
	(void)state;
	for_each(CONF_DIR "good/*.conf", 5, one_good);
}

static void
one_bad(const char *path)
{
	struct parsed *p;
	struct text t;
	char *out;
	size_t size;

	t = read_file(path);
	p = parse(base(path), t.bytes, t.len);
	if (p->rc == 0)
		fail_msg("%s is accepted", path);
	size = strlen(p->text) + 64;
	out = calloc(1, size);
	assert_non_null(out);
	snprintf(out, size, "%s%u error%s\n", p->text, p->errors.count,
	    p->errors.count == 1 ? "" : "s");
	golden(path, out);
	free(out);
	free(t.bytes);
	release(p);
}

static void
bad_files_are_refused_as_recorded(void **state)
{
	(void)state;
	for_each(CONF_DIR "bad/*.conf", 60, one_bad);
}

static void
one_example(const char *path)
{
	struct parsed *p;
	struct text t;

	t = read_file(path);
	p = parse(path, t.bytes, t.len);
	if (p->rc != 0)
		fail_msg("%s", p->text);
	check_identity(p->c);
	free(t.bytes);
	release(p);
}

static void
shipped_examples_parse(void **state)
{
	(void)state;
	for_each("etc/*.conf", 3, one_example);
}

/* mdoc escapes that may stand in a literal display. */
static void
unescape(char *s)
{
	char *out;

	for (out = s; *s != '\0'; s++) {
		if (strncmp(s, "\\e", 2) == 0) {
			*out++ = '\\';
			s++;
		} else if (strncmp(s, "\\&", 2) == 0)
			s++;
		else
			*out++ = *s;
	}
	*out = '\0';
}

static void
examples_of_the_manual_parse(void **state)
{
	char *begin, *end;
	struct parsed *p;
	struct text t;
	unsigned n;

	(void)state;
	t = read_file(MANUAL);
	n = 0;
	begin = strstr(t.bytes, "\n.Sh EXAMPLES");
	assert_non_null(begin);
	while ((begin = strstr(begin, "\n.Bd -literal")) != NULL) {
		begin = strchr(begin + 1, '\n') + 1;
		end = strstr(begin, "\n.Ed");
		assert_non_null(end);
		*end = '\0';
		unescape(begin);
		p = parse(MANUAL, begin, strlen(begin));
		if (p->rc != 0)
			fail_msg("%s%s", p->text, begin);
		release(p);
		n++;
		begin = end + 1;
	}
	assert_true(n >= 3);
	free(t.bytes);
}

static bool seen[CONF_KW_N];

static void
mark_keywords(const char *path)
{
	struct conf_token tok;
	struct conf_lex lex;
	struct text t;
	unsigned i;

	t = read_file(path);
	conf_lex_init(&lex, t.bytes, t.len);
	do {
		conf_lex_next(&lex, &tok);
		for (i = 0; i < CONF_KW_N; i++)
			if (tok.type == CONF_TOK_WORD &&
			    strcmp(tok.text, conf_kw_word(i)) == 0)
				seen[i] = true;
	} while (tok.type != CONF_TOK_END);
	free(t.bytes);
}

static void
every_keyword_is_exercised(void **state)
{
	unsigned i;

	(void)state;
	memset(seen, 0, sizeof(seen));
	for_each(CONF_DIR "good/*.conf", 5, mark_keywords);
	for (i = 0; i < CONF_KW_N; i++)
		if (!seen[i])
			fail_msg("'%s' is in no good file", conf_kw_word(i));
}

/* Marks the words behind .Ic, up to the next macro of the line. */
static void
mark_explained(char *text)
{
	char *line, *word, *next_line, *next_word;
	unsigned i;
	bool ic;

	for (line = strtok_r(text, "\n", &next_line); line != NULL;
	     line = strtok_r(NULL, "\n", &next_line)) {
		ic = false;
		for (word = strtok_r(line, " .", &next_word); word != NULL;
		     word = strtok_r(NULL, " .", &next_word)) {
			if (*word >= 'A' && *word <= 'Z')
				ic = strcmp(word, "Ic") == 0;
			for (i = 0; ic && i < CONF_KW_N; i++)
				if (strcmp(word, conf_kw_word(i)) == 0)
					seen[i] = true;
		}
	}
}

/* Once where it is explained and once in the grammar. */
static void
every_keyword_is_in_the_manual(void **state)
{
	char *grammar, *end, kw[64];
	struct text t;
	unsigned i;

	(void)state;
	t = read_file(MANUAL);
	grammar = strstr(t.bytes, "\n.Sh GRAMMAR");
	assert_non_null(grammar);
	*grammar++ = '\0';
	end = strstr(grammar, "\n.Sh ");
	assert_non_null(end);
	*end = '\0';
	memset(seen, 0, sizeof(seen));
	mark_explained(t.bytes);
	for (i = 0; i < CONF_KW_N; i++) {
		if (!seen[i])
			fail_msg("'%s' is not explained in " MANUAL,
			    conf_kw_word(i));
		snprintf(kw, sizeof(kw), "\"%s\"", conf_kw_word(i));
		if (strstr(grammar, kw) == NULL)
			fail_msg("%s is not in the grammar of " MANUAL, kw);
	}
	free(t.bytes);
}

/* The manual states the defaults that conf.h has. */
static void
defaults_of_the_manual_are_true(void **state)
{
	static const struct {
		const char *text;
		long value;
	} rows[] = {
	    {"The default heartbeat is %ldms.", CONF_HEARTBEAT_MS},
	    {"The default dead is %ldms.", CONF_DEAD_MS},
	    {"The default port is %ld.", CONF_PORT},
	    {"The default timeout of a volume is %lds.",
		CONF_VOLUME_TIMEOUT_MS / 1000},
	    {"The default timeout of a mount is %lds.",
		CONF_MOUNT_TIMEOUT_MS / 1000},
	    {"The default timeout of a command is %lds.",
		CONF_COMMAND_TIMEOUT_MS / 1000},
	    {"The default timeout of an address is %lds.",
		CONF_ADDRESS_TIMEOUT_MS / 1000},
	    {"The default interval is %lds.", CONF_CHECK_EVERY_MS / 1000},
	    {"The default timeout of a check is %lds.",
		CONF_CHECK_TIMEOUT_MS / 1000},
	    {"The default number of locks is %ld.", CONF_LOCKS},
	    {"The default port of a witness is %ld.", CONF_WITNESS_PORT},
	    {"The default timeout of a fence is %lds.",
		CONF_FENCE_TIMEOUT_MS / 1000},
	};
	char line[128];
	struct text t;
	size_t i;

	(void)state;
	t = read_file(MANUAL);
	for (i = 0; i < NITEMS(rows); i++) {
		/* The formats are the literals above. */
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wformat-nonliteral"
		snprintf(line, sizeof(line), rows[i].text, rows[i].value);
#pragma GCC diagnostic pop
		if (strstr(t.bytes, line) == NULL)
			fail_msg(MANUAL " lacks: %s", line);
	}
	free(t.bytes);
}

/* Every beginning of a good file is answered; what is accepted prints. */
static void
one_prefixes(const char *path)
{
	struct parsed *p;
	struct text t;
	char *copy;
	size_t n;

	t = read_file(path);
	for (n = 0; n < t.len; n++) {
		copy = malloc(n > 0 ? n : 1); /* no NUL: asan sees overruns */
		assert_non_null(copy);
		memcpy(copy, t.bytes, n);
		p = parse(base(path), copy, n);
		if (p->rc == 0)
			check_identity(p->c);
		release(p);
		free(copy);
	}
	free(t.bytes);
}

static void
truncated_files_are_answered(void **state)
{
	(void)state;
	for_each(CONF_DIR "good/*.conf", 5, one_prefixes);
}

/* One byte replaced, everywhere: refused, or it still prints itself. */
static void
one_mutants(const char *path)
{
	static const char with[] = "{}\"#=$\n;\\0x/\xff";
	struct parsed *p;
	struct text t;
	size_t i;
	char was;

	t = read_file(path);
	for (i = 0; i < t.len; i++) {
		was = t.bytes[i];
		t.bytes[i] = with[i % (sizeof(with) - 1)];
		p = parse(base(path), t.bytes, t.len);
		if (p->rc == 0)
			check_identity(p->c);
		release(p);
		t.bytes[i] = was;
	}
	free(t.bytes);
}

static void
mutated_files_are_answered(void **state)
{
	(void)state;
	for_each(CONF_DIR "good/*.conf", 5, one_mutants);
}

/* Only whole messages are kept, all are counted. */
static void
messages_that_do_not_fit_are_counted(void **state)
{
	static const char text[] = "a\nb\nc\nd\n";
	struct conf_errors e;
	struct conf *c;
	char buf[120];
	size_t size;

	(void)state;
	c = malloc(sizeof(*c));
	assert_non_null(c);
	for (size = 1; size <= sizeof(buf); size++) {
		memset(buf, 'x', sizeof(buf));
		e = (struct conf_errors){.text = buf, .size = size};
		assert_int_equal(
		    conf_parse(c, "f", text, strlen(text), &e), -1);
		assert_int_equal(e.count, 4);
		assert_true(e.used < size);
		assert_int_equal(strlen(buf), e.used);
		assert_true(e.used == 0 || buf[e.used - 1] == '\n');
	}
	e = (struct conf_errors){.text = NULL, .size = 0};
	assert_int_equal(conf_parse(c, "f", text, strlen(text), &e), -1);
	assert_int_equal(e.count, 4);
	free(c);
}

/* For all pairs: the chain holds, or the pair is refused and had to be. */
static void
timers_hold_or_are_refused(void **state)
{
	struct conf_timers t;
	uint32_t hb, dead;

	(void)state;
	for (hb = 2; hb <= 120; hb++) {
		for (dead = 10; dead <= 700; dead++) {
			t = (struct conf_timers){
			    .heartbeat_ms = hb, .dead_ms = dead};
			if (!conf_timers_derive(&t, 0, 0)) {
				assert_true(2 * hb * 102 > (dead - 10) * 100);
				assert_true(dead < conf_dead_min(hb));
				continue;
			}
			assert_true(dead >= conf_dead_min(hb));
			assert_true(2 * hb <= t.lease_ms);
			assert_true(t.lease_ms * 102 <= (dead - 10) * 100);
			assert_true(t.lease_ms < dead);
			assert_true(t.takeover_ms >= dead);
			assert_true(
			    t.lease_ms * 102 <= (t.takeover_ms - 10) * 100);
		}
	}
}

static void
timers_of_the_lab(void **state)
{
	struct conf_timers t;

	(void)state;
	t = (struct conf_timers){.heartbeat_ms = 20, .dead_ms = 80};
	assert_true(conf_timers_derive(&t, 0, 0));
	assert_int_equal(t.lease_ms, 50);
	assert_int_equal(t.takeover_ms, 80);
	t = (struct conf_timers){.heartbeat_ms = 50, .dead_ms = 150};
	assert_true(conf_timers_derive(&t, 0, 0));
	assert_int_equal(t.lease_ms, 100);
	t = (struct conf_timers){.heartbeat_ms = 100, .dead_ms = 500};
	assert_true(conf_timers_derive(&t, 0, 0));
	assert_int_equal(t.lease_ms, 300);
	/* The least dead of a heartbeat has exactly one lease. */
	t = (struct conf_timers){.heartbeat_ms = 100, .dead_ms = 214};
	assert_true(conf_timers_derive(&t, 0, 0));
	assert_int_equal(t.lease_ms, 200);
	t.dead_ms = 213;
	assert_false(conf_timers_derive(&t, 0, 0));
}

static void
parsed_values(void **state)
{
	const struct conf_service *sv;
	struct parsed *p;
	struct text t;

	(void)state;
	t = read_file(CONF_DIR "good/shop.conf");
	p = parse("shop.conf", t.bytes, t.len);
	assert_int_equal(p->rc, 0);
	assert_int_equal(p->c->silent, CONF_SILENT_TAKEOVER);
	assert_int_equal(p->c->port, 8800);
	/* bravo lists its links the other way round. */
	assert_string_equal(p->c->nodes[1].links[0].name, "lan");
	assert_int_equal(p->c->nodes[0].links[0].index, 0);
	assert_int_equal(p->c->nodes[0].links[1].index, 1);
	assert_int_equal(p->c->nodes[1].links[0].index, 1);
	assert_int_equal(p->c->nodes[1].links[1].index, 0);
	assert_int_equal(p->c->nodes[0].key[0], 0x5f);
	assert_int_equal(p->c->nodes[0].key[31], 0xf0);
	assert_string_equal(p->c->nodes[0].links[0].ifname, "enp3s0");
	assert_int_equal(p->c->volumes[0].resync_rate_kib, 102400);
	assert_int_equal(p->c->volumes[1].resync_rate_kib, 640);
	assert_string_equal(p->c->volumes[1].meta, "/dev/vg0/logs meta");
	assert_int_equal(p->c->addresses[0].bytes[3], 80);
	assert_int_equal(p->c->addresses[1].family, 6);
	assert_int_equal(p->c->addresses[1].bytes[15], 0x80);
	sv = conf_service_named(p->c, "shop");
	assert_non_null(sv);
	assert_int_equal(sv->prefer, 1);
	assert_true(sv->failback && sv->data);
	assert_int_equal(sv->n_steps, 5);
	assert_int_equal(sv->steps[1].type, CONF_STEP_MOUNT);
	assert_int_equal(sv->steps[1].ref, 0);
	assert_int_equal(sv->steps[1].timeout_ms, 120000);
	assert_string_equal(sv->steps[2].start,
	    "/usr/bin/pg_ctl start -D \"/srv/orders/a \\ b\"");
	assert_int_equal(sv->steps[4].ref, 1);
	assert_int_equal(sv->steps[4].timeout_ms, 3000);
	assert_int_equal(sv->check_every_ms, 500);
	assert_int_equal(p->c->lockspaces[1].locks_max, CONF_LOCKS);
	assert_ptr_equal(conf_node(p->c, 2), &p->c->nodes[1]);
	assert_null(conf_node(p->c, 3));
	assert_null(conf_node(p->c, 0));
	assert_ptr_equal(conf_node_named(p->c, "bravo"), &p->c->nodes[1]);
	assert_null(conf_node_named(p->c, "carol"));
	assert_ptr_equal(conf_volume_named(p->c, "logs"), &p->c->volumes[1]);
	assert_null(conf_volume_named(p->c, "web"));
	assert_null(conf_service_named(p->c, "web"));
	free(t.bytes);
	release(p);
}

/* The nodes compare it: one byte, even of a comment, is another file. */
static void
digest_is_of_the_bytes(void **state)
{
	static const char one[] = "cluster a {} # 1",
			  two[] = "cluster a {} # 2";
	struct parsed *a, *b, *c;

	(void)state;
	a = parse("a", one, strlen(one));
	b = parse("b", two, strlen(two));
	c = parse("c", one, strlen(one));
	assert_int_not_equal(a->c->digest, b->c->digest);
	assert_int_equal(a->c->digest, c->c->digest);
	release(a);
	/* XXH3-64 of nothing, from its specification. */
	a = parse("a", "", 0);
	assert_true(a->c->digest == 0x2d06800538d394c2);
	release(a);
	release(b);
	release(c);
}

/*
 * The checker alone guards what no file can say, for structs built by other
 * means: each damage is refused with one message that names it.
 */
static void
damage(struct conf *c, unsigned i)
{
	struct conf_service *sv = &c->services[0];

	switch (i) {
	case 0:
		c->port = 65531;
		return;
	case 1:
		c->t.heartbeat_ms = 1;
		return;
	case 2:
		c->nodes[0].id = 17;
		return;
	case 3:
		c->nodes[0].name[0] = '/';
		return;
	case 4:
		c->nodes[1].links[0].addr[0] = 'x';
		return;
	case 5:
		c->nodes[0].links[0].ifname[0] = '/';
		return;
	case 6:
		memcpy(c->volumes[1].meta, "meta", 5);
		return;
	case 7:
		c->addresses[0].prefix = 33;
		return;
	case 8:
		c->addresses[0].addr[0] = 'x';
		return;
	case 9:
		c->addresses[0].ifname[0] = '\0';
		return;
	case 10:
		sv->steps[0].timeout_ms = 0;
		return;
	case 11:
		sv->check_timeout_ms = 0;
		return;
	case 12:
		sv->steps[2].name[0] = '\0';
		return;
	case 13:
		c->lockspaces[0].locks_max = 0;
		return;
	case 14:
		c->lockspaces[0].name[0] = '\0';
		return;
	case 15:
		sv->steps[4].ref = 99;
		return;
	case 16:
		c->cluster[0] = '.';
		return;
	case 17:
		c->volumes[1].name[0] = '-';
		return;
	case 18:
		c->addresses[1].name[0] = '-';
		return;
	case 19:
		sv->name[0] = '-';
		return;
	default:
		c->nodes[0].links[0].name[0] = c->nodes[1].links[1].name[0] =
		    '-';
		return;
	}
}

static void
checker_alone_refuses_damage(void **state)
{
	static const char *const want[] = {"port 65531", "heartbeat 1ms",
	    "node alpha: got id 17", "name '/lpha'", "address 'x92.0.2.12'",
	    "interface '/np3s0'", "meta \"meta\"", "prefix length 33",
	    "'x92.0.2.80'", "interface ''", "step 1: got timeout 0",
	    "interval or timeout 0", "command named ''", "0 locks",
	    "lockspace: got name ''", "expected an address that the file",
	    "cluster: got name '.hop'", "volume: got name '-ogs'",
	    "address: got name '-eb6'", "service: got name '-hop'",
	    "link: got name '-ross'"};
	char buf[4096];
	struct conf_errors e;
	struct parsed *p;
	struct text t;
	unsigned i;

	(void)state;
	t = read_file(CONF_DIR "good/shop.conf");
	for (i = 0; i < NITEMS(want); i++) {
		p = parse("shop.conf", t.bytes, t.len);
		e = (struct conf_errors){.text = buf, .size = sizeof(buf)};
		assert_int_equal(conf_check(p->c, "f", &e), 0);
		damage(p->c, i);
		assert_int_equal(conf_check(p->c, "f", &e), -1);
		if (strstr(buf, want[i]) == NULL)
			fail_msg(
			    "damage %u: no \"%s\" in\n%s", i, want[i], buf);
		release(p);
	}
	free(t.bytes);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(good_files_print_as_recorded),
	    cmocka_unit_test(bad_files_are_refused_as_recorded),
	    cmocka_unit_test(shipped_examples_parse),
	    cmocka_unit_test(examples_of_the_manual_parse),
	    cmocka_unit_test(every_keyword_is_exercised),
	    cmocka_unit_test(every_keyword_is_in_the_manual),
	    cmocka_unit_test(defaults_of_the_manual_are_true),
	    cmocka_unit_test(truncated_files_are_answered),
	    cmocka_unit_test(mutated_files_are_answered),
	    cmocka_unit_test(messages_that_do_not_fit_are_counted),
	    cmocka_unit_test(timers_hold_or_are_refused),
	    cmocka_unit_test(timers_of_the_lab),
	    cmocka_unit_test(parsed_values),
	    cmocka_unit_test(digest_is_of_the_bytes),
	    cmocka_unit_test(checker_alone_refuses_damage),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
