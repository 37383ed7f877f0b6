from django.contrib.postgres.operations import AddIndexConcurrently, RemoveIndexConcurrently
from django.db import migrations, models


class Migration(migrations.Migration):
    """A kind of work finds its own next row, however many of the others wait. Nobody waits while the indexes are made."""

    atomic = False

    dependencies = [("tickets", "0043_indexes_once")]

    operations = [
        AddIndexConcurrently(
            model_name="outbox",
            index=models.Index(
                condition=models.Q(("state__in", ["queued", "sending"])),
                fields=["kind", "id"],
                name="outbox_line_of_kind",
            ),
        ),
        AddIndexConcurrently(
            model_name="outbox",
            index=models.Index(
                condition=models.Q(("kind", "rules"), ("state", "queued")),
                fields=["next_attempt_at", "id"],
                name="outbox_rules_due",
            ),
        ),
        RemoveIndexConcurrently(model_name="outbox", name="outbox_line"),
    ]
