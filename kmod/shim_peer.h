/* SPDX-License-Identifier: GPL-2.0-only */
/* What shim_peer.c has for shim_copy.c. */
#ifndef NVMEV_SHIM_PEER_H
#define NVMEV_SHIM_PEER_H

#include "shim.h"

enum nvmev_access {
	NVMEV_ACCESS_READ,
	NVMEV_ACCESS_WRITE,
	/* 16 bytes, aligned, of which the last 8 are seen after the first. */
	NVMEV_ACCESS_PUBLISH,
};

/*
 * Copies between buffer and what other PCI functions have at address, at most len bytes, at most to the end of a BAR.
 * Returns how many; 0 if no function has memory there. May sleep. No more than a page at a time: no grace period of RCU
 * ends meanwhile.
 */
size_t nvmev_peer_access(struct nvmev_peers *peers, enum nvmev_access access, u64 address, void *buffer, size_t len);

#endif
