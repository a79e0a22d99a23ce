"""Django's ORM: the migrations of its own contrib apps, CRUD, constraints, transactions, introspection.

The expected answers are PostgreSQL 15's.
"""

import os

import django
from django.conf import settings

settings.configure(
    DATABASES={
        "default": {
            "ENGINE": "django.db.backends.postgresql",
            "NAME": os.environ["PGDATABASE"],
            "USER": os.environ["PGUSER"],
            "HOST": os.environ["PGHOST"],
            "PORT": os.environ["PGPORT"],
        }
    },
    INSTALLED_APPS=[
        "django.contrib.contenttypes",
        "django.contrib.auth",
        "django.contrib.sessions",
        "django.contrib.admin",
        "django.contrib.messages",
        "django.contrib.sites",
    ],
    SITE_ID=1,
    USE_TZ=True,
    TIME_ZONE="UTC",
    SECRET_KEY="not secret",
    PASSWORD_HASHERS=["django.contrib.auth.hashers.MD5PasswordHasher"],
)
django.setup()

from django.contrib.auth.models import Group, Permission, User  # noqa: E402
from django.contrib.sessions.backends.db import SessionStore  # noqa: E402
from django.core.management import call_command  # noqa: E402
from django.db import IntegrityError, connection, transaction  # noqa: E402
from django.db.models import Count, F, Q  # noqa: E402

call_command("migrate", verbosity=0)
# A second time nothing is left to do.
call_command("migrate", verbosity=0)

ann = User.objects.create_user("ann", "ann@example.org", "secret")
bob = User.objects.create_user("bob", "bob@example.org", "secret")
assert User.objects.get(username="ann").check_password("secret")
readers = Group.objects.create(name="readers")
readers.permissions.set(Permission.objects.filter(codename__startswith="view_"))
readers.user_set.add(ann, bob)
assert readers.permissions.count() == Permission.objects.filter(codename__startswith="view_").count()
assert ann.has_perm("auth.view_user") and not ann.has_perm("auth.add_user")

# Through cursors of the server, in and out of a transaction.
assert [u.username for u in User.objects.order_by("username").iterator(chunk_size=1)] == ["ann", "bob"]
with transaction.atomic():
    assert [u.username for u in User.objects.order_by("username").iterator(chunk_size=1)] == ["ann", "bob"]

User.objects.filter(pk=ann.pk).update(first_name="Ann", last_name=F("username"))
ann.refresh_from_db()
assert (ann.first_name, ann.last_name) == ("Ann", "ann")
found = User.objects.filter(Q(username__istartswith="A") | Q(email__contains="nobody"))
assert [u.username for u in found] == ["ann"]
sizes = Group.objects.annotate(n=Count("user")).values_list("name", "n")
assert list(sizes) == [("readers", 2)]
user, made = User.objects.get_or_create(username="cid")
assert made and not User.objects.get_or_create(username="cid")[1]
made = User.objects.bulk_create([User(username=f"u{n}") for n in range(50)])
# The rows that come back are taken for the objects in their order.
assert [User.objects.get(pk=u.pk).username for u in made] == [f"u{n}" for n in range(50)]
assert User.objects.count() == 53
assert User.objects.filter(username__startswith="u").delete()[0] == 50

try:
    with transaction.atomic():
        User.objects.create(username="ann")
    raise AssertionError("a duplicate was taken")
except IntegrityError as e:
    assert "auth_user_username_key" in str(e), e
# Django's foreign keys are deferred: the commit finds what is wrong.
try:
    with transaction.atomic():
        through = User.groups.through
        through.objects.create(user_id=ann.pk, group_id=987)
        assert through.objects.filter(group_id=987).exists()
    raise AssertionError("a row without its group was taken")
except IntegrityError as e:
    assert "is not present in table" in str(e), e
with transaction.atomic():
    locked = User.objects.select_for_update().get(pk=ann.pk)
    locked.last_name = "Lee"
    locked.save()

session = SessionStore()
session["cart"] = [1, 2]
session.create()
assert SessionStore(session.session_key)["cart"] == [1, 2]
session.delete()

ann.delete()
assert readers.user_set.count() == 1
with connection.cursor() as cursor:
    names = connection.introspection.table_names(cursor)
    assert "auth_user" in names and "django_migrations" in names, names
    relations = connection.introspection.get_relations(cursor, "auth_user_groups")
    assert relations["user_id"][:2] == ("id", "auth_user"), relations
    constraints = connection.introspection.get_constraints(cursor, "auth_user_groups")
    unique = [c for c in constraints.values() if c["unique"] and not c["primary_key"]]
    assert unique[0]["columns"] == ["user_id", "group_id"], constraints
    assert connection.introspection.get_primary_key_column(cursor, "auth_user") == "id"
    sequences = connection.introspection.get_sequences(cursor, "auth_user")
    assert sequences[0]["column"] == "id", sequences
call_command("inspectdb", "auth_group", stdout=open(os.devnull, "w"))
call_command("migrate", "admin", "zero", verbosity=0)
call_command("flush", interactive=False, verbosity=0)
assert User.objects.count() == 0
print("django: ok")
