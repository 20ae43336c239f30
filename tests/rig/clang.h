/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Included after the configuration of a kernel that gcc built, so that clang
 * can compile a module against its headers.
 */
#undef CONFIG_CC_IS_GCC
#undef CONFIG_CC_HAS_NAMED_AS
#undef CONFIG_USE_X86_SEG_SUPPORT
#define CONFIG_CC_IS_CLANG 1
