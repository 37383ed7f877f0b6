import django.db.models.deletion
from django.contrib.postgres.fields import ArrayField
from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("tickets", "0017_recipients")]

    operations = [
        migrations.CreateModel(
            name="MessageTemplate",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                ("name", models.CharField(max_length=512)),
                ("language", models.CharField(max_length=16)),
                ("body", models.TextField()),
                (
                    "places",
                    ArrayField(base_field=models.CharField(max_length=80), blank=True, default=list, size=None),
                ),
                ("named", models.BooleanField(default=False)),
                (
                    "channel",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.PROTECT, related_name="templates", to="tickets.channel"
                    ),
                ),
            ],
            options={
                "constraints": [
                    models.UniqueConstraint(
                        fields=("channel", "name", "language"), name="one_template_per_language"
                    )
                ],
            },
        ),
    ]
