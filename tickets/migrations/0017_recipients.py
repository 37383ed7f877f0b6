from django.contrib.postgres.fields import ArrayField
from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("tickets", "0016_signatures")]

    operations = [
        migrations.AddField(
            model_name="draft",
            name=name,
            field=ArrayField(base_field=models.CharField(max_length=254), blank=True, null=True, size=None),
        )
        for name in ("to", "cc")
    ]
