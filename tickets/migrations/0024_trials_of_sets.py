from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [
        ("tickets", "0023_customer_attributes"),
    ]

    operations = [
        migrations.AlterField(
            model_name="ruletrial",
            name="tried",
            field=models.PositiveIntegerField(null=True),
        ),
    ]
