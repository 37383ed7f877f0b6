from django.db import migrations, models


class Migration(migrations.Migration):

    dependencies = [
        ("agents", "0011_active_at"),
    ]

    operations = [
        migrations.AddField(
            model_name="agent",
            name="solve_opens_next",
            field=models.BooleanField(db_default=False, default=False),
        ),
    ]
