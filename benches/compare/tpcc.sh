#!/usr/bin/env bash
# A mix of transactions like TPC-C's beside PostgreSQL: new order, payment, order status, delivery, stock level, in the
# specification's proportions and without pauses, on a few warehouses; afterwards its consistency conditions 1 to 4 must hold in both.
#
#   benches/compare/tpcc.sh [binary]        without one it builds target/release/rustydb-shard
#
# WAREHOUSES (2), ITEMS (10000; 100000 in the specification), CUSTOMERS (300 of a district; 3000), CLIENTS (16), LASTS (6 s),
# ROUNDS (3), CORES (2), PLACED (true: here, a warehouse's rows are in one partition; false: both have the same statements), ISOLATION ("read committed"), PG_BIN (the newest installed), TPCC (the client; built when not given).
# Both servers run on the same disk and take turns, the first place changes from round to round; medians are printed. PostgreSQL
# is as initdb makes it; commits are durable in both. The exit code is 1 when a condition does not hold, a transaction failed, or a
# server could not be asked. Needs: postgresql, psql. As root it runs PostgreSQL as the user postgres.
set -euo pipefail
cd "$(dirname "$0")/../.."

cores=${CORES:-2} clients=${CLIENTS:-16} lasts=${LASTS:-6} rounds=${ROUNDS:-3}
scale=(--warehouses "${WAREHOUSES:-2}" --items "${ITEMS:-10000}" --customers "${CUSTOMERS:-300}")
isolation=${ISOLATION:-read committed}
source benches/compare/servers.sh
need_postgres
[ -n "${TPCC:-}" ] || cargo build --locked --release -p rustydb-compare
tpcc=${TPCC:-$built/tpcc}
start_postgres
start_ours rustydb "$cores"

for who in theirs ours; do
  if [ "$who" = ours ]; then port=$our_port; else port=$pg_port; fi
  began=$(date +%s.%N)
  placed=()
  [ "$who" = theirs ] || placed=(--placed "${PLACED:-true}")
  "$tpcc" load --addr "127.0.0.1:$port" "${scale[@]}" "${placed[@]}"
  echo "$who loaded in $(awk -v a="$began" -v b="$(date +%s.%N)" 'BEGIN { printf "%.1f", b - a }') s"
done

failed=0
check() {
  if ! "$tpcc" check --addr "127.0.0.1:$1" "${scale[@]}" >"$work/broken" 2>&1; then
    failed=1
    echo "NOT CONSISTENT: $2, $3"
    sed 's/^/  /' "$work/broken"
  fi
}
check "$pg_port" theirs "as loaded"
check "$our_port" ours "as loaded"
for round in $(seq "$rounds"); do
  echo "round $round of $rounds"
  order="ours theirs"
  [ $((round % 2)) -eq 1 ] || order="theirs ours"
  for who in $order; do
    if [ "$who" = ours ]; then port=$our_port pid=$our_pid; else port=$pg_port pid=$pg_pid; fi
    if ! "$tpcc" run --addr "127.0.0.1:$port" "${scale[@]}" --connections "$clients" --seconds "$lasts" --seed "$round" \
      --isolation "$isolation" --pids "$pid" >"$work/run.$who.$round" 2>"$work/err"; then
      failed=1
      echo "  FAILED: $who: $(head -1 "$work/err")"
    fi
    awk -F'\t' -v who="$who" '$1 == "all" { print "  " who ": " $3 " transactions a second, p99 " $5 " ms, " $9 " done again, " $8 " errors" }' \
      "$work/run.$who.$round"
    check "$port" "$who" "after round $round"
  done
done

# The median of a field of a kind's lines over the rounds.
median() {
  cat "$work/run.$1."* | awk -F'\t' -v kind="$2" -v field="$3" '$1 == kind { print $field }' | sort -g \
    | awk '{ v[NR] = $1 } END { if (NR) print (v[int((NR + 1) / 2)] + v[int((NR + 2) / 2)]) / 2; else print "-" }'
}
printf '\n%-14s %11s %11s %7s %10s %10s %10s %10s\n' "medians" "rustydb/s" "Postgres/s" ratio "p50 ms" "theirs" "p99 ms" "theirs"
for kind in all new_order payment order_status delivery stock_level; do
  printf '%-14s %11s %11s %7s %10s %10s %10s %10s\n' "$kind" "$(median ours "$kind" 3)" "$(median theirs "$kind" 3)" \
    "$(awk -v a="$(median ours "$kind" 3)" -v b="$(median theirs "$kind" 3)" 'BEGIN { printf (b + 0 ? "%.2f" : "-"), a / (b + 0 ? b : 1) }')" \
    "$(median ours "$kind" 4)" "$(median theirs "$kind" 4)" "$(median ours "$kind" 5)" "$(median theirs "$kind" 5)"
done
printf 'new orders a minute: %.0f here, %.0f there; CPU a transaction: %s us here, %s us there; done again: %s here, %s there\n' \
  "$(awk -v n="$(median ours new_order 3)" 'BEGIN { print n * 60 }')" "$(awk -v n="$(median theirs new_order 3)" 'BEGIN { print n * 60 }')" \
  "$(median ours all 10)" "$(median theirs all 10)" "$(median ours all 9)" "$(median theirs all 9)"
if [ "$failed" -eq 0 ]; then
  echo "consistency conditions 1 to 4 hold in both"
else
  echo "something failed: see above"
fi
exit "$failed"
