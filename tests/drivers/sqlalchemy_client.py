"""SQLAlchemy: its dialect's questions, create_all, reflection and the ORM's unit of work.

The expected answers are PostgreSQL 15's.
"""

import datetime
import decimal
import os
import uuid

import sqlalchemy as sa
from sqlalchemy.dialects import postgresql as pg
from sqlalchemy.orm import (
    DeclarativeBase,
    Mapped,
    Session,
    mapped_column,
    relationship,
    selectinload,
)

url = sa.URL.create(
    "postgresql+psycopg",
    username=os.environ["PGUSER"],
    host=os.environ["PGHOST"],
    port=int(os.environ["PGPORT"]),
    database=os.environ["PGDATABASE"],
)
engine = sa.create_engine(url)


class Base(DeclarativeBase):
    pass


class Author(Base):
    __tablename__ = "author"
    id: Mapped[int] = mapped_column(primary_key=True)
    name: Mapped[str] = mapped_column(sa.String(40), unique=True)
    born: Mapped[datetime.date | None]
    books: Mapped[list["Book"]] = relationship(
        back_populates="author", cascade="all, delete-orphan"
    )


class Book(Base):
    __tablename__ = "book"
    __table_args__ = (
        sa.CheckConstraint("price >= 0", name="book_price_positive"),
        sa.Index("book_by_title", "title", "author_id"),
    )
    id: Mapped[uuid.UUID] = mapped_column(primary_key=True, default=uuid.uuid4)
    title: Mapped[str]
    price: Mapped[decimal.Decimal] = mapped_column(sa.Numeric(8, 2), server_default="0")
    tags: Mapped[list[str] | None] = mapped_column(pg.ARRAY(sa.Text))
    extra: Mapped[dict | None] = mapped_column(pg.JSONB)
    seen: Mapped[datetime.datetime] = mapped_column(
        sa.DateTime(timezone=True), server_default=sa.func.now()
    )
    author_id: Mapped[int] = mapped_column(sa.ForeignKey("author.id", ondelete="CASCADE"))
    author: Mapped[Author] = relationship(back_populates="books")


Base.metadata.create_all(engine)
# A second time finds that everything is there.
Base.metadata.create_all(engine)

with Session(engine) as session:
    ann = Author(name="ann", born=datetime.date(1960, 2, 29))
    ann.books = [
        Book(title="one", price=decimal.Decimal("9.50"), tags=["a", "b,c"], extra={"n": [1]}),
        Book(title="two"),
    ]
    bob = Author(name="bob", books=[Book(title="three", price=decimal.Decimal(3))])
    session.add_all([ann, bob])
    session.commit()
    assert [a.id for a in (ann, bob)] == [1, 2]

with Session(engine) as session:
    query = sa.select(Author).options(selectinload(Author.books)).order_by(Author.name)
    ann, bob = session.scalars(query).all()
    one = next(b for b in ann.books if b.title == "one")
    assert (one.tags, one.extra, one.price) == (["a", "b,c"], {"n": [1]}, decimal.Decimal("9.50"))
    assert abs(datetime.datetime.now(datetime.UTC) - one.seen) < datetime.timedelta(minutes=5)
    one.price += 1
    ann.books.remove(next(b for b in ann.books if b.title == "two"))
    bob.name = "robert"
    session.commit()
    total = sa.select(Author.name, sa.func.sum(Book.price)).join(Book).group_by(Author.name)
    rows = session.execute(total.order_by(Author.name)).all()
    assert rows == [("ann", decimal.Decimal("10.50")), ("robert", decimal.Decimal("3.00"))], rows
    session.delete(bob)
    session.commit()
    assert session.scalar(sa.select(sa.func.count()).select_from(Book)) == 1

with Session(engine) as session:
    session.add(Author(name="ann"))
    try:
        session.commit()
        raise AssertionError("a duplicate was taken")
    except sa.exc.IntegrityError as e:
        assert e.orig.diag.constraint_name == "author_name_key"
        session.rollback()
    session.add(Book(title="lost", author_id=99))
    try:
        session.commit()
        raise AssertionError("a child without its parent was taken")
    except sa.exc.IntegrityError as e:
        assert e.orig.diag.constraint_name == "book_author_id_fkey"

with engine.begin() as connection:
    insert = pg.insert(Author).values(id=1, name="anne")
    insert = insert.on_conflict_do_update(
        index_elements=["id"], set_={"name": insert.excluded.name}
    )
    assert connection.execute(insert.returning(Author.name)).scalar_one() == "anne"
    with connection.begin_nested() as savepoint:
        connection.execute(sa.delete(Author))
        savepoint.rollback()
    assert connection.scalar(sa.select(sa.func.count()).select_from(Author)) == 1

inspector = sa.inspect(engine)
assert inspector.get_table_names() == ["author", "book"], inspector.get_table_names()
assert inspector.has_table("book") and not inspector.has_table("nothing")
columns = {c["name"]: c for c in inspector.get_columns("book")}
assert isinstance(columns["id"]["type"], sa.UUID), columns
assert (columns["price"]["type"].precision, columns["price"]["type"].scale) == (8, 2)
assert isinstance(columns["tags"]["type"], pg.ARRAY) and columns["tags"]["nullable"]
assert columns["seen"]["type"].timezone and columns["seen"]["default"] == "now()"
serial = {c["name"]: c for c in inspector.get_columns("author")}["id"]
assert serial["autoincrement"] and "author_id_seq" in serial["default"], serial
assert inspector.get_pk_constraint("author")["constrained_columns"] == ["id"]
(key,) = inspector.get_foreign_keys("book")
assert key["referred_table"] == "author" and key["options"] == {"ondelete": "CASCADE"}, key
(index,) = inspector.get_indexes("book")
assert index["column_names"] == ["title", "author_id"] and not index["unique"], index
(unique,) = inspector.get_unique_constraints("author")
assert unique["name"] == "author_name_key", unique
(check,) = inspector.get_check_constraints("book")
assert check["name"] == "book_price_positive", check

reflected = sa.MetaData()
reflected.reflect(engine)
assert set(reflected.tables) == {"author", "book"}
assert next(iter(reflected.tables["book"].foreign_keys)).target_fullname == "author.id"

Base.metadata.drop_all(engine)
assert sa.inspect(engine).get_table_names() == []
print("sqlalchemy: ok")
