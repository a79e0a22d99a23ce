#!/usr/bin/env bash
# Beside its peers, with one client: a bare echo on a ring (the least that a request can cost), an echo on the sockets and executors
# that this server has, this server, PostgreSQL, PgBouncer in front of it, Redis.
#
#   benches/compare/peers.sh [binary]        without one it builds target/release/rustydb-shard
#
# CORES (2), LASTS (3 s a measurement), ROUNDS (3), IDLE (10000 connections that wait), IDLE_POSTGRES (200 of them at PostgreSQL, a
# process each), OPEN (70 % of what a closed loop reached), ROWS (100000), PG_BIN (the newest installed),
# WORK ("start memory prepared simple many piped open even connect cores"), PEERS ("bare echo ours postgres bouncer redis ping"),
# LOAD and ECHO (the client and the echo server; built when not given).
#
# All of them run at the same time on the same cores, the client's too; one is asked while the others wait. They take turns in each
# round and the first place changes from round to round; what is printed are medians over the rounds. Each answer is
# checked. An open loop counts from when a request was due. CPU is utime and stime of all of a server's processes, divided by
# requests. PostgreSQL is as initdb makes it, but for as many connections as the work needs; PgBouncer has one thread, as it
# always has, and pools transactions (sessions for prepared statements, which it does not know before 1.21). Redis does not write
# to disk. The exit code is 1 when an answer was wrong or missing, not when a row is lost.
# Needs: postgresql, pgbouncer, redis-server, redis-tools; a peer that is not installed is left out, and it is said.
# As root it runs PostgreSQL and PgBouncer as the user postgres.
set -euo pipefail
cd "$(dirname "$0")/../.."

cores=${CORES:-2} lasts=${LASTS:-3} rounds=${ROUNDS:-3} idle=${IDLE:-10000} idle_postgres=${IDLE_POSTGRES:-200}
share=${OPEN:-70} rows=${ROWS:-100000}
work_list=${WORK:-start memory prepared simple many piped open even connect cores}
peers=${PEERS:-bare echo ours postgres bouncer redis ping}
source benches/compare/servers.sh
if [ -z "${LOAD:-}" ] || [ -z "${ECHO:-}" ]; then
  cargo build --locked --release -p rustydb-compare
fi
load=${LOAD:-$built/load} echo_server=${ECHO:-$built/echo}
ulimit -n "$(ulimit -H -n)" 2>/dev/null || true

has() { case " $peers " in *" $1 "*) ;; *) return 1 ;; esac; }
does() { case " $work_list " in *" $1 "*) ;; *) return 1 ;; esac; }
leave_out() {
  echo "left out: $1, $2" >&2
  peers=" $peers "
  peers=${peers/ $1 / }
}
has_postgres || { leave_out postgres "no initdb (PG_BIN)"; leave_out bouncer "no PostgreSQL"; }
bouncer_bin=$(command -v pgbouncer || ls /usr/sbin/pgbouncer 2>/dev/null || true)
[ -n "$bouncer_bin" ] || leave_out bouncer "no pgbouncer"
command -v redis-server >/dev/null || { leave_out redis "no redis-server"; leave_out ping "no redis-server"; }

mkdir "$work/seen"
declare -A ports pids says
start_named() {
  start_ours "$1" "$2" --connections-max 12000
  ports[$1]=$our_port pids[$1]=$our_pid says[$1]=simple
}
fill() {
  sql "${ports[$1]}" rustydb -c "create table points (id int primary key, twice int)" \
    -c "insert into points select g, g * 2 from generate_series(0, $((rows - 1))) g" -c "analyze points"
}
start_bouncer() {
  free_port; ports[bouncer]=$port
  cat >"$work/pg/bouncer.ini" <<INI
[databases]
rustydb = host=127.0.0.1 port=${ports[postgres]} dbname=rustydb user=rustydb pool_mode=transaction pool_size=20
sessions = host=127.0.0.1 port=${ports[postgres]} dbname=rustydb user=rustydb pool_mode=session pool_size=40
[pgbouncer]
listen_addr = 127.0.0.1
listen_port = $port
unix_socket_dir =
auth_type = any
max_client_conn = 12000
ignore_startup_parameters = extra_float_digits
logfile = $work/pg/bouncer.log
pidfile = $work/pg/bouncer.pid
INI
  as_postgres "$bouncer_bin" -q -d "$work/pg/bouncer.ini"
  until_open "$port"
  pids[bouncer]=$(cat "$work/pg/bouncer.pid") says[bouncer]=simple
  started+=("${pids[bouncer]}")
}
start_redis() {
  free_port; ports[redis]=$port ports[ping]=$port
  redis-server --port "$port" --bind 127.0.0.1 --save "" --appendonly no --maxclients 12000 --dir "$work" >"$work/redis.log" 2>&1 &
  pids[redis]=$! pids[ping]=$! says[redis]=get says[ping]=ping
  started+=($!)
  until_open "$port"
  seq 0 $((rows - 1)) | awk '{ print "SET p:" $1 " " $1 * 2 }' | redis-cli -p "$port" --pipe >/dev/null
}
for who in bare echo; do
  has "$who" || continue
  network=auto
  [ "$who" != bare ] || network=bare
  free_port; ports[$who]=$port says[$who]=echo
  "$echo_server" --port "$port" --cores "$cores" --network "$network" >"$work/$who.log" 2>&1 &
  pids[$who]=$!
  started+=($!)
  until_open "$port"
