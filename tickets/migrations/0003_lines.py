from django.db import migrations, models


class Migration(migrations.Migration):
    """What waits, in the order in which it is claimed: with a backlog the planner walked the primary key instead,
    through everything that was ever finished."""

    dependencies = [("tickets", "0002_ticket_number")]

    operations = [
        migrations.AddIndex(
            model_name="attachment",
            index=models.Index(condition=models.Q(("state", "fetching")), fields=["id"], name="attachment_line"),
        ),
        migrations.AddIndex(
            model_name="deliverypart",
            index=models.Index(
                condition=models.Q(("state__in", ["queued", "sending"])), fields=["id"], name="part_line"
            ),
        ),
        migrations.AddIndex(
            model_name="outbox",
            index=models.Index(
                condition=models.Q(("state__in", ["queued", "sending"])), fields=["id"], name="outbox_line"
            ),
        ),
    ]
