// PostgreSQL's JDBC driver, against the server that PGHOST and its kin name. Exits 0 when every check holds.
// Run as a source file: java -cp postgresql.jar JdbcClient.java

import java.io.StringReader;
import java.math.BigDecimal;
import java.sql.*;
import java.time.LocalDate;
import java.util.*;
import org.postgresql.PGConnection;

public class JdbcClient {
  static void same(Object expected, Object got) {
    if (!Objects.equals(expected, got)) {
      throw new AssertionError("expected " + expected + ", got " + got);
    }
  }

  static void fails(Connection c, String sql, String state) throws SQLException {
    try (Statement s = c.createStatement()) {
      s.execute(sql);
    } catch (SQLException e) {
      same(state, e.getSQLState());
      return;
    }
    throw new AssertionError("no error: " + sql);
  }

  public static void main(String[] args) throws Exception {
    Map<String, String> env = System.getenv();
    String url = "jdbc:postgresql://" + env.get("PGHOST") + ":" + env.get("PGPORT") + "/" + env.get("PGDATABASE");
    Properties as = new Properties();
    as.setProperty("user", env.get("PGUSER"));
    try (Connection c = DriverManager.getConnection(url, as)) {
      statements(c);
      prepared(c);
      transactions(c);
      metadata(c);
      keys(c);
      composites(c);
      copies(c);
    }
  }

  static void statements(Connection c) throws SQLException {
    try (Statement s = c.createStatement()) {
      s.execute("create table item (id serial primary key, name varchar(20) not null unique, price numeric(8,2),"
          + " made date, tags text[], live boolean default true)");
      same(2, s.executeUpdate("insert into item (name, price) values ('a', 1.5), ('b', null)", Statement.RETURN_GENERATED_KEYS));
      ResultSet keys = s.getGeneratedKeys();
      keys.next();
      same(1, keys.getInt("id"));
      ResultSet r = s.executeQuery("select id, name, price, live from item order by id");
      ResultSetMetaData m = r.getMetaData();
      same(4, m.getColumnCount());
      same("numeric", m.getColumnTypeName(3));
      same("item", ((org.postgresql.PGResultSetMetaData) m).getBaseTableName(2));
      r.next();
      same(new BigDecimal("1.50"), r.getBigDecimal(3));
      same(true, r.getBoolean(4));
      r.next();
      same(null, r.getBigDecimal("price"));
      fails(c, "insert into item (name) values ('a')", "23505");
      fails(c, "selec 1", "42601");
    }
  }

  static void prepared(Connection c) throws SQLException {
    String sql = "insert into item (name, price, made, tags) values (?, ?, ?, ?)";
    try (PreparedStatement p = c.prepareStatement(sql)) {
      for (int i = 0; i < 50; i++) {
        p.setString(1, "n" + i);
        p.setBigDecimal(2, new BigDecimal(i));
        p.setObject(3, LocalDate.of(2026, 1, 1).plusDays(i));
        p.setArray(4, c.createArrayOf("text", new String[] {"t" + i, "u,v"}));
        p.addBatch();
      }
      int[] counts = p.executeBatch();
      same(50, counts.length);
      same(1, counts[49]);
    }
    // More than prepareThreshold times: by name and in binary.
    try (PreparedStatement p = c.prepareStatement("select made, price, tags, id from item where name = ?")) {
      for (int i = 0; i < 12; i++) {
        p.setString(1, "n" + i);
        ResultSet r = p.executeQuery();
        r.next();
        same(LocalDate.of(2026, 1, 1).plusDays(i), r.getObject(1, LocalDate.class));
        same(0, new BigDecimal(i).compareTo(r.getBigDecimal(2)));
        same("u,v", ((String[]) r.getArray(3).getArray())[1]);
        same(false, r.next());
      }
    }
  }

  static void transactions(Connection c) throws SQLException {
    c.setAutoCommit(false);
    c.setTransactionIsolation(Connection.TRANSACTION_REPEATABLE_READ);
    try (Statement s = c.createStatement()) {
      s.executeUpdate("delete from item");
      Savepoint point = c.setSavepoint("here");
      fails(c, "select 1 / 0", "22012");
      c.rollback(point);
      ResultSet r = s.executeQuery("select count(*) from item");
      r.next();
      same(0L, r.getLong(1));
      c.rollback();
      // A cursor of the protocol: rows come as they are asked for.
      s.setFetchSize(7);
      r = s.executeQuery("select id from item order by id");
      int seen = 0;
      while (r.next()) {
        seen++;
      }
      same(52, seen);
      c.commit();
    }
    c.setAutoCommit(true);
  }

