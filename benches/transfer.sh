#!/usr/bin/env bash
# What a transaction over two shards costs beside one within a shard: transfers between two rows, durable, by 16 clients.
#
#   benches/transfer.sh [binary]        without one it builds target/release/rustydb-shard
#
# CORES (2; as many partitions), CLIENTS (16), LASTS (6 s), ROUNDS (3), ACCOUNTS (400 in each of two partitions).
# The two take turns, and change places from round to round; what is printed are medians and their ratio. Which partition an
# account is in is asked of the server: of its counts of commits. The sum of all accounts is looked at in the end.
# Needs: pgbench (postgresql-contrib), psql, curl.
set -euo pipefail
cd "$(dirname "$0")/.."

cores=${CORES:-2} clients=${CLIENTS:-16} lasts=${LASTS:-6} rounds=${ROUNDS:-3} accounts=${ACCOUNTS:-400}
[ "$cores" -ge 2 ] || { echo "one core has nobody to transfer to" >&2; exit 1; }
source benches/compare/servers.sh
start_ours rustydb "$cores"
export PGPORT=$our_port PGDATABASE=rustydb
ask() { sql "$our_port" rustydb -At "$@"; }

url=http://127.0.0.1:$http_port
ask -c "create table account (id int primary key, balance int8 not null)"
# Inserts one account and prints every partition's count of commits.
insert() {
  curl -s -o /dev/null -H 'content-type: application/json' -d "{\"sql\": \"insert into account values ($1, 0)\"}" \
    "$url/api/v1/query" --next -s "$url/metrics" |
    sed -n 's/^rustydb_partition_commits_total{.*partition="\([0-9]*\)".*} \([0-9.]*\)$/\1 \2/p' | sort -n
}
echo "looking for $accounts accounts in each of two partitions"
in_0=() in_1=() id=0 before=
while [ "${#in_0[@]}" -lt "$accounts" ] || [ "${#in_1[@]}" -lt "$accounts" ]; do
  after=$(insert "$id")
  case $(diff <(echo "$before") <(echo "$after") | sed -n 's/^> \([0-9]*\) .*/\1/p' | tr '\n' ' ') in
    "0 ") in_0+=("$id") ;;
    "1 ") in_1+=("$id") ;;
  esac
  before=$after id=$((id + 1))
  [ "$id" -lt $((accounts * cores * 20)) ] || { echo "the metrics do not tell partitions apart" >&2; exit 1; }
done

# The n-th of a list, as pgbench can say it: from $2 on, $3 of them.
nth() {
  local -n list=$4
  if [ "$3" -eq 1 ]; then
    printf '%s' "${list[$2]}"
  else
    local half=$(($3 / 2))
    printf 'case when :%s < %s then ' "$1" $(($2 + half))
    nth "$1" "$2" "$half" "$4"
    printf ' else '
    nth "$1" $(($2 + half)) $(($3 - half)) "$4"
    printf ' end'
  fi
}
# From an account of one partition to one of the same, or of the other.
transfer() {
  cat <<SQL
\set n random(0, $((accounts - 1)))
\set m random(0, $((accounts - 1)))
\set from $(nth n 0 "$accounts" "$1")
\set to $(nth m 0 "$accounts" "$2")
begin;
update account set balance = balance - 1 where id = :from;
update account set balance = balance + 1 where id = :to;
commit;
SQL
}
transfer in_0 in_0 >"$work/single.0.sql"
transfer in_1 in_1 >"$work/single.1.sql"
transfer in_0 in_1 >"$work/double.0.sql"
transfer in_1 in_0 >"$work/double.1.sql"

run() {
  local tps
  tps=$(pgbench -n -f "$work/$1.0.sql" -f "$work/$1.1.sql" -M prepared -c "$clients" -j 2 -T "$lasts" --max-tries 1000 2>"$work/err" |
    awk '/^tps/ { print $3 }')
  [ -n "$tps" ] || { cat "$work/err" >&2; exit 1; }
  echo "$tps" >>"$work/$1.tps"
  echo "  $1: $tps transfers a second"
}
for round in $(seq "$rounds"); do
  echo "round $round of $rounds"
  if [ $((round % 2)) -eq 1 ]; then run single; run double; else run double; run single; fi
done
[ "$(ask -c "select sum(balance) from account")" = 0 ] || { echo "the sum of all accounts has changed" >&2; exit 1; }

median() { sort -g "$1" | awk '{ v[NR] = $1 } END { print (v[int((NR + 1) / 2)] + v[int((NR + 2) / 2)]) / 2 }'; }
one=$(median "$work/single.tps") two=$(median "$work/double.tps")
printf '\nmedians of %s rounds: %.0f transfers/s within a shard, %.0f over two; ratio %s\n' \
  "$rounds" "$one" "$two" "$(echo "$two $one" | awk '{ printf "%.2f", $1 / $2 }')"
