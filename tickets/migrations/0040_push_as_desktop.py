from django.db import migrations


class Migration(migrations.Migration):
    """Who has chosen before there was push is told by it of what they wanted on their desktop."""

    dependencies = [("tickets", "0039_push")]

    operations = [
        migrations.RunSQL("UPDATE tickets_notificationchoice SET push = desktop", migrations.RunSQL.noop),
    ]
