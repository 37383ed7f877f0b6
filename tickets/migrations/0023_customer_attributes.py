import django.contrib.postgres.indexes
from django.db import migrations


class Migration(migrations.Migration):
    dependencies = [
        ("tickets", "0022_openings"),
    ]

    operations = [
        migrations.AddIndex(
            model_name="customer",
            index=django.contrib.postgres.indexes.GinIndex(
                fields=["attributes"], name="customer_attributes", opclasses=["jsonb_path_ops"]
            ),
        ),
    ]
