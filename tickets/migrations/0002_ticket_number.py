from django.db import migrations


class Migration(migrations.Migration):
    """Human ticket numbers come from a sequence of their own: no lock, no double."""

    dependencies = [("tickets", "0001_first")]

    operations = [
        migrations.RunSQL(
            sql="CREATE SEQUENCE ticket_number AS bigint START 1001", reverse_sql="DROP SEQUENCE ticket_number"
        )
    ]
