// SPDX-License-Identifier: GPL-2.0-only
/* The numbers of ivshmemctl: sizes, seconds, percentiles. */
#include <errno.h>
#include <string.h>

#include "../../tools/ctl/numbers.c"
#include "../guest/tap.h"

static void size_is(const char *text, uint64_t expected)
{
	uint64_t value = 0;

	tap_eq(parse_size(text, &value), 0, "size %s is one", text);
	tap_eq(value, expected, "size %s", text);
}

static void size_is_not(const char *text, int error)
{
	uint64_t value = 77;

	tap_eq(parse_size(text, &value), error, "size '%s' is refused", text);
	tap_eq(value, 77, "size '%s' leaves the value alone", text);
}

static void test_sizes(void)
{
	static const char *const nonsense[] = {
		"", "K", "-1", "+1", " 1", "1 ", "0x", "0xK", "x10", "1KK",
		"1KB", "1.5", "1e3", "0x10g0", "ten",
	};

	size_is("0", 0);
	size_is("017", 17);
	size_is("4096", 4096);
	size_is("0x1F", 31);
	size_is("0X10k", 16 << 10);
	size_is("4K", 4 << 10);
	size_is("3m", 3 << 20);
	size_is("2G", UINT64_C(2) << 30);
	size_is("16777215T", UINT64_C(16777215) << 40);
	size_is("18446744073709551615", UINT64_MAX);
	for (size_t i = 0; i < sizeof(nonsense) / sizeof(nonsense[0]); i++)
		size_is_not(nonsense[i], -EINVAL);
	size_is_not("18446744073709551616", -ERANGE);
	size_is_not("16777216T", -ERANGE);
	size_is_not("0x10000000000000000", -ERANGE);
}

static void test_seconds(void)
{
	static const char *const nonsense[] = {
		"", ".", "-1", "+1", "inf", "nan", "1e3", "0x1", "1.2.3", "1s",
	};
	int64_t value = 0;

	tap_eq(parse_seconds("2", &value), 0, "whole seconds are seconds");
	tap_eq(value, 2000000000, "whole seconds");
	tap_eq(parse_seconds("0.0015", &value), 0, "fractions are seconds");
	tap_eq(value, 1500000, "fractions");
	tap_eq(parse_seconds("0", &value), 0, "no seconds are seconds");
	tap_eq(value, 0, "no seconds");
	for (size_t i = 0; i < sizeof(nonsense) / sizeof(nonsense[0]); i++)
		tap_eq(parse_seconds(nonsense[i], &value), -EINVAL,
		       "seconds '%s' are refused", nonsense[i]);
	tap_eq(parse_seconds("1000000001", &value), -ERANGE, "too many seconds");
}

static void shown_as(double bytes, const char *expected)
{
	char text[SIZE_TEXT];

	format_size(text, bytes);
	if (strcmp(text, expected))
		tap_note("%s", text);
	tap_ok(!strcmp(text, expected), "%.0f bytes are shown as %s", bytes,
	       expected);
}

static void test_format(void)
{
	shown_as(0, "0 B");
	shown_as(999, "999 B");
	shown_as(1000, "0.977 KiB");
	shown_as(1536, "1.5 KiB");
	shown_as(64 << 20, "64 MiB");
	shown_as(0x1p64, "1.68e+07 TiB");
}

static void counted_as(uint64_t count, const char *thing, const char *expected)
{
	char text[COUNT_TEXT];

	tap_ok(!strcmp(format_count(text, count, thing), expected), "%s", text);
}

static void test_counts(void)
{
	counted_as(0, "interrupt", "0 interrupts");
	counted_as(1, "interrupt", "1 interrupt");
	counted_as(2, "byte", "2 bytes");
	counted_as(UINT64_MAX, "byte", "18446744073709551615 bytes");
}

static void test_percentiles(void)
{
	uint64_t one[] = { 5 }, few[] = { 30, 10, 20, 40 }, many[1000];

	for (uint64_t i = 0; i < 1000; i++)
		many[i] = 1000 - i;
	sort_values(one, 0);
	sort_values(one, 1);
	sort_values(few, 4);
	sort_values(many, 1000);
	tap_eq(percentile(one, 1, 0), 5, "minimum of one");
	tap_eq(percentile(one, 1, 99), 5, "p99 of one");
	tap_eq(percentile(one, 1, 100), 5, "maximum of one");
	tap_eq(percentile(few, 4, 0), 10, "minimum of four");
	tap_eq(percentile(few, 4, 50), 20, "median of four");
	tap_eq(percentile(few, 4, 51), 30, "just over the median of four");
	tap_eq(percentile(few, 4, 99), 40, "p99 of four");
	tap_eq(percentile(few, 4, 100), 40, "maximum of four");
	tap_eq(percentile(many, 1000, 50), 500, "median of a thousand");
	tap_eq(percentile(many, 1000, 99), 990, "p99 of a thousand");
	tap_eq(percentile(many, 1000, 99.9), 999, "p99.9 of a thousand");
}

int main(void)
{
	test_sizes();
	test_seconds();
	test_format();
	test_counts();
	test_percentiles();
	return tap_done();
}