  static void metadata(Connection c) throws SQLException {
    try (Statement s = c.createStatement()) {
      s.execute("create table part (id int primary key, item int references item (id) on delete cascade)");
    }
    DatabaseMetaData m = c.getMetaData();
    List<String> columns = new ArrayList<>();
    for (ResultSet r = m.getColumns(null, "public", "item", "%"); r.next();) {
      columns.add(r.getString("COLUMN_NAME") + " " + r.getString("TYPE_NAME") + " " + r.getString("IS_NULLABLE"));
    }
    same(List.of("id serial NO", "name varchar NO", "price numeric YES", "made date YES", "tags _text YES", "live bool YES"), columns);
    ResultSet imported = m.getImportedKeys(null, "public", "part");
    imported.next();
    same("item", imported.getString("PKTABLE_NAME"));
    same(DatabaseMetaData.importedKeyCascade, (int) imported.getShort("DELETE_RULE"));
    List<String> tables = new ArrayList<>();
    for (ResultSet r = m.getTables(null, "public", "%", new String[] {"TABLE"}); r.next();) {
      tables.add(r.getString("TABLE_NAME"));
    }
    same(List.of("item", "part"), tables);
  }

  // These take the composite values of information_schema._pg_expandarray apart.
  static void keys(Connection c) throws SQLException {
    try (Statement s = c.createStatement()) {
      s.execute("create table placed (shelf int, place text, item int, primary key (place, shelf))");
      s.execute("create index placed_item on placed (item desc, lower(place))");
    }
    DatabaseMetaData m = c.getMetaData();
    List<String> key = new ArrayList<>();
    for (ResultSet r = m.getPrimaryKeys(null, "public", "placed"); r.next();) {
      key.add(r.getString("COLUMN_NAME") + " " + r.getShort("KEY_SEQ") + " " + r.getString("PK_NAME"));
    }
    same(List.of("place 1 placed_pkey", "shelf 2 placed_pkey"), key);
    List<String> indexed = new ArrayList<>();
    for (ResultSet r = m.getIndexInfo(null, "public", "placed", false, true); r.next();) {
      indexed.add(r.getString("INDEX_NAME") + " " + r.getShort("ORDINAL_POSITION") + " " + r.getString("COLUMN_NAME")
          + " " + r.getString("ASC_OR_DESC") + " " + r.getBoolean("NON_UNIQUE"));
    }
    same(List.of("placed_pkey 1 place A false", "placed_pkey 2 shelf A false", "placed_item 1 item D true",
        "placed_item 2 lower(place) A true"), indexed);
    List<String> best = new ArrayList<>();
    for (ResultSet r = m.getBestRowIdentifier(null, "public", "placed", DatabaseMetaData.bestRowSession, true); r.next();) {
      best.add(r.getString("COLUMN_NAME") + " " + r.getString("TYPE_NAME"));
    }
    Collections.sort(best);
    same(List.of("place text", "shelf int4"), best);
    try (Statement s = c.createStatement()) {
      s.execute("drop table placed");
    }
  }

  static void composites(Connection c) throws SQLException {
    try (Statement s = c.createStatement()) {
      s.execute("create type spot as (x int, label text)");
      s.execute("create table found (id int primary key, at spot, been spot[])");
    }
    try (PreparedStatement p = c.prepareStatement("insert into found values (?, ?::spot, ?::spot[])")) {
      p.setInt(1, 1);
      p.setString(2, "(4,\"a b\")");
      p.setString(3, "{\"(1,)\",\"(,c)\"}");
      same(1, p.executeUpdate());
    }
    // More than prepareThreshold times: by name.
    try (PreparedStatement p = c.prepareStatement("select at, been, (at).x, f, row(id, at) from found f where id = ?")) {
      for (int i = 0; i < 8; i++) {
        p.setInt(1, 1);
        ResultSet r = p.executeQuery();
        same("spot", r.getMetaData().getColumnTypeName(1));
        same("record", r.getMetaData().getColumnTypeName(5));
        r.next();
        same("(4,\"a b\")", r.getString(1));
        same("(4,\"a b\")", ((org.postgresql.util.PGobject) r.getObject(1)).getValue());
        same("{\"(1,)\",\"(,c)\"}", r.getString(2));
        same(4, r.getInt(3));
        same("(1,\"(4,\"\"a b\"\")\",\"{\"\"(1,)\"\",\"\"(,c)\"\"}\")", r.getString(4));
        same("(1,\"(4,\"\"a b\"\")\")", r.getString(5));
      }
    }
    try (Statement s = c.createStatement()) {
      s.execute("drop table found");
      s.execute("drop type spot");
    }
  }

  static void copies(Connection c) throws Exception {
    var copy = c.unwrap(PGConnection.class).getCopyAPI();
    same(2L, copy.copyIn("copy item (name, price) from stdin", new StringReader("x\t1\ny\t\\N\n")));
    var out = new java.io.StringWriter();
    copy.copyOut("copy (select name, price from item where name in ('x', 'y') order by name) to stdout", out);
    same("x\t1.00\ny\t\\N\n", out.toString());
    try (Statement s = c.createStatement()) {
      s.execute("drop table part, item");
    }
  }
}
