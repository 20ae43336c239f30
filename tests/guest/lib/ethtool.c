// SPDX-License-Identifier: GPL-2.0-only
/* What ethtool asks for, for tests of network interfaces: see ethtool.h. */
#include <linux/sockios.h>
#include <net/if.h>
#include <netinet/in.h>
#include <sys/socket.h>

#include "../ethtool.h"

int ethtool(const char *interface, void *command)
{
	int sock = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0), ret;
	struct ifreq request = { .ifr_data = command };

	snprintf(request.ifr_name, sizeof(request.ifr_name), "%s", interface);
	ret = result(ioctl(sock, SIOCETHTOOL, &request));
	close(sock);
	return ret;
}

unsigned int ethtool_counters(const char *interface)
{
	struct ethtool_sset_info *info = calloc(1, sizeof(*info) + sizeof(info->data[0]));
	unsigned int nr;

	*info = (struct ethtool_sset_info){
		.cmd = ETHTOOL_GSSET_INFO, .sset_mask = 1 << ETH_SS_STATS,
	};
	if (ethtool(interface, info))
		tap_bail("%s has no counters", interface);
	nr = info->data[0];
	free(info);
	return nr;
}

long long ethtool_sum(const char *interface, const char *name)
{
	unsigned int nr = ethtool_counters(interface);
	struct ethtool_gstrings *names = calloc(1, sizeof(*names) + nr * ETH_GSTRING_LEN);
	struct ethtool_stats *values = calloc(1, sizeof(*values) + nr * sizeof(__u64));
	long long sum = 0;

	*names = (struct ethtool_gstrings){ ETHTOOL_GSTRINGS, ETH_SS_STATS, nr };
	*values = (struct ethtool_stats){ ETHTOOL_GSTATS, nr };
	if (ethtool(interface, names) || ethtool(interface, values))
		tap_bail("the counters of %s cannot be read", interface);
	for (unsigned int i = 0; i < nr; i++)
		if (strstr((char *)&names->data[i * ETH_GSTRING_LEN], name))
			sum += values->data[i];
	free(names);
	free(values);
	return sum;
}
