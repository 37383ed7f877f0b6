import django.contrib.postgres.fields
from django.db import migrations, models


class Migration(migrations.Migration):

    dependencies = [
        ("tickets", "0029_trials_that_stop"),
    ]

    operations = [
        migrations.AddField(
            model_name="savedview",
            name="hidden",
            field=django.contrib.postgres.fields.ArrayField(
                base_field=models.CharField(
                    choices=[
                        ("channel", "Channel"),
                        ("subject", "Subject"),
                        ("snippet", "Latest words"),
                        ("priority", "Priority"),
                        ("due", "Deadline or status"),
                        ("tags", "Tags"),
                        ("assignee", "Assignee"),
                    ],
                    max_length=10,
                ),
                blank=True,
                default=list,
                size=None,
            ),
        ),
    ]
