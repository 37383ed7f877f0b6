from django.db import migrations, models


class Migration(migrations.Migration):
    """What waits, in the order in which it is claimed: with a backlog the planner walked the primary key instead,
    through everything that was ever finished."""

    dependencies = [("channels_in", "0001_first")]

    operations = [
        migrations.AddIndex(
            model_name="rawevent",
            index=models.Index(
                condition=models.Q(("state__in", ["new", "processing"])), fields=["id"], name="rawevent_line"
            ),
        ),
    ]
