from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("agents", "0005_message_size")]

    operations = [
        migrations.AddField(
            model_name="agent",
            name="undo_seconds",
            field=models.PositiveSmallIntegerField(
                choices=[(0, "Off"), (5, "5 seconds"), (10, "10 seconds"), (30, "30 seconds")], default=10
            ),
        ),
    ]
