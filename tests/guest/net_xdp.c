// SPDX-License-Identifier: GPL-2.0-only
/*
 * XDP, which the kernel does for this interface: a program drops what arrives, or lets it pass, in
 * frames that are whole and in those that are larger than a page.
 */
/* rig: guests=2 devices=doorbell vectors=4 size=16M timeout=120 over=pci,polled */
#include <linux/bpf.h>
#include <linux/if_link.h>
#include <net/if.h>
#include <sys/syscall.h>

#include "segment.h"

static int sys_bpf(enum bpf_cmd cmd, union bpf_attr *attr)
{
	int ret = syscall(SYS_bpf, cmd, attr, sizeof(*attr));

	return ret < 0 ? -errno : ret;
}

/* A program that says the same of each packet. */
static int xdp_load(enum xdp_action action)
{
	const struct bpf_insn program[] = {
		{ .code = BPF_ALU64 | BPF_MOV | BPF_K, .dst_reg = BPF_REG_0, .imm = action },
		{ .code = BPF_JMP | BPF_EXIT },
	};
	union bpf_attr attr = {
		.prog_type = BPF_PROG_TYPE_XDP,
		.insns = (uintptr_t)program,
		.insn_cnt = sizeof(program) / sizeof(*program),
		.license = (uintptr_t)"GPL",
	};

	return sys_bpf(BPF_PROG_LOAD, &attr);
}

/* Have the interface use it until the result is closed. */
static int xdp_attach(int program)
{
	union bpf_attr attr = {
		.link_create = {
			.prog_fd = program,
			.target_ifindex = if_nametoindex("ivs0"),
			.attach_type = BPF_XDP,
			.flags = XDP_FLAGS_SKB_MODE,
		},
	};

	return sys_bpf(BPF_LINK_CREATE, &attr);
}

static void test_action(enum xdp_action action, const char *name, bool answers)
{
	int program = -1, link = -1;

	if (!rig_guest()) {
		program = xdp_load(action);
		tap_ok(program >= 0, "%s: the program loads (%d)", name, program);
		link = xdp_attach(program);
		tap_ok(link >= 0, "%s: the interface takes it (%d)", name, link);
	}
	rig_ask("barrier attached");
	if (rig_guest())
		tap_ok(answers ? segment_reaches(0) : sh("ping -c 2 -W 1 10.9.0.1"), "%s: %s", name,
		       answers ? "an answer returns" : "no answer returns");
	rig_ask("barrier pinged");
	close(link);
	close(program);
}

int main(void)
{
	const int other = 1 - rig_guest();

	if (xdp_load(XDP_PASS) == -ENOSYS) {
		tap_skip("XDP", "this kernel has no bpf()");
		return tap_done();
	}
	segment_make();
	segment_load();
	tap_ok(segment_reaches(other), "the other guest answers");
	rig_ask("barrier reached");
	test_action(XDP_DROP, "drop", false);
	test_action(XDP_PASS, "pass", true);
	/* An aborted program counts as one that drops. */
	test_action(XDP_ABORTED, "aborted", false);
	tap_ok(segment_reaches(other), "without a program: the other guest answers");
	rig_ask("barrier end");
	segment_unload();
	return tap_done();
}
