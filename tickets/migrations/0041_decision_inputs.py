from __future__ import annotations

from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("tickets", "0040_push_as_desktop")]

    operations = [
        migrations.AddField("routingdecision", "inputs", models.JSONField(null=True)),
    ]
