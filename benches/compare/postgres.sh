#!/usr/bin/env bash
# Beside PostgreSQL: durable inserts of one row by 32 clients, TPC-B and point reads by 16, and COPY of a million rows, on the same
# disk of one machine.
#
#   benches/compare/postgres.sh [binary]        without one it builds target/release/rustydb-shard
#
# CORES (2), CLIENTS (32), LASTS (6 s for a run of inserts or of TPC-B), SCALE (10, of TPC-B), ROWS (1000000), ROUNDS (3),
# WORK ("inserts tpcb copies", also "reads": pgbench -S), OVER ("tcp", or "unix": through sockets with a path), PG_BIN (the newest
# installed).
# The two take turns within each round and change places from round to round, so that a disk or a neighbour that slows down
# slows both; what is printed are medians and their ratio. PostgreSQL is as initdb makes it (fsync and synchronous_commit are
# on, and it is said if they are not), with ports and directories of its own that go when the script ends.
# Needs: postgresql, postgresql-contrib (pgbench), psql. As root it runs PostgreSQL as the user postgres.
set -euo pipefail
cd "$(dirname "$0")/../.."

cores=${CORES:-2} clients=${CLIENTS:-32} lasts=${LASTS:-6} rows=${ROWS:-1000000} rounds=${ROUNDS:-3}
scale=${SCALE:-10} work_list=${WORK:-inserts tpcb copies}
source benches/compare/servers.sh
need_postgres
start_postgres
start_ours rustydb "$cores"

echo "$(sql "$pg_port" rustydb -At -c "select 'PostgreSQL ' || current_setting('server_version')"), rustydb-shard --cores $cores"
for setting in fsync synchronous_commit full_page_writes; do
  value=$(sql "$pg_port" rustydb -At -c "show $setting")
  [ "$value" = on ] || echo "PostgreSQL's $setting is $value"
done

cat >"$work/insert.sql" <<'SQL'
\set id random(1, 1000000000000)
insert into s values (:id, 1) on conflict do nothing
SQL
seq "$rows" | awk -v OFS='\t' '{ print $1, $1 * 7 % 1000003 }' >"$work/rows.tsv"
for port in "$our_port" "$pg_port"; do
  sql "$port" rustydb -c "create table s (id bigint primary key, v int)"
  case " $work_list " in
    *" tpcb "* | *" reads "*) pgbench -q -i -s "$scale" -p "$port" rustydb 2>"$work/pgbench.err" || { cat "$work/pgbench.err" >&2; exit 1; } ;;
  esac
done

# Each measurement is one line of a file named after what was measured and by whom.
inserts() {
  local port=$1 who=$2 mode tps
  for mode in simple prepared; do
    tps=$(pgbench -n -p "$port" -f "$work/insert.sql" -M "$mode" -c "$clients" -j 2 -T "$lasts" rustydb 2>"$work/pgbench.err" \
      | awk '/^tps/ { print $3 }')
    [ -n "$tps" ] || { cat "$work/pgbench.err" >&2; exit 1; }
    echo "$tps" >>"$work/insert_$mode.$who"
    echo "  $who: $tps inserts a second, $mode"
  done
}
# Afterwards the sums of accounts, tellers, branches and history must agree.
tpcb() {
  local port=$1 who=$2 mode tps
  for mode in simple prepared; do
    tps=$(pgbench -n -p "$port" -M "$mode" -c 16 -j 2 -T "$lasts" rustydb 2>"$work/pgbench.err" | awk '/^tps/ { print $3 }')
    [ -n "$tps" ] || { cat "$work/pgbench.err" >&2; exit 1; }
    echo "$tps" >>"$work/tpcb_$mode.$who"
    echo "  $who: $tps TPC-B transactions a second, $mode"
  done
  [ "$(sql "$port" rustydb -At -c "select count(distinct s) from (select sum(abalance) s from pgbench_accounts union all
    select sum(tbalance) from pgbench_tellers union all select sum(bbalance) from pgbench_branches union all
    select sum(delta) from pgbench_history) x")" = 1 ]
}
reads() {
  local port=$1 who=$2 mode tps
  for mode in simple prepared; do
    tps=$(pgbench -n -S -p "$port" -M "$mode" -c 16 -j 2 -T "$lasts" rustydb 2>"$work/pgbench.err" | awk '/^tps/ { print $3 }')
    [ -n "$tps" ] || { cat "$work/pgbench.err" >&2; exit 1; }
    echo "$tps" >>"$work/reads_$mode.$who"
    echo "  $who: $tps point reads a second, $mode"
  done
}
copies() {
  local port=$1 who=$2 what columns begun took
  for what in no_key key; do
    columns="k int, v int"
    [ "$what" = no_key ] || columns="k int primary key, v int"
    sql "$port" rustydb -c "create table c ($columns)"
    begun=$(date +%s.%N)
    sql "$port" rustydb -c "\\copy c from '$work/rows.tsv'"
    took=$(echo "$(date +%s.%N) $begun" | awk -v rows="$rows" '{ print rows / ($1 - $2) }')
    [ "$(sql "$port" rustydb -At -c "select count(*) from c")" = "$rows" ]
    sql "$port" rustydb -c "drop table c"
    echo "$took" >>"$work/copy_$what.$who"
    echo "  $who: $took rows a second by COPY, $what"
  done
}
for round in $(seq "$rounds"); do
  echo "round $round of $rounds"
  order="ours theirs"
  [ $((round % 2)) -eq 1 ] || order="theirs ours"
  for work_of in $work_list; do
    for who in $order; do
      if [ "$who" = ours ]; then port=$our_port; else port=$pg_port; fi
      "$work_of" "$port" "$who"
    done
  done
done

median() { sort -g "$1" | awk '{ v[NR] = $1 } END { print (v[int((NR + 1) / 2)] + v[int((NR + 2) / 2)]) / 2 }'; }
report() {
  local ours_median theirs_median
  ours_median=$(median "$work/$1.ours")
  theirs_median=$(median "$work/$1.theirs")
  printf '%-42s %12.0f %12.0f %7.2f\n' "$2" "$ours_median" "$theirs_median" \
    "$(echo "$ours_median $theirs_median" | awk '{ print $1 / $2 }')"
}
printf '\n%-42s %12s %12s %7s\n' "medians of $rounds rounds" rustydb PostgreSQL ratio
for work_of in $work_list; do
  case $work_of in
    inserts)
      report insert_simple "inserts/s, $clients clients, simple protocol"
      report insert_prepared "inserts/s, $clients clients, prepared" ;;
    tpcb)
      report tpcb_simple "TPC-B/s, 16 clients, simple protocol"
      report tpcb_prepared "TPC-B/s, 16 clients, prepared" ;;
    reads)
      report reads_simple "point reads/s, 16 clients, simple protocol"
      report reads_prepared "point reads/s, 16 clients, prepared" ;;
    copies)
      report copy_no_key "COPY rows/s, two columns, no key"
      report copy_key "COPY rows/s, two columns, primary key" ;;
  esac
done
