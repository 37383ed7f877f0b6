from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("agents", "0006_undo_seconds")]

    operations = [
        migrations.AddField(
            model_name="team",
            name="answerer_takes",
            field=models.BooleanField(
                db_default=True, default=True, verbose_name="whoever answers first takes the ticket"
            ),
        ),
    ]
