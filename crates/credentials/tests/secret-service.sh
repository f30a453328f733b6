#!/bin/sh
# secret-service.sh STATE COMMAND...: runs a command beside a real Secret Service (gnome-keyring) on a
# private bus, with everything in one temporary folder that goes at the end.
#
#   unlocked   ready for use; KEYRING_PID is the daemon
#   locked     a record was stored in an earlier session (RECORD_SERVICE, RECORD_USER) and nobody
#              unlocked its collection in this one
#   session    unlocked, but the default collection is the one that lives in memory
#   hanging    the daemon owns its name and answers nothing
#   empty      a bus, and nobody on it
#   no-bus     the address of a bus that is gone
#
# The bus activates nothing, so that no prompt of a desktop can come up.
set -eu
trap 'exit 143' TERM INT HUP
state=$1
shift

if [ "${SECRET_SERVICE_FOLDER:-}" = "" ]; then
    SECRET_SERVICE_FOLDER=$(mktemp -d)
    export SECRET_SERVICE_FOLDER
    trap 'rm -rf "$SECRET_SERVICE_FOLDER"' EXIT
    for name in data runtime config cache; do
        mkdir -m 700 "$SECRET_SERVICE_FOLDER/$name"
    done
    cat > "$SECRET_SERVICE_FOLDER/bus.conf" <<EOF
<!DOCTYPE busconfig PUBLIC "-//freedesktop//DTD D-Bus Bus Configuration 1.0//EN"
 "http://www.freedesktop.org/standards/dbus/1.0/busconfig.dtd">
<busconfig>
  <type>session</type>
  <listen>unix:dir=$SECRET_SERVICE_FOLDER/runtime</listen>
  <policy context="default">
    <allow send_destination="*" eavesdrop="true"/>
    <allow eavesdrop="true"/>
    <allow own="*"/>
  </policy>
</busconfig>
EOF
    unset DISPLAY WAYLAND_DISPLAY DBUS_SESSION_BUS_ADDRESS
    export XDG_DATA_HOME="$SECRET_SERVICE_FOLDER/data"
    export XDG_RUNTIME_DIR="$SECRET_SERVICE_FOLDER/runtime"
    export XDG_CONFIG_HOME="$SECRET_SERVICE_FOLDER/config"
    export XDG_CACHE_HOME="$SECRET_SERVICE_FOLDER/cache"
    in_session() { dbus-run-session --config-file="$SECRET_SERVICE_FOLDER/bus.conf" -- "$0" "$@"; }
    case $state in
    no-bus) DBUS_SESSION_BUS_ADDRESS="unix:path=$SECRET_SERVICE_FOLDER/gone" "$@" ;;
    locked)
        in_session unlocked sh -c 'printf {} | secret-tool store --label=test \
            service "$RECORD_SERVICE" username "$RECORD_USER"'
        in_session locked "$@"
        ;;
    *) in_session "$state" "$@" ;;
    esac
    exit
fi

bus() {
    dbus-send --session --print-reply=literal --dest=org.freedesktop.DBus \
        /org/freedesktop/DBus "org.freedesktop.DBus.$1" string:org.freedesktop.secrets
}

daemon() {
    printf test | gnome-keyring-daemon --foreground --components=secrets "$@" > /dev/null 2>&1 &
    KEYRING_PID=$!
    export KEYRING_PID
    trap 'kill -KILL "$KEYRING_PID" 2> /dev/null || true' EXIT
    tries=0
    until bus NameHasOwner 2> /dev/null | grep -q true; do
        tries=$((tries + 1))
        [ "$tries" -lt 100 ] || { echo "gnome-keyring does not start" >&2; exit 1; }
        sleep 0.05
    done
}

case $state in
empty) ;;
locked) daemon ;;
*)
    # A password is needed: with none, no collection is made.
    daemon --unlock
    ;;
esac
case $state in
session)
    dbus-send --session --print-reply --dest=org.freedesktop.secrets /org/freedesktop/secrets \
        org.freedesktop.Secret.Service.SetAlias string:default \
        objpath:/org/freedesktop/secrets/collection/session > /dev/null
    ;;
hanging) kill -STOP "$KEYRING_PID" ;;
esac
"$@"
