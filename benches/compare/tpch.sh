#!/usr/bin/env bash
# TPC-H beside PostgreSQL: all 22 queries over the same generated rows, their answers compared, their times and ratios printed.
#
#   benches/compare/tpch.sh [binary]        without one it builds target/release/rustydb-shard
#
# SCALE (0.1), CORES (2), ROUNDS (3: the fastest counts), QUERIES ("1 … 22"), SECONDS_MAX (60 for a query), PG_BIN (the newest
# installed), TPCHGEN (tpchgen-cli, from `cargo install tpchgen-cli` or `pip install tpchgen-cli`).
# Both have the primary keys and nothing else, and both have been analyzed. The queries are those of the specification with its
# validation parameters; where it leaves the order of rows open they have a further key, so that answers can be compared.
# Numbers are compared to 9 digits after the point: a quotient has as many digits as its server gives it.
set -euo pipefail
cd "$(dirname "$0")/../.."

scale=${SCALE:-0.1} cores=${CORES:-2} rounds=${ROUNDS:-3} longest=${SECONDS_MAX:-60}
queries=${QUERIES:-$(seq 22)}
generator=${TPCHGEN:-tpchgen-cli}
command -v "$generator" >/dev/null || { echo "there is no $generator; set TPCHGEN" >&2; exit 1; }
source benches/compare/servers.sh
need_postgres
mkdir "$work/data"
"$generator" csv -s "$scale" --output-dir "$work/data" >/dev/null
start_postgres
start_ours rustydb "$cores"

echo "$(sql "$pg_port" rustydb -At -c "select 'PostgreSQL ' || current_setting('server_version')"), rustydb-shard --cores $cores, scale $scale"

for port in "$pg_port" "$our_port"; do
  began=$(date +%s.%N)
  sql "$port" rustydb -f benches/compare/tpch/schema.sql
  for table in region nation supplier part partsupp customer orders lineitem; do
    sql "$port" rustydb -c "\\copy $table from '$work/data/$table.csv' with (format csv, header)"
  done
  sql "$port" rustydb -c "analyze"
  name=$([ "$port" = "$pg_port" ] && echo PostgreSQL || echo ours)
  echo "loaded into $name in $(awk -v a="$began" -v b="$(date +%s.%N)" 'BEGIN { printf "%.1f", b - a }') s"
done

# The fastest round of a query, in ms; its rows in a file.
timed() {
  local port=$1 n=$2 out=$3 best=
  for _ in $(seq "$rounds"); do
    {
      echo "set statement_timeout = '${longest}s';"
      echo '\timing on'
      cat "$work/q.sql"
    } >"$work/run.sql"
    if ! sql "$port" rustydb -At -f "$work/run.sql" >"$work/raw" 2>"$work/err"; then
      echo "failed: $(head -1 "$work/err")"
      return
    fi
    grep -v '^Time: ' "$work/raw" >"$out" || true
    local ms
    ms=$(awk '/^Time: / { print $2 }' "$work/raw" | tail -1)
    best=$(awk -v a="${best:-1e18}" -v b="$ms" 'BEGIN { print (b < a) ? b : a }')
  done
  echo "$best"
}
# Each number as 9 digits after the point.
plain() {
  awk -F'|' -v OFS='|' '{ for (i = 1; i <= NF; i++) if ($i ~ /^-?[0-9]+\.[0-9]+$/) $i = sprintf("%.9f", $i); print }' "$1"
}

printf '%-6s %12s %12s %8s  %s\n' query PostgreSQL ours ratio answer
equal=0 count=0
for n in $queries; do
  awk -v n="-- q$n" '/^-- q/ { on = ($0 == n) } on && !/^--/' benches/compare/tpch/queries.sql >"$work/q.sql"
  theirs=$(timed "$pg_port" "$n" "$work/theirs")
  own=$(timed "$our_port" "$n" "$work/own")
  count=$((count + 1))
  case "$theirs$own" in
    *failed*) printf '%-6s %12s %12s %8s  %s\n' "q$n" "$theirs" "$own" - failed; continue ;;
  esac
  if cmp -s <(plain "$work/theirs") <(plain "$work/own"); then
    answer=equal equal=$((equal + 1))
  else
    answer=DIFFERS
  fi
  awk -v q="q$n" -v a="$theirs" -v b="$own" -v r="$answer" \
    'BEGIN { printf "%-6s %12.1f %12.1f %8.2f  %s\n", q, a, b, b / a, r }'
done
echo "$equal of $count equal"
[ "$equal" -eq "$count" ]
