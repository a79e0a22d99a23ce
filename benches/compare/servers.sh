# What the scripts share that measure running servers; sourced, from the project's folder, with the script's arguments.
#
# Gives: `ours`, the binary (the first argument, or one that is built); `work`, a directory that goes when the script ends, as does
# all that was started; `free_port` (sets `port`), `until_open PORT`, `sql PORT DATABASE …` (psql), `start_ours NAME CORES FLAGS…`
# (sets `our_port`, `http_port`, `our_pid`), `need_postgres` and `start_postgres OPTIONS…` (sets `pg_port`, `pg_pid`). PostgreSQL is as
# initdb makes it but for OPTIONS; as root it runs as the user postgres. With OVER=unix clients of libpq reach both through a socket
# with a path (PGHOST), else over TCP.

built=${CARGO_TARGET_DIR:-target}/release
if [ $# -gt 0 ]; then
  ours=$1
else
  cargo build --locked --release --bin rustydb-shard
  ours=$built/rustydb-shard
fi
[ -x "$ours" ] || { echo "there is no $ours" >&2; exit 1; }
pg_bin=${PG_BIN:-$(ls -d /usr/lib/postgresql/*/bin 2>/dev/null | sort -V | tail -1)}
has_postgres() { [ -x "$pg_bin/initdb" ]; }
need_postgres() {
  has_postgres || { echo "no PostgreSQL server found; set PG_BIN to where initdb is" >&2; exit 1; }
}

work=$(mktemp -d)
mkdir -m 777 "$work/sockets"
chmod 755 "$work"
# Process ids of what was started here, and only those.
started=()
as_postgres() {
  # A login's limits would be its own.
  if [ "$(id -u)" -eq 0 ]; then
    runuser -u postgres -- bash -c 'ulimit -n "$(ulimit -H -n)" 2>/dev/null; exec "$@"' bash "$@"
  else
    "$@"
  fi
}
finish() {
  [ ${#started[@]} -eq 0 ] || kill "${started[@]}" 2>/dev/null || true
  [ ! -f "$work/pg/data/postmaster.pid" ] || as_postgres "$pg_bin/pg_ctl" -D "$work/pg/data" -m fast stop >/dev/null || true
  [ ${#started[@]} -eq 0 ] || wait "${started[@]}" 2>/dev/null || true
  rm -rf "$work"
}
trap finish EXIT

next_port=$((20000 + $$ % 9000))
free_port() {
  while (exec 3<>"/dev/tcp/127.0.0.1/$next_port") 2>/dev/null; do next_port=$((next_port + 1)); done
  port=$next_port
  next_port=$((next_port + 1))
}
until_open() {
  for _ in $(seq 100); do
    if (exec 3<>"/dev/tcp/127.0.0.1/$1") 2>/dev/null; then return; fi
    sleep 0.1
  done
  echo "nothing listens on port $1" >&2
  return 1
}
export PGUSER=rustydb PGHOST=127.0.0.1 PGCONNECT_TIMEOUT=10
[ "${OVER:-tcp}" = tcp ] || PGHOST=$work/sockets
sql() { psql -X -q -v ON_ERROR_STOP=1 -p "$1" -d "$2" "${@:3}"; }

start_ours() {
  local name=$1 count=$2
  shift 2
  free_port; our_port=$port
  free_port; http_port=$port
  "$ours" --cores "$count" --data-dir "$work/$name" --sql-port "$our_port" --http-port "$http_port" \
    --unix-socket-dir "$work/sockets" "$@" >"$work/$name.log" 2>&1 &
  our_pid=$!
  started+=("$our_pid")
  until_open "$our_port"
}
start_postgres() {
  mkdir "$work/pg"
  [ "$(id -u)" -ne 0 ] || chown postgres "$work/pg"
  as_postgres "$pg_bin/initdb" -D "$work/pg/data" -A trust -U rustydb --locale=C -E UTF8 >/dev/null
  free_port; pg_port=$port
  as_postgres "$pg_bin/pg_ctl" -D "$work/pg/data" -l "$work/pg/log" -w \
    -o "-p $pg_port -k $work/sockets -c listen_addresses=127.0.0.1 $*" start >/dev/null
  pg_pid=$(head -1 "$work/pg/data/postmaster.pid")
  sql "$pg_port" postgres -c "create database rustydb"
}
