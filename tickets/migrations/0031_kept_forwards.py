from django.db import migrations, models


class Migration(migrations.Migration):

    dependencies = [
        ("tickets", "0030_view_columns"),
    ]

    operations = [
        migrations.AlterField(
            model_name="draft",
            name="kind",
            field=models.CharField(
                choices=[("reply", "Reply"), ("note", "Note"), ("side", "Side")], default="reply", max_length=5
            ),
        ),
    ]
