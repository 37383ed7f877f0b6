from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("agents", "0003_skills_and_offers")]

    operations = [
        migrations.AddField(
            model_name="agent",
            name="own_keys",
            field=models.JSONField(blank=True, default=dict),
        ),
    ]
