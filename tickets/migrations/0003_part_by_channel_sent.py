from django.db import migrations, models


class Migration(migrations.Migration):
    """When an answer last left by a channel: the health card asks it of every channel at once."""

    dependencies = [("tickets", "0002_ticket_number")]

    operations = [
        migrations.AddIndex(
            model_name="deliverypart",
            index=models.Index(
                condition=models.Q(("sent_at__isnull", False)),
                fields=["channel", "-sent_at"],
                name="part_by_channel_sent",
            ),
        ),
    ]
