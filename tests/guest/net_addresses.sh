#!/bin/dash
# SPDX-License-Identifier: GPL-2.0-only
# A guest gets its addresses from another one, which runs dnsmasq: by DHCP, and for IPv6 from
# router advertisements, both of which are broadcast. Then it asks for a name.
# rig: guests=2 nets=1 devices=doorbell vectors=4 size=32M mem=512 smp=1 timeout=180
. /tests/lib.sh
. /tests/net.sh

# serve: addresses and the name there.test
serve() {
	dnsmasq --conf-file=/dev/null --user=root --pid-file=/tmp/dnsmasq.pid --no-resolv --no-hosts \
		--interface="$net" --bind-interfaces --dhcp-leasefile=/tmp/leases --log-facility=- \
		--dhcp-range=10.0.5.50,10.0.5.99,1h --enable-ra --dhcp-range=fd05::,ra-stateless,64 \
		--ra-param="$net",4 --address=/there.test/10.0.5.1
}

# configured: has the interface an address from the prefix that was advertised?
configured() {
	for _ in $(seq 20); do
		ip -6 addr show dev "$net" scope global -tentative | grep -q 'inet6 fd05:' && return
		sleep 1
	done
	ip addr show dev "$net" | sed 's/^/# /'
	false
}

me=$((RIG_GUEST + 1))
net_make
net=$(net_name 0)
if [ "$me" = 1 ]; then
	net_up "$net" 10.0.5.1/24 fd05::1/64
	echo "root:x:0:" >/etc/group
	echo "root::0:0:root:/tmp:/bin/sh" >/etc/passwd
	tap_ok "dnsmasq starts" serve
	rig_ask barrier serves
else
	rig_ask barrier serves
	echo 1 >"/proc/sys/net/ipv6/conf/$net/accept_ra"
	net_up "$net"
	cat >/tmp/script <<-'EOF'
		#!/bin/sh
		[ "$1" = bound ] && /bin/ip addr add "$ip/24" dev "$interface"
		:
	EOF
	chmod 755 /tmp/script
	tap_ok "there is a lease" udhcpc -i "$net" -n -q -t 10 -s /tmp/script
	address=$(ip -4 -o addr show dev "$net" | sed -n 's/.*inet \(10\.0\.5\.[5-9][0-9]\)\/.*/\1/p')
	tap_ok "the address is one of those offered: $address" [ -n "$address" ]
	tap_ok "the server answers" pings 10.0.5.1
	tap_ok "there is an address by advertisement" configured
	tap_ok "and the server answers by IPv6" pings fd05::1
	tap_ok "a name has its address" sh -c "nslookup there.test 10.0.5.1 | grep -q 10.0.5.1$"
fi
net_done
