# The tables of peers.sh, which reads this file: what each peer did, and the rows where this server is behind its target or a peer.
# shellcheck shell=bash disable=SC2154

titles=(
  "prepared|closed loop, 16 connections, prepared (echo, GET, PING: one request each)"
  "simple|closed loop, 16 connections, text"
  "many|closed loop, 200 connections, text"
  "piped|closed loop, 16 connections, prepared, 30 deep"
  "open|open loop at $share % of a peer's own rate, 16 connections, prepared"
  "even|open loop at $share % of the slowest peer's rate, 16 connections, prepared"
  "connect|connect and first answer, 50 a second"
)
declare -A names=([bare]="bare echo" [echo]="our echo" [ours]=rustydb [postgres]=PostgreSQL [bouncer]=PgBouncer [redis]="Redis GET" [ping]="Redis PING")

# a / b to two digits, - where there is none.
ratio() { awk -v a="$1" -v b="$2" 'BEGIN { if (a == "-" || b == "-" || b + 0 == 0) print "-"; else printf "%.2f\n", a / b }'; }
# At most one digit after the point, none from 100 on.
short() { awk -v n="$1" 'BEGIN { if (n == "-") print n; else printf (n < 100 ? "%.1f\n" : "%.0f\n"), n }'; }
holds() { awk -v a="$1" -v b="$3" "BEGIN { exit !(a $2 b) }"; }

table() {
  local what=$1 who base rate
  base=$(median "$what.postgres" 2)
  printf '\n%s\n' "$2"
  # The last: how late a request was sent, of an open loop (p99); it is part of what the request took.
  printf '  %-11s %11s %8s %9s %9s %9s %9s %10s %9s %8s\n' "" "requests/s" "ratio" "p50 us" "p99 us" "p99.9 us" "CPU us" "server %" \
    "client us" "late us"
  for who in bare echo ours postgres bouncer redis ping; do
    [ -s "$work/seen/$what.$who" ] || continue
    rate=$(median "$what.$who" 2)
    printf '  %-11s %11.0f %8s %9s %9s %9s %9s %10s %9s %8s\n' "${names[$who]}" "$rate" "$(ratio "$rate" "$base")" \
      $(for field in 3 4 5 8 9 10 12; do short "$(median "$what.$who" "$field")"; done)
  done
}

# A line of the targets: what was measured, how it is compared, the target. Missed ones go to the list at the end.
target() {
  local name=$1 value=$2 sign=$3 wanted=$4 verdict=met
  if [ "$value" = - ]; then
    verdict="not measured"
  elif ! holds "$value" "$sign" "$wanted"; then
    verdict=MISSED
    lost+=("target missed: $name is $value, wanted $sign $wanted")
  fi
  printf '  %-66s %10s  %2s %-8s %s\n' "$name" "$value" "$sign" "$wanted" "$verdict"
}

# Of the issue's list. PostgreSQL's and this server's client are the same and share the cores with them.
targets() {
  local rate cpu quiet
  printf '\ntargets\n'
  rate=$(ratio "$(median prepared.ours 2)" "$(median prepared.postgres 2)")
  cpu=$(ratio "$(median prepared.ours 8)" "$(median prepared.postgres 8)")
  if [ "$cpu" != - ] && holds "$cpu" "<=" 0.4; then
    target "prepared, 16 connections: CPU, times PostgreSQL's" "$cpu" "<=" 0.4
  else
    target "prepared, 16 connections: rate, times PostgreSQL's (or CPU <= 0.4)" "$rate" ">=" 2
  fi
  target "text, 16 connections: rate, times PostgreSQL's" "$(ratio "$(median simple.ours 2)" "$(median simple.postgres 2)")" ">=" 2.5
  target "text, 200 connections: rate, times PgBouncer's" "$(ratio "$(median many.ours 2)" "$(median many.bouncer 2)")" ">=" 3
  target "connect and first answer, p50 in us" "$(median connect.ours 3)" "<=" 1000
  target "a connection that waits, KiB (of $idle)" "$(median memory.ours 11)" "<=" 8
  target "prepared, CPU a request, times the bare echo's" "$(ratio "$(median prepared.ours 8)" "$(median prepared.bare 8)")" "<=" 1.3
  printf '  (times that of an echo on our own sockets: %s)\n' "$(ratio "$(median prepared.ours 8)" "$(median prepared.echo 8)")"
  target "30 deep, requests a second of the server's CPU" "$(ratio 1000000 "$(median piped.ours 8)")" ">=" 200000
  target "nobody asks: % of a core" "$(median start.ours 9)" "<" 1
  quiet=$(ratio "$(median start.ours 11)" 1024)
  target "nobody asks: MiB resident" "$quiet" "<=" 64
  target "open loop at $share %: p99.9 / p50" "$(ratio "$(median open.ours 5)" "$(median open.ours 3)")" "<=" 8
  # The client has some of the cores, so it is left out of the account: as many cores as there are, by what a request costs each.
  if [ "$cores" -eq 2 ]; then
    target "1 core to 2: twice CPU a request on one, over that on two" \
      "$(ratio "$(awk -v c="$(median cores.one 8)" 'BEGIN { print (c == "-") ? c : 2 * c }')" "$(median cores.ours 8)")" ">=" 1.8
    printf '  (rates beside a client on the same cores: %s/s on one, %s/s on two)\n' "$(median cores.one 2)" "$(median cores.ours 2)"
  fi
}

# Where a server that does the same work is ahead: in its rate, its CPU, or its p99.9 under the same load.
behind() {
  local what title who field label mine theirs
  for title in "${titles[@]}"; do
    what=${title%%|*}
    for who in postgres bouncer redis; do
      for field in 2 8 5; do
        case $what:$field in
          # Their rate is given, or a peer's own and not ours.
          even:2 | connect:2 | open:*) continue ;;
        esac
        mine=$(median "$what.ours" "$field") theirs=$(median "$what.$who" "$field")
        [ "$mine" != - ] && [ "$theirs" != - ] || continue
        case $field in
          2) label=requests/s; holds "$mine" "<" "$theirs" || continue ;;
          8) label="CPU us"; holds "$mine" ">" "$theirs" || continue ;;
          5) label="p99.9 us"; holds "$mine" ">" "$theirs" || continue ;;
        esac
        lost+=("behind ${names[$who]}: $what, $label $mine against $theirs")
      done
    done
  done
}

report() {
  local title who
  lost=()
  printf '\nmedians of %s rounds of %s s; ratio is to PostgreSQL\n' "$rounds" "$lasts"
  for title in "${titles[@]}"; do
    ! compgen -G "$work/seen/${title%%|*}.*" >/dev/null || table "${title%%|*}" "${title#*|}"
  done
  if compgen -G "$work/seen/memory.*" >/dev/null; then
    printf '\nconnections that have been answered once and wait\n'
    for who in bare echo ours postgres bouncer redis; do
      [ -s "$work/seen/memory.$who" ] || continue
      printf '  %-11s %6s of them, %8s KiB each\n' "${names[$who]}" "$(median "memory.$who" 1)" "$(median "memory.$who" 11)"
    done
  fi
  targets
  behind
  printf '\nrows where we lose: %s\n' "${#lost[@]}"
  [ ${#lost[@]} -eq 0 ] || printf '  %s\n' "${lost[@]}"
  if [ -s "$work/failures" ]; then
    printf '\nmeasurements that failed\n'
    sed 's/^/  /' "$work/failures"
  fi
}
