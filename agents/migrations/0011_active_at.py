from django.db import migrations, models


class Migration(migrations.Migration):

    dependencies = [
        ("agents", "0010_wrap_up"),
    ]

    operations = [
        migrations.AddField(
            model_name="agent",
            name="active_at",
            field=models.DateTimeField(blank=True, null=True),
        ),
    ]
