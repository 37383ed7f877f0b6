from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("agents", "0004_keys_of_ones_own")]

    operations = [
        migrations.AddField(
            model_name="agent",
            name="message_size",
            field=models.PositiveSmallIntegerField(choices=[(13, "Small"), (14, "Normal"), (16, "Large")], default=14),
        ),
    ]
