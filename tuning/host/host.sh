#!/usr/bin/env bash
# What of this host the server wants otherwise, and setting it so.
#
#   tuning/host/host.sh            looks, says what it would change and why; changes nothing
#   tuning/host/host.sh apply      changes it, as root, now and for the next boot
#
# Limits go to /etc/security/limits.d/60-rustydb.conf (a service has its own in rustydb-shard.service), kernel settings to
# /etc/sysctl.d/60-rustydb.conf. The CPU governor is set until the next boot only. `rustydb-shard doctor` looks at more.
set -euo pipefail

apply=${1:-}
case "$apply" in
  "" | apply) ;;
  *) echo "usage: $0 [apply]" >&2; exit 2 ;;
esac
if [ "$apply" = apply ] && [ "$(id -u)" -ne 0 ]; then
  echo "only root can change these" >&2
  exit 1
fi
changes=0 sysctls=() governors=()

want() { # name, what is there, what is wanted, why
  if [ "$2" = "$3" ]; then
    printf '  ok      %-28s %s\n' "$1" "$2"
  else
    printf '  change  %-28s %s -> %s\n          %s\n' "$1" "$2" "$3" "$4"
    changes=$((changes + 1))
  fi
}
at_least() { # prints what is wanted: what is there if it is enough
  if [ "$1" = unlimited ] || [ "$1" -ge "$2" ]; then echo "$1"; else echo "$2"; fi
}

if [ -r /proc/sys/kernel/io_uring_disabled ]; then
  now=$(cat /proc/sys/kernel/io_uring_disabled)
  want kernel.io_uring_disabled "$now" 0 "without io_uring no shard starts"
  [ "$now" = 0 ] || sysctls+=("kernel.io_uring_disabled = 0")
fi
now=$(cat /proc/sys/net/core/somaxconn)
wanted=$(at_least "$now" 1024)
want net.core.somaxconn "$now" "$wanted" "a burst of connections waits instead of being refused"
[ "$now" = "$wanted" ] || sysctls+=("net.core.somaxconn = $wanted")

cores=$(nproc)
memlock=$(ulimit -H -l) memlock_wanted=$(at_least "$(ulimit -H -l)" $((cores * 512)))
want "locked memory, KiB (hard)" "$memlock" "$memlock_wanted" "each executor registers 512 KiB with its rings"
files=$(ulimit -H -n) files_wanted=$(at_least "$(ulimit -H -n)" 16384)
want "open files (hard)" "$files" "$files_wanted" "one for each connection, and some for each shard"

for file in /sys/devices/system/cpu/cpu*/cpufreq/scaling_governor; do
  [ -r "$file" ] || continue
  now=$(cat "$file")
  [ "$now" = performance ] || governors+=("$file")
done
if [ ${#governors[@]} -gt 0 ]; then
  want "cpu governor" "$(cat "${governors[0]}")" performance "a core that has rested is slow at first (${#governors[@]} cores)"
fi

if [ "$changes" -eq 0 ]; then
  echo "Nothing to change."
  exit 0
fi
if [ "$apply" != apply ]; then
  echo "$changes to change; \"$0 apply\" does it."
  exit 0
fi
if [ ${#sysctls[@]} -gt 0 ]; then
  printf '%s\n' "${sysctls[@]}" >/etc/sysctl.d/60-rustydb.conf
  sysctl -q -p /etc/sysctl.d/60-rustydb.conf
fi
if [ "$memlock" != "$memlock_wanted" ] || [ "$files" != "$files_wanted" ]; then
  mkdir -p /etc/security/limits.d
  printf '%s\n' "* - memlock $memlock_wanted" "* - nofile $files_wanted" >/etc/security/limits.d/60-rustydb.conf
  echo "Limits hold from the next login on."
fi
for file in "${governors[@]}"; do echo performance >"$file"; done
echo "$changes changed."
