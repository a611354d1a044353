#!/bin/sh
# netifd protocol handler: option proto 'laclet' in /etc/config/network. A LAC client for each interface.
#
# defaultroute, peerdns and metric are netifd's own: it is told of a default route and of name servers, and decides.

[ -x "${LACLET:=/usr/bin/laclet}" ] || exit 0

[ -n "$INCLUDE_ONLY" ] || {
	. /lib/functions.sh
	. ../netifd-proto.sh
	init_proto "$@"
}

: "${LACLET_RUN_DIR:=/var/run/laclet}" "${LACLET_HOOKS:=/usr/lib/laclet/netifd}"

# Exit codes: pppd's, and 3 for a configuration that is not valid.
CONFIG_INVALID=3
OPEN_FAILED=7
AUTH_TOPEER_FAILED=19

proto_laclet_init_config() {
	proto_config_add_string "server"
	proto_config_add_string "username"
	proto_config_add_string "password"
	proto_config_add_string "tunnel_secret"
	proto_config_add_string "hostname"
	proto_config_add_int "mtu"
	proto_config_add_string "keepalive"
	proto_config_add_int "holdoff"
	proto_config_add_boolean "ipv6"
	proto_config_add_boolean "authfail"
	proto_config_add_string "ipsec_psk"
	proto_config_add_string "ipsec_ike"
	proto_config_add_string "ipsec_esp"
	proto_config_add_string "ipsec_id"
	proto_config_add_boolean "ipsec_forceencaps"
	proto_config_add_boolean "ipsec_aggressive"
	available=1
	no_device=1
}

# A key with a string of TOML, unless it is empty. What is no string of one line is found wrong by laclet itself.
laclet_string() {
	[ -z "$2" ] || printf '%s = "%s"\n' "$1" "$(printf '%s' "$2" | sed 's/\\/\\\\/g; s/"/\\"/g')"
}

laclet_number() {
	[ -z "$2" ] || printf '%s = %s\n' "$1" "$2"
}

laclet_bool() {
	case "$2" in
		1) printf '%s = true\n' "$1" ;;
		0) printf '%s = false\n' "$1" ;;
	esac
}

# One redial: what netifd does after that begins with the names and the routes to the server.
laclet_config() {
	local interval="${keepalive##*[, ]}"
	[ "$interval" != "$keepalive" ] || interval=5

	echo "[tunnel.$1]"
	laclet_string server "$server"
	laclet_string hostname "$hostname"
	echo "max_redials = 1"
	laclet_number holdoff "${holdoff:=5}"
	[ "$holdoff" -le 60 ] 2>/dev/null || laclet_number redial_timeout "$holdoff"
	laclet_string ipsec_ike "$ipsec_ike"
	laclet_string ipsec_esp "$ipsec_esp"
	laclet_string ipsec_id "$ipsec_id"
	laclet_bool ipsec_forceencaps "$ipsec_forceencaps"
	laclet_bool ipsec_aggressive "$ipsec_aggressive"

	echo "[call.$1]"
	laclet_string tunnel "$1"
	laclet_string username "$username"
	laclet_number mtu "$mtu"
	laclet_number mru "$mtu"
	laclet_number lcp_echo_failure "${keepalive%%[, ]*}"
	laclet_number lcp_echo_interval "${keepalive:+$interval}"
	laclet_bool ipv6 "$ipv6"
	echo "use_peer_dns = true"
	laclet_string ifname "$(printf 'l2tp-%.10s' "$1")"

	echo "[hooks]"
	laclet_string directory "$LACLET_HOOKS"
}

laclet_secrets() {
	echo "[tunnel.$1]"
	laclet_string tunnel_secret "$tunnel_secret"
	laclet_string ipsec_psk "$ipsec_psk"
	echo "[call.$1]"
	laclet_string password "$password"
}

laclet_host() {
	case "$1" in
		\[*) set -- "${1#[}"; echo "${1%%]*}" ;;
		*:*:*) echo "$1" ;;
		*) echo "${1%:*}" ;;
	esac
}

proto_laclet_setup() {
	local config="$1"
	local server username password tunnel_secret hostname mtu keepalive holdoff ipv6
	local ipsec_psk ipsec_ike ipsec_esp ipsec_id ipsec_forceencaps ipsec_aggressive
	json_get_vars server username password tunnel_secret hostname mtu keepalive holdoff ipv6
	json_get_vars ipsec_psk ipsec_ike ipsec_esp ipsec_id ipsec_forceencaps ipsec_aggressive

	local ip found
	for ip in $(resolveip -t 5 "$(laclet_host "$server")"); do
		( proto_add_host_dependency "$config" "$ip" )
		found=1
	done
	[ -n "$found" ] || {
		echo "cannot find ${server:-the server: there is no option server}"
		sleep 5
		proto_setup_failed "$config"
		return 1
	}

	local folder="$LACLET_RUN_DIR/$config"
	( umask 077 && mkdir -p "$folder" &&
		laclet_config "$config" >"$folder/config.toml" &&
		laclet_secrets "$config" >"$folder/secrets.toml" ) || {
		proto_setup_failed "$config"
		return 1
	}
	proto_export "LACLET_RUN_DIR=$LACLET_RUN_DIR"
	proto_run_command "$config" "$LACLET" run "$folder/config.toml" --name "$config"
}

proto_laclet_teardown() {
	local config="$1"
	local authfail

	case "$ERROR" in
		"$AUTH_TOPEER_FAILED")
			proto_notify_error "$config" AUTH_FAILED
			json_get_vars authfail
			[ "${authfail:-1}" = 0 ] || proto_block_restart "$config"
		;;
		"$CONFIG_INVALID")
			proto_notify_error "$config" INVALID_OPTIONS
			proto_block_restart "$config"
		;;
		"$OPEN_FAILED")
			proto_notify_error "$config" OPEN_FAILED
		;;
	esac
	proto_kill_command "$config"
	rm -f "$LACLET_RUN_DIR/$config/config.toml" "$LACLET_RUN_DIR/$config/secrets.toml"
}

[ -n "$INCLUDE_ONLY" ] || add_protocol laclet
