"""Three foreign keys had an index of their own beside one that begins with them: each message and event paid for both."""

import django.db.models.deletion
from django.db import migrations, models

PROTECT = django.db.models.deletion.PROTECT


class Migration(migrations.Migration):
    dependencies = [("tickets", "0042_promises_at_rest")]

    operations = [
        migrations.AlterField(
            "event",
            "ticket",
            models.ForeignKey(
                db_index=False, null=True, on_delete=PROTECT, related_name="events", to="tickets.ticket"
            ),
        ),
        migrations.AlterField(
            "message",
            "customer",
            models.ForeignKey(
                db_index=False, null=True, on_delete=PROTECT, related_name="messages", to="tickets.customer"
            ),
        ),
        migrations.AlterField(
            "message",
            "ticket",
            models.ForeignKey(db_index=False, on_delete=PROTECT, related_name="messages", to="tickets.ticket"),
        ),
    ]
