from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("tickets", "0035_first_policy_versions")]

    operations = [
        migrations.AddField(
            model_name="ticket",
            name="ruled_message_id",
            field=models.BigIntegerField(editable=False, null=True),
        ),
        migrations.AddField(
            model_name="routingdecision",
            name="acted",
            field=models.BooleanField(db_default=False, default=False),
        ),
        migrations.AlterField(
            model_name="automaticreply",
            name="kind",
            field=models.CharField(blank=True, default="", max_length=24),
        ),
    ]