done
if has postgres || has bouncer; then
  start_postgres -c "max_connections=$((idle_postgres + 300))"
  ports[postgres]=$pg_port pids[postgres]=$pg_pid says[postgres]=simple
  fill postgres
fi
if has bouncer; then start_bouncer; fi
if has redis || has ping; then start_redis; fi

# One measurement: a line of a file named after what was done and by whom. PgBouncer's time is its own
# and PostgreSQL's, its memory is its own.
failed=0
measure() {
  local what=$1 who=$2 line
  shift 2
  local of=${pids[$who]}
  [ "$who" != bouncer ] || [ "$what" = memory ] || of=$of,${pids[postgres]}
  if line=$("$load" "$@" --addr "127.0.0.1:${ports[$who]}" --rows "$rows" --pids "$of" 2>"$work/err"); then
    echo "$line" >>"$work/seen/$what.$who"
  else
    failed=1
    echo "FAILED: $what by $who: $(head -1 "$work/err")" | tee -a "$work/failures"
  fi
  printf '  %-9s %-9s %s\n' "$what" "$who" "$(echo "$line" | awk -F'\t' '{ print $2 "/s, p50 " $3 " us, p99 " $4 ", p99.9 " $5 ", CPU " $8 " us" }')"
}
# The fields of `load header`, from 1: requests, rate, p50, p99, p99.9, max, errors, CPU, CPU %, the client's CPU, KiB, lateness.
median() {
  [ -s "$work/seen/$1" ] || { echo -; return; }
  cut -f"$2" "$work/seen/$1" | grep -v '^-$' | sort -g \
    | awk '{ v[NR] = $1 } END { if (NR) print (v[int((NR + 1) / 2)] + v[int((NR + 2) / 2)]) / 2; else print "-" }'
}

# Before anything else is asked of it: a server without rows or clients.
if has ours; then
  start_named ours "$cores"
  if does start; then
    sleep 2
    measure start ours watch --seconds 10
  fi
  fill ours
fi
if does memory; then
  # A server has a descriptor for each, the client too, each in its own process.
  spare=$(($(ulimit -n) - 500))
  if [ "$idle" -gt "$spare" ]; then
    echo "SKIPPED: $idle idle connections need a limit of $((idle + 500)) open files, it is $(ulimit -n)"
  else
    for who in $peers; do
      [ "$who" != ping ] || continue
      count=$idle
      [ "$who" != postgres ] || count=$idle_postgres
      # The first clients pay for what is made once.
      "$load" closed --say "${says[$who]}" --addr "127.0.0.1:${ports[$who]}" --rows "$rows" --seconds 0.5 >/dev/null || true
      measure memory "$who" idle --say "${says[$who]}" --connections "$count" --seconds 2
    done
  fi
fi

# How a peer is asked for work that is "prepared", where it knows that.
prepared_of() {
  case $1 in
    ours | postgres) echo "--say prepared" ;;
    bouncer) echo "--say prepared --database sessions" ;;
    *) echo "--say ${says[$1]}" ;;
  esac
}
knows_text() { case $1 in ours | postgres | bouncer) ;; *) return 1 ;; esac; }
do_prepared() { measure prepared "$1" closed $(prepared_of "$1") --connections 16 --seconds "$lasts"; }
do_simple() { ! knows_text "$1" || measure simple "$1" closed --say simple --connections 16 --seconds "$lasts"; }
do_many() { measure many "$1" closed --say "${says[$1]}" --connections 200 --seconds "$lasts"; }
do_piped() { measure piped "$1" closed $(prepared_of "$1") --connections 16 --depth 30 --seconds "$lasts"; }
at_rate() {
  [ "$3" != - ] || { echo "  $1 by $2 needs \"prepared\" in WORK"; return; }
  measure "$1" "$2" open $(prepared_of "$2") --connections 16 --seconds "$lasts" \
    --rate "$(awk -v r="$3" -v s="$share" 'BEGIN { print r * s / 100 }')"
}
do_open() { at_rate open "$1" "$(median "prepared.$1" 2)"; }
# The same rate for all: what the slowest of them can do.
do_even() {
  local slowest
  slowest=$(for who in $peers; do median "prepared.$who" 2; done | grep -v '^-$' | sort -g | head -1)
  at_rate even "$1" "${slowest:--}"
}
do_connect() { measure connect "$1" connect --say "${says[$1]}" --rate 50 --threads 4 --seconds "$lasts"; }

for round in $(seq "$rounds"); do
  echo "round $round of $rounds"
  for work_of in $work_list; do
    case $work_of in start | memory | cores) continue ;; esac
    for who in $peers; do "do_$work_of" "$who"; done
  done
  # Whoever was first is last.
  peers="${peers#* } ${peers%% *}"
done
if does cores && has ours; then
  start_named one 1
  fill one
  for round in $(seq "$rounds"); do
    order="one ours"
    [ $((round % 2)) -eq 1 ] || order="ours one"
    for who in $order; do measure cores "$who" closed --say prepared --connections 16 --depth 8 --seconds "$lasts"; done
  done
fi

source benches/compare/peers_report.sh
report
[ "$failed" -eq 0 ]
