// SPDX-License-Identifier: GPL-2.0-only
/* What vsock does between two guests of one architecture works between two architectures. */
/* rig: guests=2 arches=amd64,arm64 devices=doorbell vectors=4 size=16M timeout=360
 * rig: modules=vmw_vsock_virtio_transport_common
 */
#include "vsock.c"
