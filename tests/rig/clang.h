/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Included after the configuration of a kernel that gcc built, so that clang
 * can compile a module against its headers.
 */
#undef CONFIG_CC_IS_GCC
#define CONFIG_CC_IS_CLANG 1

/* Address spaces for per-CPU data: what 7.x has settled by now must stay so, as
 * it is known to clang; earlier kernels leave them to gcc.
 */
#ifndef __percpu_seg_override
#undef CONFIG_CC_HAS_NAMED_AS
#undef CONFIG_USE_X86_SEG_SUPPORT
#endif
